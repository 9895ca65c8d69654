"""What a client may do before anybody knows who it is."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from fastapi import FastAPI, Request
from starlette.responses import PlainTextResponse, Response

from app.connections import Connections
from app.http_protocol import MAX_HEAD_BYTES, MAX_HEADERS, MAX_PIPELINED, MAX_UNWANTED_BYTES
from tests.graph.live import LiveServer, serving_live

REQUEST = b"GET /quick HTTP/1.1\r\nHost: monitor\r\n"
BODY = b"POST /reads HTTP/1.1\r\nHost: monitor\r\nContent-Length: 100\r\n\r\n"
SECONDS = 0.3
# Longer than the body of a request may take that waits for this one.
BODY_SECONDS, SLOW_SECONDS = 1.0, 1.3


def create_app() -> FastAPI:
    app = FastAPI()
    app.state.bodies = []

    @app.get("/quick")
    async def quick() -> Response:
        return PlainTextResponse("here")

    @app.get("/large")
    async def large() -> Response:
        return Response(bytes(64 * 1024 * 1024))

    @app.post("/reads")
    async def reads(request: Request) -> Response:
        try:
            body = await request.body()
        except Exception as gone:
            app.state.bodies.append(type(gone).__name__)
            raise
        app.state.bodies.append(body)
        return PlainTextResponse("read")

    @app.get("/slow")
    async def slow() -> Response:
        await asyncio.sleep(SLOW_SECONDS)
        return PlainTextResponse("slow")

    @app.get("/waits")
    async def waits(request: Request) -> Response:
        while not await request.is_disconnected():  # noqa: ASYNC110 — Starlette gives no event
            await asyncio.sleep(0.01)
        app.state.bodies.append("gone")
        return PlainTextResponse("")

    @app.post("/refuses")
    async def refuses() -> Response:
        return PlainTextResponse("no", 401)

    return app


@asynccontextmanager
async def serving(limit: int = 100, **seconds: float) -> AsyncIterator[LiveServer]:
    async with serving_live(create_app(), Connections(limit, **seconds)) as server:
        yield server


class Stranger:
    """A connection that says no more than it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def of(cls, server: LiveServer) -> AsyncIterator["Stranger"]:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            yield cls(reader, writer)
        finally:
            writer.transport.abort()

    def say(self, data: bytes) -> None:
        self._writer.write(data)

    async def say_without_end(self, part: bytes) -> int:
        """How many bytes went out before the server cut it off."""
        sent = 0
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(20):
                while not self._reader.at_eof():
                    self._writer.write(part)
                    await self._writer.drain()
                    sent += len(part)
        return sent

    async def answer(self) -> bytes:
        """All that the server says until it closes."""
        async with asyncio.timeout(20):
            try:
                return await self._reader.read()
            except ConnectionError:
                return b""

    async def answers(self, end: bytes) -> bytes:
        """What the server says up to `end`; the connection stays."""
        async with asyncio.timeout(20):
            return await self._reader.readuntil(end)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 — what the server does next has no event to wait for
            await asyncio.sleep(0.01)


async def test_a_header_without_end_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as server, Stranger.of(server) as stranger:
        stranger.say(REQUEST + b"X-Long: ")
        answering = asyncio.create_task(stranger.answer())
        assert await stranger.say_without_end(b"x" * 16_384) < 16 * 1024 * 1024
        assert (await answering).startswith(b"HTTP/1.1 431 ")
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "head",
    [
        REQUEST + b"X-Long: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n",
        REQUEST + b"a: b\r\n" * MAX_HEADERS + b"\r\n",
        b"GET /" + b"x" * MAX_HEAD_BYTES + b" HTTP/1.1\r\nHost: monitor\r\n\r\n",
        b"GET /" + b"x" * MAX_HEAD_BYTES,
    ],
    ids=["long", "many", "path", "path without end"],
)
async def test_a_head_that_is_too_large_is_refused(head: bytes) -> None:
    async with serving() as server, Stranger.of(server) as stranger:
        stranger.say(head)
        answer = await stranger.answer()
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert answer.endswith((b'more than 128."}', b'64 KiB."}'))


