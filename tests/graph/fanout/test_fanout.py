"""One execution per event, shared by all who follow the same."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from app.factory import create_app
from app.settings import Settings
from tests.client import Client
from tests.conftest import READ_TOKEN
from tests.factories import Run, register, report, start
from tests.graph.live import LiveServer, Socket, serving_live
from tests.statements import statements_to

QUERY = "subscription ($f: TaskFilter) { tasks(filter: $f) { kind task { id status } } }"


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[LiveServer]:
    async with serving_live(create_app(settings)) as server:
        yield server


@pytest.fixture
async def run(server: LiveServer) -> AsyncIterator[tuple[Client, Run]]:
    """A client, and a process whose beginning everybody has been told of."""
    async with server.client() as client, Socket.open(server) as socket:
        await socket.subscribe("subscription { processes { process { id } } }")
        await socket.settle(server, 1)
        run = await start(client, await register(client, "a", "b"))
        assert (await socket.next_event())["processes"]["process"]["id"] == run.process
        await socket.send({"type": "complete", "id": "1"})
        yield client, run


async def test_500_identical_subscriptions_cost_one_execution_per_event(
    server: LiveServer, run: tuple[Client, Run]
) -> None:
    client, started = run
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(Socket.open(server)) for _ in range(5)]
        for number in range(500):
            await sockets[number % 5].subscribe(QUERY, str(number), f=None)
        for socket in sockets:
            await socket.settle(server, 500)
        before = server.channels.statistics.executions
        await report(client, started.tasks[0], "start")
        for socket in sockets:
            for _ in range(100):
                assert (await socket.next_event())["tasks"]["task"]["status"] == "RUNNING"
        assert server.channels.statistics.executions == before + 1
        assert server.channels.open_channels == 1
    assert server.channels.statistics.deliveries >= 500


async def test_subscriptions_that_only_look_different_are_identical(
    server: LiveServer, run: tuple[Client, Run]
) -> None:
    client, started = run
    cursor = (await client.graphql("{ feedCursor }"))["feedCursor"]
    written = [
        (QUERY, {"f": None}),
        (QUERY.replace(" ", "\n  "), {"f": None}),
        (
            "subscription ($f: TaskFilter, $x: String) "
            "{ tasks(filter: $f, after: $x) { kind task { id status } } }",
            {"f": None, "x": cursor},
        ),
    ]
    async with Socket.open(server) as socket:
        for number, (query, variables) in enumerate(written):
            await socket.subscribe(query, str(number), **variables)
        await socket.settle(server, 3)
        assert server.channels.open_channels == 1
        before = server.channels.statistics.executions
        await report(client, started.tasks[0], "start")
        told = {(await socket.receive())["id"] for _ in range(3)}
        assert told == {"0", "1", "2"}
        assert server.channels.statistics.executions == before + 1


async def test_other_variables_fields_or_rights_are_another_channel(
    server: LiveServer, run: tuple[Client, Run]
) -> None:
    _, started = run
    async with Socket.open(server) as socket, Socket.open(server, READ_TOKEN) as reader:
        await socket.subscribe(QUERY, "1", f=None)
        await socket.subscribe(QUERY, "2", f={"ids": [started.tasks[0]]})
        await socket.subscribe(QUERY.replace("status", "name"), "3", f=None)
        await socket.settle(server, 3)
        await reader.subscribe(QUERY, "1", f=None)
        await reader.settle(server, 4)
        assert server.channels.open_channels == 4


async def test_only_what_matches_is_executed(server: LiveServer, run: tuple[Client, Run]) -> None:
    client, started = run
    async with Socket.open(server) as socket:
        filters = [
            {"ids": [started.tasks[0]]},
            {"ids": [started.tasks[1]]},
            {"processIds": ["process_other"]},
            {"workerIds": [started.worker], "status": ["ERROR"]},
            {"nameContains": "A"},
            {"nameContains": "zz"},
        ]
        for number, filter_ in enumerate(filters):
            await socket.subscribe(QUERY, str(number), f=filter_)
        await socket.settle(server, len(filters))
        before = server.channels.statistics.executions
        await report(client, started.tasks[0], "start")
        assert {(await socket.receive())["id"] for _ in range(2)} == {"0", "4"}
        assert server.channels.statistics.executions == before + 2


async def test_a_nested_field_is_loaded_once_per_event_however_many_follow(
    server: LiveServer, run: tuple[Client, Run]
) -> None:
    client, started = run
    query = "subscription { tasks { task { status process { worker { name } } } } }"
    async with Socket.open(server) as socket:
        for number in range(20):
            await socket.subscribe(query, str(number))
        await socket.settle(server, 20)

        with statements_to(server.monitor.database, reads=True) as sent:
            await report(client, started.tasks[0], "start")
            for _ in range(20):
                assert (await socket.next_event())["tasks"]["task"]["process"]["worker"]
    # The process is told of by the same commit; the worker is not, and is loaded.
    loaded = [text for text in sent if "FROM workers" in text and "workers.name" in text]
    assert len(loaded) == 1
