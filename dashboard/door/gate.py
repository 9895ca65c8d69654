"""What stands in front of the dashboard: who may pass, and what browsers may do with answers."""

import asyncio
import string
import time
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.door.signin import (
    METHODS,
    SESSION_SECONDS,
    SIGN_IN,
    Attempts,
    Clock,
    Delay,
    Sessions,
    SignIn,
    local_path,
)

# Code of components and styles, which everyone may have.
OPEN_FOLDERS = ("/_dash-component-suites/", "/assets/")
HEALTH = "/health"
# In the range for applications; servers answer 403, since the handshake is not done.
SIGN_IN_FIRST = 4401

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Gate:
    """Lets through who signed in, everyone if there is no password, and completes the headers.

    A session is prolonged by what passes. An open WebSocket stays open when its session ends: to
    open the next one takes a session again.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        password: str | None,
        policy: str,
        now: Clock = time.time,
        delay: Delay = asyncio.sleep,
        attempts: Attempts | None = None,
    ) -> None:
        self._app = app
        self._headers = HEADERS | {"Content-Security-Policy": policy}
        self._sessions = None if password is None else Sessions(password, now)
        self._sign_in = SignIn(self._sessions, delay, attempts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._connect(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        send = self._completing(send)
        if scope["method"] == "HEAD":
            # FastAPI's routes know no HEAD; the server leaves out the body.
            scope = {**scope, "method": "GET"}
        if scope["path"] in METHODS:
            response = await self._sign_in.answer(Request(scope, receive))
            await response(scope, receive, send)
        elif self._sessions is None or _is_open(scope["path"]):
            await self._app(scope, receive, send)
        elif remaining := self._sessions.remaining_seconds(scope):
            await self._app(scope, receive, _prolonging(self._sessions, remaining, scope, send))
        else:
            await _refusal(scope)(scope, receive, send)

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._sessions is None:
            await self._app(scope, receive, send)
        elif remaining := self._sessions.remaining_seconds(scope):
            await self._app(scope, receive, _prolonging(self._sessions, remaining, scope, send))
        else:
            await receive()
            await send({"type": "websocket.close", "code": SIGN_IN_FIRST})

    def _completing(self, send: Send) -> Send:
        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = _with_headers(message, self._headers)
            await send(message)

        return complete


def _is_open(path: str) -> bool:
    return path == HEALTH or path.startswith(OPEN_FOLDERS)


def _refusal(scope: Scope) -> Response:
    if scope["method"] != "GET" or "text/html" not in Request(scope).headers.get("accept", ""):
        return JSONResponse({"detail": "Sign in first."}, 401)
    # As it was sent: in a decoded path, "?" and "%" would mean something else.
    raw = scope.get("raw_path") or quote(scope["path"]).encode()
    if scope["query_string"]:
        raw += b"?" + scope["query_string"]
    target = local_path(quote(raw, safe=string.punctuation))
    return RedirectResponse(f"{SIGN_IN}?next={quote(target, safe='/')}", 303)


def _prolonging(sessions: Sessions, remaining: float, scope: Scope, send: Send) -> Send:
    """Begins the session anew, with the answer, when less than half of it remains."""
    if remaining >= SESSION_SECONDS / 2:
        return send

    async def prolong(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.accept"):
            headers = MutableHeaders(raw=list(message.get("headers", ())))
            headers.append("Set-Cookie", sessions.cookie(scope))
            message = {**message, "headers": headers.raw}
        await send(message)

    return prolong


def _with_headers(start: Message, values: dict[str, str]) -> Message:
    headers = MutableHeaders(raw=list(start.get("headers", ())))
    headers.update(values)
    if headers.get("content-type", "").startswith(("text/html", "application/json")):
        headers.setdefault("Cache-Control", "no-store")
    return {**start, "headers": headers.raw}
