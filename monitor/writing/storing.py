"""What a transaction changed, written together: one statement per table for what is new, and one
for what was there, which has only what can be different.

Details that did not change stay where they are: they may be large.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import BindParameter, Table, bindparam, delete, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.upserts import upsert
from db.writes import Row, Write, write_all
from monitor.entities import Details, Process, Task, Worker
from monitor.events import Event, encode_events
from monitor.reading import rows
from monitor.writing.tally import (
    ACTIVITY,
    DURATION_KEYS,
    DURATIONS,
    FIGURES,
    TOTALS,
    Tally,
)

# MariaDB takes statements of 16 MiB by default, in which escaping may double a text. Entities that
# change little may be large, so this cannot be bounded by the reports that come in.
EVENTS_BYTES = 4 * 1024 * 1024
R = TypeVar("R", Process, Task)
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_REMOVE_TASKS = delete(models.tasks).where(models.tasks.c.process_id.in_(_IDS))
_REMOVE_PROCESSES = delete(models.processes).where(models.processes.c.id.in_(_IDS))
_ADD_EVENTS = insert(models.outbox)
_ADD_PIPELINES = insert(models.pipelines)
_ADD_WORKERS = insert(models.workers)
_ADD_PROCESSES = insert(models.processes)
_ADD_TASKS = insert(models.tasks)


@dataclass(frozen=True, slots=True)
class Changes:
    """New states, in the order of their ids; ids of processes that go, with their tasks.

    `loaded`: what was there, by id, and its details; None for workers.
    `pipelines`: the first workers of those that are new. Two server processes may add one at the
    same moment: the database refuses one, whose batch runs again and finds it there.
    """

    pipelines: Sequence[Worker]
    workers: Sequence[Worker]
    processes: Sequence[Process]
    tasks: Sequence[Task]
    loaded: Mapping[str, Details]
    removed: Sequence[str]
    tally: Tally
    events: Sequence[Event]


async def store(connection: AsyncConnection, changes: Changes, also: Iterable[Write]) -> None:
    """Writes the changes, their events into the outbox, and then what else there is."""
    dialect, loaded = connection.dialect.name, changes.loaded
    pipelines = sorted(map(rows.pipeline_values, changes.pipelines), key=itemgetter("id"))
    new = [worker for worker in changes.workers if worker.id not in loaded]
    seen = [worker for worker in changes.workers if worker.id in loaded]
    removed = [{"ids": sorted(changes.removed)}] if changes.removed else []
    events = encode_in_parts(changes.events) if changes.events else ()
    writes: list[Write] = [
        (_ADD_PIPELINES, pipelines),
        (_ADD_WORKERS, [*map(rows.worker_values, new)]),
        *_overwrite(models.workers, dialect, [*map(rows.worker_state, seen)]),
        (_ADD_PROCESSES, [rows.process_values(p) for p in changes.processes if p.id not in loaded]),
        *_overwrite_runs(models.processes, dialect, changes.processes, loaded, rows.process_state),
        (_ADD_TASKS, [rows.task_values(task) for task in changes.tasks if task.id not in loaded]),
        *_overwrite_runs(models.tasks, dialect, changes.tasks, loaded, rows.task_state),
        (_REMOVE_TASKS, removed),
        (_REMOVE_PROCESSES, removed),
        *_write_tally(changes.tally, dialect),
        *((_ADD_EVENTS, [{"events": part}]) for part in events),
        *also,
    ]
    await write_all(connection, writes)


def _overwrite_runs(
    table: Table,
    dialect: str,
    runs: Iterable[R],
    loaded: Mapping[str, Details],
    state: Callable[[R], Row],
) -> Iterator[Write]:
    same, different = [], []
    for run in runs:
        if run.id in loaded:
            if run.details == loaded[run.id]:
                same.append(state(run))
            else:
                different.append({**state(run), "details": run.details})
    yield from _overwrite(table, dialect, same)
    yield from _overwrite(table, dialect, different)


def _overwrite(table: Table, dialect: str, states: Sequence[Row]) -> Iterator[Write]:
    """Of rows that are there, and locked."""
    if states:
        yield upsert(table, dialect, only=frozenset(states[0])), states


def _write_tally(tally: Tally, dialect: str) -> Iterator[Write]:
    totals = [{"shard": tally.shard, **tally.totals}] if any(tally.totals.values()) else []
    yield upsert(models.totals, dialect, add=TOTALS), totals
    figures = upsert(models.pipeline_figures, dialect, add=FIGURES, latest=("last_seen_at",))
    yield figures, [*tally.figures()]
    keys = ("subject_id", "slot_seconds", "slot_at", "shard")
    activity = [
        dict(zip((*keys, *ACTIVITY), (*key, *tally.activity[key]), strict=True))
        for key in sorted(tally.activity)
    ]
    yield upsert(models.activity, dialect, add=ACTIVITY), activity
    durations = [
        dict(zip((*DURATION_KEYS, *DURATIONS), (*key, *tally.durations[key]), strict=True))
        for key in sorted(tally.durations)
    ]
    yield upsert(models.durations, dialect, add=DURATIONS), durations


def encode_in_parts(events: Sequence[Event]) -> Iterator[str]:
    """All events in one text, unless that is larger than a statement should be."""
    encoded = encode_events(events)
    if len(encoded) <= EVENTS_BYTES or len(events) == 1:
        yield encoded.decode()
        return
    half = len(events) // 2
    yield from encode_in_parts(events[:half])
    yield from encode_in_parts(events[half:])
