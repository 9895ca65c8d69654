"""When failures were seen: by slots of whole hours, from figures that are kept with each of them.

What is read grows with the hours of the window, not with runs; of any number of failures it is one
statement. What was removed still counts.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, func, select

from db import models
from db.session import Database
from monitor.errors import InvalidInput
from monitor.reading.asking import reading
from monitor.reading.windows import slots_between, start_of_slot
from monitor.slots import HOUR_SECONDS

# A week of hours, as it is never cut at whole ones. Few, since lists ask for them row by row.
MAX_OCCURRENCE_SLOTS = 7 * 24 + 1

_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_figures = models.failure_figures.c


@dataclass(frozen=True, slots=True)
class OccurrenceSlot:
    """How often it was seen in one slot of time, and under which version last."""

    at: datetime
    count: int = 0
    last_version: str | None = None


async def find_occurrences(
    database: Database,
    ids: Collection[str],
    since: datetime,
    until: datetime | None,
    slot_seconds: int,
) -> Mapping[str, Sequence[OccurrenceSlot]]:
    """By the failures' ids: oldest slot first, empty ones included.

    Raises Unavailable, InvalidInput for slots of no whole hours and for too many.
    """
    if slot_seconds < HOUR_SECONDS or slot_seconds % HOUR_SECONDS:
        raise InvalidInput("slotSeconds", "must be a multiple of 3600")
    slots = slots_between(since, until, slot_seconds, MAX_OCCURRENCE_SLOTS)
    statement = occurrences_statement(
        slots.first, slots.end, slot_seconds, sqlite=database.is_sqlite
    )
    found: defaultdict[str, dict[datetime, OccurrenceSlot]] = defaultdict(dict)
    async with reading(database) as connection:
        for id_, seconds, count, last_end in await connection.execute(
            statement, {"ids": sorted(ids)}
        ):
            at = datetime.fromtimestamp(seconds, UTC)
            found[id_][at] = OccurrenceSlot(at, int(count), last_end.partition(" ")[2])
    return {id_: [found[id_].get(at, OccurrenceSlot(at)) for at in slots.starts] for id_ in ids}


def occurrences_statement(
    first: datetime, end: datetime, slot_seconds: int, *, sqlite: bool
) -> Select[Any]:
    """Of the failures `ids`: the slots in which they were seen, how often, and the latest end."""
    slot = start_of_slot(_figures.slot_at, slot_seconds, sqlite=sqlite)
    return (
        select(
            _figures.failure_id,
            slot,
            func.sum(_figures.occurrences),
            func.max(_figures.last_end),
        )
        .where(
            _figures.failure_id.in_(_IDS),
            _figures.slot_seconds == HOUR_SECONDS,
            _figures.slot_at >= first,
            _figures.slot_at < end,
            # What was removed is in a shard below.
            _figures.shard >= 0,
        )
        .group_by(_figures.failure_id, slot)
    )
