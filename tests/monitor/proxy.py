"""Stands between a client and MariaDB, and cuts connections at a chosen moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Proxy:
    """Forwards to `target` until a client sends what contains `cut_at`."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open: set[asyncio.Transport] = set()
        self.port = 0
        # The server gets this and answers it, but the client never learns; happens once.
        self.cut_at: bytes | None = None

    def cut_all(self) -> None:
        """Closes every connection there is, as a server does that restarts."""
        for transport in self._open:
            transport.abort()

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

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.proxy._open.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        del error
        assert self.transport is not None
        self.proxy._open.discard(self.transport)
        self.abort_other()

    def abort_other(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.abort()


class _Client(_Side):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.other = self.server = _Server(self.proxy, self)
        loop = asyncio.get_running_loop()
        self.connecting = loop.create_task(
            loop.create_connection(lambda: self.server, "127.0.0.1", self.proxy._target)
        )

    def data_received(self, data: bytes) -> None:
        if self.proxy.cut_at is not None and self.proxy.cut_at in data:
            self.proxy.cut_at = None
            self.server.cuts = True
        # MariaDB speaks first, so its side is open by now.
        assert self.server.transport is not None
        self.server.transport.write(data)


class _Server(_Side):
    def __init__(self, proxy: Proxy, client: _Client) -> None:
        super().__init__(proxy)
        self.other = client
        self.cuts = False

    def data_received(self, data: bytes) -> None:
        assert self.other is not None
        assert self.other.transport is not None
        if self.cuts:
            self.abort_other()
        else:
            self.other.transport.write(data)
