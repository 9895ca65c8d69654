"""Reporting over GraphQL: what each mutation does, answers and refuses."""

from typing import Any

import pytest

from monitor.ids import new_id
from tests.client import Client, GraphQLErrors
from tests.conftest import READ_TOKEN
from tests.factories import register, start

MIB = 1024 * 1024

REGISTER = """
mutation ($input: RegisterWorkerInput!) {
  registerWorker(input: $input) {
    id name version status revision taskDefinitions { name version position }
    counts { total } registeredAt lastSeenAt
  }
}
"""
HEARTBEAT = "mutation ($id: ID!) { heartbeat(workerId: $id) { id status lastSeenAt revision } }"
START = """
mutation ($id: ID!) {
  startProcess(workerId: $id) {
    id status revision worker { id counts { total running } }
    currentTask { name } tasks { id name position status }
  }
}
"""
UPDATE = """
mutation ($input: UpdateTaskInput!) {
  updateTask(input: $input) {
    id status details revision startedAt endedAt process { progress currentTask { id } }
  }
}
"""
UPDATE_MANY = """
mutation ($inputs: [UpdateTaskInput!]!) {
  updateTasks(inputs: $inputs) { id status details revision }
}
"""
END = """
mutation ($input: EndProcessInput!) {
  endProcess(input: $input) {
    id status details endedAt revision tasks { status }
    worker { counts { running succeeded failed } }
  }
}
"""


async def refusal(client: Client, query: str, **variables: Any) -> str:
    """The one error code that the operation is answered with."""
    with pytest.raises(GraphQLErrors) as refused:
        await client.graphql(query, **variables)
    (code,) = refused.value.codes
    return str(code)


async def test_a_worker_registers_with_its_steps(client: Client) -> None:
    definitions = [{"name": "fetch", "version": "v1"}, {"name": "fetch", "version": "v2"}]
    input_ = {"name": "näch🚀tlich", "version": "v2.1", "tasks": definitions}
    worker = (await client.graphql(REGISTER, input=input_))["registerWorker"]
    assert worker["id"].startswith("worker_")
    assert worker.pop("registeredAt") == worker.pop("lastSeenAt")
    assert worker == {
        "id": worker["id"],
        "name": "näch🚀tlich",
        "version": "v2.1",
        "status": "ONLINE",
        "revision": 1,
        "taskDefinitions": [
            {"name": "fetch", "version": "v1", "position": 1},
            {"name": "fetch", "version": "v2", "position": 2},
        ],
        "counts": {"total": 0},
    }


async def test_a_worker_that_registers_again_is_another_one(client: Client) -> None:
    input_ = {"name": "same", "version": "v1", "tasks": []}
    first = await client.graphql(REGISTER, input=input_)
    second = await client.graphql(REGISTER, input=input_)
    assert first["registerWorker"]["id"] != second["registerWorker"]["id"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "x" * 256},
        {"version": "x" * 51},
        {"name": None},
        {"tasks": None},
        {"tasks": [{"name": "x" * 256, "version": "v"}]},
        {"tasks": [{"name": "x", "version": "v" * 51}]},
        {"tasks": [{"name": "x"}]},
        {"tasks": [{"name": "x", "version": "v"}] * 10_001},
        {"surprise": 1},
    ],
)
async def test_a_registration_that_cannot_be_kept_is_refused(
    client: Client, wrong: dict[str, Any]
) -> None:
    input_ = {"name": "w", "version": "v1", "tasks": [], **wrong}
    assert await refusal(client, REGISTER, input=input_) == "BAD_USER_INPUT"
    assert (await client.graphql("{ workers { edges { cursor } } }"))["workers"]["edges"] == []


async def test_names_may_be_as_long_as_documented(client: Client) -> None:
    input_ = {"name": "ü" * 255, "version": "ü" * 50, "tasks": []}
    worker = (await client.graphql(REGISTER, input=input_))["registerWorker"]
    assert (worker["name"], worker["version"]) == ("ü" * 255, "ü" * 50)


async def test_a_heartbeat_is_no_change(client: Client) -> None:
    worker_id = await register(client)
    worker = (await client.graphql(HEARTBEAT, id=worker_id))["heartbeat"]
    assert (worker["id"], worker["status"], worker["revision"]) == (worker_id, "ONLINE", 1)


