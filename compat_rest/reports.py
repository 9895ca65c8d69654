"""The short way of a report that is as it should be: no more than its body, its route, its answer.

FastAPI and Starlette ask each route whether it is meant, resolve dependencies, stack contexts and
copy values for each request, and every layer around them takes each message of it, which takes
longer than everything else that this process does for a report. Whatever does not fit goes the
long way, which says what is wrong with it.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Protocol, get_type_hints

from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from compat_rest.errors import refusal_response
from monitor.errors import MonitorError
from monitor.writing.job import caller

# What a server may offer in a scope's `extensions`, see `Connection`.
CONNECTION_EXTENSION = "process_monitor.report"
# A report as workers send them; a larger one waits for a place (`app.middleware`).
SHORT_BYTES = 256 * 1024

# Raises for whoever may not come in: by the `Authorization` header and the client's address.
Guard = Callable[[str | None, str], object]
Endpoint = Callable[[Any], Awaitable[BaseModel]]
# Seconds until the answer, its route, method and class of status.
Observe = Callable[[float, str, str, str], None]


class Connection(Protocol):
    """Where a report came from, and its answer goes."""

    @property
    def gone(self) -> bool:
        """True when nobody is there any more to take it."""

    def answer(self, body: bytes) -> bool:
        """Writes a whole answer of status 200, JSON; False, and nothing written, if it cannot."""


class ReportRoute(APIRoute):
    """A route that takes one model and answers one, and lets nobody in whom `guard` refuses."""

    guard: Guard

    @property
    def takes_report(self) -> bool:
        return self.body_field is not None


class ReportsMiddleware:
    """Serves the routes that take reports, of which `routes` may have others besides.

    It stands around all other layers, and does itself what they do: has the time until the answer
    noted by `observe`, and what nobody expected answered by `defect`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: Sequence[BaseRoute],
        observe: Observe,
        defect: Callable[[str, Exception], Response],
    ) -> None:
        self._app = app
        self._reports: Mapping[str, _Report] = {
            route.path: _Report(route)
            for route in routes
            if isinstance(route, ReportRoute) and route.takes_report
        }
        self._observe = observe
        self._defect = defect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        report = self._find(scope)
        head = None if report is None else _read_head(scope["headers"])
        if report is None or head is None:
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        body = bytearray()
        try:
            outcome = await report.serve(scope, head, body, receive)
        except Exception as error:  # noqa: BLE001 — as around the long way
            outcome = self._defect(report.path, error)
        if outcome is _Elsewhere.LONG_WAY:
            await self._app(scope, _again(bytes(body)), send)
        elif outcome is not _Elsewhere.NOBODY:
            status = 200 if isinstance(outcome, bytes) else outcome.status_code
            self._observe(time.perf_counter() - began, report.path, "POST", f"{status // 100}xx")
            await _answer(outcome, scope, receive, send)

    def _find(self, scope: Scope) -> "_Report | None":
        if scope["type"] != "http" or scope["method"] != "POST" or scope.get("root_path"):
            return None
        return self._reports.get(scope["path"])


@dataclass(frozen=True, slots=True)
class _Head:
    """What counts of the headers of a plain report."""

    authorization: str | None


def _read_head(headers: Iterable[tuple[bytes, bytes]]) -> _Head | None:
    """None for one that is not plain: of a browser, of unknown length, large, no JSON."""
    authorization, length = None, None
    for name, value in headers:
        if name == b"authorization":
            authorization = authorization or value.decode("latin-1")
        elif name == b"content-length":
            length = int(value)
        elif name == b"origin" or (name == b"content-type" and value != b"application/json"):
            return None
    return _Head(authorization) if length is not None and length <= SHORT_BYTES else None


class _Elsewhere(Enum):
    """What becomes of a report that is not answered here."""

    LONG_WAY = auto()
    NOBODY = auto()


class _Report:
    """One route's short way."""

    def __init__(self, route: ReportRoute) -> None:
        self.path = route.path
        self._guard = route.guard
        self._endpoint: Endpoint = route.endpoint
        hints = get_type_hints(route.endpoint)
        body, *_ = (type_ for name, type_ in hints.items() if name != "return")
        self._validate = body.__pydantic_validator__.validate_json

    async def serve(
        self, scope: Scope, head: _Head, body: bytearray, receive: Receive
    ) -> bytes | Response | _Elsewhere:
        """The answer, of which bytes are JSON; `body` is what was received."""
        client = scope.get("client")
        try:
            self._guard(head.authorization, client[0] if client else "")
            if not await _receive(body, receive):
                return _Elsewhere.NOBODY
            try:
                report = self._validate(body)
            except ValidationError:
                return _Elsewhere.LONG_WAY
            connection = scope.get("extensions", {}).get(CONNECTION_EXTENSION)
            caller.set(connection)
            answer = await self._endpoint(report)
        except MonitorError as error:
            return refusal_response(error)
        encoded: bytes = answer.__pydantic_serializer__.to_json(answer)
        return encoded


async def _receive(body: bytearray, receive: Receive) -> bool:
    """All of it; False when the client went away before."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return False
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return True


async def _answer(answer: bytes | Response, scope: Scope, receive: Receive, send: Send) -> None:
    if isinstance(answer, bytes):
        connection: Connection | None = scope.get("extensions", {}).get(CONNECTION_EXTENSION)
        if connection is not None and connection.answer(answer):
            return
        answer = Response(answer, media_type="application/json")
    await answer(scope, receive, send)


def _again(body: bytes) -> Receive:
    """The body that was read, for somebody else to read."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
