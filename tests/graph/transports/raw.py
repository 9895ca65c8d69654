"""A WebSocket client that does as little as it is told: it never reads unless asked to."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from tests.conftest import TOKEN
from tests.graph.live import PROTOCOL, LiveServer

PING, CLOSE = 0x9, 0x8


def frame(data: bytes, opcode: int = 0x1) -> bytes:
    """A final frame, masked, as clients must; the mask is zero, which leaves the data as it is."""
    size = len(data)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    else:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    return head + bytes(4) + data


def message(type_: str, **fields: object) -> bytes:
    return frame(json.dumps({"type": type_, **fields}).encode())


def subscribe(id_: str, query: str, **variables: object) -> bytes:
    return message("subscribe", id=id_, payload={"query": query, "variables": variables})


class RawSocket:
    """A connection with small buffers of its own, so that it is the server that has to wait."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def open(cls, server: LiveServer) -> AsyncIterator[Self]:
        """One that is initialised, and reads nothing from then on."""
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", server.port))
        reader, writer = await asyncio.open_connection(sock=plain, limit=1024)
        try:
            writer.write(
                b"GET /graphql HTTP/1.1\r\nHost: raw\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: "
                + PROTOCOL.encode()
                + b"\r\n\r\n"
            )
            await reader.readuntil(b"\r\n\r\n")
            writer.write(message("connection_init", payload={"Authorization": f"Bearer {TOKEN}"}))
            await reader.readuntil(b'"connection_ack"}')
            yield cls(reader, writer)
        finally:
            writer.transport.abort()

    async def send(self, data: bytes) -> None:
        """Returns once the kernel has it: never, when the server does not read either."""
        self._writer.write(data)
        await self._writer.drain()

    async def read_to_the_end(self) -> bytes:
        """What the server had written when it closed the connection, or cut it off."""
        received = b""
        try:
            while part := await self._reader.read(65536):
                received += part
        except ConnectionResetError:
            pass
        return received

    async def read(self, size: int) -> None:
        """Reads so many bytes."""
        while size > 0:
            part = await self._reader.read(min(size, 65536))
            assert part, "closed before they came"
            size -= len(part)

    async def read_until(self, end: bytes) -> int:
        """Reads up to `end`; how many bytes that was."""
        size, tail = 0, b""
        while end not in tail:
            part = await self._reader.read(65536)
            assert part, "closed before it came"
            size += len(part)
            tail = (tail + part)[-65536 - len(end) :]
        return size
