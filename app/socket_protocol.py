"""Uvicorn's WebSocket protocol as this product needs it: sockets that can be pushed to, and that
die when they must.
"""

import asyncio
import socket
import struct
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from app.connections import MAX_REQUEST_BYTES, STATISTICS, Connections, ConnectionStatistics
from graph.transports.extensions import PUSH_EXTENSION

# Bounds what the kernel holds for a reader that is slow; the process holds as much again at most.
SEND_BUFFER_BYTES = 128 * 1024
# Peers that do not take the end of their connection do not hold up the end of the server.
CLOSE_SECONDS = 1.0


class SocketProtocol(WebSocketsSansIOProtocol):
    """Offers the application to write a frame at once, and cuts off peers that do not answer."""

    def __init__(self, *, connections: Connections, **options: Any) -> None:
        super().__init__(**options)
        self._limits = connections
        self._statistics = self.app_state.get(STATISTICS) or ConnectionStatistics()

    def connection_lost(self, exc: Exception | None) -> None:
        self._limits.forget(self)
        self._statistics.open -= 1
        super().connection_lost(exc)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._statistics.open += 1

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope["extensions"][PUSH_EXTENSION] = self  # type: ignore[assignment]  # ours
            raw = self.transport.get_extra_info("socket")
            if raw is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            self._limits.meet(self, self.transport.abort)

    def keepalive_timeout(self) -> None:
        """A peer that does not read never takes the close frame: what it holds is freed now."""
        super().keepalive_timeout()
        self.transport.abort()

    def send_keepalive_ping(self) -> None:
        """Nor does it take the end of a socket that is closing: there is an end to waiting."""
        if self.close_sent or self.transport.is_closing():
            self.ping_timer = self.loop.call_later(
                self.ping_timeout or self.close_timeout, self.transport.abort
            )
        else:
            super().send_keepalive_ping()

    def handle_ping(self) -> None:
        """Answers, unless the peer does not take the answers: pings only ask for the newest."""
        if self.has_room:
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def shutdown(self) -> None:
        """Closes with 1012, by which clients know to come back; not for longer than a moment."""
        if self.transport.is_closing():  # uvicorn would fail to close it once more
            self.transport.abort()
            return
        super().shutdown()
        self.ping_timer = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def recognise(self) -> None:
        """It is known who the client is: it may send what is long, and need not make way."""
        self.conn.max_message_size = MAX_REQUEST_BYTES
        self._limits.recognise(self)

    def frame(self, text: bytes) -> bytes:
        """A text message as an unmasked, final frame (RFC 6455, section 5.2)."""
        size = len(text)
        if size < 126:
            return struct.pack("!BB", 0x81, size) + text
        if size < 65536:
            return struct.pack("!BBH", 0x81, 126, size) + text
        return struct.pack("!BBQ", 0x81, 127, size) + text

    @property
    def has_room(self) -> bool:
        """False while the buffer is full, or the socket is closing."""
        return self.writable.is_set() and not (
            self.close_sent or self.disconnected or self.transport.is_closing()
        )

    async def room(self) -> None:
        """Returns when the buffer is not full any more, or the peer is gone."""
        await self.writable.wait()

    def push(self, framed: bytes) -> bool:
        """Writes frames; False, and nothing written, while there is no room."""
        if not self.has_room:
            return False
        self.transport.write(framed)
        return True
