"""Reading: every field of the contract, by id and by list."""

from datetime import datetime
from typing import Any

import pytest

from db.session import Database
from tests.client import Client
from tests.conftest import READ_TOKEN
from tests.factories import end, register, report, run_all, start
from tests.stored import a_process, a_worker, store

WORKER = """
  __typename id name version status registeredAt lastSeenAt averageRuntimeSeconds revision
  taskDefinitions { name version position }
  counts { total running succeeded failed }
"""
PROCESS = """
  __typename id status progress startedAt updatedAt endedAt runtimeSeconds details stalled revision
  worker { id } currentTask { id } tasks { id }
"""
TASK = """
  __typename id name version position status createdAt startedAt updatedAt endedAt runtimeSeconds
  details revision process { id }
"""


async def test_the_version_is_that_of_the_documented_api(client: Client) -> None:
    assert await client.graphql("{ version }") == {"version": "v1.1"}


async def test_a_worker_can_be_read_with_all_its_fields(client: Client) -> None:
    worker_id = await register(client, "fetch", "clean", name="nightly")
    await run_all(client, worker_id)
    await start(client, worker_id)
    data = await client.graphql(
        f"query ($id: ID!) {{ worker(id: $id) {{ {WORKER} }} }}", id=worker_id
    )
    worker = data["worker"]
    assert instant(worker.pop("registeredAt")) <= instant(worker.pop("lastSeenAt"))
    assert worker.pop("averageRuntimeSeconds") > 0
    assert worker.pop("revision") >= 4
    assert worker == {
        "__typename": "Worker",
        "id": worker_id,
        "name": "nightly",
        "version": "v1.0",
        "status": "ONLINE",
        "taskDefinitions": [
            {"name": "fetch", "version": "v1.0", "position": 1},
            {"name": "clean", "version": "v1.0", "position": 2},
        ],
        "counts": {"total": 2, "running": 1, "succeeded": 1, "failed": 0},
    }


async def test_a_worker_without_ended_processes_has_no_average_runtime(client: Client) -> None:
    worker_id = await register(client)
    await start(client, worker_id)
    query = (
        "query ($id: ID!) { worker(id: $id) { averageRuntimeSeconds taskDefinitions { name } } }"
    )
    data = await client.graphql(query, id=worker_id)
    assert data["worker"] == {"averageRuntimeSeconds": None, "taskDefinitions": []}


async def test_a_process_can_be_read_from_its_start_to_its_end(client: Client) -> None:
    run = await start(client, await register(client, "a", "b", "c", "d"))
    at_first = await read_process(client, run.process)
    assert at_first.pop("startedAt") == at_first.pop("updatedAt")
    assert at_first.pop("runtimeSeconds") >= 0
    assert at_first == {
        "__typename": "Process",
        "id": run.process,
        "status": "RUNNING",
        "progress": 0,
        "endedAt": None,
        "details": None,
        "stalled": False,
        "revision": 1,
        "worker": {"id": run.worker},
        "currentTask": {"id": run.tasks[0]},
        "tasks": [{"id": id_} for id_ in run.tasks],
    }
    await report(client, run.tasks[2], "error")
    midway = await read_process(client, run.process)
    assert (midway["progress"], midway["currentTask"]) == (0.25, {"id": run.tasks[2]})
    assert midway["revision"] > 1
    assert instant(midway["updatedAt"]) > instant(midway["startedAt"])
    await end(client, run.process, "it broke")
    ended = await read_process(client, run.process)
    assert (ended["status"], ended["details"], ended["progress"]) == ("ERROR", "it broke", 0.25)
    assert ended["endedAt"] == ended["updatedAt"]
    took = instant(ended["endedAt"]) - instant(ended["startedAt"])
    assert ended["runtimeSeconds"] == pytest.approx(took.total_seconds(), abs=1e-6)
    assert ended["revision"] > midway["revision"]


async def test_a_process_without_tasks_has_no_task_in_hand(client: Client) -> None:
    run = await start(client, await register(client))
    process = await read_process(client, run.process)
    assert (process["currentTask"], process["tasks"], process["progress"]) == (None, [], 0)


