"""Figures that are kept ready by every write, so that no page ever counts history."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Integer, cast, func, select, text

from db import models
from db.session import Database
from monitor.entities import MICROSECOND
from monitor.errors import InvalidInput
from monitor.reading import reading
from monitor.transaction import slot_start

MAX_SLOTS = 1_000
_MINUTE = 60
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over everything that is kept."""

    workers_online: int
    workers_offline: int
    running: int
    succeeded: int
    failed: int
    stalled: int


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
    """Workers and processes by status, from at most 16 rows."""
    sums = [func.coalesce(func.sum(c), 0) for c in models.totals.c if c.name != "shard"]
    async with reading(database) as connection:
        row = (await connection.execute(select(*sums))).one()
    return Totals(*(int(value) for value in row))


async def list_activity(
    database: Database,
    *,
    since: datetime,
    until: datetime | None,
    slot_seconds: int,
    worker_id: str | None,
) -> Sequence[Slot]:
    """Slots from the one that `since` lies in to the last that begins before `until` (now).

    Slots begin at multiples of `slot_seconds` since the Unix epoch. Slots of whole minutes come
    from roll-ups; shorter ones are counted, over at most MAX_SLOTS times 59 s.
    Raises InvalidInput for other lengths, more than 1,000 slots, or `until` before `since`.
    """
    until = until or datetime.now(UTC)
    if slot_seconds < 1 or (slot_seconds > _MINUTE and slot_seconds % _MINUTE):
        raise InvalidInput("slotSeconds", "must be from 1 to 60 or a multiple of 60")
    if until < since:
        raise InvalidInput("until", "lies before since")
    try:
        first = slot_start(since, slot_seconds)
        count = -((first - until) // timedelta(seconds=slot_seconds))
    except (OverflowError, ValueError, OSError) as error:
        raise InvalidInput("since", "is out of range") from error
    if count > MAX_SLOTS:
        raise InvalidInput("slotSeconds", f"makes {count} slots, at most {MAX_SLOTS}")
    end = first + timedelta(seconds=slot_seconds * count)
    if slot_seconds % _MINUTE:
        sums = await _count(database, first, end, slot_seconds, worker_id)
    else:
        sums = await _add_up(database, first, end, slot_seconds, worker_id)
    starts = (first + timedelta(seconds=slot_seconds * index) for index in range(count))
    return [Slot(at, *sums.get(at, ())) for at in starts]


async def _add_up(
    database: Database, first: datetime, end: datetime, slot_seconds: int, worker_id: str | None
) -> dict[datetime, list[int]]:
    table = models.activity
    statement = (
        select(
            table.c.slot_at,
            table.c.started,
            table.c.succeeded,
            table.c.failed,
            table.c.runtime_microseconds,
        )
        .where(table.c.worker_id == (worker_id or ""))
        .where(table.c.slot_seconds == (_MINUTE if slot_seconds % _HOUR else _HOUR))
        .where(table.c.slot_at >= first, table.c.slot_at < end)
    )
    sums: dict[datetime, list[int]] = {}
    async with reading(database) as connection:
        for slot_at, *values in await connection.execute(statement):
            known = sums.setdefault(slot_start(slot_at, slot_seconds), [0, 0, 0, 0])
            for index, value in enumerate(values):
                known[index] += value
    return sums


async def _count(
    database: Database, first: datetime, end: datetime, slot_seconds: int, worker_id: str | None
) -> dict[datetime, list[int]]:
    table = models.processes
    sums: dict[datetime, list[int]] = {}
    async with reading(database) as connection:
        for column in (table.c.started_at, table.c.ended_at):
            seconds = _unix_seconds(column, sqlite=database.is_sqlite)
            slot = seconds - seconds % slot_seconds
            statement = select(
                slot, table.c.status, func.count(), _runtime(sqlite=database.is_sqlite)
            )
            statement = statement.where(column >= first, column < end).group_by(
                slot, table.c.status
            )
            if column is table.c.ended_at:
                statement = statement.where(table.c.status.in_(["SUCCESS", "ERROR"]))
            if worker_id is not None:
                statement = statement.where(table.c.worker_id == worker_id)
            for at, status, number, runtime in await connection.execute(statement):
                known = sums.setdefault(datetime.fromtimestamp(int(at), UTC), [0, 0, 0, 0])
                if column is table.c.started_at:
                    known[0] += number
                else:
                    known[1 if status == "SUCCESS" else 2] += number
                    known[3] += int(runtime or 0)
    return sums


def _unix_seconds(column: ColumnElement[Any], *, sqlite: bool) -> ColumnElement[int]:
    if sqlite:
        return cast(func.strftime("%s", column), Integer)
    return cast(func.floor(func.unix_timestamp(column)), Integer)


def _runtime(*, sqlite: bool) -> ColumnElement[Any]:
    table = models.processes
    if sqlite:
        days = func.julianday(table.c.ended_at) - func.julianday(table.c.started_at)
        return func.sum(days * (timedelta(days=1) // MICROSECOND))
    return func.sum(func.timestampdiff(text("MICROSECOND"), table.c.started_at, table.c.ended_at))
