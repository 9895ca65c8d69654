"""Uvicorn's HTTP protocol as this product needs it: strangers get little of it."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.connections import MAX_REQUEST_BYTES, STATISTICS, Connections, ConnectionStatistics
from app.refusals import REASONS, refusal
from compat_rest.reports import CONNECTION_EXTENSION as REPORT_EXTENSION
from graph.transports.extensions import CONNECTION_EXTENSION

# Peers that do not take the end of their connection do not hold up the end of the server.
CLOSE_SECONDS = 1.0
MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 128
# Most heads are far smaller, and come in one piece.
LARGE_HEAD_BYTES = 8 * 1024
# Requests that wait for the answers to those before them. What is read at once may have thousands:
# whoever sends more is cut off.
MAX_PIPELINED = 32
# What a refused client may go on to send, so that it reads the refusal and not a reset.
MAX_UNWANTED_BYTES = MAX_REQUEST_BYTES


class HeadTooLarge(Exception):
    """The request line and headers take more than 64 KiB, or there are too many of them."""


class TooManyPipelined(Exception):
    """More requests wait on one connection than it may have."""


class HttpProtocol(HttpToolsProtocol):
    """Waits for nobody without end, and takes no head without end.

    Offers to write at once, to cut off a client, and to learn that it is gone or the server shuts
    down.
    """

    _closing: asyncio.Event | None = None

    def __init__(self, *, connections: Connections, **options: Any) -> None:
        super().__init__(**options)
        self._limits = connections
        self._statistics = self.app_state.get(STATISTICS) or ConnectionStatistics()
        # What came, and of which the parser has made nothing yet.
        self._unparsed_bytes = 0
        self._unwanted_bytes = 0
        self._head_is_too_large = False
        self._is_refused = False
        # The request that is being answered; `cycle` is the one that came last.
        self._running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._statistics.open += 1
        if len(self.connections) > self._limits.limit and not self._limits.make_room():
            self._refuse(503, "Too many connections; try again.")
        else:
            self._limits.heads.start(self, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._limits.forget(self)
        self._statistics.open -= 1
        super().connection_lost(exc)
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            self._drop(data)
            return
        self._unparsed_bytes += len(data)
        super().data_received(data)
        # Also trailers, and what belongs to no part of a message, must come to an end.
        if self._unparsed_bytes > LARGE_HEAD_BYTES and not self._is_refused:
            if self._unparsed_bytes > MAX_HEAD_BYTES or len(self.headers or ()) > MAX_HEADERS:
                self._refuse(431, "The headers are larger than 64 KiB.")
            else:
                self._limits.hold_head(self, self._head_is_late)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._unwanted_bytes = 0
        self.scope["extensions"] = {CONNECTION_EXTENSION: self}  # type: ignore[dict-item]  # ours

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            self._head_is_too_large = True
            raise HeadTooLarge
        if len(self.pipeline) >= MAX_PIPELINED:
            raise TooManyPipelined
        self._unparsed_bytes = 0
        self._limits.head_is_complete(self)
        extensions: dict[str, object] = self.scope["extensions"]  # type: ignore[assignment]  # ours
        super().on_headers_complete()
        extensions[REPORT_EXTENSION] = _Answering(self, self.cycle)

    def on_body(self, body: bytes) -> None:
        self._unparsed_bytes = 0
        super().on_body(body)
        if self.cycle.response_complete:
            self._drop(body)

    def on_message_complete(self) -> None:
        self._unparsed_bytes = 0
        self._limits.bodies.stop(self)
        super().on_message_complete()
        if self.cycle is not None and self.cycle.response_complete:
            self._limits.heads.start(self, self._head_is_late)

    def on_response_complete(self) -> None:
        # As uvicorn's, but for its timer for each idle connection: `heads` is one for all.
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self not in self._limits.bodies:
            self._limits.heads.start(self, self._head_is_late)
        if not self.pipeline:
            self.flow.resume_reading()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        # Of one that waited, nothing was read for a while.
        if cycle.more_body:
            self._limits.bodies.start(self, self._body_is_late)
        super()._start_asgi_task(cycle, app)

    def handle_websocket_upgrade(self) -> None:
        self._limits.forget(self)
        self._statistics.open -= 1
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        if self._head_is_too_large:
            self._refuse(431, "The headers are larger than 64 KiB, or more than 128.")
        else:
            self._refuse(400, msg)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._limits.stalled.start(self, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._limits.stalled.stop(self)

    def _head_is_late(self) -> None:
        """Says so to who has begun; a connection that idles is just closed."""
        if self._unparsed_bytes:
            self._refuse(408, "The headers have not come in time.")
        else:
            self.transport.close()

    def _body_is_late(self) -> None:
        """For the application it is a client that has gone."""
        if self.cycle.response_complete:
            self.transport.abort()
        else:
            self._refuse(408, "The body has not come in time.")

    def _refuse(self, status: int, reason: str) -> None:
        """Answers by itself, and closes; where another answer is due, it only cuts off.

        Closed at once, with data on its way, the client's system would drop the answer unread: it
        has a moment, unless its place is needed.
        """
        self._is_refused = True
        self._statistics.refusals[REASONS[status]] += 1
        self._limits.forget(self)
        cycle, running = self.cycle, self._running
        is_busy = cycle is not None and not cycle.response_complete
        is_behind = running is not cycle and running is not None and not running.response_complete
        is_elsewhere = is_behind or (is_busy and (cycle.response_started or status != 408))
        if self.transport.is_closing() or is_elsewhere:
            self.transport.abort()
            return
        self.transport.write(refusal(status, reason))
        if is_busy:
            cycle.disconnected = True
            cycle.message_event.set()
        if len(self.connections) > self._limits.limit:
            self.transport.close()
        else:
            self.transport.write_eof()
            self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def _drop(self, data: bytes) -> None:
        self._unwanted_bytes += len(data)
        if self._unwanted_bytes > MAX_UNWANTED_BYTES:
            self.transport.abort()

    @property
    def closing(self) -> asyncio.Event:
        """Set when the server shuts down."""
        if self._closing is None:
            self._closing = asyncio.Event()
        return self._closing

    @property
    def has_room(self) -> bool:
        """False while what was written is not taken."""
        return not self.flow.write_paused

    async def room(self) -> None:
        """Returns when there is room, or the client is gone."""
        await self.flow.drain()

    @property
    def gone(self) -> bool:
        """True when the client closed the connection."""
        return self.transport.is_closing()

    def frame(self, body: bytes) -> bytes:
        """A part of a body whose length is not known before (RFC 9112, section 7.1)."""
        return b"%x\r\n%b\r\n" % (len(body), body)

    def push(self, framed: bytes) -> bool:
        """Writes parts of a body; False, and nothing written, while there is no room."""
        if not self.has_room or self.transport.is_closing():
            return False
        self.transport.write(framed)
        return True

    def abort(self) -> None:
        """Closes the connection without waiting for the client to take what was written."""
        self.transport.abort()

    def shutdown(self) -> None:
        super().shutdown()
        self.closing.set()


class _Answering:
    """The answer to one request, written at once: see `compat_rest.reports.Connection`."""

    __slots__ = ("_cycle", "_protocol")

    def __init__(self, protocol: HttpProtocol, cycle: RequestResponseCycle) -> None:
        self._protocol = protocol
        self._cycle = cycle

    @property
    def gone(self) -> bool:
        return self._protocol.gone

    def answer(self, body: bytes) -> bool:
        cycle = self._cycle
        if not self._protocol.has_room or cycle.disconnected or cycle.response_started:
            return False
        cycle.response_started = cycle.response_complete = True
        headers = (*cycle.default_headers, (b"content-type", b"application/json"))
        cycle.transport.write(
            b"HTTP/1.1 200 OK\r\n%b%bcontent-length: %d\r\n\r\n%b"
            % (
                b"".join([b"%b: %b\r\n" % header for header in headers]),
                b"" if cycle.keep_alive else b"connection: close\r\n",
                len(body),
                body,
            )
        )
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
        return True