async def test_a_head_of_nearly_64_kib_is_taken() -> None:
    async with serving() as server, Stranger.of(server) as stranger:
        stranger.say(REQUEST + b"X-Long: " + b"x" * (MAX_HEAD_BYTES - 200) + b"\r\n\r\n")
        assert (await stranger.answers(b"here")).startswith(b"HTTP/1.1 200 ")


async def test_trailers_without_end_are_cut_off() -> None:
    async with serving() as server, Stranger.of(server) as stranger:
        head = b"POST /reads HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        stranger.say(head)
        assert await stranger.say_without_end(b"a: b\r\n" * 1000) < 16 * 1024 * 1024
        await until(lambda: server.app.state.bodies == ["ClientDisconnect"])


async def test_heads_that_do_not_come_are_not_waited_for() -> None:
    async with (
        serving(head_seconds=SECONDS) as server,
        Stranger.of(server) as silent,
        Stranger.of(server) as slow,
    ):
        slow.say(REQUEST)
        assert await silent.answer() == b""
        assert (await slow.answer()).startswith(b"HTTP/1.1 408 ")


async def test_a_head_that_trickles_gets_no_more_time() -> None:
    async with serving(head_seconds=SECONDS) as server, Stranger.of(server) as stranger:

        async def trickle() -> None:
            for byte in REQUEST * 1000:
                stranger.say(bytes([byte]))
                await asyncio.sleep(SECONDS / 10)

        trickling = asyncio.create_task(trickle())
        assert (await stranger.answer()).startswith(b"HTTP/1.1 408 ")
        assert not trickling.done()
        trickling.cancel()


@pytest.mark.parametrize("more", [b"", b"G"], ids=["idles", "begins another"])
async def test_after_an_answer_the_next_head_has_the_same_time(more: bytes) -> None:
    async with serving(head_seconds=SECONDS) as server, Stranger.of(server) as stranger:
        stranger.say(REQUEST + b"\r\n")
        await stranger.answers(b"here")
        stranger.say(more)
        assert (await stranger.answer()).startswith(b"HTTP/1.1 408 " if more else b"")
        await until(lambda: not server.connections)


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async with serving(body_seconds=SECONDS) as server, Stranger.of(server) as stranger:
        stranger.say(BODY + b"x")
        assert (await stranger.answer()).startswith(b"HTTP/1.1 408 ")
        await until(lambda: server.app.state.bodies == ["ClientDisconnect"])


async def test_what_comes_in_time_may_come_in_parts() -> None:
    async with serving(head_seconds=5, body_seconds=5) as server, Stranger.of(server) as stranger:
        for byte in BODY + b"x" * 100:
            stranger.say(bytes([byte]))
            await asyncio.sleep(0)
        await stranger.answers(b"read")
        assert server.app.state.bodies == [b"x" * 100]
        # And several at once.
        stranger.say((REQUEST + b"\r\n") * 3)
        for _ in range(3):
            await stranger.answers(b"here")


async def test_who_was_refused_may_not_go_on_sending_without_end() -> None:
    async with serving() as server, Stranger.of(server) as stranger:
        stranger.say(
            b"POST /refuses HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n" + b"x"
        )
        assert (await stranger.answers(b"no")).startswith(b"HTTP/1.1 401 ")
        assert await stranger.say_without_end(b"x" * 65_536) < 3 * MAX_UNWANTED_BYTES


async def test_who_was_refused_and_stops_sending_is_not_waited_for() -> None:
    async with serving(body_seconds=SECONDS) as server, Stranger.of(server) as stranger:
        stranger.say(b"POST /refuses HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx")
        assert (await stranger.answers(b"no")).startswith(b"HTTP/1.1 401 ")
        assert await stranger.answer() == b""


