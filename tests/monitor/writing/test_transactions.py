"""Group commit: many operations, few transactions, and each operation on its own all the same."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from db import models
from db.session import Database
from monitor.entities import ProcessStatus, TaskDefinition, TaskStatus, Worker
from monitor.errors import InvalidInput, ProcessNotFound, TaskNotFound, Unavailable, WorkerNotFound
from monitor.ids import new_id
from monitor.processes import end_process, start_process
from monitor.tasks import TaskUpdate, update_task, update_tasks
from monitor.workers import record_heartbeat, register_worker
from monitor.writing.job import UNHURRIED
from monitor.writing.loading import Needs
from monitor.writing.operation import Operation, operation
from monitor.writing.queue import QUEUE_OPERATIONS
from monitor.writing.transaction import Transaction
from monitor.writing.transactions import most_backoff
from tests.monitor.reports import count_rows, events_of, register, replica, revisions_of

MEBIBYTE = 1024 * 1024


class Defect(Exception):
    """What a programmer overlooked."""


@operation(needs=lambda worker_id: Needs(workers=(worker_id,)))
def rename_and_fail(tx: Transaction, *, worker_id: str) -> Worker:
    """Changes something, then fails in a way that nobody expects."""
    tx.update(replace(tx.worker(worker_id), name="changed by a defect"))
    raise Defect


async def test_operations_that_come_together_share_a_commit(database: Database) -> None:
    transactions = replica(database)
    worker = await register(transactions)
    alone = transactions.commits
    started = await asyncio.gather(
        *(transactions.run(start_process, worker_id=worker.id) for _ in range(100))
    )
    assert alone == 1
    assert transactions.operations == 101
    assert transactions.commits - alone <= 2
    assert len({process.id for process, _ in started}) == 100


async def test_an_answer_comes_after_the_commit(database: Database) -> None:
    transactions = replica(database)
    worker = await register(transactions)
    async with database.reading() as connection:
        stored = await connection.execute(select(models.workers.c.id))
        assert list(stored.scalars()) == [worker.id]


async def test_each_operation_sees_what_those_before_it_did(database: Database) -> None:
    transactions = replica(database)
    worker = await register(transactions)
    _, (first, second) = await transactions.run(start_process, worker_id=worker.id)
    reports = [
        (first.id, TaskStatus.RUNNING),
        (first.id, TaskStatus.SUCCESS),
        (second.id, TaskStatus.RUNNING),
        (second.id, TaskStatus.ERROR),
        (second.id, TaskStatus.RUNNING),
        (second.id, TaskStatus.SUCCESS),
    ]
    answers = await asyncio.gather(
        *(
            transactions.run(update_task, task_id=task_id, status=status, details=None)
            for task_id, status in reports
        )
    )
    assert transactions.commits == 3
    assert [task.revision for task in answers] == [2, 3, 2, 3, 4, 5]
    ended = await transactions.run(
        end_process, process_id=first.process_id, status=ProcessStatus.SUCCESS, details=None
    )
    assert (ended.ended_task_count, ended.current_task_id) == (2, second.id)


async def test_a_defect_harms_only_the_operation_that_has_it(database: Database) -> None:
    transactions = replica(database)
    workers = [await register(transactions) for _ in range(5)]
    starting = [
        asyncio.ensure_future(transactions.run(start_process, worker_id=worker.id))
        for worker in workers[:3]
    ]
    failing = asyncio.ensure_future(transactions.run(rename_and_fail, worker_id=workers[3].id))
    starting += [
        asyncio.ensure_future(transactions.run(start_process, worker_id=worker.id))
        for worker in workers[3:]
    ]
    with pytest.raises(Defect):
        await failing
    await asyncio.gather(*starting)
    async with database.reading() as connection:
        names = await connection.execute(select(models.workers.c.name))
        assert set(names.scalars()) == {"worker"}
    assert (await count_rows(database))["processes"] == 5
    assert all(
        revisions == list(range(1, len(revisions) + 1))
        for revisions in (await revisions_of(database)).values()
    )


async def test_a_refusal_harms_nobody_and_leaves_nothing(database: Database) -> None:
    transactions = replica(database)
    worker = await register(transactions)
    process, (task, _) = await transactions.run(start_process, worker_id=worker.id)
    before, events = await count_rows(database), await events_of(database)
    too_long = "x" * (MEBIBYTE + 1)
    success = TaskStatus.SUCCESS

    def call(operation: Operation[..., Any], **arguments: Any) -> Awaitable[Any]:
        return transactions.run(operation, **arguments)

    refused = await asyncio.gather(
        call(start_process, worker_id=new_id("worker")),
        call(record_heartbeat, worker_id="nobody"),
        call(register_worker, name="n" * 256, version="v", task_definitions=()),
        call(update_task, task_id="x", status=success, details=None),
        call(update_task, task_id=task.id, status=success, details=too_long),
        call(end_process, process_id=process.id, status=ProcessStatus.RUNNING, details=None),
        call(end_process, process_id=new_id("process"), status=ProcessStatus.ERROR, details=None),
        call(
            update_tasks,
            updates=[TaskUpdate(task.id, success), TaskUpdate(new_id("task"), success)],
        ),
        return_exceptions=True,
    )
    assert [type(answer) for answer in refused] == [
        WorkerNotFound,
        WorkerNotFound,
        InvalidInput,
        TaskNotFound,
        InvalidInput,
        InvalidInput,
        ProcessNotFound,
        TaskNotFound,
    ]
    assert await count_rows(database) == before
    assert await events_of(database) == events
    accepted = await transactions.run(
        update_task, task_id=task.id, status=TaskStatus.SUCCESS, details=None
    )
    assert accepted.revision == 2


async def test_a_caller_that_goes_away_takes_nobody_with_it_and_its_report_is_not_stored(
    database: Database,
) -> None:
    transactions = replica(database)
    worker = await register(transactions)
    gone = asyncio.create_task(transactions.run(start_process, worker_id=worker.id))
    stays = asyncio.create_task(transactions.run(start_process, worker_id=worker.id))
    await asyncio.sleep(0)
    gone.cancel()
    process, _ = await stays
    await transactions.close()
    assert gone.cancelled()
    assert process.worker_id == worker.id
    assert (await count_rows(database))["processes"] == 1


async def test_closing_waits_for_what_is_under_way(database: Database) -> None:
    transactions = replica(database)
    registering = [asyncio.create_task(register(transactions)) for _ in range(20)]
    await asyncio.sleep(0)
    await transactions.close()
    assert (await count_rows(database))["workers"] == 20
    await asyncio.gather(*registering)


async def test_a_queue_that_is_full_refuses_more_instead_of_growing(database: Database) -> None:
    transactions = replica(database, UNHURRIED)
    worker = await register(transactions)
    answers = await asyncio.gather(
        *(
            transactions.run(record_heartbeat, worker_id=worker.id)
            for _ in range(QUEUE_OPERATIONS + 1)
        ),
        return_exceptions=True,
    )
    refused = [answer for answer in answers if isinstance(answer, Unavailable)]
    assert [*refused] == [answers[-1]]
    assert (await transactions.run(record_heartbeat, worker_id=worker.id)).id == worker.id


async def test_reports_that_weigh_little_may_carry_much_along(database: Database) -> None:
    """Together these tasks are larger than a statement of MariaDB may be, and than one batch."""
    transactions = replica(database, UNHURRIED)
    worker = await register(transactions, steps=[TaskDefinition("step", "v1")] * 40)
    _, tasks = await transactions.run(start_process, worker_id=worker.id)
    for task in tasks:
        await transactions.run(
            update_task, task_id=task.id, status=TaskStatus.ERROR, details="é" * (MEBIBYTE // 2)
        )
    ended = await asyncio.gather(
        *(
            transactions.run(update_task, task_id=task.id, status=TaskStatus.SUCCESS, details=None)
            for task in tasks
        )
    )
    assert {task.details for task in ended} == {"é" * (MEBIBYTE // 2)}


async def test_events_of_one_entity_stand_in_the_outbox_by_revision_from_the_first(
    database: Database,
) -> None:
    transactions = replica(database)
    workers = await asyncio.gather(*(register(transactions) for _ in range(4)))

    async def live(worker: Worker) -> None:
        for _ in range(5):
            process, tasks = await transactions.run(start_process, worker_id=worker.id)
            for task in tasks:
                for status in (TaskStatus.RUNNING, TaskStatus.SUCCESS):
                    await transactions.run(
                        update_task, task_id=task.id, status=status, details=None
                    )
            await transactions.run(
                end_process, process_id=process.id, status=ProcessStatus.SUCCESS, details=None
            )

    await asyncio.gather(*(live(worker) for worker in workers))
    revisions = await revisions_of(database)
    assert len(revisions) == 4 + 20 + 40
    lengths = {"worker": 1 + 10, "process": 1 + 4 + 1, "task": 1 + 2}
    for id_, found in revisions.items():
        assert found == list(range(1, lengths[id_.partition("_")[0]] + 1))


@pytest.mark.parametrize(("failures", "seconds"), [(1, 0.02), (3, 0.08), (9, 0.5), (5_000, 0.5)])
def test_however_often_it_failed_the_next_attempt_is_soon(failures: int, seconds: float) -> None:
    assert most_backoff(failures) == seconds
