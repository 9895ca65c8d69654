"""Clients that take nothing: they cost a bounded amount, for a bounded time, and harm nobody."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from app.factory import create_app
from app.settings import Settings
from app.socket_protocol import SocketProtocol
from tests.factories import register, report, start
from tests.graph.live import LiveServer, Socket, serving_live
from tests.graph.transports.raw import CLOSE, PING, RawSocket, frame, message, subscribe

TASKS = "subscription ($after: String) { tasks(after: $after) { task { revision details } } }"
# What lies between the server and a client that does not read: buffers of both kernels, and one of
# the process.
BUFFERS = 1024 * 1024


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    """What sockets do does not depend on the database."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'monitor.db')}"


@pytest.fixture
async def patient(settings: Settings) -> AsyncIterator[LiveServer]:
    """A server that cuts off nobody while a test lasts."""
    async with serving_live(create_app(settings), ws_ping_interval=60.0) as server:
        yield server


@pytest.fixture
async def strict(settings: Settings) -> AsyncIterator[LiveServer]:
    """A server that cuts off who does not answer within a second."""
    options: dict[str, Any] = {"ws_ping_interval": 0.5, "ws_ping_timeout": 0.5}
    async with serving_live(create_app(settings), **options) as server:
        yield server


async def until(holds: Callable[[], bool]) -> None:
    """What the server does by itself after a client was cut off has no event to wait for."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_pings_of_a_client_that_does_not_read_are_not_all_answered(
    patient: LiveServer,
) -> None:
    async with RawSocket.open(patient) as deaf:
        for _ in range(400):
            await deaf.send(frame(b"x" * 120, PING) * 100)
        flooding = asyncio.create_task(deaf.send(message("ping")))
        assert await deaf.read_until(b'"pong"}') < BUFFERS
        await flooding


@pytest.mark.parametrize(
    "query", ["{ oops", "subscription { tasks { cursor } }"], ids=["errors", "too many"]
)
async def test_who_does_not_read_the_errors_is_not_read_any_further(
    patient: LiveServer, query: str
) -> None:
    async with patient.client() as client, RawSocket.open(patient) as deaf:
        assert (await client.get("/health")).status_code == 200
        tasks = len(asyncio.all_tasks())
        numbers = count()
        for _ in range(200):
            await deaf.send(b"".join(subscribe(str(next(numbers)), query) for _ in range(50)))
            # By then it has seen to what was sent.
            assert (await client.get("/health")).status_code == 200
        assert buffers_are_full(patient)
        assert len(asyncio.all_tasks()) - tasks < 110
        flood = b"".join(subscribe(str(next(numbers)), query) for _ in range(200_000))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await deaf.send(flood)
        assert len(asyncio.all_tasks()) - tasks < 110


def buffers_are_full(server: LiveServer) -> bool:
    return any(not connection.writable.is_set() for connection in sockets(server))


def sockets(server: LiveServer) -> list[SocketProtocol]:
    return [c for c in list(server.connections) if isinstance(c, SocketProtocol)]


async def test_all_operations_of_a_deaf_socket_together_hold_little(patient: LiveServer) -> None:
    async with patient.client() as client, RawSocket.open(patient) as deaf:
        cursor = (await client.graphql("{ feedCursor }"))["feedCursor"]
        run = await start(client, await register(client, "a"))
        for _ in range(8):
            await report(client, run.tasks[0], "start", "x" * 500_000)
        for number in range(50):
            # Each another document, so that nothing is shared.
            query = TASKS.replace("task {", f"number{number}: kind task {{")
            await deaf.send(subscribe(str(number), query, after=cursor))
        await until(lambda: patient.channels.open_channels == 50)
        await until(lambda: buffers_are_full(patient))
        # What nobody takes is not even made: one payload of half a megabyte per socket, not 50.
        assert patient.channels.statistics.executions < 5
        await deaf.read(1_200_000)
        await until(lambda: buffers_are_full(patient))
        assert patient.channels.statistics.executions < 10


async def test_a_deaf_socket_is_cut_off_and_everything_of_it_is_freed(strict: LiveServer) -> None:
    async with (
        strict.client() as client,
        RawSocket.open(strict) as deaf,
        Socket.open(strict) as reader,
    ):
        await deaf.send(subscribe("1", TASKS))
        await reader.subscribe(TASKS)
        await reader.settle(strict, 2)
        run = await start(client, await register(client, "a"))
        told = [await reader.next_event()]
        for _ in range(10):
            await report(client, run.tasks[0], "start", "x" * 200_000)
            # The other one is not held up.
            told.append(await reader.next_event())
        assert [event["tasks"]["task"]["revision"] for event in told] == list(range(1, 12))
        await until(lambda: len(sockets(strict)) == 1)
        metrics = (await client.get("/metrics")).text
        assert "process_monitor_open_sockets 1.0" in metrics
        assert "process_monitor_open_subscriptions 1.0" in metrics
        assert len(await deaf.read_to_the_end()) < BUFFERS


@pytest.mark.parametrize(
    "goodbye",
    [
        frame(b"\x03\xe8", CLOSE),
        message("ping") + frame(b"\x03\xe8", CLOSE),
        message("dance"),
        frame(b"[]"),
        frame(b"x" * 60_000, 0x3),
    ],
    ids=["close", "ping and close", "unknown message", "no object", "no frame"],
)
async def test_a_deaf_socket_that_says_goodbye_is_freed_all_the_same(
    strict: LiveServer, goodbye: bytes
) -> None:
    async with strict.client() as client, RawSocket.open(strict) as deaf:
        await deaf.send(subscribe("1", TASKS))
        await until(lambda: strict.channels.open_subscriptions == 1)
        run = await start(client, await register(client, "a"))
        for _ in range(10):
            await report(client, run.tasks[0], "start", "x" * 200_000)
        await until(lambda: buffers_are_full(strict))
        await deaf.send(goodbye)
        await until(lambda: not sockets(strict))
        await until(lambda: strict.channels.open_subscriptions == 0)


async def test_a_deaf_socket_does_not_hold_up_the_end_of_the_server(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    app = create_app(settings)
    async with AsyncExitStack() as clients:
        async with serving_live(app, ws_ping_interval=60.0) as server, server.client() as client:
            deaf = [await clients.enter_async_context(RawSocket.open(server)) for _ in range(2)]
            for socket in deaf:
                await socket.send(subscribe("1", TASKS))
            await until(lambda: server.channels.open_subscriptions == 2)
            run = await start(client, await register(client, "a"))
            for _ in range(10):
                await report(client, run.tasks[0], "start", "x" * 200_000)
            await until(lambda: buffers_are_full(server))
            # One of them is closing already.
            await deaf[0].send(frame(b"\x03\xe8", CLOSE))
            await until(lambda: server.channels.open_subscriptions == 1)
            began = loop.time()
        assert loop.time() - began < 2.5


@pytest.mark.parametrize(
    "payload", ["[1]", '"x"', '{"a":' * 400 + "1" + "}" * 400], ids=["list", "text", "deep"]
)
async def test_a_ping_with_a_payload_that_is_no_payload_breaks_the_protocol(
    patient: LiveServer, caplog: pytest.LogCaptureFixture, payload: str
) -> None:
    async with RawSocket.open(patient) as client:
        await client.send(frame(b'{"type":"ping","payload":' + payload.encode() + b"}"))
        await client.read_until((4400).to_bytes(2, "big"))
    assert not caplog.records
