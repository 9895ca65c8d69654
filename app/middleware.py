"""The outermost layers: no defect reaches a client with its text, no body is larger than it may."""

import logging
import secrets

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph.transports.sse import CONNECTION_EXTENSION
from monitor.writing.job import caller

logger = logging.getLogger(__name__)


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
        except Exception:
            if scope["type"] not in ("http", "websocket"):
                raise
            error_id = secrets.token_hex(8)
            logger.exception("unexpected error %s at %s", error_id, scope["path"])
            if started:
                return
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1011, "reason": error_id})
                return
            body = {"detail": f"Internal error; the log has it under {error_id}", "id": error_id}
            await JSONResponse(body, 500)(scope, receive, send)


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
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # What stands in front of us has checked that it is a number.
        if int(Headers(scope=scope).get("content-length", "0")) > self._limit:
            await JSONResponse({"detail": self._reason()}, 413)(scope, receive, send)
            return
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > self._limit:
                    raise HTTPException(413, self._reason())
            return message

        await self._app(scope, receive_limited, send)

    def _reason(self) -> str:
        return f"body: is larger than {self._limit} bytes"
