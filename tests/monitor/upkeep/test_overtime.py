"""What runs for longer than usual: noticed once, whoever looks, and over once it has ended."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from db.session import Database
from monitor.entities import Process, ProcessStatus, Task, TaskStatus, Worker
from monitor.processes import end_process, remove_processes, start_process
from monitor.reading.reads import PROCESSES, TASKS, find_by_id
from monitor.reading.statistics import Runtimes
from monitor.reading.usual import Usual, overtime_after
from monitor.tasks import update_task
from monitor.upkeep.overtime import BATCH, Overtime
from monitor.writing.transactions import Transactions
from tests.monitor.reports import events_of, register, replica, revisions_of
from tests.monitor.silence import ran_before
from tests.statements import statements_to
from tests.stored import THEN, a_process, a_task, a_worker, store

SECOND = timedelta(seconds=1)
# A quantile is up to 4.4 % off.
SHORT_OF, BEYOND = 0.95, 1.05
ENOUGH = 5


@pytest.fixture
async def transactions(database: Database) -> AsyncIterator[Transactions]:
    transactions = replica(database)
    yield transactions
    await transactions.close()


@pytest.fixture
async def worker(transactions: Transactions) -> Worker:
    return await register(transactions)


def watcher(database: Database, transactions: Transactions | None = None) -> Overtime:
    """The looking half of one server process, to which nothing is known yet."""
    return Overtime(database, transactions or replica(database), Usual(database))


async def begin(transactions: Transactions, worker: Worker) -> tuple[Process, Task]:
    """A process of the worker that is in its first step."""
    process, tasks = await transactions.run(start_process, worker_id=worker.id)
    task = await report(transactions, tasks[0], TaskStatus.RUNNING)
    return process, task


async def report(transactions: Transactions, task: Task, status: TaskStatus) -> Task:
    return await transactions.run(update_task, task_id=task.id, status=status, details=None)


async def finish(transactions: Transactions, process: Process) -> Process:
    return await transactions.run(
        end_process, process_id=process.id, status=ProcessStatus.SUCCESS, details=None
    )


async def process_of(database: Database, process: Process) -> Process:
    found = await find_by_id(database, PROCESSES, process.id)
    assert found is not None
    return found


async def task_of(database: Database, task: Task) -> Task:
    found = await find_by_id(database, TASKS, task.id)
    assert found is not None
    return found


async def look(database: Database, at: datetime) -> None:
    """A look at this moment, by a server process that was just started."""
    await watcher(database).look(at)


def test_overtime_is_by_p99_of_what_takes_long_and_by_p50_of_what_does_not() -> None:
    long = Runtimes(count=5, p50=100, p95=190, p99=200, max=210)
    assert overtime_after(long) == timedelta(seconds=300)
    short = Runtimes(count=5, p50=1, p95=2, p99=3, max=4)
    assert overtime_after(short) == timedelta(seconds=31)


@pytest.mark.parametrize("of", [Process, Task])
async def test_it_begins_after_one_and_a_half_times_what_nearly_all_runs_took(
    database: Database, transactions: Transactions, worker: Worker, of: type
) -> None:
    step = "extract" if of is Task else None
    await ran_before(database, worker, step, *[100.0] * ENOUGH)
    process, task = await begin(transactions, worker)
    assert task.started_at is not None
    for factor, expected in ((SHORT_OF, False), (BEYOND, True)):
        await look(database, task.started_at + factor * timedelta(seconds=150))
        found = await (task_of(database, task) if of is Task else process_of(database, process))
        assert found.overtime is expected


async def test_what_takes_little_may_take_half_a_minute_more(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    await ran_before(database, worker, None, *[1.0] * ENOUGH)
    process, _ = await begin(transactions, worker)
    await look(database, process.started_at + timedelta(seconds=30))
    assert not (await process_of(database, process)).overtime
    await look(database, process.started_at + timedelta(seconds=32))
    assert (await process_of(database, process)).overtime


async def test_of_fewer_than_five_successful_runs_nothing_is_said(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    for step in (None, "extract"):
        await ran_before(database, worker, step, *[1.0] * (ENOUGH - 1))
        await ran_before(database, worker, step, *[1.0] * ENOUGH, outcome="failed")
    process, task = await begin(transactions, worker)
    later = process.started_at + timedelta(days=1)
    await look(database, later)
    assert not (await process_of(database, process)).overtime
    assert not (await task_of(database, task)).overtime
    for step in (None, "extract"):
        await ran_before(database, worker, step, *[1.5] * ENOUGH)
    # It is looked at again, the more seldom the longer it runs.
    await look(database, later + timedelta(days=0.16))
    assert (await process_of(database, process)).overtime
    assert (await task_of(database, task)).overtime


async def test_replicas_that_look_at_once_tell_it_once(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    for step in (None, "extract"):
        await ran_before(database, worker, step, *[1.0] * ENOUGH)
    runs = [await begin(transactions, worker) for _ in range(5)]
    at = runs[-1][0].started_at + timedelta(minutes=2)
    replicas = [replica(database) for _ in range(3)]
    await asyncio.gather(*(watcher(database, each).look(at) for each in replicas))
    await look(database, at + timedelta(hours=1))
    told = [event.entity for event in await events_of(database)]
    for process, task in runs:
        for of in (process, task):
            states = [e.overtime for e in told if isinstance(e, Process | Task) and e.id == of.id]
            assert states.count(True) == 1
            assert states[-1] is True
    for revisions in (await revisions_of(database)).values():
        assert revisions == list(range(1, len(revisions) + 1))


async def test_it_is_over_with_the_report_that_ends_it(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    for step in (None, "extract"):
        await ran_before(database, worker, step, *[1.0] * ENOUGH)
    process, task = await begin(transactions, worker)
    await look(database, process.started_at + timedelta(minutes=2))
    assert not (await report(transactions, task, TaskStatus.SUCCESS)).overtime
    assert not (await finish(transactions, process)).overtime
    await look(database, process.started_at + timedelta(days=1))
    assert not (await task_of(database, task)).overtime
    assert not (await process_of(database, process)).overtime


async def test_a_step_that_is_begun_anew_is_not_in_overtime_until_it_is_again(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    await ran_before(database, worker, "extract", *[1.0] * ENOUGH)
    _, task = await begin(transactions, worker)
    assert task.started_at is not None
    await look(database, task.started_at + timedelta(minutes=2))
    assert (await report(transactions, task, TaskStatus.RUNNING)).overtime
    await report(transactions, task, TaskStatus.ERROR)
    anew = await report(transactions, task, TaskStatus.RUNNING)
    assert not anew.overtime
    assert anew.started_at is not None
    await look(database, anew.started_at + timedelta(minutes=2))
    assert (await task_of(database, task)).overtime
    assert not (await report(transactions, task, TaskStatus.PENDING)).overtime


async def test_a_step_whose_process_ended_without_it_is_in_overtime_no_more(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    await ran_before(database, worker, "extract", *[1.0] * ENOUGH)
    process, task = await begin(transactions, worker)
    at = process.started_at + timedelta(minutes=2)
    await look(database, at)
    await finish(transactions, process)
    await look(database, at + timedelta(minutes=2))
    found = await task_of(database, task)
    assert (found.status, found.overtime, found.overtime_due_at) == ("RUNNING", False, None)


async def test_a_report_between_finding_and_judging_wins(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    for step in (None, "extract"):
        await ran_before(database, worker, step, *[1.0] * ENOUGH)
    for _ in range(10):
        process, task = await begin(transactions, worker)
        await asyncio.gather(
            watcher(database).look(process.started_at + timedelta(minutes=2)),
            finish(transactions, process),
            report(transactions, task, TaskStatus.SUCCESS),
        )
        assert not (await process_of(database, process)).overtime
        assert not (await task_of(database, task)).overtime


async def test_what_is_removed_meanwhile_harms_nobody(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    await ran_before(database, worker, None, *[1.0] * ENOUGH)
    gone, _ = await begin(transactions, worker)
    stays, _ = await begin(transactions, worker)
    await finish(transactions, gone)
    await asyncio.gather(
        watcher(database).look(stays.started_at + timedelta(minutes=2)),
        transactions.run(remove_processes, process_ids=[gone.id], abandoned_before=None),
    )
    assert (await process_of(database, stays)).overtime


async def test_one_look_finds_more_than_a_step_takes(database: Database) -> None:
    worker = a_worker()
    due = {"started_at": THEN, "overtime_due_at": THEN}
    processes = [a_process(worker, **due) for _ in range(2 * BATCH + 1)]
    await store(database, worker, *processes)
    await ran_before(database, worker, None, *[1.0] * ENOUGH)
    await look(database, THEN + timedelta(minutes=2))
    found = [await process_of(database, process) for process in processes[:: BATCH // 2]]
    assert all(process.overtime for process in found)


async def test_large_details_of_many_steps_are_no_hindrance(database: Database) -> None:
    worker = a_worker()
    process = a_process(worker)
    due = {"started_at": THEN, "overtime_due_at": THEN, "details": "x" * 1024 * 1024}
    step = a_task(process, status=TaskStatus.RUNNING, **due)
    tasks = [replace(step, id=a_task(process).id, position=n) for n in range(1, 36)]
    await store(database, worker, process, *tasks)
    await ran_before(database, worker, "step", *[1.0] * ENOUGH)
    await look(database, THEN + timedelta(minutes=2))
    assert (await task_of(database, tasks[0])).overtime
    assert (await task_of(database, tasks[-1])).overtime


async def test_what_is_short_is_never_looked_at(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    process, _ = await begin(transactions, worker)
    watching = watcher(database)
    with statements_to(database) as statements:
        await watching.look(process.started_at + timedelta(seconds=29))
    selects = [statement for statement in statements if "SELECT" in statement]
    assert len(selects) == 2
    with statements_to(database) as statements:
        await watching.look(process.started_at + timedelta(seconds=31))
        await watching.look(process.started_at + timedelta(seconds=32))
    assert sum("processes.overtime_due_at <=" in statement for statement in statements) == 3


async def test_a_look_locks_no_worker(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    await ran_before(database, worker, None, *[1.0] * ENOUGH)
    process, _ = await begin(transactions, worker)
    with statements_to(database) as statements:
        await look(database, process.started_at + timedelta(minutes=2))
    assert (await process_of(database, process)).overtime
    assert not [statement for statement in statements if "workers" in statement]