async def test_a_process_starts_with_a_task_per_step(client: Client) -> None:
    worker_id = await register(client, "fetch", "clean")
    process = (await client.graphql(START, id=worker_id))["startProcess"]
    tasks = process.pop("tasks")
    assert process == {
        "id": process["id"],
        "status": "RUNNING",
        "revision": 1,
        "worker": {"id": worker_id, "counts": {"total": 1, "running": 1}},
        "currentTask": {"name": "fetch"},
    }
    assert [(task["name"], task["position"], task["status"]) for task in tasks] == [
        ("fetch", 1, "PENDING"),
        ("clean", 2, "PENDING"),
    ]


async def test_a_task_report_changes_the_task_and_its_process(client: Client) -> None:
    run = await start(client, await register(client, "a", "b"))
    second = run.tasks[1]
    input_ = {"taskId": second, "status": "RUNNING"}
    running = (await client.graphql(UPDATE, input=input_))["updateTask"]
    assert (running["status"], running["endedAt"], running["details"]) == ("RUNNING", None, None)
    assert running["process"] == {"progress": 0, "currentTask": {"id": second}}
    input_ = {"taskId": second, "status": "ERROR", "details": "line 3"}
    ended = (await client.graphql(UPDATE, input=input_))["updateTask"]
    assert (ended["status"], ended["details"]) == ("ERROR", "line 3")
    assert ended["process"]["progress"] == 0.5
    assert ended["startedAt"] <= ended["endedAt"]
    assert ended["revision"] > running["revision"] > 1


async def test_details_without_a_word_leave_those_that_are_there(client: Client) -> None:
    run = await start(client, await register(client, "a"))
    for details, status in (("kept", "RUNNING"), (None, "SUCCESS")):
        input_ = {"taskId": run.tasks[0], "status": status, "details": details}
        task = (await client.graphql(UPDATE, input=input_))["updateTask"]
        assert task["details"] == "kept"


@pytest.mark.parametrize("character", ["x", "€"])
async def test_details_may_have_a_mebibyte_and_no_more(client: Client, character: str) -> None:
    run = await start(client, await register(client, "a"))
    size = len(character.encode())
    full = character * (MIB // size)
    over = full + "x" * (MIB % size + 1)
    input_ = {"taskId": run.tasks[0], "status": "SUCCESS"}
    assert await refusal(client, UPDATE, input={**input_, "details": over}) == "BAD_USER_INPUT"
    task = await client.graphql(UPDATE, input={**input_, "details": full})
    assert task["updateTask"]["details"] == full
    end = {"processId": run.process, "status": "ERROR"}
    assert await refusal(client, END, input={**end, "details": over}) == "BAD_USER_INPUT"
    process = await client.graphql(END, input={**end, "details": full})
    assert process["endProcess"]["details"] == full


async def test_many_tasks_are_reported_in_order(client: Client) -> None:
    run = await start(client, await register(client, "a", "b"))
    first, second = run.tasks
    inputs = [
        {"taskId": second, "status": "RUNNING"},
        {"taskId": first, "status": "SUCCESS", "details": "done"},
        {"taskId": second, "status": "ERROR"},
    ]
    tasks = (await client.graphql(UPDATE_MANY, inputs=inputs))["updateTasks"]
    assert tasks == [
        {"id": second, "status": "RUNNING", "details": None, "revision": 2},
        {"id": first, "status": "SUCCESS", "details": "done", "revision": 2},
        {"id": second, "status": "ERROR", "details": None, "revision": 3},
    ]
    query = "query ($id: ID!) { process(id: $id) { progress currentTask { id status } } }"
    assert (await client.graphql(query, id=run.process))["process"] == {
        "progress": 1,
        "currentTask": {"id": second, "status": "ERROR"},
    }


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"taskId": new_id("task"), "status": "SUCCESS"}, "NOT_FOUND"),
        ({"status": "SUCCESS", "details": "x" * (MIB + 1)}, "BAD_USER_INPUT"),
    ],
)
async def test_of_many_reports_all_are_kept_or_none(
    client: Client, wrong: dict[str, str], code: str
) -> None:
    run = await start(client, await register(client, "a", "b"))
    first, second = run.tasks
    inputs = [{"taskId": first, "status": "SUCCESS"}, {"taskId": second, **wrong}]
    assert await refusal(client, UPDATE_MANY, inputs=inputs) == code
    query = "query ($id: ID!) { process(id: $id) { revision tasks { status revision } } }"
    assert (await client.graphql(query, id=run.process))["process"] == {
        "revision": 1,
        "tasks": [{"status": "PENDING", "revision": 1}] * 2,
    }


