"""What workers report, without HTTP; and what was stored of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.session import Database
from monitor.entities import TaskDefinition, Worker
from monitor.errors import Unavailable
from monitor.events import Event, decode_events
from monitor.workers import record_heartbeat, register_worker
from monitor.writing.job import Deadlines
from monitor.writing.transactions import Transactions

STEPS = (TaskDefinition("extract", "v1"), TaskDefinition("load", "v1"))


# What is promised of every report, and a moment for a machine that is busy with other tests.
PROMISED_SECONDS = 3.0
SCHEDULING_SECONDS = 0.5


def replica(database: Database, deadlines: Deadlines | None = None) -> Transactions:
    """The writing half of one server process."""
    if deadlines is None:
        return Transactions(database, on_commit=lambda: None)
    return Transactions(database, on_commit=lambda: None, deadlines=deadlines)


@asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """Fails when the block takes longer than a report may."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < PROMISED_SECONDS + SCHEDULING_SECONDS


async def until_writable(transactions: Transactions, worker_id: str) -> Worker:
    """Reports a sign of life until that is accepted."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await transactions.run(record_heartbeat, worker_id=worker_id)
            except Unavailable:
                await asyncio.sleep(0.05)


async def register(
    transactions: Transactions, *, name: str = "worker", steps: Sequence[TaskDefinition] = STEPS
) -> Worker:
    return await transactions.run(register_worker, name=name, version="v1", task_definitions=steps)


async def events_of(database: Database) -> list[Event]:
    """Everything that waits in the outbox, in order."""
    async with database.reading() as connection:
        found = await connection.execute(
            select(models.outbox.c.events).order_by(models.outbox.c.id)
        )
        return [event for events in found.scalars() for event in decode_events(events)]


async def revisions_of(database: Database) -> dict[str, list[int]]:
    """The revisions of every entity, in the order of their events."""
    revisions: dict[str, list[int]] = {}
    for event in await events_of(database):
        revisions.setdefault(event.entity.id, []).append(event.entity.revision)
    return revisions


async def count_rows(database: Database) -> dict[str, int]:
    """How many rows every table has."""
    counts = {}
    async with database.reading() as connection:
        for table in models.metadata.sorted_tables:
            found = await connection.execute(select(func.count()).select_from(table))
            counts[table.name] = found.scalar_one()
    return counts


async def until_somebody_waits_for_a_lock(connection: AsyncConnection) -> None:
    """Returns when a transaction waits for a row; on MariaDB."""
    waiting = text("SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state='LOCK WAIT'")
    async with asyncio.timeout(10):
        while (await connection.execute(waiting)).scalar_one() == 0:  # noqa: ASYNC110 — of MariaDB
            await asyncio.sleep(0.15)  # asked more often, it tells what it told before
