"""What is kept beside what a recount gives, each comparison in one statement.

One statement sees one moment, and a transaction changes a counter together with what it counts:
whoever writes meanwhile, a difference is a fault.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    case,
    false,
    func,
    literal,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.instants import microseconds_between, unix_seconds
from monitor.ids import kind_of
from monitor.reading.windows import MINUTES_KEPT
from monitor.slots import HOUR_SECONDS, REMOVED_SHARD, slot_start

K = TypeVar("K")

PROCESS_COUNTERS = ("task_count", "ended_task_count")
WORKER_COUNTERS = ("running", "succeeded", "failed", "runtime_microseconds")
ACTIVITY_COUNTERS = ("started", "succeeded", "failed", "runtime_microseconds")
TOTALS = (
    *("pipelines", "workers_alive", "workers_finished", "workers_lost"),
    *("running", "succeeded", "failed", "stalled"),
)
_ENDED = ("SUCCESS", "ERROR")
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Mismatch(Generic[K]):
    """The counters of one row, at least one of them not what was counted."""

    key: K
    kept: Mapping[str, int]
    counted: Mapping[str, int]

    def missing(self) -> dict[str, int]:
        """What has to be added to the counters."""
        return {name: counted - self.kept[name] for name, counted in self.counted.items()}


@dataclass(frozen=True, slots=True)
class SlotKey:
    """A row of activity without its shard; subject_id is '' for all together."""

    subject_id: str
    slot_seconds: int
    at: datetime

    def __str__(self) -> str:
        who = self.subject_id or "all workers"
        return f"{who} in {self.slot_seconds} s from {self.at.isoformat()}"


async def compare_processes(connection: AsyncConnection, ids: Sequence[str]) -> list[Mismatch[str]]:
    """Tasks and ended tasks of these processes."""
    kept, task = models.processes.c, models.tasks.c
    ended = case((task.status.in_(_ENDED), 1), else_=0)
    statement = _comparison(
        kept.id,
        [kept[name] for name in PROCESS_COUNTERS],
        [func.count(task.id), func.coalesce(func.sum(ended), 0)],
    )
    statement = statement.select_from(
        models.processes.outerjoin(models.tasks, task.process_id == kept.id)
    )
    found = await connection.execute(statement.where(kept.id.in_(ids)))
    return [mismatch(row[0], PROCESS_COUNTERS, row[1:]) for row in found]


async def compare_workers(connection: AsyncConnection, ids: Sequence[str]) -> list[Mismatch[str]]:
    """Processes by status, and their summed runtime, of these workers."""
    kept, process = models.workers.c, models.processes.c
    runtime = microseconds_between(
        process.started_at, process.ended_at, sqlite=connection.dialect.name == "sqlite"
    )
    statement = _comparison(
        kept.id,
        [kept[name] for name in WORKER_COUNTERS],
        [
            *(func.count(case((process.status == s, 1))) for s in ("RUNNING", *_ENDED)),
            func.coalesce(func.sum(runtime), 0),
        ],
    )
    statement = statement.select_from(
        models.workers.outerjoin(models.processes, process.worker_id == kept.id)
    )
    found = await connection.execute(statement.where(kept.id.in_(ids)))
    return [mismatch(row[0], WORKER_COUNTERS, row[1:]) for row in found]


def _comparison(
    id_: ColumnElement[str],
    kept: Sequence[ColumnElement[int]],
    counted: Sequence[ColumnElement[int]],
) -> Select[Any]:
    differs = or_(*(k != c for k, c in zip(kept, counted, strict=True)))
    columns: list[ColumnElement[Any]] = [id_, *kept, *counted]
    return select(*columns).group_by(id_, *kept).having(differs)


async def compare_slots_of(
    connection: AsyncConnection, subject_ids: Sequence[str], slot_seconds: int
) -> list[Mismatch[SlotKey]]:
    """Activity of each of these workers, or of each of these pipelines, all of it."""
    subject_id = models.processes.c[f"{kind_of(subject_ids[0])}_id"]
    return await _compare_slots(
        connection,
        slot_seconds,
        subject_id=subject_id,
        kept=models.activity.c.subject_id.in_(subject_ids),
        started=subject_id.in_(subject_ids),
        ended=subject_id.in_(subject_ids),
    )


async def compare_slots(
    connection: AsyncConnection, since: datetime, until: datetime, slot_seconds: int
) -> list[Mismatch[SlotKey]]:
    """Activity of all workers together in the slots that begin from `since` to before `until`."""
    activity, process = models.activity.c, models.processes.c
    return await _compare_slots(
        connection,
        slot_seconds,
        subject_id=literal(""),
        kept=(activity.subject_id == "") & _within(activity.slot_at, since, until),
        started=_within(process.started_at, since, until),
        ended=_within(process.ended_at, since, until),
    )


def _within(column: ColumnElement[Any], since: datetime, until: datetime) -> ColumnElement[bool]:
    return (column >= since) & (column < until)


async def _compare_slots(
    connection: AsyncConnection,
    slot_seconds: int,
    *,
    subject_id: ColumnElement[str],
    kept: ColumnElement[bool],
    started: ColumnElement[bool],
    ended: ColumnElement[bool],
) -> list[Mismatch[SlotKey]]:
    """Compares the rows of activity that are `kept` with processes that `started` or `ended`."""
    sqlite = connection.dialect.name == "sqlite"
    activity, process = models.activity.c, models.processes.c
    names = ACTIVITY_COUNTERS
    # Minutes are forgotten some day; what began before the oldest is counted by the hour only. What
    # is removed later is noted in minutes that were forgotten, too.
    first = (
        select(activity.slot_at)
        .where(
            activity.subject_id == "",
            activity.slot_seconds == slot_seconds,
            activity.shard != REMOVED_SHARD,
        )
        .order_by(activity.slot_at)
        .limit(1)
        .scalar_subquery()
    )
    minutes_kept = slot_start(datetime.now(UTC) - MINUTES_KEPT, slot_seconds)
    since = _EPOCH if slot_seconds >= HOUR_SECONDS else minutes_kept + timedelta(minutes=1)
    oldest = func.coalesce(first, literal(since, models.UtcDateTime))

    def slot(instant: ColumnElement[Any]) -> ColumnElement[int]:
        seconds = unix_seconds(instant, sqlite=sqlite)
        return seconds - seconds % slot_seconds

    none = literal(0)
    parts = union_all(
        select(
            activity.subject_id.label("subject_id"),
            unix_seconds(activity.slot_at, sqlite=sqlite).label("at"),
            *(activity[name].label(f"kept_{name}") for name in names),
            *(none.label(f"counted_{name}") for name in names),
        ).where(activity.slot_seconds == slot_seconds, activity.slot_at >= oldest, kept),
        # Each is added up by itself: of millions of processes few rows are left to be put together.
        _by_slot(
            *(subject_id, slot(process.started_at)),
            [*[none] * 4, func.count(process.id), *[none] * 3],
        ).where(started, process.started_at >= oldest),
        _by_slot(
            *(subject_id, slot(process.ended_at)),
            [
                *[none] * 5,
                *(func.sum(case((process.status == status, 1), else_=0)) for status in _ENDED),
                func.sum(microseconds_between(process.started_at, process.ended_at, sqlite=sqlite)),
            ],
        ).where(process.status.in_(_ENDED), ended, process.ended_at >= oldest),
    ).subquery()
    sums = {side: [func.sum(parts.c[f"{side}_{n}"]) for n in names] for side in ("kept", "counted")}
    differs = or_(*(k != c for k, c in zip(sums["kept"], sums["counted"], strict=True)))
    statement = (
        select(parts.c.subject_id, parts.c["at"], *sums["kept"], *sums["counted"])
        .group_by(parts.c.subject_id, parts.c["at"])
        .having(differs)
        .order_by(parts.c.subject_id, parts.c["at"])
    )
    return [
        mismatch(SlotKey(id_, slot_seconds, datetime.fromtimestamp(int(at), UTC)), names, values)
        for id_, at, *values in await connection.execute(statement)
    ]


def _by_slot(
    subject_id: ColumnElement[str], slot: ColumnElement[int], sums: Sequence[ColumnElement[int]]
) -> Any:
    by = subject_id.label("subject_id"), slot.label("at")
    return select(*by, *sums).group_by(*(text(column.name) for column in by))


async def compare_totals(connection: AsyncConnection) -> list[Mismatch[str]]:
    """The sums over everything; their key is ''."""
    worker, process = models.workers.c, models.processes.c
    counted = [
        count(models.pipelines.c.id),
        *(
            count(worker.id, worker.liveness == liveness, worker.archived == false())
            for liveness in ("ALIVE", "FINISHED", "LOST")
        ),
        *(count(process.id, process.status == status) for status in ("RUNNING", *_ENDED)),
        count(process.id, process.status == "RUNNING", process.stalled),
    ]
    kept = [
        select(func.coalesce(func.sum(models.totals.c[name]), 0)).scalar_subquery()
        for name in TOTALS
    ]
    row = (await connection.execute(select(*kept, *counted))).one()
    compared = mismatch("", TOTALS, row)
    return [compared] if any(compared.missing().values()) else []


def count(id_: ColumnElement[str], *conditions: ColumnElement[bool]) -> Any:
    """How many rows meet the conditions."""
    return select(func.count(id_)).where(*conditions).scalar_subquery()


def mismatch(key: K, names: Sequence[str], values: Sequence[Any] | Row[Any]) -> Mismatch[K]:
    """From what is kept of each name, followed by what was counted."""
    numbers: Iterator[int] = map(int, values)
    kept = dict(zip(names, numbers, strict=False))
    return Mismatch(key, kept, dict(zip(names, numbers, strict=True)))