async def test_who_takes_nothing_is_cut_off() -> None:
    async with serving(stalled_seconds=SECONDS) as server, Stranger.of(server) as stranger:
        stranger.say(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        # Its own reader stops at 128 KiB, and the kernels' buffers fill up.
        await until(lambda: server.connections)
        await until(lambda: not server.connections)


async def test_strangers_make_way_when_there_are_too_many() -> None:
    async with serving(10) as server, AsyncExitStack() as stack:
        strangers = [await stack.enter_async_context(Stranger.of(server)) for _ in range(10)]
        strangers[0].say(REQUEST)
        await until(lambda: len(server.connections) == 10)
        async with Stranger.of(server) as client:
            client.say(REQUEST + b"\r\n")
            assert (await client.answers(b"here")).startswith(b"HTTP/1.1 200 ")
        assert (await strangers[0].answer()).startswith(b"HTTP/1.1 408 ")
        strangers[1].say(REQUEST + b"\r\n")
        assert (await strangers[1].answers(b"here")).startswith(b"HTTP/1.1 200 ")


async def test_nobody_who_is_served_makes_way() -> None:
    async with serving(3) as server, AsyncExitStack() as stack:
        served = [await stack.enter_async_context(Stranger.of(server)) for _ in range(3)]
        for client in served:
            client.say(BODY)
        await until(lambda: len(server.connections) == 3)
        async with Stranger.of(server) as client:
            answer = await client.answer()
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 1\r\n" in answer
        for client in served:
            client.say(b"x" * 100)
            assert (await client.answers(b"read")).startswith(b"HTTP/1.1 200 ")


async def test_requests_may_be_sent_before_the_answers_to_those_before_them() -> None:
    async with serving() as server, Stranger.of(server) as stranger:
        stranger.say((REQUEST + b"\r\n") * MAX_PIPELINED + REQUEST + b"Connection: close\r\n\r\n")
        assert (await stranger.answer()).count(b"\r\n\r\nhere") == MAX_PIPELINED + 1


async def test_who_sends_requests_without_end_is_cut_off() -> None:
    async with serving() as server, Stranger.of(server) as stranger:
        assert await stranger.say_without_end((REQUEST + b"\r\n") * 100) < 16 * 1024 * 1024
        await until(lambda: not server.connections)
        async with Stranger.of(server) as other:
            other.say(REQUEST + b"Connection: close\r\n\r\n")
            assert b"here" in await other.answer()


async def test_the_request_that_runs_hears_that_the_client_is_gone_behind_others() -> None:
    async with serving() as server:
        async with Stranger.of(server) as stranger:
            stranger.say(b"GET /waits HTTP/1.1\r\nHost: monitor\r\n\r\n" + REQUEST + b"\r\n")
            await until(lambda: any(c.pipeline for c in server.connections))
        await until(lambda: server.app.state.bodies == ["gone"])


async def test_a_request_that_waits_for_others_has_the_whole_time_for_its_body() -> None:
    async with serving(body_seconds=BODY_SECONDS) as server, Stranger.of(server) as stranger:
        stranger.say(b"GET /slow HTTP/1.1\r\nHost: monitor\r\n\r\n" + BODY)
        assert b"slow" in await stranger.answers(b"slow")
        stranger.say(bytes(100))
        assert b"read" in await stranger.answers(b"read")


async def test_a_body_that_does_not_come_is_told_of_behind_the_answers_before_it() -> None:
    async with serving(body_seconds=BODY_SECONDS) as server, Stranger.of(server) as stranger:
        stranger.say(b"GET /slow HTTP/1.1\r\nHost: monitor\r\n\r\n" + BODY)
        before, _, late = (await stranger.answer()).partition(b"slow")
        assert before.startswith(b"HTTP/1.1 200 OK")
        assert late.startswith(b"HTTP/1.1 408")
