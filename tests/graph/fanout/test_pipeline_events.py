"""Pipelines over a socket: what who follows them is told, from the first report to the last."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.factory import create_app
from app.settings import Settings
from monitor.ids import pipeline_id
from tests.client import Client
from tests.factories import end, register, run_all, start
from tests.graph.live import LiveServer, Socket, serving_live

PIPELINE = """
fragment Whole on Pipeline {
  id name version failing revision
  workerCounts { total alive finished lost }
  counts { total running succeeded failed }
  taskDefinitions { name }
  latestProcess { id status }
  recentProcesses(first: 2) { id status }
  runtime { count p50Seconds }
  steps { name succeeded failed }
  versions { version counts { total } }
}
"""
PIPELINES = (
    """
subscription ($f: PipelineFilter, $after: String) {
  pipelines(filter: $f, after: $after) { cursor kind occurredAt pipeline { ...Whole } }
}
"""
    + PIPELINE
)
STATE = "query ($name: String!) { pipeline(name: $name) { ...Whole } }" + PIPELINE


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    """What is told does not depend on the database (`test_telling`)."""
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


async def until(socket: Socket, **counts: int) -> list[dict[str, Any]]:
    """The events up to the one with these numbers of processes."""
    events: list[dict[str, Any]] = []
    while not events or not counts.items() <= events[-1]["pipeline"]["counts"].items():
        events.append((await socket.next_event())["pipelines"])
    return events


async def test_the_whole_life_of_a_run_arrives_and_ends_on_the_true_state(
    server: LiveServer, client: Client, socket: Socket
) -> None:
    await socket.subscribe(PIPELINES)
    await socket.settle(server, 1)
    worker = await register(client, "fetch", name="nightly")
    await run_all(client, worker)
    run = await start(client, worker)
    events = await until(socket, running=1, succeeded=1)
    await end(client, run.process, "it broke")
    events += await until(socket, failed=1)
    assert [event["kind"] for event in events] == ["CREATED"] + ["UPDATED"] * (len(events) - 1)
    revisions = [event["pipeline"]["revision"] for event in events]
    assert revisions == list(range(1, len(events) + 1))
    last = events[-1]["pipeline"]
    assert last == (await client.graphql(STATE, name="nightly"))["pipeline"]
    assert (last["failing"], last["latestProcess"]["id"]) == (True, run.process)


async def test_who_resumes_behind_a_cursor_is_told_what_was_missed(
    server: LiveServer, client: Client, socket: Socket
) -> None:
    before = (await client.graphql("{ feedCursor }"))["feedCursor"]
    await socket.subscribe(PIPELINES)
    await socket.settle(server, 1)
    worker = await register(client, "fetch", name="nightly")
    await run_all(client, worker)
    events = await until(socket, succeeded=1)
    await run_all(client, worker)
    events += await until(socket, succeeded=2)
    for number, after in enumerate([before, *(event["cursor"] for event in events[:-1])]):
        async with Socket.open(server) as other:
            await other.subscribe(PIPELINES, after=after)
            # What is loaded beside an event is as it is now.
            for event in events[number:]:
                assert told(await other.next_event()) == told({"pipelines": event})


def told(data: dict[str, Any]) -> tuple[Any, ...]:
    event = data["pipelines"]
    return (
        event["cursor"],
        event["kind"],
        event["pipeline"]["revision"],
        event["pipeline"]["counts"],
    )


async def test_who_follows_what_runs_is_told_when_it_left(
    server: LiveServer, client: Client, socket: Socket
) -> None:
    """See `test_leaving_pipelines` for what else may happen."""
    filters: dict[str, dict[str, object]] = {
        "running": {"running": True},
        "idle": {"running": False, "nameContains": "NIGHT"},
        "its id": {"ids": [pipeline_id("nightly")]},
        "another": {"ids": [pipeline_id("daily")], "running": False},
        "all": {},
    }
    for name, filter_ in filters.items():
        await socket.subscribe(PIPELINES, name, f=filter_)
    await socket.settle(server, len(filters))
    worker = await register(client, "a", name="nightly")
    created = dict.fromkeys(("idle", "its id", "all"), "CREATED")
    assert await kinds(socket, 3) == created
    run = await start(client, worker)
    everybody = {"its id": "UPDATED", "all": "UPDATED"}
    assert await kinds(socket, 4) == everybody | {"running": "UPDATED", "idle": "LEFT"}
    await end(client, run.process, "it broke")
    assert await kinds(socket, 4) == everybody | {"running": "LEFT", "idle": "UPDATED"}


async def kinds(socket: Socket, count: int) -> dict[str, str]:
    """How each of so many subscriptions is told of the next event."""
    messages = [await socket.receive() for _ in range(count)]
    return {m["id"]: m["payload"]["data"]["pipelines"]["kind"] for m in messages}
