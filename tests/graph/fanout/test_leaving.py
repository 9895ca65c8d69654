"""Who follows with a filter is told when something does not match it any more."""

import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.factory import create_app
from app.settings import Settings
from monitor.workers import archive_workers
from tests.client import Client
from tests.factories import Run, end, register, report, start
from tests.graph.live import LiveServer, Socket, serving_live
from tests.monitor.silence import judge_silent, make_silent

PROCESSES = """
subscription ($f: ProcessFilter, $after: String) {
  changes: processes(filter: $f, after: $after) { kind node: process { status stalled revision } }
}
"""
WORKERS = """
subscription ($f: WorkerFilter, $after: String) {
  changes: workers(filter: $f, after: $after) { kind node: worker { status revision } }
}
"""
TASKS = """
subscription ($f: TaskFilter, $after: String) {
  changes: tasks(filter: $f, after: $after) { kind node: task { status revision } }
}
"""
UPDATES = "mutation ($inputs: [UpdateTaskInput!]!) { updateTasks(inputs: $inputs) { id } }"


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    """What is told does not depend on the database."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'monitor.db')}"


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[LiveServer]:
    async with serving_live(create_app(settings)) as server:
        yield server


@pytest.fixture
async def client(server: LiveServer) -> AsyncIterator[Client]:
    async with server.client() as client:
        yield client


@pytest.fixture
async def socket(server: LiveServer) -> AsyncIterator[Socket]:
    async with Socket.open(server) as socket:
        yield socket


@pytest.fixture
async def run(server: LiveServer, client: Client, socket: Socket) -> Run:
    """A process whose beginning everybody has been told of."""
    await socket.subscribe(PROCESSES, "beginning", f=None)
    await socket.settle(server, 1)
    run = await start(client, await register(client, "a"))
    assert await told(socket, "status", 1) == [("CREATED", "RUNNING")]
    await socket.send({"type": "complete", "id": "beginning"})
    return run


async def told(socket: Socket, field: str, count: int) -> list[tuple[str, Any]]:
    """The next so many changes: their kinds, and what a field of the entity then is."""
    events = [(await socket.next_event())["changes"] for _ in range(count)]
    return [(event["kind"], event["node"][field]) for event in events]


async def test_who_follows_what_runs_is_told_of_its_end_once(
    server: LiveServer, client: Client, socket: Socket
) -> None:
    cursor = (await client.graphql("{ feedCursor }"))["feedCursor"]
    await socket.subscribe(PROCESSES, f={"status": ["RUNNING"]})
    await socket.settle(server, 1)
    worker = await register(client, "a")
    first = await start(client, worker)
    await end(client, first.process)
    # An ended process still changes when a task of it is reported on late: nothing more of that.
    await report(client, first.tasks[0], "success")
    await start(client, worker)
    everything = [("CREATED", "RUNNING"), ("LEFT", "SUCCESS"), ("CREATED", "RUNNING")]
    assert await told(socket, "status", 3) == everything

    async with Socket.open(server) as other:
        await other.subscribe(PROCESSES, f={"status": ["RUNNING"]}, after=cursor)
        assert await told(other, "status", 3) == everything


async def test_what_comes_to_match_is_told_as_updated(
    server: LiveServer, client: Client, socket: Socket, run: Run
) -> None:
    await socket.subscribe(TASKS, f={"ids": run.tasks, "status": ["RUNNING"]})
    await socket.settle(server, 1)
    for status in ("start", "success", "error", "start", "error"):
        await report(client, run.tasks[0], status)
    assert await told(socket, "status", 4) == [
        ("UPDATED", "RUNNING"),
        ("LEFT", "SUCCESS"),
        ("UPDATED", "RUNNING"),
        ("LEFT", "ERROR"),
    ]


async def test_each_change_within_one_transaction_is_told_by_itself(
    server: LiveServer, client: Client, socket: Socket, run: Run
) -> None:
    await socket.subscribe(TASKS, "running", f={"status": ["RUNNING"]})
    await socket.subscribe(TASKS, "ended", f={"status": ["SUCCESS", "ERROR"]})
    await socket.subscribe(TASKS, "all", f={"processIds": [run.process]})
    await socket.settle(server, 3)
    statuses = ["RUNNING", "SUCCESS", "ERROR", "RUNNING", "PENDING"]
    inputs = [{"taskId": run.tasks[0], "status": status} for status in statuses]
    await client.graphql(UPDATES, inputs=inputs)

    kinds: dict[str, list[str]] = {"running": [], "ended": [], "all": []}
    for _ in range(4 + 3 + 5):
        message = await socket.receive()
        kinds[message["id"]].append(message["payload"]["data"]["changes"]["kind"])
    assert kinds == {
        "running": ["UPDATED", "LEFT", "UPDATED", "LEFT"],
        "ended": ["UPDATED", "UPDATED", "LEFT"],
        "all": ["UPDATED"] * 5,
    }


async def test_a_worker_that_falls_silent_and_its_processes_leave(
    server: LiveServer, client: Client, socket: Socket, run: Run
) -> None:
    await socket.subscribe(WORKERS, "online", f={"status": ["ONLINE"]})
    await socket.subscribe(PROCESSES, "going on", f={"stalled": False})
    await socket.subscribe(WORKERS, "offline", f={"status": ["OFFLINE"]})
    await socket.settle(server, 3)
    monitor = server.monitor
    idle = await register(client)
    for worker_id in (run.worker, idle):
        now = await make_silent(monitor.database, worker_id, ago=timedelta(hours=1))
        await judge_silent(monitor.database, monitor.transactions, worker_id)
    archived = await monitor.transactions.run(
        archive_workers, worker_ids=[run.worker, idle], silent_since=now
    )
    assert [worker.id for worker in archived] == [idle], "the other one runs something still"
    for worker_id in (run.worker, idle):
        assert (await client.post("/healthchecker", {"id": worker_id})).status_code == 200

    kinds: dict[str, list[str]] = {"online": [], "going on": [], "offline": []}
    for _ in range(5 + 2 + 4):
        message = await socket.receive()
        kinds[message["id"]].append(message["payload"]["data"]["changes"]["kind"])
    assert kinds == {
        "online": ["CREATED", "LEFT", "LEFT", "UPDATED", "CREATED"],
        "going on": ["LEFT", "UPDATED"],
        "offline": ["UPDATED", "UPDATED", "REMOVED", "LEFT"],
    }


async def test_where_a_filter_cannot_change_its_mind_nobody_leaves(
    server: LiveServer, client: Client, socket: Socket, run: Run
) -> None:
    filters = [
        {"ids": [run.process]},
        {"workerIds": [run.worker]},
        {"startedAfter": "2100-01-01T00:00:00Z"},
        None,
    ]
    for number, filter_ in enumerate(filters):
        await socket.subscribe(PROCESSES, str(number), f=filter_)
    await socket.settle(server, len(filters))
    before = server.channels.statistics.executions
    await end(client, run.process)
    messages = [await socket.receive() for _ in range(3)]
    assert {message["id"] for message in messages} == {"0", "1", "3"}
    assert {m["payload"]["data"]["changes"]["kind"] for m in messages} == {"UPDATED"}
    assert server.channels.statistics.executions == before + 3
