"""GraphQL over WebSocket: the server side of graphql-transport-ws.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md — written here, on ASGI itself,
since events are pushed to thousands of sockets without a task or a queue for each.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import IntEnum
from typing import Any, Protocol

import orjson
from graphql import OperationType
from starlette.types import Message, Receive, Scope, Send

from graph.context import Context
from graph.execution.engine import Engine, error_of
from graph.fanout.channels import Channels, Errors, Subscriber
from graph.fanout.patience import Patience
from graph.loaders import Loaders
from graph.scalars import encode
from graph.transports.requests import BadRequest, GraphRequest, parse_parameters
from monitor.auth import Authenticator, Principal, bearer_token
from monitor.errors import InvalidInput, TooManyAttempts, Unauthenticated
from monitor.feed.log import Cursor
from monitor.monitor import Monitor

logger = logging.getLogger(__name__)

SUBPROTOCOL = "graphql-transport-ws"
MAX_OPERATIONS = 100
MAX_ID_LENGTH = 256
# The server's extension to ASGI; see app.server.
PUSH_EXTENSION = "process_monitor.push"


class CloseCode(IntEnum):
    """Why the server closes a socket (the protocol's codes)."""

    INVALID_MESSAGE = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INITIALISATION_TIMEOUT = 4408
    ID_IN_USE = 4409
    TOO_MANY_INITIALISATIONS = 4429


class Pusher(Protocol):
    """Writes to a socket at once, or not at all."""

    def recognise(self) -> None:
        """The client has shown who it is."""

    def frame(self, text: bytes) -> bytes:
        """A text message as it goes over the wire."""

    @property
    def has_room(self) -> bool:
        """False while the socket's buffer is full, or it is closing."""

    async def room(self) -> None:
        """Returns when the buffer is not full any more, or the client is gone."""

    def push(self, frame: bytes) -> bool:
        """False, and nothing written, while there is no room."""


class Violation(Exception):
    """The client broke the protocol: the socket is closed with this code and reason."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class SocketEndpoint:
    """Answers WebSocket connections to /graphql."""

    def __init__(
        self,
        engine: Engine,
        monitor: Monitor,
        authenticator: Authenticator,
        channels: Channels,
        patience: Patience,
    ) -> None:
        self.engine = engine
        self.monitor = monitor
        self.authenticator = authenticator
        self.channels = channels
        self.patience = patience
        self.open_sockets = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, from the handshake to its end."""
        await receive()  # websocket.connect
        if SUBPROTOCOL not in scope["subprotocols"]:
            await send({"type": "websocket.accept"})
            await _close(send, CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE, f"Use {SUBPROTOCOL}")
            return
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        socket = Socket(self, scope, receive, send)
        self.open_sockets += 1
        try:
            await socket.serve()
        except Violation as violation:
            await _close(send, violation.code, str(violation))
        except ConnectionError:
            logger.debug("a client went away in the midst of an answer")
        finally:
            self.open_sockets -= 1


class Socket:
    """One connection and its operations."""

    def __init__(
        self, endpoint: SocketEndpoint, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._endpoint = endpoint
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
                    self._complete(_operation_id(message))
                case "ping":
                    await self.send_text(_pong(message))
                case "pong":
                    pass
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
            async with asyncio.timeout(self._endpoint.patience.init_seconds):
                message = await self._next_message()
        except TimeoutError:
            raise Violation(
                CloseCode.INITIALISATION_TIMEOUT, "Connection initialisation timeout"
            ) from None
        if message is None:
            return None
        if message.get("type") != "connection_init":
            raise Violation(CloseCode.UNAUTHORIZED, "Unauthorized")
        payload = message.get("payload")
        if not isinstance(payload, dict | None):
            raise Violation(CloseCode.INVALID_MESSAGE, "The payload must be an object")
        try:
            token = self._token(payload or {})
            principal = self._endpoint.authenticator.principal(token, self._address)
        except Unauthenticated:
            raise Violation(CloseCode.FORBIDDEN, "Forbidden") from None
        except TooManyAttempts as error:
            raise Violation(CloseCode.FORBIDDEN, str(error)) from None
        if self.pusher is not None:
            self.pusher.recognise()
        await self.send_text(_encode("connection_ack"))
        return principal

    def _token(self, payload: Mapping[str, Any]) -> str | None:
        """From the payload, as browsers can send it, or else from the handshake's header."""
        for name, value in payload.items():
            if name.lower() == "authorization" and isinstance(value, str):
                return bearer_token(value)
        return bearer_token(self._authorization)

    async def _next_message(self) -> dict[str, Any] | None:
        """The next message; None when the client went away. Raises Violation."""
        received: Message = await self._receive()
        if received["type"] == "websocket.disconnect":
            return None
        text = received.get("text")
        try:
            message = orjson.loads(text) if text is not None else None
        except orjson.JSONDecodeError:
            message = None
        if not isinstance(message, dict):
            raise Violation(CloseCode.INVALID_MESSAGE, "A message must be a JSON object in a text")
        return message

    async def _subscribe(self, message: Mapping[str, Any], principal: Principal) -> None:
        id_ = _operation_id(message)
        if id_ in self._operations:
            raise Violation(CloseCode.ID_IN_USE, f"Subscriber for {id_} already exists")
        payload = message.get("payload")
        try:
            if not isinstance(payload, dict):
                raise BadRequest(400, "The payload must be an object")
            request = parse_parameters(payload)
        except BadRequest as error:
            raise Violation(CloseCode.INVALID_MESSAGE, str(error)) from None
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
        endpoint = self._endpoint
        prepared = endpoint.engine.prepare(request.query)
        if prepared.operation_type(request.operation_name) is OperationType.SUBSCRIPTION:
            started = await endpoint.channels.subscribe(
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
            return
        context = Context(endpoint.monitor, principal, Loaders(endpoint.monitor.database))
        response = await endpoint.engine.run(
            prepared,
            context,
            variables=request.variables,
            operation_name=request.operation_name,
        )
        if "data" not in response:
            await self._fail(id_, response["errors"])
            return
        async with self.turn():
            await self.send_text(_next(id_, encode(response)))
        await self.send_text(_encode("complete", id=id_))
        self._forget(id_)

    async def _fail(self, id_: str, errors: Errors) -> None:
        """Only then is the id free again: its operation counts until its end is on its way."""
        with contextlib.suppress(ConnectionError):
            await self.send_text(_encode("error", id=id_, payload=errors))
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

    def push(self, payload: bytes, frames: dict[str, bytes]) -> bool:
        pusher = self._socket.pusher
        if pusher is None:
            return False
        frame = frames.get(self._id)
        if frame is None:
            # Clients number their operations, so most of them share even the frame.
            frame = frames[self._id] = pusher.frame(_next(self._id, payload))
        return pusher.push(frame)

    async def send(self, payload: bytes, cursor: Cursor) -> None:
        del cursor
        await self._socket.send_text(_next(self._id, payload))

    def fail(self, errors: Errors) -> None:
        self._socket.fail(self._id, errors)


def _operation_id(message: Mapping[str, Any]) -> str:
    id_ = message.get("id")
    if not isinstance(id_, str) or not 0 < len(id_) <= MAX_ID_LENGTH:
        raise Violation(CloseCode.INVALID_MESSAGE, "id: must be a text of 1 to 256 characters")
    return id_


def _pong(ping: Mapping[str, Any]) -> bytes:
    payload = ping.get("payload")
    try:
        if not isinstance(payload, dict | None):
            raise TypeError("not an object")
        return _encode("pong", payload=payload)
    except TypeError as error:  # what orjson raises, too, for what is nested too deeply
        raise Violation(CloseCode.INVALID_MESSAGE, f"The payload of a ping: {error}") from None


def _next(id_: str, payload: bytes) -> bytes:
    return b'{"id":' + orjson.dumps(id_) + b',"type":"next","payload":' + payload + b"}"


def _encode(type_: str, **fields: object) -> bytes:
    given = {name: value for name, value in fields.items() if value is not None}
    return orjson.dumps({"type": type_, **given})


async def _close(send: Send, code: CloseCode, reason: str) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        await send({"type": "websocket.close", "code": int(code), "reason": reason})
