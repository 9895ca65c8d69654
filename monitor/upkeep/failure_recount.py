"""What is kept of failures beside what a recount gives, as in `monitor.upkeep.recount`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Select, case, func, literal, or_, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.instants import microseconds_between, unix_seconds
from monitor.slots import EVER_SECONDS, HOUR_SECONDS, LONG_AGO
from monitor.upkeep.recount import Mismatch, mismatch
from monitor.writing.failing import OCCURRENCES

# What lists are sorted by, and from which the status in the row follows.
LISTED = ("listed_occurrences", "listed_last_seen_at")


@dataclass(frozen=True, slots=True)
class FailureKey:
    """How often a failure was seen: in an hour, or ever."""

    failure_id: str
    slot_seconds: int
    at: datetime

    def __str__(self) -> str:
        if self.slot_seconds == EVER_SECONDS:
            return self.failure_id
        return f"{self.failure_id} in the hour from {self.at.isoformat()}"


async def compare_failures(
    connection: AsyncConnection, ids: Sequence[str]
) -> list[Mismatch[FailureKey]]:
    """Processes of these failures, all and by the hour of their end."""
    sqlite = connection.dialect.name == "sqlite"
    kept = models.failure_figures.c
    parts = union_all(
        select(
            kept.failure_id.label("failure_id"),
            kept.slot_seconds.label("slot_seconds"),
            unix_seconds(kept.slot_at, sqlite=sqlite).label("at"),
            kept.occurrences.label("kept"),
            literal(0).label("counted"),
        ).where(kept.failure_id.in_(ids)),
        *_count(ids, sqlite=sqlite),
    ).subquery()
    key = [parts.c[name] for name in ("failure_id", "slot_seconds", "at")]
    sums = [func.sum(parts.c[side]) for side in ("kept", "counted")]
    statement = select(*key, *sums).group_by(*key).having(sums[0] != sums[1]).order_by(*key)
    return [
        mismatch(
            FailureKey(id_, int(length), datetime.fromtimestamp(int(at), UTC)), OCCURRENCES, values
        )
        for id_, length, at, *values in await connection.execute(statement)
    ]


def _count(ids: Sequence[str], *, sqlite: bool) -> list[Select[Any]]:
    process, none = models.processes.c, literal(0)
    seconds = unix_seconds(process.ended_at, sqlite=sqlite)
    slots = ((EVER_SECONDS, none), (HOUR_SECONDS, seconds - seconds % HOUR_SECONDS))
    return [
        select(process.failure_id, literal(length), at, none, literal(1)).where(
            process.failure_id.in_(ids)
        )
        for length, at in slots
    ]


async def compare_listed(connection: AsyncConnection, ids: Sequence[str]) -> list[Mismatch[str]]:
    """What the rows of these failures have of their figures, unless that is still to be told; the
    instant in microseconds.
    """
    row, figures = models.failures.c, models.failure_figures.c
    sqlite = connection.dialect.name == "sqlite"
    often = func.sum(case((figures.shard >= 0, figures.occurrences), else_=0))
    last = func.max(figures.last_seen_at)
    start = literal(LONG_AGO, models.UtcDateTime)
    instants = [microseconds_between(start, at, sqlite=sqlite) for at in (row.last_seen_at, last)]
    statement = (
        select(row.id, row.occurrences, instants[0], often, instants[1])
        .join_from(models.failures, models.failure_figures, figures.failure_id == row.id)
        .where(row.id.in_(ids), figures.slot_seconds == EVER_SECONDS)
        .group_by(row.id, row.occurrences, row.last_seen_at)
        .having(func.max(case((figures.untold, 1), else_=0)) == 0)
        .having(or_(often != row.occurrences, last != row.last_seen_at))
    )
    return [mismatch(id_, LISTED, values) for id_, *values in await connection.execute(statement)]


async def repair_listed(connection: AsyncConnection, failure_id: str) -> None:
    """The same in the row of a failure, under the lock that telling takes."""
    row = models.failures.c
    await connection.execute(select(row.id).where(row.id == failure_id).with_for_update())
    for found in await compare_listed(connection, (failure_id,)):
        often, microseconds = (found.counted[name] for name in LISTED)
        last = LONG_AGO + timedelta(microseconds=microseconds)
        values = {"occurrences": often, "last_seen_at": last}
        await connection.execute(
            update(models.failures).where(row.id == failure_id).values(**values)
        )
