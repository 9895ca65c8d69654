"""Failed processes are counted in the group that they belong to, once, in the same transaction."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, select, update

from db import models
from db.searched import process_texts
from db.session import Database
from monitor.entities import Failure, FailureStatus, Process, ProcessStatus, TaskStatus, Worker
from monitor.processes import end_process, remove_processes, start_process
from monitor.reading.failures import read_failures
from monitor.tasks import update_task
from monitor.upkeep.counters import check_counters
from monitor.upkeep.grouping import Grouping
from monitor.writing.transactions import Transactions
from tests.monitor.reports import register, replica
from tests.statements import statements_to

ERROR = ProcessStatus.ERROR


@pytest.fixture
async def transactions(database: Database) -> AsyncIterator[Transactions]:
    transactions = replica(database)
    yield transactions
    await transactions.close()


@pytest.fixture
async def worker(transactions: Transactions) -> Worker:
    return await register(transactions)


async def fail(
    transactions: Transactions,
    worker: Worker,
    *errors: str | None,
    details: str | None = "Task failed",
) -> Process:
    """A process whose steps fail with these errors, None: do not, and which ends with another."""
    process, tasks = await transactions.run(start_process, worker_id=worker.id)
    for task, error in zip(tasks, errors, strict=False):
        status = TaskStatus.ERROR if error is not None else TaskStatus.SUCCESS
        await transactions.run(update_task, task_id=task.id, status=status, details=error)
    return await transactions.run(end_process, process_id=process.id, status=ERROR, details=details)


async def failures(database: Database) -> list[Failure]:
    async with database.reading() as connection:
        ids = (await connection.scalars(select(models.failures.c.id))).all()
        found = await read_failures(connection, ids, datetime.now(UTC))
    return sorted(found.values(), key=lambda failure: failure.first_seen_at)


async def hours(database: Database) -> int:
    """How many there were, by the hours."""
    figures = models.failure_figures.c
    async with database.reading() as connection:
        found = await connection.scalars(
            select(figures.occurrences).where(figures.slot_seconds == 3600, figures.shard >= 0)
        )
        return sum(found)


async def test_what_is_alike_is_counted_in_one_group(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    first = await fail(transactions, worker, "no rows in batch 17")
    second = await fail(transactions, worker, "no rows in batch 8812")
    await fail(transactions, worker, None, "no rows in batch 17")
    alike, other = await failures(database)
    assert first.failure_id == second.failure_id == alike.id
    assert (alike.count, alike.step, alike.title) == (2, "extract", "no rows in batch <n>")
    assert (alike.status, alike.first_version, alike.last_version) == (
        FailureStatus.OPEN,
        "v1",
        "v1",
    )
    assert (alike.first_seen_at, alike.last_seen_at) == (first.ended_at, second.ended_at)
    assert alike.latest_process_id == second.id
    assert (other.count, other.step) == (1, "load")
    assert await hours(database) == 3
    assert await check_counters(database, repair=False) == []


async def test_of_several_failed_steps_the_one_reported_last_says_what_it_was(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    process, (extract, load) = await transactions.run(start_process, worker_id=worker.id)
    for task, error in ((load, "second step"), (extract, "first step")):
        await transactions.run(update_task, task_id=task.id, status=TaskStatus.ERROR, details=error)
    await transactions.run(end_process, process_id=process.id, status=ERROR, details="it")
    (failure,) = await failures(database)
    assert (failure.step, failure.title) == ("extract", "first step")


async def test_large_details_of_a_step_are_read_as_well(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    await fail(transactions, worker, "no rows in batch 17" + "\nmore" * 200_000)
    (failure,) = await failures(database)
    assert failure.title == "no rows in batch <n>"


async def test_a_step_that_was_begun_anew_is_none_that_failed(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    process, (task, _) = await transactions.run(start_process, worker_id=worker.id)
    for status in (TaskStatus.ERROR, TaskStatus.RUNNING):
        await transactions.run(update_task, task_id=task.id, status=status, details="at first")
    await transactions.run(end_process, process_id=process.id, status=ERROR, details="at last")
    (failure,) = await failures(database)
    assert (failure.step, failure.title) == (None, "at last")


async def test_an_end_that_is_reported_again_is_counted_once(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    process = await fail(transactions, worker, "broken")
    again = await transactions.run(
        end_process, process_id=process.id, status=ERROR, details="another"
    )
    assert again.failure_id == process.failure_id
    (failure,) = await failures(database)
    assert failure.count == 1


async def test_of_a_run_whose_start_was_lost_the_end_is_counted_once(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    """It is reported under the ids of the run before, which stays as it was."""
    before, (task, _) = await transactions.run(start_process, worker_id=worker.id)
    await transactions.run(
        end_process, process_id=before.id, status=ProcessStatus.SUCCESS, details=None
    )
    for status in (TaskStatus.RUNNING, TaskStatus.ERROR):
        await transactions.run(update_task, task_id=task.id, status=status, details="broken 1")
    ended = [
        await transactions.run(
            end_process, process_id=before.id, status=ERROR, details="Task failed"
        )
        for _ in range(2)
    ]
    (failure,) = await failures(database)
    assert (failure.step, failure.title, failure.count) == ("extract", "broken <n>", 1)
    assert ended[0].id == failure.latest_process_id != before.id
    assert await check_counters(database, repair=False) == []


async def test_a_success_belongs_to_none_and_costs_no_statement(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    await fail(transactions, worker, "broken")
    costs = {}
    for status in (ProcessStatus.SUCCESS, ERROR):
        process, tasks = await transactions.run(start_process, worker_id=worker.id)
        await transactions.run(
            update_task, task_id=tasks[0].id, status=TaskStatus.ERROR, details="broken"
        )
        with statements_to(database) as statements:
            ended = await transactions.run(
                end_process, process_id=process.id, status=status, details=None
            )
        costs[status] = [s for s in statements if "BEGIN" not in s]
        assert (ended.failure_id is None) == (status is ProcessStatus.SUCCESS)
    assert len(costs[ERROR]) - len(costs[ProcessStatus.SUCCESS]) == 3


async def test_what_is_removed_stays_in_the_figures_of_its_group(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    processes = [await fail(transactions, worker, f"broken {n}") for n in range(3)]
    ids = [process.id for process in processes]
    await transactions.run(remove_processes, process_ids=ids[1:], abandoned_before=None)
    (failure,) = await failures(database)
    assert (failure.count, failure.latest_process_id) == (3, ids[0])
    await transactions.run(remove_processes, process_ids=ids[:1], abandoned_before=None)
    (failure,) = await failures(database)
    assert (failure.count, failure.latest_process_id) == (3, None)
    assert await hours(database) == 3
    assert await check_counters(database, repair=False) == []


async def test_replicas_count_in_rows_of_their_own(database: Database, worker: Worker) -> None:
    for _ in range(3):
        other = replica(database)
        await fail(other, worker, "broken")
        await other.close()
    (failure,) = await failures(database)
    assert failure.count == 3


@pytest.mark.parametrize("seconds", [0, 3600])
async def test_figures_that_are_wrong_are_found_and_set_right(
    database: Database, transactions: Transactions, worker: Worker, seconds: int
) -> None:
    for _ in range(2):
        await fail(transactions, worker, "broken")
    figures = models.failure_figures
    async with database.writing() as connection:
        await connection.execute(
            update(figures).where(figures.c.slot_seconds == seconds).values(occurrences=5)
        )
    assert [d.what for d in await check_counters(database, repair=True)] == ["failure.occurrences"]
    assert await check_counters(database, repair=False) == []
    (failure,) = await failures(database)
    assert failure.count == 2


async def test_a_lost_row_of_figures_is_counted_anew(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    await fail(transactions, worker, "broken")
    async with database.writing() as connection:
        await connection.execute(delete(models.failure_figures))
    assert len(await check_counters(database, repair=True)) == 2
    assert await check_counters(database, repair=False) == []
    (failure,) = await failures(database)
    assert failure.count == 1


async def test_what_failed_before_there_were_groups_is_grouped(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    processes = [await fail(transactions, worker, f"broken {n}") for n in range(30)]
    await fail(transactions, worker, None, details="at the end")
    before = await failures(database)
    async with database.writing() as connection:
        await connection.execute(update(models.processes).values(failure_id=None))
        await connection.execute(delete(process_texts))
        await connection.execute(delete(models.failure_figures))
        await connection.execute(delete(models.failures))
    # Meanwhile it happens again.
    other = replica(database)
    newest = await fail(other, worker, "broken 31")
    assert await Grouping(database, other).group() == 31
    assert await Grouping(database, other).group() == 0
    await other.close()
    grouped, last = await failures(database)
    assert (grouped.count, grouped.first_seen_at) == (31, processes[0].ended_at)
    assert (grouped.last_seen_at, grouped.latest_process_id) == (newest.ended_at, newest.id)
    assert (grouped.id, grouped.title) == (before[0].id, before[0].title)
    assert (last.id, last.count) == (before[1].id, 1)
    assert await check_counters(database, repair=False) == []
