"""Silence without waiting: as if a monitor that never slept had heard a worker long ago."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, update

from db import models
from db.session import Database


async def make_silent(database: Database, worker_id: str, *, ago: timedelta) -> datetime:
    """The worker was heard that long ago for the last time; the moment it is now."""
    now = datetime.now(UTC)
    async with database.writing() as connection:
        await connection.execute(
            update(models.workers)
            .where(models.workers.c.id == worker_id)
            .values(last_seen_at=now - ago)
        )
    await watch_since(database, now - timedelta(days=30), last_look_at=now)
    return now


async def watch_since(database: Database, since: datetime, *, last_look_at: datetime) -> None:
    """A monitor that has looked from then until then."""
    watch = {"id": 1, "watching_since": since, "last_look_at": last_look_at}
    async with database.writing() as connection:
        await connection.execute(models.watch.delete())
        await connection.execute(insert(models.watch), [watch])