async def test_a_thousand_reports_at_once_are_taken_and_one_more_refused(client: Client) -> None:
    run = await start(client, await register(client, "a"))
    inputs = [{"taskId": run.tasks[0], "status": "RUNNING", "details": str(n)} for n in range(1001)]
    assert await refusal(client, UPDATE_MANY, inputs=inputs) == "BAD_USER_INPUT"
    tasks = (await client.graphql(UPDATE_MANY, inputs=inputs[1:]))["updateTasks"]
    assert [task["details"] for task in tasks] == [str(n) for n in range(1, 1001)]
    assert (await client.graphql(UPDATE_MANY, inputs=[]))["updateTasks"] == []


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("SUCCESS", {"running": 0, "succeeded": 1, "failed": 0}),
        ("ERROR", {"running": 0, "succeeded": 0, "failed": 1}),
    ],
)
async def test_a_process_ends_once_and_its_tasks_stay(
    client: Client, status: str, counts: dict[str, int]
) -> None:
    run = await start(client, await register(client, "a"))
    input_ = {"processId": run.process, "status": status, "details": "first"}
    ended = (await client.graphql(END, input=input_))["endProcess"]
    assert (ended["status"], ended["details"]) == (status, "first")
    assert ended["tasks"] == [{"status": "PENDING"}]
    assert ended["worker"]["counts"] == counts
    for other in ("SUCCESS", "ERROR"):
        input_ = {"processId": run.process, "status": other, "details": "again"}
        assert (await client.graphql(END, input=input_))["endProcess"] == ended


async def test_running_is_no_end(client: Client) -> None:
    run = await start(client, await register(client))
    input_ = {"processId": run.process, "status": "RUNNING"}
    assert await refusal(client, END, input=input_) == "BAD_USER_INPUT"
    query = "query ($id: ID!) { process(id: $id) { status revision } }"
    data = await client.graphql(query, id=run.process)
    assert data["process"] == {"status": "RUNNING", "revision": 1}


@pytest.mark.parametrize("number", ["", "1", "é", "f" * 70_000])
async def test_what_is_not_there_is_not_found(client: Client, number: str) -> None:
    assert await refusal(client, HEARTBEAT, id=f"worker_{number}") == "NOT_FOUND"
    assert await refusal(client, START, id=f"worker_{number}") == "NOT_FOUND"
    update = {"taskId": f"task_{number}", "status": "RUNNING"}
    assert await refusal(client, UPDATE, input=update) == "NOT_FOUND"
    assert await refusal(client, UPDATE_MANY, inputs=[update]) == "NOT_FOUND"
    end = {"processId": f"process_{number}", "status": "SUCCESS"}
    assert await refusal(client, END, input=end) == "NOT_FOUND"


async def test_an_id_of_another_type_is_not_found(client: Client) -> None:
    run = await start(client, await register(client, "a"))
    assert await refusal(client, START, id=run.process) == "NOT_FOUND"
    update = {"taskId": run.worker, "status": "RUNNING"}
    assert await refusal(client, UPDATE, input=update) == "NOT_FOUND"


async def test_a_reader_may_change_nothing(client: Client) -> None:
    run = await start(client, await register(client, "a"))
    reader = client.with_token(READ_TOKEN)
    update = {"taskId": run.tasks[0], "status": "RUNNING"}
    for query, variables in (
        (REGISTER, {"input": {"name": "w", "version": "v", "tasks": []}}),
        (HEARTBEAT, {"id": run.worker}),
        (START, {"id": run.worker}),
        (UPDATE, {"input": update}),
        (UPDATE_MANY, {"inputs": [update]}),
        (END, {"input": {"processId": run.process, "status": "SUCCESS"}}),
    ):
        assert await refusal(reader, query, **variables) == "FORBIDDEN"
    query = "{ summary { workersOnline processes { total running } } }"
    assert (await client.graphql(query))["summary"] == {
        "workersOnline": 1,
        "processes": {"total": 1, "running": 1},
    }