async def test_a_task_can_be_read_from_its_start_to_its_end(client: Client) -> None:
    run = await start(client, await register(client, "fetch", "clean"))
    pending = await read_task(client, run.tasks[1])
    assert pending.pop("createdAt") == pending.pop("updatedAt")
    assert pending == {
        "__typename": "Task",
        "id": run.tasks[1],
        "name": "clean",
        "version": "v1.0",
        "position": 2,
        "status": "PENDING",
        "startedAt": None,
        "endedAt": None,
        "runtimeSeconds": 0,
        "details": None,
        "revision": 1,
        "process": {"id": run.process},
    }
    await report(client, run.tasks[1], "start")
    running = await read_task(client, run.tasks[1])
    assert (running["status"], running["endedAt"]) == ("RUNNING", None)
    assert running["startedAt"] is not None
    assert running["runtimeSeconds"] >= 0
    await report(client, run.tasks[1], "success", "42 rows")
    ended = await read_task(client, run.tasks[1])
    assert (ended["status"], ended["details"]) == ("SUCCESS", "42 rows")
    took = instant(ended["endedAt"]) - instant(ended["startedAt"])
    assert ended["runtimeSeconds"] == pytest.approx(took.total_seconds(), abs=1e-6)
    assert pending["revision"] < running["revision"] < ended["revision"]


async def test_everything_with_an_id_is_a_node(client: Client) -> None:
    run = await start(client, await register(client, "a"))
    query = """
    query ($worker: ID!, $process: ID!, $task: ID!) {
      worker: node(id: $worker) { __typename id ... on Worker { name } }
      process: node(id: $process) { __typename id ... on Process { status } }
      task: node(id: $task) { __typename id ... on Task { position } }
    }
    """
    assert await client.graphql(
        query, worker=run.worker, process=run.process, task=run.tasks[0]
    ) == {
        "worker": {"__typename": "Worker", "id": run.worker, "name": "worker"},
        "process": {"__typename": "Process", "id": run.process, "status": "RUNNING"},
        "task": {"__typename": "Task", "id": run.tasks[0], "position": 1},
    }


@pytest.mark.parametrize(
    "id_",
    [
        "",
        "x",
        "worker_",
        "wörker_1",
        "task_0",
        "worker_01a20b85-7350-743d-8f3b-5b6547bebd70 ",
        "w" * 70_000,
    ],
)
async def test_there_is_nothing_under_an_unknown_id(client: Client, id_: str) -> None:
    query = """
    query ($id: ID!) {
      node(id: $id) { id } worker(id: $id) { id } process(id: $id) { id } task(id: $id) { id }
    }
    """
    data = await client.graphql(query, id=id_)
    assert data == {"node": None, "worker": None, "process": None, "task": None}


async def test_an_id_finds_only_its_own_type(client: Client) -> None:
    run = await start(client, await register(client, "a"))
    query = (
        "query ($id: ID!) { worker(id: $id) { id } process(id: $id) { id } task(id: $id) { id } }"
    )
    data = await client.graphql(query, id=run.process)
    assert data == {"worker": None, "process": {"id": run.process}, "task": None}


async def test_the_summary_adds_up_everything(client: Client) -> None:
    first, second = await register(client, "a"), await register(client)
    await run_all(client, first)
    await end(client, (await start(client, second)).process, "failed")
    await start(client, second)
    query = """{ summary {
      workersOnline workersOffline stalledProcesses processes { total running succeeded failed }
    } }"""
    assert (await client.graphql(query))["summary"] == {
        "workersOnline": 2,
        "workersOffline": 0,
        "stalledProcesses": 0,
        "processes": {"total": 3, "running": 1, "succeeded": 1, "failed": 1},
    }


async def test_the_summary_of_nothing_is_zero(client: Client) -> None:
    data = await client.graphql("{ summary { workersOnline processes { total } } }")
    assert data == {"summary": {"workersOnline": 0, "processes": {"total": 0}}}


async def test_an_instant_has_microseconds_and_says_that_it_is_utc(
    client: Client, database: Database
) -> None:
    at = datetime.fromisoformat("2026-03-01T14:00:00.120034+02:00")
    worker = a_worker(registered_at=at)
    await store(database, worker, a_process(worker))
    query = "query ($id: ID!) { worker(id: $id) { registeredAt } }"
    data = await client.graphql(query, id=worker.id)
    assert data["worker"]["registeredAt"] == "2026-03-01T12:00:00.120034Z"


async def test_a_reader_may_query_everything(client: Client) -> None:
    worker_id = await register(client, "a")
    await start(client, worker_id)
    reader = client.with_token(READ_TOKEN)
    query = """{
      workers { edges { node { processes { edges { node { tasks { name } } } } } } }
      summary { workersOnline }
    }"""
    assert (await reader.graphql(query))["summary"] == {"workersOnline": 1}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def read_process(client: Client, id_: str) -> dict[str, Any]:
    data = await client.graphql(f"query ($id: ID!) {{ process(id: $id) {{ {PROCESS} }} }}", id=id_)
    process: dict[str, Any] = data["process"]
    return process


async def read_task(client: Client, id_: str) -> dict[str, Any]:
    data = await client.graphql(f"query ($id: ID!) {{ task(id: $id) {{ {TASK} }} }}", id=id_)
    task: dict[str, Any] = data["task"]
    return task
