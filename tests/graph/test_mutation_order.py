"""Several mutations in one request, and the same one several times."""

import asyncio
from typing import Any

import pytest

from tests.client import Client, GraphQLErrors
from tests.factories import register, start

START = (
    "mutation ($id: ID!, $key: String) { startProcess(workerId: $id, idempotencyKey: $key) { id } }"
)


async def process_count(client: Client, worker_id: str) -> int:
    query = "query ($id: ID!) { worker(id: $id) { counts { total } } }"
    data = await client.graphql(query, id=worker_id)
    count: int = data["worker"]["counts"]["total"]
    return count


async def test_each_mutation_of_a_request_sees_the_work_of_those_before(client: Client) -> None:
    run = await start(client, await register(client, "a", "b"))
    query = """
    mutation ($worker: ID!, $process: ID!, $first: ID!, $second: ID!) {
      one: updateTask(input: {taskId: $first, status: RUNNING}) { ...State }
      two: updateTask(input: {taskId: $first, status: SUCCESS}) { ...State }
      three: updateTask(input: {taskId: $second, status: SUCCESS}) { ...State }
      end: endProcess(input: {processId: $process, status: SUCCESS}) {
        status progress tasks { status } worker { counts { running succeeded } }
      }
      next: startProcess(workerId: $worker) { worker { counts { running succeeded } } }
    }
    fragment State on Task {
      status
      process { progress currentTask { position status } tasks { status } }
    }
    """
    data = await client.graphql(
        query, worker=run.worker, process=run.process, first=run.tasks[0], second=run.tasks[1]
    )
    assert [data[name]["process"]["progress"] for name in ("one", "two", "three")] == [0, 0.5, 1]
    assert data["two"]["process"]["tasks"] == [{"status": "SUCCESS"}, {"status": "PENDING"}]
    assert data["three"]["process"]["currentTask"] == {"position": 2, "status": "SUCCESS"}
    assert data["end"]["tasks"] == [{"status": "SUCCESS"}] * 2
    assert data["end"]["worker"]["counts"] == {"running": 0, "succeeded": 1}
    assert data["next"]["worker"]["counts"] == {"running": 1, "succeeded": 1}


async def test_the_worker_of_a_process_has_its_new_counts_and_revision(client: Client) -> None:
    worker_id = await register(client)
    query = """
    mutation ($id: ID!) {
      one: startProcess(workerId: $id) { worker { revision counts { running } } }
      beat: heartbeat(workerId: $id) { revision counts { running } }
      two: startProcess(workerId: $id) { worker { revision counts { running } } }
    }
    """
    data = await client.graphql(query, id=worker_id)
    one, two = data["one"]["worker"], data["two"]["worker"]
    assert (one["counts"]["running"], two["counts"]["running"]) == (1, 2)
    assert data["beat"] == one
    assert two["revision"] > one["revision"]


async def test_what_was_done_before_a_refusal_stays_and_the_rest_is_not_done(
    client: Client,
) -> None:
    worker_id = await register(client)
    query = """
    mutation ($id: ID!) {
      one: startProcess(workerId: $id) { status }
      nobody: heartbeat(workerId: "worker_0") { id }
      two: startProcess(workerId: $id) { status }
    }
    """
    with pytest.raises(GraphQLErrors) as refused:
        await client.graphql(query, id=worker_id)
    assert refused.value.codes == ["NOT_FOUND"]
    assert await process_count(client, worker_id) == 1


async def test_the_same_key_again_gets_the_first_answer(client: Client) -> None:
    worker_id = await register(client, "a")
    first = await client.graphql(START, id=worker_id, key="run-1")
    assert await client.graphql(START, id=worker_id, key="run-1") == first
    assert await client.graphql(START, id=worker_id, key="run-2") != first
    assert await process_count(client, worker_id) == 2


async def test_without_a_key_each_request_counts(client: Client) -> None:
    worker_id = await register(client)
    answers = [await client.graphql(START, id=worker_id, key=None) for _ in range(2)]
    assert answers[0] != answers[1]


