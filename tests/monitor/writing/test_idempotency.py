"""A key makes an operation happen once, however often and wherever it is sent."""

import asyncio

import pytest

from db.session import Database
from monitor.entities import Task, TaskStatus
from monitor.errors import Conflict, InvalidInput, WorkerNotFound
from monitor.ids import new_id
from monitor.processes import start_process
from monitor.tasks import update_task
from monitor.workers import register_worker
from tests.monitor.reports import STEPS, count_rows, register, replica


async def test_the_same_key_answers_the_first_answer_and_does_nothing_again(
    database: Database,
) -> None:
    transactions = replica(database)
    worker = await register(transactions)
    first = await transactions.run_once("key", start_process, worker_id=worker.id)
    second = await replica(database).run_once("key", start_process, worker_id=worker.id)
    assert [second[0], *second[1]] == [first[0], *first[1]]
    assert (await count_rows(database))["processes"] == 1


async def test_the_first_answer_is_told_even_after_the_world_went_on(database: Database) -> None:
    transactions = replica(database)
    worker = await register(transactions)
    _, (task, _) = await transactions.run(start_process, worker_id=worker.id)

    async def report() -> Task:
        return await transactions.run_once(
            "key", update_task, task_id=task.id, status=TaskStatus.RUNNING, details=None
        )

    first = await report()
    await transactions.run(update_task, task_id=task.id, status=TaskStatus.ERROR, details="boom")
    assert await report() == first


async def test_the_same_key_at_the_same_moment_on_two_replicas_starts_one_process(
    database: Database,
) -> None:
    replicas = [replica(database), replica(database)]
    worker = await register(replicas[0])
    for round_ in range(10):
        answers = await asyncio.gather(
            *(
                replicas[number % 2].run_once(f"key {round_}", start_process, worker_id=worker.id)
                for number in range(6)
            )
        )
        assert len({process.id for process, _ in answers}) == 1
    assert (await count_rows(database))["processes"] == 10


async def test_the_same_key_in_one_batch_starts_one_process(database: Database) -> None:
    transactions = replica(database)
    worker = await register(transactions)
    first, second = await asyncio.gather(
        transactions.run_once("key", start_process, worker_id=worker.id),
        transactions.run_once("key", start_process, worker_id=worker.id),
    )
    assert [second[0], *second[1]] == [first[0], *first[1]]
    assert transactions.commits == 2


async def test_a_key_used_with_another_input_is_a_conflict(database: Database) -> None:
    transactions = replica(database)
    one, other = await register(transactions), await register(transactions)
    await transactions.run_once("key", start_process, worker_id=one.id)
    with pytest.raises(Conflict, match="idempotencyKey"):
        await transactions.run_once("key", start_process, worker_id=other.id)
    with pytest.raises(Conflict, match="idempotencyKey"):
        await transactions.run_once(
            "key", register_worker, name="w", version="v", task_definitions=STEPS
        )
    assert (await count_rows(database))["processes"] == 1


async def test_the_key_of_an_operation_that_was_refused_is_free_again(database: Database) -> None:
    transactions = replica(database)
    with pytest.raises(WorkerNotFound):
        await transactions.run_once("key", start_process, worker_id=new_id("worker"))
    worker = await register(transactions)
    process, _ = await transactions.run_once("key", start_process, worker_id=worker.id)
    assert process.worker_id == worker.id


@pytest.mark.parametrize(
    ("one", "other"),
    [("key", "KEY"), ("key", "key "), ("é", "e\u0301"), ("ñ", "n"), ("a\0", "a")],
    ids=["case", "trailing space", "composition", "accent", "nul"],
)
async def test_keys_that_differ_at_all_are_different_keys(
    database: Database, one: str, other: str
) -> None:
    transactions = replica(database)
    worker = await register(transactions)
    first, _ = await transactions.run_once(one, start_process, worker_id=worker.id)
    second, _ = await transactions.run_once(other, start_process, worker_id=worker.id)
    assert first.id != second.id


@pytest.mark.parametrize("key", ["", "k" * 129, "\ud800"])
async def test_a_key_that_cannot_be_kept_is_refused(database: Database, key: str) -> None:
    transactions = replica(database)
    worker = await register(transactions)
    with pytest.raises(InvalidInput, match="idempotencyKey"):
        await transactions.run_once(key, start_process, worker_id=worker.id)
    await transactions.run_once("🚀" * 128, start_process, worker_id=worker.id)
