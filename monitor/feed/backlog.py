"""What waits in the outbox."""

from collections.abc import Sequence
from itertools import accumulate, islice
from typing import Any

from sqlalchemy import bindparam, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.lookups import Lookup, fetch_rows
from db.session import Database
from db.sizes import byte_length
from monitor.feed.log import TURN_BYTES, TURN_ROWS
from monitor.reading.asking import reading

# So much of each of a turn's rows is no more than a turn: most come with the look at what waits.
_SMALL_BYTES = TURN_BYTES // TURN_ROWS

_outbox = models.outbox.c
_COUNT = select(func.count()).select_from(models.outbox)
_size = byte_length(_outbox.events)
# With their sizes, and without the events of those that are large.
_OLDEST = (
    select(
        _outbox.id,
        case((_size <= _SMALL_BYTES, _outbox.events)).label("events"),
        _size.label("size"),
    )
    .order_by(_outbox.id)
    .limit(bindparam("rows"))
)
_WHOLE = (
    select(_outbox.id, _outbox.events)
    .where(_outbox.id.in_(bindparam("ids", expanding=True)))
    .order_by(_outbox.id)
)

# Each with its id and its events, as text.
Rows = Sequence[Any]


async def count_outbox(database: Database) -> int:
    """Commits that are not in the feed yet. Raises Unavailable."""
    async with reading(database) as connection:
        return int((await connection.execute(_COUNT)).scalar_one())


def oldest(turns: int = 1) -> Lookup:
    """A look at what waits, enough for so many turns; `fitting` says what of it fits."""
    return _OLDEST, {"rows": turns * TURN_ROWS}


async def fitting(connection: AsyncConnection, waiting: Rows, turns: int = 1) -> Rows:
    """As much as fits into so many turns, but one row in any case, with all its events."""
    before = accumulate((row.size for row in waiting), initial=0)
    count = sum(size < turns * TURN_BYTES for size in islice(before, len(waiting)))
    found = waiting[:count]
    if all(row.events is not None for row in found):
        return found
    return await fetch_rows(connection, _WHOLE, [row.id for row in found])