async def test_of_the_same_key_at_the_same_moment_one_runs(client: Client) -> None:
    worker_id = await register(client, "a")
    answers = await asyncio.gather(
        *(client.graphql(START, id=worker_id, key="once") for _ in range(10))
    )
    assert len({answer["startProcess"]["id"] for answer in answers}) == 1
    assert await process_count(client, worker_id) == 1


async def test_a_key_used_with_another_input_is_a_conflict(client: Client) -> None:
    one, other = await register(client, "a"), await register(client, "a")
    await client.graphql(START, id=one, key="key")
    with pytest.raises(GraphQLErrors) as refused:
        await client.graphql(START, id=other, key="key")
    assert refused.value.codes == ["CONFLICT"]
    register_too = """mutation { registerWorker(
      input: {name: "w", version: "v", tasks: []}, idempotencyKey: "key") { id } }"""
    with pytest.raises(GraphQLErrors) as refused:
        await client.graphql(register_too)
    assert refused.value.codes == ["CONFLICT"]
    assert await process_count(client, other) == 0


async def test_a_refusal_does_not_use_up_the_key(client: Client) -> None:
    with pytest.raises(GraphQLErrors):
        await client.graphql(START, id="worker_0", key="key")
    await client.graphql(START, id=await register(client), key="key")


async def test_keys_that_differ_in_case_space_or_accent_are_different(client: Client) -> None:
    worker_id = await register(client)
    keys = ["key", "KEY", "key ", " key", "kéy", "ke\u0301y", "key\u00a0"]
    ids = [(await client.graphql(START, id=worker_id, key=key))["startProcess"] for key in keys]
    assert len({id_["id"] for id_ in ids}) == len(keys)


@pytest.mark.parametrize("key", ["", "x" * 129])
async def test_a_key_has_1_to_128_characters(client: Client, key: str) -> None:
    worker_id = await register(client)
    with pytest.raises(GraphQLErrors) as refused:
        await client.graphql(START, id=worker_id, key=key)
    assert refused.value.codes == ["BAD_USER_INPUT"]
    longest = "🚀" * 128
    first = await client.graphql(START, id=worker_id, key=longest)
    assert await client.graphql(START, id=worker_id, key=longest) == first


async def test_every_keyed_mutation_answers_as_at_first(client: Client) -> None:
    run = await start(client, await register(client, "a"))
    task = {"taskId": run.tasks[0], "status": "SUCCESS", "details": "once"}
    mutations: list[tuple[str, dict[str, Any]]] = [
        (
            """mutation ($i: RegisterWorkerInput!) { answer: registerWorker(input: $i,
              idempotencyKey: "worker") { id registeredAt taskDefinitions { position } } }""",
            {"i": {"name": "w", "version": "v", "tasks": [{"name": "a", "version": "v"}]}},
        ),
        (
            """mutation ($i: UpdateTaskInput!) { answer: updateTask(input: $i,
              idempotencyKey: "task") { id revision updatedAt details } }""",
            {"i": task},
        ),
        (
            """mutation ($i: [UpdateTaskInput!]!) { answer: updateTasks(inputs: $i,
              idempotencyKey: "tasks") { id revision updatedAt } }""",
            {"i": [task, {**task, "status": "ERROR"}]},
        ),
        (
            """mutation ($i: EndProcessInput!) { answer: endProcess(input: $i,
              idempotencyKey: "end") { id revision endedAt status } }""",
            {"i": {"processId": run.process, "status": "ERROR"}},
        ),
    ]
    for query, variables in mutations:
        first = await client.graphql(query, **variables)
        assert first["answer"]
        assert await client.graphql(query, **variables) == first
    query = "query ($id: ID!) { task(id: $id) { revision status } }"
    data = await client.graphql(query, id=run.tasks[0])
    assert data["task"] == {"revision": 4, "status": "ERROR"}
