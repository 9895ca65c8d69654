"""A failure goes when it was silent for long and no process of it is left, and not before."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from db import models
from db.session import Database
from monitor.entities import Failure, Process, ProcessStatus, Worker
from monitor.events import ChangeKind
from monitor.processes import end_process, remove_processes, start_process
from monitor.reading.failures import find_failures
from monitor.upkeep.counters import check_counters
from monitor.upkeep.purging import Policy
from monitor.upkeep.retention import Retention
from monitor.writing.transactions import Transactions
from tests.monitor.reports import events_of, register, replica

DAYS = timedelta(days=90)


@pytest.fixture
async def transactions(database: Database) -> AsyncIterator[Transactions]:
    transactions = replica(database)
    yield transactions
    await transactions.close()


@pytest.fixture
async def worker(transactions: Transactions) -> Worker:
    return await register(transactions)


async def fail(transactions: Transactions, worker: Worker) -> Process:
    process, _ = await transactions.run(start_process, worker_id=worker.id)
    return await transactions.run(
        end_process, process_id=process.id, status=ProcessStatus.ERROR, details="broken"
    )


async def forget(
    database: Database,
    transactions: Transactions,
    after: timedelta,
    silent_for: timedelta | None = DAYS,
) -> None:
    retention = Retention(
        database, transactions, Policy(), archive_after=None, failures_for=silent_for
    )
    await retention.forget_failures(datetime.now(UTC) + after)


async def is_kept(database: Database, process: Process) -> bool:
    assert process.failure_id is not None
    return bool(await find_failures(database, [process.failure_id]))


async def test_it_stays_as_long_as_a_process_of_it_does(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    process = await fail(transactions, worker)
    await forget(database, transactions, 2 * DAYS)
    assert await is_kept(database, process)
    await transactions.run(remove_processes, process_ids=[process.id], abandoned_before=None)
    await forget(database, transactions, DAYS - timedelta(minutes=1))
    await forget(database, transactions, 2 * DAYS, None)
    assert await is_kept(database, process)
    await forget(database, transactions, DAYS + timedelta(minutes=1))
    assert not await is_kept(database, process)
    async with database.reading() as connection:
        assert await connection.scalar(select(func.count(models.failure_figures.c.shard))) == 0
    *_, last = await events_of(database)
    assert (last.kind, last.entity.id) == (ChangeKind.REMOVED, process.failure_id)


async def test_what_comes_again_after_that_is_a_new_one(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    process = await fail(transactions, worker)
    await transactions.run(remove_processes, process_ids=[process.id], abandoned_before=None)
    await forget(database, transactions, 2 * DAYS)
    other = replica(database)
    again = await fail(other, worker)
    await other.close()
    assert again.failure_id == process.failure_id is not None
    found = (await find_failures(database, [process.failure_id]))[process.failure_id]
    assert isinstance(found, Failure)
    assert (found.count, found.first_seen_at) == (1, again.ended_at)
    assert await check_counters(database, repair=False) == []


async def test_what_was_seen_within_the_hour_stays_whatever_is_configured(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    process = await fail(transactions, worker)
    await transactions.run(remove_processes, process_ids=[process.id], abandoned_before=None)
    await forget(database, transactions, timedelta(minutes=50), timedelta(minutes=1))
    assert await is_kept(database, process)
    await forget(database, transactions, timedelta(minutes=70), timedelta(minutes=1))
    assert not await is_kept(database, process)
