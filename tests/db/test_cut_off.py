"""A transaction that is cut off in the midst of a statement leaves nothing behind on SQLite."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import insert

from db import models
from db.migrate import migrate
from db.session import Database, Limits

ROWS = [{"events": b"x" * 3000} for _ in range(50)]
# At moments that differ, some between statements, most within one.
ATTEMPTS = 20


async def overrun(database: Database, until: float) -> None:
    """Writes on when its time is over."""
    async with database.writing(Limits(until)) as connection:
        while True:
            await connection.execute(insert(models.outbox), ROWS)


async def test_who_is_cut_off_in_a_statement_leaves_no_lock_behind(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'monitor.db'}")
    await migrate(database)
    now = asyncio.get_running_loop().time
    errors = []
    for attempt in range(ATTEMPTS):
        with pytest.raises(TimeoutError) as raised:
            await overrun(database, now() + 0.02 + 0.002 * attempt)
        # As whoever logs it, or runs its batch again, holds on to the error and all its frames.
        errors.append(raised)
        async with database.writing() as connection:
            await connection.execute(insert(models.outbox), ROWS[:1])
    async with database.reading() as connection:
        rows = (await connection.exec_driver_sql("SELECT count(*) FROM outbox")).scalar_one()
    assert rows == ATTEMPTS
    await database.close()
