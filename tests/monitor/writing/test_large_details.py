"""Reports that weigh little, on tasks that have details which weigh much."""

from collections.abc import Sequence

import pytest

from db.session import Database
from monitor.entities import Task, TaskDefinition, TaskStatus
from monitor.errors import InvalidInput
from monitor.processes import start_process
from monitor.tasks import TaskUpdate, update_task, update_tasks
from monitor.writing.job import UNHURRIED
from monitor.writing.loading import CARRIED_BYTES
from monitor.writing.transactions import Transactions
from tests.client import Client
from tests.factories import register as register_by_rest
from tests.factories import start
from tests.monitor.reports import events_of, register, replica
from tests.statements import statements_to
from tests.stored import a_process, a_task, a_worker, store

MEBIBYTE = 1024 * 1024
LARGE = "é" * (MEBIBYTE // 2)
# Quotes are escaped in JSON, and so are their escapes in JSON and in SQL.
QUOTES = '"' * MEBIBYTE
UPDATE = """
mutation ($in: [UpdateTaskInput!]!) {
  updateTasks(inputs: $in, idempotencyKey: "once") { status revision details }
}
"""


async def tasks_with(transactions: Transactions, details: Sequence[str]) -> Sequence[Task]:
    """The tasks of one process, each reported with its details."""
    steps = [TaskDefinition("step", "v1")] * len(details)
    worker = await register(transactions, steps=steps)
    _, tasks = await transactions.run(start_process, worker_id=worker.id)
    return [
        await transactions.run(
            update_task, task_id=task.id, status=TaskStatus.ERROR, details=its_details
        )
        for task, its_details in zip(tasks, details, strict=True)
    ]


def updates(tasks: Sequence[Task], status: TaskStatus) -> list[TaskUpdate]:
    return [TaskUpdate(task.id, status) for task in tasks]


async def test_one_report_on_many_tasks_leaves_their_details_where_they_are(
    database: Database,
) -> None:
    transactions = replica(database, UNHURRIED)
    tasks = await tasks_with(transactions, [LARGE, "small", *[LARGE] * 18])
    with statements_to(database) as sent:
        reported = await transactions.run(update_tasks, updates=updates(tasks, TaskStatus.SUCCESS))
    stored = [statement for statement in sent if "INTO tasks" in statement]
    assert stored
    assert LARGE not in "".join(stored)
    assert [task.details for task in reported] == [task.details for task in tasks]
    again = await transactions.run(update_tasks, updates=updates(tasks, TaskStatus.ERROR))
    assert [(task.status, task.details) for task in again] == [
        (TaskStatus.ERROR, task.details) for task in tasks
    ]
    # Whoever follows is told the whole state.
    told = [each.entity for each in await events_of(database) if each.entity.id == tasks[-1].id]
    assert [entity.details for entity in told if isinstance(entity, Task)] == [None] + [LARGE] * 3


async def test_details_that_change_beside_others_that_do_not_are_stored(
    database: Database,
) -> None:
    transactions = replica(database, UNHURRIED)
    one, other, begun = await tasks_with(transactions, [LARGE, LARGE, LARGE])
    await transactions.run(
        update_tasks,
        updates=[
            TaskUpdate(one.id, TaskStatus.SUCCESS, "anew"),
            TaskUpdate(other.id, TaskStatus.SUCCESS),
            TaskUpdate(begun.id, TaskStatus.RUNNING),
        ],
    )
    stored = await transactions.run(
        update_tasks, updates=updates([one, other, begun], TaskStatus.PENDING)
    )
    assert [task.details for task in stored] == ["anew", LARGE, None]


@pytest.mark.parametrize(
    ("details", "count"), [(LARGE, 20), (QUOTES, 3)], ids=["many", "escaped twice"]
)
async def test_a_key_keeps_also_an_answer_that_is_larger_than_a_statement(
    client: Client, details: str, count: int
) -> None:
    run = await start(client, await register_by_rest(client, *map(str, range(count))))
    for task in run.tasks:
        body = {"task_id": task, "status": "error", "details": details}
        assert (await client.post("/actualizar_task", body)).status_code == 200
    inputs = [{"taskId": task, "status": "SUCCESS"} for task in run.tasks]
    first = await client.post("/graphql", {"query": UPDATE, "variables": {"in": inputs}})
    again = await client.post("/graphql", {"query": UPDATE, "variables": {"in": inputs}})
    told = first.json()["data"]["updateTasks"]
    assert [(task["status"], task["revision"]) for task in told] == [("SUCCESS", 3)] * count
    repeated = again.json()["data"]["updateTasks"]
    assert [(task["status"], task["revision"]) for task in repeated] == [("SUCCESS", 3)] * count
    if count == 3:  # of more than an answer may have, some are refused
        assert {task["details"] for task in (*told, *repeated)} == {details}


async def test_more_than_can_be_carried_along_is_refused_in_words_and_harms_nobody(
    database: Database,
) -> None:
    transactions = replica(database, UNHURRIED)
    worker = a_worker()
    process = a_process(worker)
    tasks = [
        a_task(process, position=position, details=LARGE)
        for position in range(CARRIED_BYTES // MEBIBYTE + 1)
    ]
    await store(database, worker, process)
    for task in tasks:
        await store(database, task)
    with pytest.raises(InvalidInput, match="fewer at a time"):
        await transactions.run(update_tasks, updates=updates(tasks, TaskStatus.SUCCESS))
    accepted = await transactions.run(update_tasks, updates=updates(tasks[1:], TaskStatus.SUCCESS))
    assert {task.revision for task in accepted} == {2}
