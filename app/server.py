"""Uvicorn as this product needs it: sockets that can be pushed to, and that die when they must."""

import asyncio
import multiprocessing.connection
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.supervisors import Multiprocess
from websockets.http11 import Request

from graph.transports.sse import CONNECTION_EXTENSION
from graph.transports.websocket import PUSH_EXTENSION

# Bounds what the kernel holds for a reader that is slow; the process holds as much again at most.
SEND_BUFFER_BYTES = 128 * 1024
# Peers that do not take the end of their connection do not hold up the end of the server.
CLOSE_SECONDS = 1.0
# Ctrl-C ends everything within 5 s; this is the part for requests that are under way.
GRACE_SECONDS = 3
MAX_WEBSOCKET_BYTES = 256 * 1024
PING_INTERVAL_SECONDS = 10
PING_TIMEOUT_SECONDS = 15


class SocketProtocol(WebSocketsSansIOProtocol):
    """Offers the application to write a frame at once, and cuts off peers that do not answer."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope["extensions"][PUSH_EXTENSION] = self  # type: ignore[assignment]  # ours
            raw = self.transport.get_extra_info("socket")
            if raw is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

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

    def push(self, frame: bytes) -> bool:
        """Writes a frame; False, and nothing written, while there is no room."""
        if not self.has_room:
            return False
        self.transport.write(frame)
        return True


class HttpProtocol(HttpToolsProtocol):
    """Offers to cut off a client, and to learn that it is gone or that the server shuts down."""

    _closing: asyncio.Event | None = None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {CONNECTION_EXTENSION: self}  # type: ignore[dict-item]  # ours

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

    def abort(self) -> None:
        """Closes the connection without waiting for the client to take what was written."""
        self.transport.abort()

    def shutdown(self) -> None:
        super().shutdown()
        self.closing.set()


def serving_options(host: str, port: int) -> dict[str, Any]:
    """How API and dashboard are served, for `uvicorn.Config`."""
    return {
        "host": host,
        "port": port,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "http": HttpProtocol,
        "ws": SocketProtocol,
        "ws_max_size": MAX_WEBSOCKET_BYTES,
        # Compressing costs more than it saves on small frames, and keeps shared ones from sharing.
        "ws_per_message_deflate": False,
        # A socket whose peer takes nothing is cut off within these two together.
        "ws_ping_interval": PING_INTERVAL_SECONDS,
        "ws_ping_timeout": PING_TIMEOUT_SECONDS,
        "timeout_graceful_shutdown": GRACE_SECONDS,
    }


class Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()


class SharedPort(socket.socket):
    """A bound socket that is sent to a server process as the address: it binds one of its own.

    The kernel then spreads connections over the processes. Of those that listen on one socket, the
    first to wake takes all that wait there: it could work alone while the others are idle.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._address = (host, port)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.bind(self._address)

    def __reduce__(self) -> Any:
        return SharedPort, self._address


def end_with_parent() -> None:
    """In one of several server processes: SIGTERM when the one that started them is gone.

    Killed, it cannot end them itself, and they would go on holding the port.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="end with parent", daemon=True).start()


def serve(config: uvicorn.Config, on_started: Callable[[], None]) -> bool:
    """Serves until SIGINT or SIGTERM; False when it could not start."""
    if config.workers == 1:
        server = Server(config, on_started)
        # Uvicorn sends itself the SIGTERM again that it has seen to, and would die of it.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        server.run()
        return server.started
    on_started()
    # Elsewhere the kernel gives all connections to the last that bound the port.
    on_linux = sys.platform == "linux"
    listening = SharedPort(config.host, config.port) if on_linux else config.bind_socket()
    Multiprocess(config, sockets=[listening]).run()
    return True
