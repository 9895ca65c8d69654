"""What is old is forgotten, what is promised is kept."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, select

from db import models
from db.session import Database
from monitor.upkeep.purging import Policy
from monitor.upkeep.retention import STEP_ROWS, Retention
from monitor.writing.transactions import Transactions


async def test_old_idempotency_keys_are_forgotten_and_young_ones_kept(database: Database) -> None:
    now = datetime.now(UTC)
    ages = [timedelta(hours=49)] * (STEP_ROWS + 1) + [timedelta(hours=23)] * 2
    rows = [
        {"key": f"key {number}", "fingerprint": "", "answer": "[]", "created_at": now - age}
        for number, age in enumerate(ages)
    ]
    async with database.writing() as connection:
        await connection.execute(insert(models.idempotency_keys), rows)

    transactions = Transactions(database, on_commit=lambda: None)
    retention = Retention(database, transactions, Policy(), archive_after=None)
    removed = await retention.forget_keys(now - timedelta(hours=48))

    assert removed == STEP_ROWS + 1
    async with database.reading() as connection:
        left = await connection.execute(select(models.idempotency_keys.c.key))
        assert set(left.scalars()) == {f"key {STEP_ROWS + 1}", f"key {STEP_ROWS + 2}"}
