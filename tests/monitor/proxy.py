"""Stands between a client and MariaDB: cuts connections, swallows what they carry, and changes what
the server answers to COMMIT.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

_QUERY = b"\x03"
_COMMIT = _QUERY + b"COMMIT"
_ROLLBACK = _QUERY + b"ROLLBACK"
_WRITES = (_QUERY + b"INSERT", _QUERY + b"UPDATE", _QUERY + b"DELETE")


def packet(payload: bytes, sequence: int) -> bytes:
    """A MySQL packet: length of the payload in three bytes, number of the packet, payload."""
    return len(payload).to_bytes(3, "little") + bytes((sequence,)) + payload


def refusal(number: int) -> bytes:
    """The packet of a server that answers with this error."""
    return packet(b"\xff" + number.to_bytes(2, "little") + b"#HY000said the proxy", 1)


@dataclass(frozen=True)
class Fault:
    """What becomes of a COMMIT: the server gets it, or ROLLBACK instead, or nothing at all, and the
    client gets `answer` (b"" is nothing) for the server's; without one the connection is cut.
    """

    answer: bytes | None = None
    committed: bool = True
    swallowed: bool = False


class Proxy:
    """Forwards to `target` but for what it is told."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open: set[_Side] = set()
        self.port = 0
        # The server gets this and answers it, but the client never learns; happens once.
        self.cut_at: bytes | None = None
        # What becomes of the next commits of something written, each in turn.
        self.commits: deque[Fault] = deque()
        # What is connected meanwhile carries nothing.
        self.blocked = False
        # What is connected meanwhile is closed at once; when that happened, `refused` is set.
        self.refusing = False
        self.refused = asyncio.Event()

    def cut_all(self) -> None:
        """Closes every connection there is, as a server does that restarts."""
        for side in self._open:
            side.abort()

    def forget_all(self) -> None:
        """What there is of connections carries nothing any more, as by a NAT that forgot them."""
        for side in self._open:
            side.forgotten = True

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Client(self), "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut_all()
            await server.wait_closed()


class _Side(asyncio.Protocol):
    """One end of a forwarded connection."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None
        self.forgotten = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.proxy._open.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        del error
        self.proxy._open.discard(self)
        if self.other is not None and not self.forgotten:
            self.other.abort()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def write(self, data: bytes) -> None:
        assert self.transport is not None
        if not self.forgotten:
            self.transport.write(data)


class _Client(_Side):
    """The side of the client, which speaks in packets of commands."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__(proxy)
        self._unread = b""
        self._wrote = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.proxy.refusing:
            self.proxy.refused.set()
            self.abort()
            return
        self.forgotten = self.proxy.blocked
        self.other = self.server = _Server(self.proxy, self)
        loop = asyncio.get_running_loop()
        self.connecting = loop.create_task(
            loop.create_connection(lambda: self.server, "127.0.0.1", self.proxy._target)
        )

    def data_received(self, data: bytes) -> None:
        if self.proxy.cut_at is not None and self.proxy.cut_at in data:
            self.proxy.cut_at = None
            self.server.fault = Fault()
        # MariaDB speaks first, so its side is open by now.
        for command in self._packets(data):
            self._forward(command)

    def _packets(self, data: bytes) -> Iterator[bytes]:
        self._unread += data
        while len(self._unread) >= 4:
            end = 4 + int.from_bytes(self._unread[:3], "little")
            if len(self._unread) < end:
                return
            whole, self._unread = self._unread[:end], self._unread[end:]
            yield whole

    def _forward(self, whole: bytes) -> None:
        command = whole[4:]
        self._wrote = self._wrote or command.startswith(_WRITES)
        if command == _COMMIT and self._wrote:
            self._wrote = False
            if self.proxy.commits:
                fault = self.server.fault = self.proxy.commits.popleft()
                if fault.swallowed:
                    self.forgotten = self.server.forgotten = True
                    return
                whole = whole if fault.committed else packet(_ROLLBACK, 0)
        self.server.write(whole)


class _Server(_Side):
    def __init__(self, proxy: Proxy, client: _Client) -> None:
        super().__init__(proxy)
        self.client = self.other = client
        self.forgotten = client.forgotten
        self.fault: Fault | None = None

    def data_received(self, data: bytes) -> None:
        fault, self.fault = self.fault, None
        if fault is None:
            self.client.write(data)
        elif fault.answer is None:
            self.client.abort()
        else:
            self.client.write(fault.answer)
