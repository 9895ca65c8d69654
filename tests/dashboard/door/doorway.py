"""A gate before an application that answers everything, and how to come to it."""

import asyncio
from typing import Self

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.door.sessions import COOKIE

PASSWORD = "correct horse"
POLICY = "default-src 'self'"
HTML = {"Accept": "text/html,application/xhtml+xml"}


class Clock:
    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time


class Delays:
    """Notes the delays; those that are `held` last until they are let go."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.begun = asyncio.Semaphore(0)
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.begun.release()
        async with asyncio.timeout(5):
            await self.go.wait()


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the type that the path ends with, says on sockets what it hears, and starts."""
    if scope["type"] == "lifespan":
        await send({"type": "lifespan.startup.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
    else:
        kinds = {"json": "application/json", "js": "text/javascript", "kept": "text/html"}
        kind = scope["path"].rpartition(".")[2]
        headers = {"Cache-Control": "max-age=5"} if kind == "kept" else {}
        status = 404 if kind == "missing" else 200
        response = Response("inside", status, headers, kinds.get(kind, "text/html"))
        if Request(scope).method != "GET":
            response.status_code = 405
        await response(scope, receive, send)


def client_of(
    app: ASGIApp, base_url: str = "http://dashboard", address: str = "10.0.0.1"
) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url=base_url)


async def sign_in(
    client: httpx.AsyncClient, password: str = PASSWORD, path: str = "/sign-in"
) -> httpx.Response:
    return await client.post(path, data={"password": password})


def sent_cookie(client: httpx.AsyncClient) -> dict[str, str]:
    """The session as a header, for requests that are to change it."""
    return {"Cookie": f"{COOKIE}={client.cookies[COOKIE]}"}


class OpenSocket:
    """A WebSocket to `app`, for as long as the block runs."""

    def __init__(self, app: ASGIApp, headers: dict[str, str]) -> None:
        self._app = app
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        self._scope: Scope = {
            "type": "websocket",
            "scheme": "ws",
            "path": "/_dash-ws-callback",
            "query_string": b"",
            "headers": raw,
        }
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        await self._to_app.put({"type": "websocket.connect"})
        serving = self._app(self._scope, self._to_app.get, self._from_app.put)
        self._serving = asyncio.ensure_future(serving)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._to_app.put({"type": "websocket.disconnect", "code": 1001})
        async with asyncio.timeout(5):
            await self._serving

    async def tell(self, text: str) -> None:
        await self._to_app.put({"type": "websocket.receive", "text": text})

    async def told(self) -> Message:
        """The next message of the application."""
        async with asyncio.timeout(5):
            return await self._from_app.get()

    async def rest(self) -> list[Message]:
        """What it was told until the application was done with it."""
        await self._to_app.put({"type": "websocket.disconnect", "code": 1001})
        async with asyncio.timeout(5):
            await self._serving
        return [self._from_app.get_nowait() for _ in range(self._from_app.qsize())]


async def open_socket(app: ASGIApp, headers: dict[str, str]) -> list[Message]:
    """What a handshake is answered with."""
    async with OpenSocket(app, headers) as socket:
        return await socket.rest()
