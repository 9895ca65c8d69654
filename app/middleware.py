"""The outermost layers: no defect reaches a client with its text, no body is larger than it may."""

import asyncio
import logging
import secrets

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph.transports.extensions import CONNECTION_EXTENSION
from monitor.writing.job import caller

logger = logging.getLogger(__name__)

# 8 of 8 MiB, each of which is held a few times over while it is read.
LARGE_BODY_BYTES = 256 * 1024
LARGE_BODIES = 8
PLACE_SECONDS = 1.0


class DefectMiddleware:
    """Answers what nobody expected with 500 and an id that is also in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] in ("http.response.start", "websocket.close")
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:
            if scope["type"] not in ("http", "websocket"):
                raise
            error_id = _log_defect(scope["path"], error)
            if started:
                return
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1011, "reason": error_id})
                return
            await _defect_response(error_id)(scope, receive, send)


def answer_defect(path: str, error: Exception) -> JSONResponse:
    """500 for what nobody expected, which gets into the log."""
    return _defect_response(_log_defect(path, error))


def _log_defect(path: str, error: Exception) -> str:
    """The id under which the log has it."""
    error_id = secrets.token_hex(8)
    logger.error("unexpected error %s at %s", error_id, path, exc_info=error)
    return error_id


def _defect_response(error_id: str) -> JSONResponse:
    body = {"detail": f"Internal error; the log has it under {error_id}", "id": error_id}
    return JSONResponse(body, 500)


class CallerMiddleware:
    """Lets whoever writes know of a client that is gone: its requests are not cancelled for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = scope.get("extensions", {}).get(CONNECTION_EXTENSION)
        if connection is not None:
            caller.set(connection)
        await self._app(scope, receive, send)


class BodyLimitMiddleware:
    """Answers 413 to bodies of more than `limit` bytes, however they are sent.

    FastAPI's own limit answers in plain text, and by an exception that looks like a defect here.
    Few large ones are taken at a time; others wait a moment, and are told to come again (503).
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._limit = limit
        self._places = asyncio.Semaphore(LARGE_BODIES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # What stands in front of us has checked that it is a number.
        if int(Headers(scope=scope).get("content-length", "0")) > self._limit:
            await JSONResponse({"detail": _reason(self._limit)}, 413)(scope, receive, send)
            return
        body = _Body(receive, send, self._limit, self._places)
        try:
            await self._app(scope, body.receive, body.send)
        finally:
            body.release()


class _Body:
    """The body of one request; one that grows large has a place until its answer begins."""

    def __init__(self, receive: Receive, send: Send, limit: int, places: asyncio.Semaphore) -> None:
        self._receive = receive
        self._send = send
        self._limit = limit
        self._places = places
        self._received = 0
        self._has_place = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received > self._limit:
                raise HTTPException(413, _reason(self._limit))
            if self._received > LARGE_BODY_BYTES and not self._has_place:
                await self._take_place()
        return message

    async def send(self, message: Message) -> None:
        self.release()
        await self._send(message)

    def release(self) -> None:
        """Of no consequence for one that has no place."""
        if self._has_place:
            self._has_place = False
            self._places.release()

    async def _take_place(self) -> None:
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                await self._places.acquire()
        except TimeoutError:
            reason = "Too many large requests at a time; try again"
            raise HTTPException(503, reason, {"Retry-After": "1"}) from None
        self._has_place = True


def _reason(limit: int) -> str:
    return f"body: is larger than {limit} bytes"
