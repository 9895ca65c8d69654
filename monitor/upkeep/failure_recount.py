"""What is kept of failures beside what a recount gives, as in `monitor.upkeep.recount`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.instants import unix_seconds
from monitor.slots import EVER_SECONDS, HOUR_SECONDS
from monitor.upkeep.recount import Mismatch, mismatch
from monitor.writing.failing import OCCURRENCES


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
