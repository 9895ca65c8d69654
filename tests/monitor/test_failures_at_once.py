"""Replicas that count the same failures, who tells of them, and people, all at the same time."""

import asyncio
from datetime import UTC, datetime
from itertools import cycle

from sqlalchemy import select

from db import models
from db.errors import is_conflict
from db.session import Database
from monitor.entities import ProcessStatus
from monitor.failures import mute_failure, reopen_failure, resolve_failure
from monitor.processes import end_process, remove_processes, start_process
from monitor.reading.failures import find_failures
from monitor.upkeep.counters import check_counters
from monitor.upkeep.failure_telling import FAILURES
from monitor.upkeep.forgetting import forget_failures
from monitor.upkeep.telling import INTERVAL, Telling
from monitor.writing.job import UNHURRIED
from monitor.writing.transactions import Transactions
from tests.monitor.reports import register, replica
from tests.tasks import stop

REPLICAS = 3
RUNS = 40
ERRORS = ("a lock", "a door", "a key")


async def report(transactions: Transactions) -> None:
    """Processes that fail, of which every fourth is removed."""
    worker = await register(transactions)
    for number, error in zip(range(RUNS), cycle(ERRORS), strict=False):
        process, _ = await transactions.run(start_process, worker_id=worker.id)
        await transactions.run(
            end_process, process_id=process.id, status=ProcessStatus.ERROR, details=error
        )
        if number % 4 == 0:
            await transactions.run(
                remove_processes, process_ids=[process.id], abandoned_before=None
            )


async def act(database: Database, transactions: Transactions) -> None:
    while True:
        async with database.reading() as connection:
            ids = (await connection.scalars(select(models.failures.c.id))).all()
        for id_ in ids:
            await transactions.run(resolve_failure, failure_id=id_)
            await transactions.run(mute_failure, failure_id=id_, until=None)
            await transactions.run(reopen_failure, failure_id=id_)
        await asyncio.sleep(0)


async def look_after(database: Database) -> None:
    telling = Telling(database, on_told=lambda: None, kind=FAILURES)
    now = datetime.now(UTC)
    while True:
        now += INTERVAL
        try:
            await telling.tell(now)
        except Exception as error:
            if not is_conflict(error):
                raise
        async for _ in forget_failures(database, datetime.now(UTC), INTERVAL):
            pass
        await asyncio.sleep(0.01)


async def test_nothing_is_lost_or_counted_twice(database: Database) -> None:
    replicas = [replica(database, UNHURRIED) for _ in range(REPLICAS + 1)]
    *reporting, acting = replicas
    around = [
        asyncio.create_task(act(database, acting)),
        *(asyncio.create_task(look_after(database)) for _ in range(2)),
    ]
    await asyncio.gather(*(report(transactions) for transactions in reporting))
    assert not any(task.done() for task in around)
    await stop(*around)
    for transactions in replicas:
        await transactions.close()
    async with database.reading() as connection:
        ids = (await connection.scalars(select(models.failures.c.id))).all()
    found = await find_failures(database, ids)
    assert sum(failure.count for failure in found.values()) == REPLICAS * RUNS
    assert {failure.title for failure in found.values()} == set(ERRORS)
    assert await check_counters(database, repair=False) == []
