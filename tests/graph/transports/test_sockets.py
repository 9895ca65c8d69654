"""graphql-transport-ws as the protocol has it, also for clients that break it."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from app.connections import MAX_REQUEST_BYTES
from app.factory import create_app
from app.protocols import MAX_MESSAGE_BYTES
from app.settings import Settings
from graph.fanout.patience import Patience
from tests.client import Client
from tests.conftest import READ_TOKEN, TOKEN
from tests.factories import register, report, start
from tests.graph.live import PROTOCOL, LiveServer, Socket, serving_live

TASKS = "subscription { tasks { cursor task { id revision details } } }"
INIT = {"type": "connection_init", "payload": {"Authorization": f"Bearer {TOKEN}"}}


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[LiveServer]:
    # A peer that does not answer pings is cut off after two seconds here.
    app = create_app(settings)
    async with serving_live(app, ws_ping_interval=1.0, ws_ping_timeout=1.0) as server:
        yield server


async def closing(server: LiveServer, *messages: Any, protocols: Any = (PROTOCOL,)) -> int:
    """The code with which the server closes a socket that sends these messages."""
    async with connect(server.url, subprotocols=protocols or None) as connection:
        client = Socket(connection)
        for message in messages:
            if isinstance(message, bytes | str):
                await connection.send(message)
            else:
                await client.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            await receive_everything(client)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


async def receive_everything(client: Socket) -> None:
    while True:
        await client.receive()


async def ping_for_ever(client: Socket) -> None:
    while True:
        await client.send({"type": "ping"})
        assert await client.receive() == {"type": "pong"}


def subscribe(id_: Any, payload: Any) -> dict[str, Any]:
    return {"type": "subscribe", "id": id_, "payload": payload}


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([{"type": "connection_init"}], 4403),
        ([{"type": "connection_init", "payload": {"Authorization": "Bearer wrong"}}], 4403),
        ([{"type": "connection_init", "payload": {"Authorization": TOKEN}}], 4403),
        ([{"type": "connection_init", "payload": {"Authorization": 1}}], 4403),
        ([{"type": "connection_init", "payload": []}], 4400),
        ([subscribe("1", {"query": TASKS})], 4401),
        ([{"type": "ping"}, subscribe("1", {"query": TASKS})], 4401),
        ([{"type": "ping", "payload": 1}], 4400),
        ([INIT, INIT], 4429),
        ([INIT, subscribe("1", {"query": TASKS}), subscribe("1", {"query": TASKS})], 4409),
        ([INIT, subscribe({}, {"query": TASKS})], 4400),
        ([INIT, subscribe("", {"query": TASKS})], 4400),
        ([INIT, subscribe("1" * 300, {"query": TASKS})], 4400),
        ([INIT, subscribe("1", None)], 4400),
        ([INIT, subscribe("1", {"query": 1})], 4400),
        ([INIT, subscribe("1", {"query": TASKS, "variables": []})], 4400),
        ([INIT, {"type": "dance"}], 4400),
        ([INIT, {}], 4400),
        ([INIT, "[]"], 4400),
        ([INIT, "1"], 4400),
        ([INIT, "null"], 4400),
        ([INIT, "{oops"], 4400),
        ([INIT, "[" * 20_000], 4400),
        ([INIT, b"{}"], 4400),
        (["{}"], 4401),
    ],
)
async def test_who_breaks_the_protocol_is_told_which_rule(
    server: LiveServer, caplog: pytest.LogCaptureFixture, messages: list[Any], code: int
) -> None:
    assert await closing(server, *messages) == code
    assert not caplog.records


@pytest.mark.parametrize("protocols", [(), ("graphql-ws",)])
async def test_only_one_subprotocol_is_spoken(server: LiveServer, protocols: Any) -> None:
    assert await closing(server, protocols=protocols) == 4406


async def test_who_says_nothing_at_first_is_cut_off(settings: Settings) -> None:
    app = create_app(settings, patience=Patience(init_seconds=0.1))
    async with serving_live(app) as server:
        assert await closing(server) == 4408


async def test_signs_of_life_may_come_before_the_beginning(server: LiveServer) -> None:
    async with connect(server.url, subprotocols=[PROTOCOL]) as connection:
        client = Socket(connection)
        for payload in ({}, {"payload": {"sent": 1}}):
            await client.send({"type": "ping", **payload})
            assert await client.receive() == {"type": "pong", **payload}
        await client.send({"type": "pong"})
        await client.send(INIT)
        assert await client.receive() == {"type": "connection_ack"}


async def test_who_says_nothing_but_that_it_lives_is_cut_off(settings: Settings) -> None:
    app = create_app(settings, patience=Patience(init_seconds=0.3))
    async with serving_live(app) as server, connect(server.url, subprotocols=[PROTOCOL]) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await ping_for_ever(Socket(socket))
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4408


async def test_the_token_may_come_with_the_handshake(server: LiveServer) -> None:
    headers = {"Authorization": f"Bearer {READ_TOKEN}"}
    async with connect(
        server.url, subprotocols=[PROTOCOL], additional_headers=headers
    ) as connection:
        await connection.send('{"type":"connection_init"}')
        assert await Socket(connection).receive() == {"type": "connection_ack"}


async def test_queries_mutations_and_errors_share_a_socket(server: LiveServer) -> None:
    async with Socket.open(server) as client:
        await client.subscribe("{ version }", "q")
        assert await client.receive() == {
            "id": "q",
            "type": "next",
            "payload": {"data": {"version": "v1.1"}},
        }
        assert await client.receive() == {"id": "q", "type": "complete"}
        for id_, query, code in (
            ("a", "{ oops", "BAD_USER_INPUT"),
            ("b", "subscription { tasks { nothing } }", "BAD_USER_INPUT"),
            ("c", 'subscription { tasks(after: "x") { cursor } }', "BAD_USER_INPUT"),
            (
                "d",
                'subscription { tasks(after: "abcdef0123.0.1.end") { cursor } }',
                "CURSOR_EXPIRED",
            ),
        ):
            await client.subscribe(query, id_)
            message = await client.receive()
            assert (message["type"], message["id"]) == ("error", id_)
            assert message["payload"][0]["extensions"]["code"] == code
        # None of this touched what else the socket does, and the ids may be used again.
        await client.subscribe("{ version }", "a")
        assert (await client.receive())["type"] == "next"


async def test_a_read_token_may_follow_but_not_write(server: LiveServer) -> None:
    async with Socket.open(server, READ_TOKEN) as client:
        await client.subscribe('mutation { startProcess(workerId: "worker_1") { id } }')
        (error,) = (await client.receive())["payload"]["errors"]
        assert error["extensions"]["code"] == "FORBIDDEN"
        await client.subscribe(TASKS, "2")
        assert (await client.receive())["type"] == "complete"
        await client.settle(server, 1)


async def test_a_socket_has_at_most_100_operations(server: LiveServer) -> None:
    async with Socket.open(server) as client:
        for number in range(100):
            await client.subscribe(TASKS, str(number))
        await client.settle(server, 100)
        await client.subscribe(TASKS, "one more")
        message = await client.receive()
        assert (message["type"], message["id"]) == ("error", "one more")
        assert "100" in message["payload"][0]["message"]
        await client.send({"type": "complete", "id": "7"})
        await client.subscribe(TASKS, "one more")
        await client.settle(server, 100)


async def test_too_big_a_message_closes_the_socket(server: LiveServer) -> None:
    assert await closing(server, "x" * (MAX_MESSAGE_BYTES + 1)) == 1009
    async with Socket.open(server) as client:
        await client.connection.send("x" * MAX_REQUEST_BYTES)
        with pytest.raises(ConnectionClosed) as closed:
            await client.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4400  # it is no JSON
    async with Socket.open(server) as client:
        with contextlib.suppress(ConnectionClosed):  # perhaps before all of it is sent
            await client.connection.send("x" * (MAX_REQUEST_BYTES + 1))
        with pytest.raises(ConnectionClosed) as closed:
            await client.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def test_sockets_that_come_and_go_leave_nothing_behind(server: LiveServer) -> None:
    gc.collect()
    tasks = len(asyncio.all_tasks())
    for _ in range(10):
        async with AsyncExitStack() as stack:
            sockets = [await stack.enter_async_context(Socket.open(server)) for _ in range(50)]
            for number, client in enumerate(sockets):
                await client.subscribe(TASKS if number % 2 else f"{TASKS} # {number}")
            await sockets[0].settle(server, 50)
            for client in sockets[::2]:
                client.connection.transport.abort()
    await until(lambda: server.channels.open_subscriptions == 0)
    assert server.channels.open_channels == 0
    await until(lambda: len(asyncio.all_tasks()) <= tasks)


async def test_who_reads_slowly_gets_everything_from_the_log(server: LiveServer) -> None:
    async with (
        server.client() as client,
        Socket.open(server) as reader,
        # Its own buffers are small, so that it is the server that has to wait.
        Socket.open(server, max_queue=1, ping_interval=None) as slow,
    ):
        await slow.subscribe(TASKS)
        await reader.subscribe(TASKS)
        await reader.settle(server, 2)
        written = await many_large_reports(client, reader, 40)
        told = [await slow.next_event() for _ in (1, *written)]
        assert [event["tasks"]["task"]["revision"] for event in told] == [1, *written]


async def many_large_reports(client: Client, reader: Socket, count: int) -> list[int]:
    """Reports of 200 kB on one task; the revisions that a reader is told of meanwhile."""
    run = await start(client, await register(client, "a"))
    assert (await reader.next_event())["tasks"]["task"]["revision"] == 1
    revisions = []
    for _ in range(count):
        await report(client, run.tasks[0], "start", "x" * 200_000)
        revisions.append((await reader.next_event())["tasks"]["task"]["revision"])
    return revisions


async def until(holds: Any) -> None:
    """Returns once it holds; the server does its part in this event loop, after what was done."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 — what is awaited has no event that a client could see
            await asyncio.sleep(0.01)
