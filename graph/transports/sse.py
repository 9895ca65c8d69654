"""GraphQL over Server-Sent Events, for those behind proxies that break WebSockets.

"Distinct connections mode" of https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md:
one operation per request. Every event's id is its cursor, so a browser's EventSource that
reconnects says with Last-Event-ID where to resume. It reconnects whenever a stream ends, so a
cursor that expired is told with the present one as its id: the next stream goes on behind that,
while the client queries again.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from graph.execution.engine import Prepared
from graph.fanout.channels import Channels
from graph.fanout.patience import Patience
from graph.fanout.sink import Errors, Told
from graph.fanout.subscriber import Subscriber
from graph.transports.extensions import CONNECTION_EXTENSION, Connection
from graph.transports.requests import GraphRequest
from monitor.auth import Principal
from monitor.errors import CursorExpired, wire
from monitor.feed.log import Cursor

MEDIA_TYPE = "text/event-stream"
# Who takes nothing while the server shuts down does not hold it up for longer.
CLOSE_SECONDS = 1.0
CURSOR_EXPIRED = wire(CursorExpired()).code
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class EventStream(Response):
    """A subscription as a stream of `next` events; a client that goes, or the end, ends it."""

    def __init__(
        self,
        channels: Channels,
        prepared: Prepared,
        request: GraphRequest,
        principal: Principal,
        *,
        after: Cursor | None,
        patience: Patience,
    ) -> None:
        super().__init__()
        self._channels = channels
        self._prepared = prepared
        self._request = request
        self._principal = principal
        self._after = after
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Streams until the client goes, the operation fails, or the server shuts down."""
        connection = scope.get("extensions", {}).get(CONNECTION_EXTENSION)
        stream = _Stream(send, connection, self._patience)
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        started = await self._channels.subscribe(
            stream,
            self._prepared,
            self._principal,
            variables=self._request.variables,
            operation_name=self._request.operation_name,
            after=self._after,
        )
        if not isinstance(started, Subscriber):
            stream.fail(started)
        try:
            await self._until_over(receive, stream)
        finally:
            if isinstance(started, Subscriber):
                started.stop()
        with contextlib.suppress(ConnectionError):
            if stream.failure is not None:
                await stream.write(self._failed(stream.failure))
                await stream.write(_event("complete", b""))
            await stream.write(b"", last=True)

    def _failed(self, errors: Errors) -> bytes:
        body = orjson.dumps({"errors": errors})
        if all(error["extensions"]["code"] != CURSOR_EXPIRED for error in errors):
            return _event("next", body)
        return _event("next", body, str(self._channels.cursor or ""))

    async def _until_over(self, receive: Receive, stream: "_Stream") -> None:
        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        ends = [
            asyncio.ensure_future(awaitable)
            for awaitable in (gone(), stream.over.wait(), stream.closing.wait(), stream.beat())
        ]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)


class _Stream:
    """The sink of the subscription."""

    def __init__(self, send: Send, connection: Connection | None, patience: Patience) -> None:
        self._send = send
        self._connection = connection
        self.can_push = connection is not None
        self._patience = patience
        self.closing = connection.closing if connection else asyncio.Event()
        self._turn = asyncio.Lock()
        self.over = asyncio.Event()
        self.failure: Errors | None = None

    @property
    def has_room(self) -> bool:
        return self._connection is None or self._connection.has_room

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        if self._connection is not None:
            with self._cutting_off():
                async with asyncio.timeout(self._patience.send_seconds):
                    await self._connection.room()
        yield

    def push(self, told: Sequence[Told], frames: dict[Any, bytes]) -> bool:
        if self._connection is None:
            return False
        framed = frames.get(_Stream)
        if framed is None:
            # The same for all streams: their operations have no ids.
            events = (_event("next", each.payload, str(each.cursor)) for each in told)
            framed = frames[_Stream] = b"".join(map(self._connection.frame, events))
        return self._connection.push(framed)

    async def send(self, payload: bytes, cursor: Cursor) -> None:
        await self.write(_event("next", payload, str(cursor)))

    def fail(self, errors: Errors) -> None:
        self.failure = errors
        self.over.set()

    async def beat(self) -> None:
        """Keeps the connection alive; ends with it."""
        with contextlib.suppress(ConnectionError):
            while True:
                await self.write(b":\n\n")
                await asyncio.sleep(self._patience.heartbeat_seconds)

    async def write(self, text: bytes, *, last: bool = False) -> None:
        """Raises ConnectionError when the client is gone, or takes nothing for too long."""
        message = {"type": "http.response.body", "body": text, "more_body": not last}
        seconds = CLOSE_SECONDS if self.closing.is_set() else self._patience.send_seconds
        with self._cutting_off():
            async with self._turn, asyncio.timeout(seconds):
                await self._send(message)

    @contextmanager
    def _cutting_off(self) -> Iterator[None]:
        """Ends the stream of a client that is gone, or takes too long, with a ConnectionError."""
        try:
            yield
        except TimeoutError as error:
            self.over.set()
            if self._connection is not None:
                self._connection.abort()
            raise ConnectionError from error
        except OSError as error:
            self.over.set()
            raise ConnectionError from error


def _event(name: str, data: bytes, id_: str | None = None) -> bytes:
    identity = b"" if id_ is None else b"id: " + id_.encode() + b"\n"
    return identity + b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


def single_event(body: bytes) -> Response:
    """A query's or mutation's only result as a stream."""
    headers = {name.decode(): value.decode() for name, value in _HEADERS}
    return Response(_event("next", body) + _event("complete", b""), headers=headers)
