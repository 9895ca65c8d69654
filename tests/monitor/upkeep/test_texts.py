"""What is searched is kept true: filled in at the start, proven and repaired, and forgotten."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, select, update

from db import models
from db.maintenance import compact
from db.searched import failure_texts, process_texts
from db.session import Database
from monitor.entities import Process, ProcessStatus, Worker
from monitor.processes import end_process, remove_processes, start_process
from monitor.reading.pages import PageRequest
from monitor.reading.searching import search
from monitor.upkeep.counters import Difference, check_counters
from monitor.upkeep.forgetting import forget_failures
from monitor.upkeep.grouping import Grouping
from monitor.upkeep.indexing import STEP_FAILURES
from monitor.writing.texts import failure_row, text_row
from monitor.writing.transactions import Transactions
from tests.monitor.reports import register, replica

DAYS = timedelta(days=90)


@pytest.fixture
async def transactions(database: Database) -> AsyncIterator[Transactions]:
    transactions = replica(database)
    yield transactions
    await transactions.close()


@pytest.fixture
async def worker(transactions: Transactions) -> Worker:
    return await register(transactions)


async def fail(transactions: Transactions, worker: Worker, error: str) -> Process:
    process, _ = await transactions.run(start_process, worker_id=worker.id)
    return await transactions.run(
        end_process, process_id=process.id, status=ProcessStatus.ERROR, details=error
    )


async def found(database: Database, text: str) -> list[str]:
    return [hit.id for hit in (await search(database, text, PageRequest(500))).items]


async def forget_texts(database: Database) -> None:
    async with database.writing() as connection:
        for texts in (failure_texts, process_texts):
            await connection.execute(delete(texts))


async def test_what_failed_before_is_found_after_the_start(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    processes = [await fail(transactions, worker, f"no rows in batch {n}") for n in range(3)]
    await forget_texts(database)
    # One of them was not even grouped.
    async with database.writing() as connection:
        ungrouped = update(models.processes).where(models.processes.c.id == processes[0].id)
        await connection.execute(ungrouped.values(failure_id=None))
    assert await found(database, "rows") == []
    for _ in range(2):  # as it is after the next start
        await Grouping(database, transactions).run()
        expected = [processes[0].failure_id, *(p.id for p in reversed(processes))]
        assert await found(database, "rows") == expected


async def test_filling_in_that_was_broken_off_goes_on(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    processes = [await fail(transactions, worker, f"no rows {'abcde'[n]}") for n in range(5)]
    before = await check_counters(database, repair=False)
    async with database.writing() as connection:
        some = [process.id for process in processes[2:]]
        await connection.execute(delete(process_texts).where(process_texts.c.subject_id.in_(some)))
        gone = [processes[4].failure_id]
        await connection.execute(delete(failure_texts).where(failure_texts.c.subject_id.in_(gone)))
    await Grouping(database, transactions).run()
    assert len(await found(database, "rows")) == 10
    assert before == await check_counters(database, repair=False) == []


async def test_many_failures_are_filled_in_by_steps(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    await fail(transactions, worker, "no rows")
    async with database.writing() as connection:
        written = [column for column in models.failures.c if column.computed is None]
        (row,) = (await connection.execute(select(*written))).all()
        copies = [
            {**row._mapping, "id": f"failure_{number}"} for number in range(2 * STEP_FAILURES + 7)
        ]
        await connection.execute(models.failures.insert(), copies)
    await Grouping(database, transactions).run()
    assert len(await found(database, "rows")) == len(copies) + 2


async def test_a_text_that_is_missing_is_told_and_repaired(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    processes = [await fail(transactions, worker, f"no rows {n}") for n in range(25)]
    failure_id = processes[0].failure_id
    assert failure_id is not None
    assert await check_counters(database, repair=False) == []
    await forget_texts(database)
    missing = [
        Difference("failure.texts", failure_id, 0, 1),
        Difference("processes of failure.texts", failure_id, 0, 25),
    ]
    assert await check_counters(database, repair=False) == missing
    assert await check_counters(database, repair=True) == missing
    assert await check_counters(database, repair=False) == []
    assert await found(database, "rows 7") == [processes[7].id]
    assert (await found(database, "rows"))[0] == failure_id


async def test_a_text_of_what_is_gone_is_told_and_taken(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    kept = await fail(transactions, worker, "no rows")
    now = datetime.now(UTC)
    async with database.writing() as connection:
        await connection.execute(
            failure_texts.insert(), [failure_row("failure_1", now, "no rows", None)]
        )
        await connection.execute(process_texts.insert(), [text_row("process_1", now, "no rows")])
    left = [
        Difference("removed.texts", "failure_1", 1, 0),
        Difference("removed.texts", "process_1", 1, 0),
    ]
    assert await check_counters(database, repair=True) == left
    assert await check_counters(database, repair=False) == []
    assert await found(database, "rows") == [kept.failure_id, kept.id]


async def test_the_text_of_a_failure_goes_with_it(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    process = await fail(transactions, worker, "no rows")
    await transactions.run(remove_processes, process_ids=[process.id], abandoned_before=None)
    assert await found(database, "rows") == [process.failure_id]
    async for _ in forget_failures(database, datetime.now(UTC) + 2 * DAYS, DAYS):
        pass
    assert await found(database, "rows") == []
    assert await check_counters(database, repair=False) == []


async def test_compacted_tables_are_searched_as_before(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    processes = [await fail(transactions, worker, f"no rows {n}") for n in range(3)]
    await transactions.run(remove_processes, process_ids=[processes[0].id], abandoned_before=None)
    await compact(database)
    later = await fail(transactions, worker, "no rows at all")
    assert await found(database, "rows 2") == [processes[2].id]
    assert await found(database, "all rows") == [later.failure_id, later.id]
    assert await found(database, "0") == []
    assert await check_counters(database, repair=False) == []
