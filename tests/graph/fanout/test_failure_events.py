"""Failures over a socket: what who follows them is told."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.factory import create_app
from app.settings import Settings
from monitor.ids import pipeline_id
from tests.client import Client
from tests.factories import end, register, start
from tests.graph.live import LiveServer, Socket, serving_live

FAILURES = """
subscription ($f: FailureFilter, $after: String) {
  failures(filter: $f, after: $after) {
    cursor kind occurredAt failure { id title status count pipeline { name } latestProcess { id } }
  }
}
"""
PROCESSES = """
subscription ($f: ProcessFilter) { processes(filter: $f) { kind process { id failure { id } } } }
"""
RESOLVE = "mutation ($id: ID!) { resolveFailure(id: $id) { status } }"


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    """What is told does not depend on the database (`test_telling_failures`)."""
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


async def fail(client: Client, worker_id: str, error: str = "no rows in batch 17") -> str:
    run = await start(client, worker_id)
    await end(client, run.process, error)
    return run.process


async def next_failure(socket: Socket) -> tuple[str, dict[str, Any]]:
    event = (await socket.next_event())["failures"]
    return event["kind"], event["failure"]


async def test_a_failure_is_told_from_its_first_time_to_its_return(
    server: LiveServer, client: Client, socket: Socket
) -> None:
    await socket.subscribe(FAILURES)
    await socket.settle(server, 1)
    worker = await register(client, "fetch", name="nightly")
    process = await fail(client, worker)
    kind, failure = await next_failure(socket)
    assert (kind, failure["status"], failure["count"]) == ("CREATED", "OPEN", 1)
    assert failure["pipeline"] == {"name": "nightly"}
    assert failure["latestProcess"] == {"id": process}
    await client.graphql(RESOLVE, id=failure["id"])
    assert (await next_failure(socket))[1]["status"] == "RESOLVED"
    process = await fail(client, worker)
    kind, failure = await next_failure(socket)
    assert (kind, failure["status"], failure["count"]) == ("UPDATED", "REGRESSED", 2)
    assert failure["latestProcess"] == {"id": process}


@pytest.mark.parametrize("by", ["pipelineIds", "titleContains", "status"])
async def test_only_what_is_followed_is_told(
    server: LiveServer, client: Client, socket: Socket, by: str
) -> None:
    wanted = {
        "pipelineIds": [pipeline_id("nightly")],
        "titleContains": "NO ROWS",
        "status": ["OPEN"],
    }
    await socket.subscribe(FAILURES, f={by: wanted[by]})
    await socket.settle(server, 1)
    if by != "status":
        other = await register(client, "fetch", name="hourly")
        await fail(client, other, "the door is open")
    worker = await register(client, "fetch", name="nightly")
    await fail(client, worker)
    kind, failure = await next_failure(socket)
    assert (kind, failure["title"]) == ("CREATED", "no rows in batch <n>")
    if by == "status":
        await client.graphql(RESOLVE, id=failure["id"])
        kind, failure = await next_failure(socket)
        assert (kind, failure["status"]) == ("LEFT", "RESOLVED")


async def test_the_processes_of_a_failure_are_told_when_they_end_in_it(
    server: LiveServer, client: Client, socket: Socket
) -> None:
    worker = await register(client, "fetch", name="nightly")
    before = await fail(client, worker)
    found = await client.graphql("{ failures { edges { node { id } } } }")
    failure = found["failures"]["edges"][0]["node"]
    await socket.subscribe(PROCESSES, f={"failureIds": [failure["id"]]})
    await socket.settle(server, 1)
    await fail(client, worker, "the door is open")
    process = await fail(client, worker)
    event = (await socket.next_event())["processes"]
    if event["process"]["id"] == before:  # told a little later than it was stored
        event = (await socket.next_event())["processes"]
    assert event == {"kind": "UPDATED", "process": {"id": process, "failure": failure}}
