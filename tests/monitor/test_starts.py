"""A start that got lost: what follows under the ids of the process before belongs to a new one."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import select

from db import models
from db.session import Database
from monitor.entities import Process, ProcessStatus, Task, TaskStatus
from monitor.errors import TaskNotFound
from monitor.processes import end_process, remove_processes, start_process, take_back_process
from monitor.reading.filters import ProcessFilter
from monitor.reading.pages import Direction, Order, PageRequest
from monitor.reading.reads import PROCESSES, TASKS, WORKERS, find_by_id, list_page
from monitor.tasks import TaskUpdate, update_task, update_tasks
from monitor.upkeep.counters import check_counters
from monitor.writing.transactions import Transactions
from tests.monitor.reports import register, replica

Run = tuple[Process, Sequence[Task]]


@pytest.fixture
def transactions(database: Database) -> Transactions:
    return replica(database)


async def tell(transactions: Transactions, task: Task, status: TaskStatus) -> Task:
    return await transactions.run(update_task, task_id=task.id, status=status, details=None)


async def end(transactions: Transactions, process: Process) -> Process:
    return await transactions.run(
        end_process, process_id=process.id, status=ProcessStatus.SUCCESS, details=None
    )


async def whole_run(transactions: Transactions, worker_id: str) -> Run:
    """A process that ended well."""
    process, tasks = await transactions.run(start_process, worker_id=worker_id)
    for task in tasks:
        await tell(transactions, task, TaskStatus.RUNNING)
        await tell(transactions, task, TaskStatus.SUCCESS)
    return await end(transactions, process), tasks


async def processes_of(database: Database, worker_id: str) -> list[Process]:
    """Oldest first."""
    page = await list_page(
        database,
        PROCESSES,
        ProcessFilter(worker_ids=(worker_id,)),
        Order("STARTED_AT", Direction.ASC),
        PageRequest(),
    )
    return list(page.items)


async def states(database: Database, tasks: Sequence[Task]) -> list[Task | None]:
    return [await find_by_id(database, TASKS, task.id) for task in tasks]


async def test_a_start_after_the_end_opens_a_process_of_its_own(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    old, tasks = await whole_run(transactions, worker.id)
    before = await states(database, tasks)

    started = await tell(transactions, tasks[0], TaskStatus.RUNNING)

    first, second = await processes_of(database, worker.id)
    assert (first.status, first.revision, first.recovered) == (old.status, old.revision, False)
    assert (second.status, second.recovered) == (ProcessStatus.RUNNING, True)
    assert (started.process_id, started.position, started.status) == (second.id, 1, "RUNNING")
    assert second.current_task_id == started.id
    assert await states(database, tasks) == before
    assert await check_counters(database, repair=False) == []


async def test_until_it_ends_the_old_ids_mean_the_new_process(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    old, tasks = await whole_run(transactions, worker.id)
    for task in tasks:
        for status in (TaskStatus.RUNNING, TaskStatus.SUCCESS):
            told = await tell(transactions, task, status)
            assert (told.status, told.position) == (status, task.position)
            assert told.process_id != old.id
    ended = await end(transactions, old)

    first, second = await processes_of(database, worker.id)
    assert (ended.id, ended.status, ended.progress) == (second.id, ProcessStatus.SUCCESS, 1.0)
    assert first.updated_at == old.updated_at
    counted = await find_by_id(database, WORKERS, worker.id)
    assert counted is not None
    assert (counted.running, counted.succeeded) == (0, 2)
    assert await check_counters(database, repair=False) == []


async def test_each_start_that_is_lost_is_a_process(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    old, tasks = await whole_run(transactions, worker.id)
    for _ in range(3):
        await tell(transactions, tasks[0], TaskStatus.RUNNING)
        await tell(transactions, tasks[0], TaskStatus.SUCCESS)
        await end(transactions, old)

    found = await processes_of(database, worker.id)
    assert [p.recovered for p in found] == [False, True, True, True]
    assert [p.ended_task_count for p in found] == [2, 1, 1, 1]
    assert {p.status for p in found} == {ProcessStatus.SUCCESS}


async def test_a_start_that_was_stored_though_its_answer_was_lost_is_the_one_meant(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    _, tasks = await whole_run(transactions, worker.id)
    await transactions.run(start_process, worker_id=worker.id)
    newest, _ = await transactions.run(start_process, worker_id=worker.id)

    started = await tell(transactions, tasks[1], TaskStatus.RUNNING)

    assert (started.process_id, started.position) == (newest.id, 2)
    assert [p.recovered for p in await processes_of(database, worker.id)] == [False, False, True]
    assert await check_counters(database, repair=False) == []


async def test_a_process_that_was_reported_on_is_not_taken_for_the_lost_one(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    _, tasks = await whole_run(transactions, worker.id)
    other, others = await transactions.run(start_process, worker_id=worker.id)
    await tell(transactions, others[0], TaskStatus.RUNNING)

    started = await tell(transactions, tasks[0], TaskStatus.RUNNING)

    assert started.process_id not in (other.id, tasks[0].process_id)
    assert len(await processes_of(database, worker.id)) == 3


@pytest.mark.parametrize("late", [TaskStatus.SUCCESS, TaskStatus.ERROR])
async def test_an_end_that_comes_late_changes_its_own_task_and_no_count(
    database: Database, transactions: Transactions, late: TaskStatus
) -> None:
    worker = await register(transactions)
    process, tasks = await transactions.run(start_process, worker_id=worker.id)
    await tell(transactions, tasks[0], TaskStatus.RUNNING)
    await end(transactions, process)

    told = await tell(transactions, tasks[0], late)

    assert (told.id, told.status) == (tasks[0].id, late)
    assert len(await processes_of(database, worker.id)) == 1
    assert await check_counters(database, repair=False) == []


async def test_after_the_successor_ended_a_late_end_changes_the_old_task_again(
    transactions: Transactions,
) -> None:
    worker = await register(transactions)
    old, tasks = await whole_run(transactions, worker.id)
    await tell(transactions, tasks[0], TaskStatus.RUNNING)
    successor = await end(transactions, old)

    told = await tell(transactions, tasks[0], TaskStatus.ERROR)
    again = await end(transactions, old)

    assert told.id == tasks[0].id
    assert (again.id, successor.id == old.id) == (old.id, False)


async def test_a_task_that_starts_again_while_its_process_runs_begins_anew(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    _, tasks = await transactions.run(start_process, worker_id=worker.id)
    for status in (TaskStatus.RUNNING, TaskStatus.SUCCESS, TaskStatus.RUNNING):
        told = await tell(transactions, tasks[0], status)
    assert (told.id, told.status, told.ended_at) == (tasks[0].id, TaskStatus.RUNNING, None)
    assert len(await processes_of(database, worker.id)) == 1


async def test_many_reports_at_once_open_one_process(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    _, tasks = await whole_run(transactions, worker.id)
    updates = [
        TaskUpdate(task.id, status)
        for task in tasks
        for status in (TaskStatus.RUNNING, TaskStatus.SUCCESS)
    ]
    told = await transactions.run_once("key", update_tasks, updates=updates)
    again = await transactions.run_once("key", update_tasks, updates=updates)

    assert [task.id for task in again] == [task.id for task in told]
    assert len({task.process_id for task in told}) == 1
    first, second = await processes_of(database, worker.id)
    assert (first.ended_task_count, second.ended_task_count) == (2, 2)


async def test_a_start_in_the_same_transaction_as_the_end_is_of_a_new_process(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    process, tasks = await transactions.run(start_process, worker_id=worker.id)
    # Queued in one turn of the loop, so they share a transaction.
    ended = end(transactions, process)
    started = tell(transactions, tasks[0], TaskStatus.RUNNING)
    async with asyncio.TaskGroup() as group:
        group.create_task(ended)
        new = group.create_task(started)

    assert new.result().process_id != process.id
    assert [p.recovered for p in await processes_of(database, worker.id)] == [False, True]
    assert await check_counters(database, repair=False) == []


async def test_a_successor_that_was_removed_is_none(
    transactions: Transactions,
) -> None:
    worker = await register(transactions)
    old, tasks = await whole_run(transactions, worker.id)
    lost = await tell(transactions, tasks[0], TaskStatus.RUNNING)
    await end(transactions, old)
    await transactions.run(remove_processes, process_ids=[lost.process_id], abandoned_before=None)

    started = await tell(transactions, tasks[0], TaskStatus.RUNNING)

    assert started.process_id not in (old.id, lost.process_id)
    with pytest.raises(TaskNotFound):
        await tell(transactions, lost, TaskStatus.SUCCESS)


async def test_another_replica_knows_what_the_old_ids_mean(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    old, tasks = await whole_run(transactions, worker.id)
    started = await tell(transactions, tasks[0], TaskStatus.RUNNING)
    other = replica(database)

    told = await tell(other, tasks[1], TaskStatus.RUNNING)
    ended = await end(other, old)

    assert told.process_id == ended.id == started.process_id


async def test_what_is_begun_anew_beside_a_start_that_is_taken_back_loses_what_was_said(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    _, (old, _) = await whole_run(transactions, worker.id)
    successor, _ = await transactions.run(start_process, worker_id=worker.id)
    await tell(transactions, old, TaskStatus.RUNNING)
    failed = await transactions.run(
        update_task, task_id=old.id, status=TaskStatus.ERROR, details="a first try failed"
    )
    assert failed.process_id == successor.id
    commits = transactions.commits
    _, begun = await asyncio.gather(
        transactions.run(take_back_process, process_id=successor.id),
        tell(transactions, old, TaskStatus.RUNNING),
    )
    assert transactions.commits == commits + 1
    assert begun.details is None
    async with database.reading() as connection:
        of_it = select(models.tasks.c.details).where(models.tasks.c.id == begun.id)
        assert await connection.scalar(of_it) is None


async def test_a_process_that_was_opened_before_the_one_that_ended_is_not_taken_for_the_lost_one(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    unknown, _ = await transactions.run(start_process, worker_id=worker.id)
    old, (task, _) = await whole_run(transactions, worker.id)
    started = await tell(transactions, task, TaskStatus.RUNNING)
    first, second, third = await processes_of(database, worker.id)
    assert (first.id, second.id, third.id) == (unknown.id, old.id, started.process_id)
    assert (first.reported, first.recovered, third.recovered) == (False, False, True)


async def test_nor_is_one_that_was_opened_before_the_last_one_that_was_meant(
    transactions: Transactions,
) -> None:
    worker = await register(transactions)
    old, (task, _) = await whole_run(transactions, worker.id)
    unknown, _ = await transactions.run(start_process, worker_id=worker.id)
    stored, _ = await transactions.run(start_process, worker_id=worker.id)
    meant = await tell(transactions, task, TaskStatus.RUNNING)
    assert meant.process_id == stored.id
    await end(transactions, old)
    opened = await tell(transactions, task, TaskStatus.RUNNING)
    assert opened.process_id not in (old.id, unknown.id, stored.id)
