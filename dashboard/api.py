"""The API as the dashboard sees it: operations by name, over one socket and plain requests."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import cache
from importlib.resources import files
from typing import Any

import aiohttp
from gql import Client, GraphQLRequest
from gql.client import AsyncClientSession
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.exceptions import (
    TransportError,
    TransportQueryError,
    TransportServerError,
)

RETRY_SECONDS = 1.0
TIMEOUT_SECONDS = 10
# A frozen API is noticed within these two together.
PING_SECONDS = 4
PONG_SECONDS = 4
# The API takes 100 operations on a socket.
MAX_SUBSCRIPTIONS = 90
FAULTS = (TransportError, aiohttp.ClientError, OSError, TimeoutError)


class ApiGone(Exception):
    """The API cannot be reached, or refuses; the text says which, for people."""


class CursorExpired(Exception):
    """The live feed does not reach back to the cursor: query again, then subscribe."""


@cache
def operation(name: str) -> str:
    """The document of `operations/<name>.graphql` with the fragments that it uses."""
    folder = files("dashboard") / "operations"
    document = (folder / f"{name}.graphql").read_text()
    fragments = {
        part.split()[1]: part
        for part in re.split(r"(?m)^(?=fragment )", (folder / "fragments.graphql").read_text())
        if part
    }
    used: dict[str, str] = {}
    pending = [document]
    while pending:
        for spread in re.findall(r"\.\.\.(\w+)", pending.pop()):
            if spread not in used:
                used[spread] = fragments[spread]
                pending.append(fragments[spread])
    return "\n".join([document, *used.values()])


def base_url(backend: str) -> str:
    """BACKEND may be `host:port` or a URL."""
    return (backend if "://" in backend else f"http://{backend}").rstrip("/")


class Api:
    """One client of the API, shared by everything that the dashboard shows.

    `run` keeps the socket; whatever was subscribed raises ApiGone when it breaks.
    """

    def __init__(self, backend: str, token: str) -> None:
        url = base_url(backend)
        self._graphql = f"{url}/graphql"
        self._health = f"{url}/health"
        self._authorization = {"Authorization": f"Bearer {token}"}
        self._socket: AsyncClientSession | None = None
        self._connected = asyncio.Event()
        self._lost = asyncio.Event()
        self._subscriptions = 0
        self.problem: str | None = "connecting"
        self.seen_at: float | None = None
        self.degraded = False

    @property
    def is_full(self) -> bool:
        """Whether the socket takes no more subscriptions."""
        return self._subscriptions >= MAX_SUBSCRIPTIONS

    async def run(self) -> None:
        """Keeps the socket and looks after the API's health, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_socket())
            group.create_task(self._watch_health())

    async def _keep_socket(self) -> None:
        while True:
            self._lost.clear()
            try:
                async with Client(transport=self._socket_transport()) as session:
                    self._socket = session
                    self.seen_at, self.problem = time.time(), None
                    self._connected.set()
                    await self._lost.wait()
            except FAULTS as fault:
                self.problem = _sentence(fault)
            finally:
                self._connected.clear()
                self._socket = None
            await asyncio.sleep(RETRY_SECONDS)

    def _socket_transport(self) -> AIOHTTPWebsocketsTransport:
        return AIOHTTPWebsocketsTransport(
            self._graphql.replace("http", "ws", 1),
            init_payload=self._authorization,
            ping_interval=PING_SECONDS,
            pong_timeout=PONG_SECONDS,
            close_timeout=1,
            websocket_close_timeout=1,
        )

    async def _watch_health(self) -> None:
        """Silence of the feed means that nothing happened only while the feed works."""
        timeout = aiohttp.ClientTimeout(total=PONG_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                with contextlib.suppress(*FAULTS, ValueError):
                    async with session.get(self._health) as response:
                        self.degraded = (await response.json())["status"] != "ok"
                        if self._connected.is_set():
                            self.seen_at = time.time()
                await asyncio.sleep(PING_SECONDS)

    async def connected(self) -> None:
        """Returns as soon as there is a socket."""
        await self._connected.wait()

    async def query(self, name: str, **variables: Any) -> dict[str, Any]:
        """The data that a query answers. Raises ApiGone."""
        transport = AIOHTTPTransport(
            self._graphql, headers=self._authorization, timeout=TIMEOUT_SECONDS
        )
        try:
            async with Client(transport=transport, execute_timeout=TIMEOUT_SECONDS) as session:
                data: dict[str, Any] = await session.execute(_request(name, variables))
                return data
        except FAULTS as fault:
            raise ApiGone(_sentence(fault)) from fault

    async def changes(self, name: str, **variables: Any) -> AsyncIterator[dict[str, Any]]:
        """The events of a subscription. Raises ApiGone, CursorExpired; never just ends."""
        await self.connected()
        session = self._socket
        if session is None:
            raise ApiGone(self.problem or "connection lost")
        self._subscriptions += 1
        try:
            async with aclosing(session.subscribe(_request(name, variables))) as results:
                async for result in results:
                    self.seen_at = time.time()
                    yield result["changes"]
            raise ApiGone("connection lost")
        except TransportQueryError as refusal:
            if _code(refusal) == "CURSOR_EXPIRED":
                raise CursorExpired from refusal
            raise ApiGone(_sentence(refusal)) from refusal
        except FAULTS as fault:
            self._lose("connection lost")
            raise ApiGone(_sentence(fault)) from fault
        finally:
            self._subscriptions -= 1

    def _lose(self, problem: str) -> None:
        self.problem = problem
        self._lost.set()


def _request(name: str, variables: dict[str, Any]) -> GraphQLRequest:
    return GraphQLRequest(operation(name), variable_values=variables)


def _code(refusal: TransportQueryError) -> str | None:
    errors = refusal.errors or [{}]
    code: str | None = errors[0].get("extensions", {}).get("code")
    return code


def _sentence(fault: BaseException) -> str:
    """What an operator is told."""
    match fault:
        case TransportServerError(code=401) | TransportServerError(code=403):
            return "the API refuses the dashboard's token (TOKEN)"
        case TransportQueryError(errors=[{"message": message}, *_]):
            return str(message)
        case TimeoutError():
            return "the API does not answer"
        case _:
            return "the API cannot be reached"
