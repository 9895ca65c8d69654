"""What a transaction changed, written together: one statement per table.

Large details that did not change stay where they are: what has them is a statement of its own.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import BindParameter, Table, bindparam, delete, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.upserts import write_rows
from monitor.entities import Process, Task, Worker
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
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_REMOVE_TASKS = delete(models.tasks).where(models.tasks.c.process_id.in_(_IDS))
_REMOVE_PROCESSES = delete(models.processes).where(models.processes.c.id.in_(_IDS))
_ADD_EVENTS = insert(models.outbox)
_ADD_PIPELINES = insert(models.pipelines)


@dataclass(frozen=True, slots=True)
class Changes:
    """New states, in the order of their ids; ids of processes that go, with their tasks.

    `detailed`: ids of those whose details are stored already.
    `pipelines`: the first workers of those that are new. Two server processes may add one at the
    same moment: the database refuses one, whose batch runs again and finds it there.
    """

    pipelines: Sequence[Worker]
    workers: Sequence[Worker]
    processes: Sequence[Process]
    tasks: Sequence[Task]
    detailed: Collection[str]
    removed: Sequence[str]
    tally: Tally
    events: Sequence[Event]


async def store(connection: AsyncConnection, changes: Changes) -> None:
    """Writes the changes, and their events into the outbox."""
    if changes.pipelines:
        new = sorted(map(rows.pipeline_values, changes.pipelines), key=itemgetter("id"))
        await connection.execute(_ADD_PIPELINES, new)
    await write_rows(connection, models.workers, [*map(rows.worker_values, changes.workers)])
    processes, tasks = (
        map(rows.process_values, changes.processes),
        map(rows.task_values, changes.tasks),
    )
    await _upsert_runs(connection, models.processes, processes, changes.detailed)
    await _upsert_runs(connection, models.tasks, tasks, changes.detailed)
    if changes.removed:
        removed = {"ids": sorted(changes.removed)}
        await connection.execute(_REMOVE_TASKS, removed)
        await connection.execute(_REMOVE_PROCESSES, removed)
    await _store_tally(connection, changes.tally)
    for events in encode_in_parts(changes.events) if changes.events else ():
        await connection.execute(_ADD_EVENTS, [{"events": events}])


async def _upsert_runs(
    connection: AsyncConnection,
    table: Table,
    values: Iterable[dict[str, Any]],
    detailed: Collection[str],
) -> None:
    whole, rest = [], []
    for row in values:
        if row["id"] in detailed:
            del row["details"]
            rest.append(row)
        else:
            whole.append(row)
    await write_rows(connection, table, whole)
    await write_rows(connection, table, rest, keep=("details",))


async def _store_tally(connection: AsyncConnection, tally: Tally) -> None:
    if any(tally.totals.values()):
        totals = [{"shard": tally.shard, **tally.totals}]
        await write_rows(connection, models.totals, totals, add=TOTALS)
    await write_rows(
        connection,
        models.pipeline_figures,
        [*tally.figures()],
        add=FIGURES,
        latest=("last_seen_at",),
    )
    keys = ("subject_id", "slot_seconds", "slot_at", "shard")
    activity = [
        dict(zip((*keys, *ACTIVITY), (*key, *tally.activity[key]), strict=True))
        for key in sorted(tally.activity)
    ]
    await write_rows(connection, models.activity, activity, add=ACTIVITY)
    durations = [
        dict(zip((*DURATION_KEYS, *DURATIONS), (*key, *tally.durations[key]), strict=True))
        for key in sorted(tally.durations)
    ]
    await write_rows(connection, models.durations, durations, add=DURATIONS)


def encode_in_parts(events: Sequence[Event]) -> Iterator[str]:
    """All events in one text, unless that is larger than a statement should be."""
    encoded = encode_events(events)
    if len(encoded) <= EVENTS_BYTES or len(events) == 1:
        yield encoded.decode()
        return
    half = len(events) // 2
    yield from encode_in_parts(events[:half])
    yield from encode_in_parts(events[half:])
