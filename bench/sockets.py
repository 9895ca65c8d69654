"""Many WebSocket clients in one process, as lean as can be: they count bytes, and parse little."""

import asyncio
import base64
import json
import os
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast


def text_frame(text: bytes) -> bytes:
    """A masked frame, as clients must send; the mask is zero, which leaves the text as it is."""
    size = len(text)
    if size < 126:
        return struct.pack("!BB", 0x81, 0x80 | size) + b"\0\0\0\0" + text
    return struct.pack("!BBH", 0x81, 0x80 | 126, size) + b"\0\0\0\0" + text


def subscribe_message(query: str, variables: dict[str, object], id_: str = "1") -> bytes:
    payload = {"query": query, "variables": variables}
    return json.dumps({"id": id_, "type": "subscribe", "payload": payload}).encode()


def init_message(token: str) -> bytes:
    message = {"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}}
    return json.dumps(message).encode()


Data = bytes


@dataclass
class Tally:
    """What all sockets of a group received."""

    bytes: int = 0
    chunks: int = 0
    closed: int = 0
    on_data: "Callable[[Data], None] | None" = None
    last_at: float = field(default_factory=time.perf_counter)


class RawSocket(asyncio.Protocol):
    """One client: handshake, then messages out, and bytes in."""

    def __init__(self, tally: Tally, path: str, subprotocol: str | None) -> None:
        self._tally = tally
        self._path = path
        self._subprotocol = subprotocol
        self._head: bytes | None = b""
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport = opened = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        protocol = f"Sec-WebSocket-Protocol: {self._subprotocol}\r\n" if self._subprotocol else ""
        key = base64.b64encode(os.urandom(16)).decode()
        opened.write(
            f"GET {self._path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n{protocol}"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self._head.startswith(b"HTTP/1.1 101"):
                self.open.set_exception(ConnectionError(self._head.decode()))
                return
            data, self._head = self._head[end + 4 :], None
            self.open.set_result(None)
            if not data:
                return
        tally = self._tally
        tally.bytes += len(data)
        tally.chunks += 1
        if tally.on_data is not None:
            tally.on_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._tally.closed += 1
        if not self.open.done():
            self.open.set_exception(error or ConnectionError("closed"))

    def send(self, text: bytes) -> None:
        assert self.transport is not None
        self.transport.write(text_frame(text))


async def open_sockets(
    tally: Tally,
    port: int,
    count: int,
    *,
    path: str = "/graphql",
    subprotocol: str | None = "graphql-transport-ws",
) -> list[RawSocket]:
    """Opens `count` sockets, some at a time."""
    loop = asyncio.get_running_loop()
    sockets: list[RawSocket] = []
    for start in range(0, count, 50):
        opening = [
            loop.create_connection(lambda: RawSocket(tally, path, subprotocol), "127.0.0.1", port)
            for _ in range(min(50, count - start))
        ]
        opened = [protocol for _, protocol in await asyncio.gather(*opening)]
        await asyncio.gather(*(socket.open for socket in opened))
        sockets += opened
    return sockets
