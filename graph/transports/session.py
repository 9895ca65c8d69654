"""One WebSocket connection and its operations (graphql-transport-ws)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from graphql import OperationType
from starlette.types import Receive, Scope, Send

from graph.context import Context
from graph.execution.engine import Engine, Prepared
from graph.execution.responses import error_of
from graph.fanout.channels import Channels
from graph.fanout.patience import Patience
from graph.fanout.sink import Errors, Told
from graph.fanout.subscriber import Subscriber
from graph.loaders import Loaders
from graph.transports.actors import token_holder
from graph.transports.extensions import PUSH_EXTENSION, Pusher
from graph.transports.protocol import (
    CloseCode,
    Violation,
    encode_message,
    encode_next,
    encode_pong,
    parse_id,
    parse_init,
    parse_message,
    parse_request,
)
from graph.transports.requests import GraphRequest
from monitor.auth import Authenticator, Principal, bearer_token
from monitor.errors import InvalidInput, TooManyAttempts, Unauthenticated
from monitor.feed.log import Cursor
from monitor.monitor import Monitor

MAX_OPERATIONS = 100


@dataclass(frozen=True, slots=True)
class Parts:
    """What all connections share."""

    engine: Engine
    monitor: Monitor
    authenticator: Authenticator
    channels: Channels
    patience: Patience


class Socket:
    """One connection and its operations."""

    def __init__(self, parts: Parts, scope: Scope, receive: Receive, send: Send) -> None:
        self._parts = parts
        self._receive = receive
        self._send = send
        self._authorization = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        self._address = (scope.get("client") or ("",))[0]
        self._operations: dict[str, Subscriber | asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()
        self.pusher: Pusher | None = scope.get("extensions", {}).get(PUSH_EXTENSION)

    async def serve(self) -> None:
        """Serves until the client goes. Raises Violation."""
        try:
            principal = await self._initialise()
            if principal is not None:
                await self._answer_messages(principal)
        finally:
            for id_ in list(self._operations):
                self._complete(id_)

    async def _answer_messages(self, principal: Principal) -> None:
        while (message := await self._next_message()) is not None:
            match message.get("type"):
                case "subscribe":
                    await self._subscribe(message, principal)
                case "complete":
                    self._complete(parse_id(message))
                case "connection_init":
                    raise Violation(
                        CloseCode.TOO_MANY_INITIALISATIONS, "Too many initialisation requests"
                    )
                case _:
                    raise Violation(CloseCode.INVALID_MESSAGE, "Unknown message type")

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for room. One at a time, since all that wait would write when there is some."""
        async with self._turn:
            if self.pusher is not None:
                await self.pusher.room()
            yield

    async def send_text(self, text: bytes) -> None:
        """Raises ConnectionError when the client is gone."""
        try:
            await self._send({"type": "websocket.send", "text": text.decode()})
        except (OSError, RuntimeError) as error:
            raise ConnectionError from error

    def fail(self, id_: str, errors: Errors) -> None:
        """Ends an operation with errors, from where one cannot wait."""
        self._operations[id_] = asyncio.create_task(self._fail(id_, errors), name="error")

    def _forget(self, id_: str) -> None:
        """The operation that this task runs is over; its id may be used again."""
        if self._operations.get(id_) is asyncio.current_task():
            del self._operations[id_]

    async def _initialise(self) -> Principal | None:
        """Waits for connection_init and checks its token; None when the client went away."""
        try:
            async with asyncio.timeout(self._parts.patience.init_seconds):
                message = await self._next_message()
        except TimeoutError:
            raise Violation(
                CloseCode.INITIALISATION_TIMEOUT, "Connection initialisation timeout"
            ) from None
        if message is None:
            return None
        given = parse_init(message)
        # In the message, as browsers can send it, or else with the handshake.
        token = bearer_token(self._authorization if given is None else given)
        try:
            principal = self._parts.authenticator.principal(token, self._address)
        except Unauthenticated:
            raise Violation(CloseCode.FORBIDDEN, "Forbidden") from None
        except TooManyAttempts as error:
            raise Violation(CloseCode.FORBIDDEN, str(error)) from None
        if self.pusher is not None:
            self.pusher.recognise()
        await self.send_text(encode_message("connection_ack"))
        return principal

    async def _next_message(self) -> dict[str, Any] | None:
        """The next message; None when the client went away. Raises Violation.

        Signs of life, which both sides may send at any time, are answered here.
        """
        while (received := await self._receive())["type"] != "websocket.disconnect":
            message = parse_message(received.get("text"))
            match message.get("type"):
                case "ping":
                    await self.send_text(encode_pong(message))
                case "pong":
                    pass
                case _:
                    return message
        return None

    async def _subscribe(self, message: Mapping[str, Any], principal: Principal) -> None:
        id_ = parse_id(message)
        if id_ in self._operations:
            raise Violation(CloseCode.ID_IN_USE, f"Subscriber for {id_} already exists")
        request = parse_request(message)
        if len(self._operations) >= MAX_OPERATIONS:
            too_many = InvalidInput("id", f"a socket has at most {MAX_OPERATIONS} operations")
            # Waits for room: who sends more and more, and reads nothing, is not read any further.
            await self._fail(id_, [error_of(too_many)])
            return
        self._operations[id_] = asyncio.create_task(
            self._run(id_, request, principal), name="operation"
        )

    def _complete(self, id_: str) -> None:
        operation = self._operations.pop(id_, None)
        match operation:
            case Subscriber():
                operation.stop()
            case asyncio.Task():
                operation.cancel()

    async def _run(self, id_: str, request: GraphRequest, principal: Principal) -> None:
        try:
            await self._start(id_, request, principal)
        except ConnectionError:
            self._forget(id_)
        except Exception as error:  # noqa: BLE001 — whatever it is, the client is told
            await self._fail(id_, [error_of(error)])

    async def _start(self, id_: str, request: GraphRequest, principal: Principal) -> None:
        prepared = self._parts.engine.prepare(request.query)
        if prepared.operation_type(request.operation_name) is OperationType.SUBSCRIPTION:
            await self._follow(id_, prepared, request, principal)
        else:
            await self._answer(id_, prepared, request, principal)

    async def _follow(
        self, id_: str, prepared: Prepared, request: GraphRequest, principal: Principal
    ) -> None:
        started = await self._parts.channels.subscribe(
            Operation(self, id_),
            prepared,
            principal,
            variables=request.variables,
            operation_name=request.operation_name,
        )
        if isinstance(started, Subscriber):
            self._operations[id_] = started
        else:
            await self._fail(id_, started)

    async def _answer(
        self, id_: str, prepared: Prepared, request: GraphRequest, principal: Principal
    ) -> None:
        monitor = self._parts.monitor
        answer = await self._parts.engine.run(
            prepared,
            Context(monitor, principal, Loaders.of(monitor), token_holder(self._address)),
            variables=request.variables,
            operation_name=request.operation_name,
        )
        if "data" not in answer.response:
            await self._fail(id_, answer.response["errors"])
            return
        async with self.turn():
            await self.send_text(encode_next(id_, answer.encoded))
        await self.send_text(encode_message("complete", id=id_))
        self._forget(id_)

    async def _fail(self, id_: str, errors: Errors) -> None:
        """Only then is the id free again: its operation counts until its end is on its way."""
        with contextlib.suppress(ConnectionError):
            await self.send_text(encode_message("error", id=id_, payload=errors))
        self._forget(id_)


class Operation:
    """The sink of one subscription on a socket."""

    def __init__(self, socket: Socket, id_: str) -> None:
        self._socket = socket
        self._id = id_
        self.can_push = socket.pusher is not None

    @property
    def has_room(self) -> bool:
        pusher = self._socket.pusher
        return pusher is None or pusher.has_room

    def turn(self) -> AbstractAsyncContextManager[None]:
        return self._socket.turn()

    def push(self, told: Sequence[Told], frames: dict[Any, bytes]) -> bool:
        pusher = self._socket.pusher
        if pusher is None:
            return False
        framed = frames.get(self._id)
        if framed is None:
            # Clients number their operations, so most of them share even the frames.
            texts = (encode_next(self._id, each.payload) for each in told)
            framed = frames[self._id] = b"".join(map(pusher.frame, texts))
        return pusher.push(framed)

    async def send(self, payload: bytes, cursor: Cursor) -> None:
        del cursor
        await self._socket.send_text(encode_next(self._id, payload))

    def fail(self, errors: Errors) -> None:
        self._socket.fail(self._id, errors)
