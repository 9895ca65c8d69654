"""A server in this process, so that tests can look inside, and sockets that speak to it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import httpx
import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from app.connections import Connections
from app.protocols import protocols
from graph.fanout.channels import Channels
from monitor.monitor import Monitor
from tests.client import Client
from tests.conftest import TOKEN
from tests.servers import free_port

PROTOCOL = Subprotocol("graphql-transport-ws")


@dataclass
class LiveServer:
    """The app on a real port."""

    app: FastAPI
    port: int
    # Of uvicorn: one for each open connection.
    connections: set[Any]

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/graphql"

    @property
    def channels(self) -> Channels:
        channels: Channels = self.app.state.channels
        return channels

    @property
    def monitor(self) -> Monitor:
        monitor: Monitor = self.app.state.monitor
        return monitor

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        base_url = f"http://127.0.0.1:{self.port}"
        async with httpx.AsyncClient(base_url=base_url, timeout=30) as http:
            yield Client(http, TOKEN)


@asynccontextmanager
async def serving_live(
    app: FastAPI, connections: Connections | None = None, **options: Any
) -> AsyncIterator[LiveServer]:
    """The app under uvicorn with our protocol classes, in this event loop."""
    port = free_port()
    config = uvicorn.Config(
        app,
        port=port,
        log_config=None,
        timeout_graceful_shutdown=3,
        lifespan="off",
        **(protocols(connections or Connections(1_000)) | options),
    )
    server = uvicorn.Server(config)
    async with app.router.lifespan_context(app) as state:
        config.load()
        server.lifespan = config.lifespan_class(config)
        server.lifespan.state.update(state or {})
        await server.startup()
        ticking = asyncio.create_task(server.main_loop())
        try:
            yield LiveServer(app, port, server.server_state.connections)
        finally:
            server.should_exit = True
            await ticking
            await server.shutdown()


class Socket:
    """A graphql-transport-ws client that shows every message."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    @classmethod
    @asynccontextmanager
    async def open(
        cls, server: LiveServer, token: str | None = TOKEN, **options: Any
    ) -> AsyncIterator[Self]:
        """A socket that is initialised."""
        async with connect(server.url, subprotocols=[PROTOCOL], **options) as connection:
            socket = cls(connection)
            await socket.send(
                {"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}}
            )
            assert await socket.receive() == {"type": "connection_ack"}
            yield socket

    async def send(self, message: object) -> None:
        await self.connection.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            text = await self.connection.recv()
        assert isinstance(text, str), "frames are text, not binary"
        message: dict[str, Any] = json.loads(text)
        return message

    async def subscribe(self, query: str, id_: str = "1", **variables: Any) -> None:
        """Returns once the server has begun to follow: it answers messages in their order."""
        payload = {"query": query, "variables": variables}
        await self.send({"type": "subscribe", "id": id_, "payload": payload})

    async def settle(self, server: LiveServer, subscriptions: int) -> None:
        """Returns once so many subscriptions are open on the server."""
        async with asyncio.timeout(20):
            while server.channels.open_subscriptions < subscriptions:
                await self.send({"type": "ping"})
                assert (await self.receive())["type"] == "pong"

    async def next_event(self) -> dict[str, Any]:
        """The data of the next event."""
        message = await self.receive()
        assert message["type"] == "next", message
        data: dict[str, Any] = message["payload"]["data"]
        return data
