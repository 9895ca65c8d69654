"""Details, which can be large: whoever asks for them has them, as many as an answer may have."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from db.session import Database
from monitor.entities import Process, Task, TaskDefinition
from monitor.limits import ANSWER_DETAILS_BYTES, DETAILS_BYTES
from tests.client import Client, GraphQLErrors
from tests.stored import a_process, a_task, a_worker, store

# None, some that come with their rows, and some that are read after them.
DETAILS = [None, "", "a", "é" * 128, "é" * 128 + "a", "x\0y", "\0" * 300, "🚚" * 5_000]
STEPS = tuple(TaskDefinition(f"step {number}", "v1") for number in range(len(DETAILS)))
# One more than an answer may have.
MANY = ANSWER_DETAILS_BYTES // DETAILS_BYTES + 1
LARGE = "é" * (DETAILS_BYTES // 2)

EVERYWHERE = """
query ($process: ID!, $task: ID!, $yes: Boolean = true, $no: Boolean = false) {
  workers { edges { node { processes { edges { node { ...P } } } } } }
  processes { edges { node { ...P currentTask { ...T } } } }
  tasks { edges { node { ...T process { ...P } } } }
  process(id: $process) { ...P tasks { ...T process { currentTask { ...T } } } }
  task(id: $task) { ...T process { tasks { ...T } } }
  node(id: $process) { ... on Process { id tasks { id process { id details } } } }
  without: processes { edges { node { id currentTask { id } } } }
}
fragment P on Process { id ... on Process { details } again: details @include(if: $yes) }
fragment T on Task { id details never: details @skip(if: $yes) nor: details @include(if: $no) }
"""


async def a_run(database: Database, number: int) -> list[Process | Task]:
    """A process, first, and its tasks, with details of all sizes."""
    worker = a_worker(task_definitions=STEPS)
    process = a_process(worker, details=DETAILS[number])
    tasks = [
        a_task(process, position=position, details=details)
        for position, details in enumerate(DETAILS, start=1)
    ]
    if number % 2:  # of the others the first one is the current one
        process = replace(process, current_task_id=tasks[number].id)
    await store(database, worker, process, *tasks)
    return [process, *tasks]


async def large_ones(database: Database, number: int) -> list[Process]:
    """Processes with one task; both have as many details as can be."""
    worker = a_worker()
    await store(database, worker)
    processes = [a_process(worker, details=LARGE) for _ in range(number)]
    for process in processes:  # MariaDB takes statements of 16 MiB
        await store(database, process, a_task(process, details=LARGE))
    return processes


def objects(answer: Any) -> Iterator[dict[str, Any]]:
    """Everything in an answer that has an id."""
    if isinstance(answer, dict):
        if "id" in answer:
            yield answer
        for value in answer.values():
            yield from objects(value)
    elif isinstance(answer, list):
        for value in answer:
            yield from objects(value)


async def refusal(client: Client, query: str, **variables: Any) -> str:
    """Why the query is refused."""
    with pytest.raises(GraphQLErrors) as refused:
        await client.graphql(query, **variables)
    assert set(refused.value.codes) == {"BAD_USER_INPUT"}
    return str(refused.value.messages[0])


async def test_everybody_has_the_details_that_were_asked_for(
    client: Client, database: Database
) -> None:
    stored = [await a_run(database, number) for number in range(len(DETAILS))]
    details = {entity.id: entity.details for run in stored for entity in run}
    seen: set[str] = set()
    for process, _, task, *_ in stored:
        answer = await client.graphql(EVERYWHERE, process=process.id, task=task.id)
        for found in objects(answer):
            for name in found.keys() & {"details", "again"}:
                assert found[name] == details[found["id"]]
                seen.add(found["id"])
            assert not found.keys() & {"never", "nor"}
    assert seen == details.keys()


@pytest.mark.parametrize(
    "query",
    [
        "{ processes { edges { node { id details } } } }",
        "{ tasks { edges { node { id details } } } }",
        "{ tasks { edges { node { process { id details } } } } }",
        "{ processes { edges { node { currentTask { id details } } } } }",
        "{ processes { edges { node { tasks { id details } } } } }",
        "{ workers { edges { node { processes { edges { node { id details } } } } } } }",
        "{ a: processes(first: 9) { edges { node { id details } } }"
        "  b: tasks(first: 9) { edges { node { id details } } } }",
    ],
)
async def test_too_many_are_refused_before_they_are_loaded(
    client: Client, database: Database, query: str
) -> None:
    await large_ones(database, MANY)
    tracemalloc.start()
    try:
        assert "leave details out" in await refusal(client, query)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The first of two lists may be there already; what both have together is not.
    assert peak < ANSWER_DETAILS_BYTES * (1.5 if "a:" in query else 0.5)
    assert await client.graphql(query.replace(" details", ""))


async def test_as_many_as_an_answer_may_have_are_answered(
    client: Client, database: Database
) -> None:
    await large_ones(database, MANY)
    query = "query ($n: Int) { processes(first: $n) { edges { node { id details } } } }"
    answer = await client.graphql(query, n=MANY - 1)
    assert [found["details"] for found in objects(answer)] == [LARGE] * (MANY - 1)
    await refusal(client, query, n=MANY)


async def test_each_time_that_details_are_shown_counts(client: Client, database: Database) -> None:
    process, *_ = await large_ones(database, 1)
    names = " ".join(f"n{number}: details" for number in range(MANY))
    await refusal(client, f"query ($id: ID!) {{ process(id: $id) {{ {names} }} }}", id=process.id)
    await refusal(client, f"{{ processes {{ edges {{ node {{ {names} }} }} }} }}")
    tasks = " ".join(f"n{number}: currentTask {{ details }}" for number in range(MANY))
    await refusal(client, f"{{ processes {{ edges {{ node {{ {tasks} }} }} }} }}")
    # Read once, and shown with each task.
    await store(database, *(a_task(process, position=number + 2) for number in range(MANY)))
    await refusal(client, "{ tasks { edges { node { process { details } } } } }")


async def test_a_mutation_tells_what_it_did_also_without_all_details(
    client: Client, database: Database
) -> None:
    number = MANY // 2 + 1
    await large_ones(database, number)
    tasks = list(objects(await client.graphql("{ tasks { edges { node { id } } } }")))
    inputs = [{"taskId": task["id"], "status": "SUCCESS"} for task in tasks]
    mutation = (
        "mutation ($i: [UpdateTaskInput!]!)"
        " { updateTasks(inputs: $i) { status one: details other: details } }"
    )
    few = (await client.graphql(mutation, i=inputs[:2]))["updateTasks"]
    assert few == [{"status": "SUCCESS", "one": LARGE, "other": LARGE}] * 2
    body = {"query": mutation, "variables": {"i": inputs}}
    answer = (await client.post("/graphql", body)).json()
    told = answer["data"]["updateTasks"]
    assert [task["status"] for task in told] == ["SUCCESS"] * number
    shown = [task[name] for task in told for name in ("one", "other")]
    assert shown.count(LARGE) == MANY - 1
    assert shown.count(None) == len(answer["errors"]) == 2 * number - MANY + 1
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"BAD_USER_INPUT"}


async def test_the_legacy_route_refuses_in_its_own_way(client: Client, database: Database) -> None:
    process, *_ = await large_ones(database, 1)
    for position in range(2, MANY + 1):
        await store(database, a_task(process, position=position, details=LARGE))
    path = f"/dashboard_tasks/{process.id}"
    response = await client.get(path)
    assert response.status_code == 400
    assert response.json()["detail"].startswith("details: ")
    rows = (await client.get(f"{path}?limit={MANY - 1}")).json()
    assert [row["details"] for row in rows] == [LARGE] * (MANY - 1)
