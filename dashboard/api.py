"""The API as the dashboard sees it: operations by name, over one socket and plain requests."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from functools import cache
from importlib.resources import files
from typing import Any

import aiohttp
from gql import Client, GraphQLRequest
from gql.client import AsyncClientSession
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.exceptions import (
    TransportError,
    TransportQueryError,
)

RETRY_SECONDS = 1.0
TIMEOUT_SECONDS = 10
# A frozen API is noticed within these two together.
PING_SECONDS = 4
PONG_SECONDS = 4
# The API takes 100 operations on a socket.
MAX_SUBSCRIPTIONS = 90
MAX_QUERIES = 8
GONE = "the API cannot be reached"
FAULTS = (TransportError, aiohttp.ClientError, OSError, TimeoutError)


class ApiGone(Exception):
    """The API cannot be reached, or refuses; the text says which, for people."""


class Refused(ApiGone):
    """The API answers, and says no: the same question will get the same answer.

    `code`: the API's name for the reason.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


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


def _cancellations() -> int:
    """How often this task was cancelled: to be compared, since groups leave some behind."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


@contextmanager
def _cancelled_first() -> Iterator[None]:
    """Who was cancelled in the block is so behind it, however a library ended what it did there.

    gql fails when it cannot tell the end of a subscription any more, and `asyncio.wait_for` of
    Python 3.11 goes on when what it waits for comes at the same time (cpython issue 86296). Whoever
    ends a task that goes on would wait for ever.
    """
    before = _cancellations()
    try:
        yield
    finally:
        if _cancellations() > before:
            raise asyncio.CancelledError


class Api:
    """One socket to the API, shared by everything that the dashboard shows.

    `run` keeps it; whatever was subscribed raises ApiGone when it breaks.
    """

    def __init__(self, url: str, token: str, *, max_subscriptions: int = MAX_SUBSCRIPTIONS) -> None:
        self._graphql = f"{url}/graphql"
        self._health = f"{url}/health"
        self._authorization = {"Authorization": f"Bearer {token}"}
        self._socket: AsyncClientSession | None = None
        self._tried = asyncio.Event()
        self._opened = asyncio.Event()
        self._lost = asyncio.Event()
        self._queries = asyncio.Semaphore(MAX_QUERIES)
        self._subscriptions = 0
        self._max_subscriptions = max_subscriptions
        self.problem: str | None = "connecting"
        self.seen_at: float | None = None
        # What it says of itself: ok, degraded (the live feed is gone) or down (the database is).
        self.health = "ok"

    @property
    def is_full(self) -> bool:
        """Whether the socket takes no more subscriptions."""
        return self._subscriptions >= self._max_subscriptions

    @property
    def is_connected(self) -> bool:
        """Whether there is a socket, as far as is known."""
        return self._socket is not None

    async def connected(self) -> None:
        """Returns once there is a socket."""
        await self._opened.wait()

    async def lost(self) -> None:
        """Raises ApiGone once there is no socket any more."""
        await self._lost.wait()
        raise ApiGone(self.problem or GONE)

    async def run(self, recovered: Callable[[], None] = lambda: None) -> None:
        """Keeps the socket and looks after the API's health, for ever.

        `recovered`: called when there is a socket, maybe again.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=PONG_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as http, asyncio.TaskGroup() as group:
            group.create_task(self._keep_socket(http, recovered))
            group.create_task(self._watch_health(http))

    async def _keep_socket(
        self, http: aiohttp.ClientSession, recovered: Callable[[], None]
    ) -> None:
        while True:
            try:
                with _cancelled_first():
                    await self._keep_open(self._transport(http), recovered)
            except FAULTS:
                self.problem = await self._reason(http)
            finally:
                self._lose()
            self._tried.set()
            await asyncio.sleep(RETRY_SECONDS)

    async def _keep_open(
        self, transport: AIOHTTPWebsocketsTransport, recovered: Callable[[], None]
    ) -> None:
        """Returns, or raises a fault, when there is no socket any more."""
        before = _cancellations()
        async with Client(transport=transport, execute_timeout=TIMEOUT_SECONDS) as session:
            if _cancellations() > before:
                return
            self._open(session)
            recovered()
            await self._until_lost(transport)

    async def _until_lost(self, transport: AIOHTTPWebsocketsTransport) -> None:
        """Also when nobody asks anything who would notice."""
        lost = asyncio.ensure_future(self._lost.wait())
        receiving = transport.receive_data_task
        try:
            await asyncio.wait(
                [lost, *([receiving] if receiving else [])], return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            lost.cancel()

    def _open(self, session: AsyncClientSession) -> None:
        self._lost.clear()
        self._socket = session
        self.seen_at, self.problem = time.time(), None
        self._tried.set()
        self._opened.set()

    def _lose(self) -> None:
        """Has the socket opened anew: gql notices that one is dead, but leaves it so."""
        if self._socket is not None:
            self._socket, self.problem = None, GONE
        self._opened.clear()
        self._lost.set()

    async def _reason(self, http: aiohttp.ClientSession) -> str:
        """Why there is no socket: gql does not tell with which code it was closed."""
        timeout = aiohttp.ClientTimeout(total=PONG_SECONDS)
        question = {"query": "{ version }"}
        with contextlib.suppress(*FAULTS):
            async with http.post(
                self._graphql, json=question, headers=self._authorization, timeout=timeout
            ) as response:
                if response.status in (401, 403, 429):
                    return "the API refuses the dashboard's token (TOKEN)"
        return GONE

    def _transport(self, http: aiohttp.ClientSession) -> AIOHTTPWebsocketsTransport:
        return AIOHTTPWebsocketsTransport(
            self._graphql.replace("http", "ws", 1),
            init_payload=self._authorization,
            session=http,
            ping_interval=PING_SECONDS,
            pong_timeout=PONG_SECONDS,
            close_timeout=1,
            websocket_close_timeout=1,
            # The API decides how much an answer is; aiohttp would end the socket at 4 MiB.
            connect_args={"max_msg_size": 0},
        )

    async def _watch_health(self, http: aiohttp.ClientSession) -> None:
        """Silence of the feed means that nothing happened only while the feed works."""
        timeout = aiohttp.ClientTimeout(total=PONG_SECONDS)
        while True:
            with contextlib.suppress(*FAULTS, ValueError):
                async with http.get(self._health, timeout=timeout) as response:
                    self._hear(await response.json())
            await asyncio.sleep(PING_SECONDS)

    def _hear(self, health: Any) -> None:
        """Whoever stands before the API, or refuses in its stead, answers something else."""
        match health:
            case {"status": str(status)}:
                self.health = status
                if self._socket is not None:
                    self.seen_at = time.time()

    async def _session(self) -> AsyncClientSession:
        """The socket; at first it is waited for. Raises ApiGone."""
        await self._tried.wait()
        if self._socket is None:
            raise ApiGone(self.problem or GONE)
        return self._socket

    async def query(self, name: str, **variables: Any) -> dict[str, Any]:
        """The data that a query answers. Raises ApiGone."""
        async with self._queries:
            session = await self._session()
            try:
                with _cancelled_first():
                    data: dict[str, Any] = await session.execute(_request(name, variables))
            except FAULTS as fault:
                raise self._reading(fault, session) from fault
        return data

    async def changes(self, name: str, **variables: Any) -> AsyncGenerator[dict[str, Any]]:
        """The events of a subscription. Raises ApiGone, CursorExpired; never just ends."""
        session = await self._session()
        self._subscriptions += 1
        results = session.subscribe(_request(name, variables))
        try:
            with _cancelled_first():
                async with aclosing(results):
                    async for result in results:
                        self.seen_at = time.time()
                        yield result["changes"]
            raise ApiGone(GONE)
        except FAULTS as fault:
            raise self._reading(fault, session) from fault
        finally:
            self._subscriptions -= 1

    def _reading(self, fault: Exception, session: AsyncClientSession) -> Exception:
        """What a fault means; those of a dead socket have it opened anew."""
        match fault:
            case TransportQueryError():
                return refusal_of((fault.errors or [{}])[0])
            case TimeoutError():
                # Slow, maybe; a dead socket is noticed by its pings.
                return ApiGone("the API does not answer")
            case _:
                if session is self._socket:
                    self._lose()
                return ApiGone(GONE)


def _request(name: str, variables: dict[str, Any]) -> GraphQLRequest:
    return GraphQLRequest(operation(name), variable_values=variables)


def refusal_of(error: Mapping[str, Any]) -> ApiGone | CursorExpired:
    """What an error in an answer of the API means."""
    message = str(error.get("message", GONE))
    match error.get("extensions", {}).get("code"):
        case "CURSOR_EXPIRED":
            return CursorExpired()
        # What may be otherwise in a moment.
        case None | "UNAVAILABLE" | "INTERNAL":
            return ApiGone(message)
        case code:
            return Refused(message, str(code))
