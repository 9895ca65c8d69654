"""Figures that are kept ready by every write, so that no page ever counts history."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select

from db import models
from db.instants import microseconds_between
from db.session import Database
from monitor.errors import InvalidInput
from monitor.ids import kind_of
from monitor.reading.asking import ask, reading
from monitor.reading.windows import slots_between, start_of_slot
from monitor.slots import REMOVED_SHARD

_MINUTE = 60
_HOUR = 3600
_TOTALS_NAMES = [column.name for column in models.totals.c if column.name != "shard"]
_TOTALS = select(*(func.coalesce(func.sum(models.totals.c[name]), 0) for name in _TOTALS_NAMES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Workers and processes of a pipeline, or of all."""

    workers_alive: int
    workers_finished: int
    workers_lost: int
    running: int
    succeeded: int
    failed: int
    stalled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals(Counters):
    """Sums over everything that is kept."""

    pipelines: int

    @property
    def workers_online(self) -> int:
        return self.workers_alive

    @property
    def workers_offline(self) -> int:
        return self.workers_finished + self.workers_lost


@dataclass(frozen=True, slots=True)
class Slot:
    """What started and ended in one slot of time, which begins at `at`."""

    at: datetime
    started: int = 0
    succeeded: int = 0
    failed: int = 0
    runtime_microseconds: int = 0

    @property
    def average_runtime_seconds(self) -> float | None:
        """Mean over the processes that ended in the slot; None when none did."""
        ended = self.succeeded + self.failed
        return self.runtime_microseconds / ended / 1e6 if ended else None


async def get_totals(database: Database) -> Totals:
    """Workers and processes by status, from at most 17 rows."""
    ((*values,),) = await ask(database, _TOTALS, {})
    return Totals(**{name: int(value) for name, value in zip(_TOTALS_NAMES, values, strict=True)})


async def list_activity(
    database: Database,
    *,
    since: datetime,
    until: datetime | None,
    slot_seconds: int,
    worker_id: str | None = None,
    pipeline_id: str | None = None,
) -> Sequence[Slot]:
    """What happened in a worker, in a pipeline, or in all.

    Slots from the one that `since` lies in to the last that begins before `until` (now). They begin
    at multiples of `slot_seconds` since the Unix epoch. Slots of whole minutes come from roll-ups;
    shorter ones are counted, over at most MAX_SLOTS times 59 s.
    Raises InvalidInput for other lengths, more than 1,000 slots, `until` before `since`, or a
    worker and a pipeline together.
    """
    if worker_id is not None and pipeline_id is not None:
        raise InvalidInput("pipelineId", "cannot be given together with workerId")
    subject_id = pipeline_id if worker_id is None else worker_id
    kind = "pipeline" if worker_id is None else "worker"
    if slot_seconds < 1 or (slot_seconds > _MINUTE and slot_seconds % _MINUTE):
        raise InvalidInput("slotSeconds", "must be from 1 to 60 or a multiple of 60")
    slots = slots_between(since, until, slot_seconds)
    if subject_id is not None and kind_of(subject_id) != kind:
        sums = {}  # the id of nothing
    elif slot_seconds % _MINUTE:
        sums = await _count(database, slots.first, slots.end, slot_seconds, subject_id)
    else:
        sums = await _add_up(database, slots.first, slots.end, slot_seconds, subject_id)
    return [Slot(at, *sums.get(at, ())) for at in slots.starts]


async def _add_up(
    database: Database, first: datetime, end: datetime, slot_seconds: int, subject_id: str | None
) -> dict[datetime, list[int]]:
    table = models.activity
    slot = start_of_slot(table.c.slot_at, slot_seconds, sqlite=database.is_sqlite)
    statement = (
        select(
            slot,
            func.sum(table.c.started),
            func.sum(table.c.succeeded),
            func.sum(table.c.failed),
            func.sum(table.c.runtime_microseconds),
        )
        .where(table.c.subject_id == (subject_id or ""), table.c.shard != REMOVED_SHARD)
        .where(table.c.slot_seconds == (_MINUTE if slot_seconds % _HOUR else _HOUR))
        .where(table.c.slot_at >= first, table.c.slot_at < end)
        .group_by(slot)
    )
    async with reading(database) as connection:
        return {
            datetime.fromtimestamp(at, UTC): [int(value) for value in values]
            for at, *values in await connection.execute(statement)
        }


async def _count(
    database: Database, first: datetime, end: datetime, slot_seconds: int, subject_id: str | None
) -> dict[datetime, list[int]]:
    table = models.processes
    sqlite = database.is_sqlite
    runtime = microseconds_between(table.c.started_at, table.c.ended_at, sqlite=sqlite)
    sums: dict[datetime, list[int]] = {}
    async with reading(database) as connection:
        for column in (table.c.started_at, table.c.ended_at):
            slot = start_of_slot(column, slot_seconds, sqlite=sqlite)
            statement = select(slot, table.c.status, func.count(), func.sum(runtime))
            statement = statement.where(column >= first, column < end).group_by(
                slot, table.c.status
            )
            if column is table.c.ended_at:
                statement = statement.where(table.c.status.in_(["SUCCESS", "ERROR"]))
            if subject_id is not None:
                subject = table.c[f"{kind_of(subject_id)}_id"]
                statement = statement.where(subject == subject_id)
            for at, status, number, microseconds in await connection.execute(statement):
                known = sums.setdefault(datetime.fromtimestamp(at, UTC), [0, 0, 0, 0])
                if column is table.c.started_at:
                    known[0] += number
                else:
                    known[1 if status == "SUCCESS" else 2] += number
                    known[3] += int(microseconds)
    return sums
