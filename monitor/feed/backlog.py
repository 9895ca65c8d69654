"""What waits in the outbox."""

from sqlalchemy import func, select

from db import models
from db.session import Database
from monitor.reading.reads import reading

_COUNT = select(func.count()).select_from(models.outbox)


async def count_outbox(database: Database) -> int:
    """Commits that are not in the feed yet. Raises Unavailable."""
    async with reading(database) as connection:
        return int((await connection.execute(_COUNT)).scalar_one())
