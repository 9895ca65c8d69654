"""What stands in front of the dashboard: who may pass, and what browsers may do with answers."""

import asyncio
import string
import time
from pathlib import Path
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.door.hosts import ANY_NAME, Hosts
from dashboard.door.sessions import ROLE, Clock, Role, Session, Sessions, SignedOut
from dashboard.door.signin import (
    METHODS,
    SIGN_IN,
    Attempts,
    Delay,
    SignIn,
    local_path,
    session_cookie,
)

# Their paths change with their content.
ASSETS = "/assets/"
# Code of components and styles, which everyone may have.
OPEN_FOLDERS = ("/_dash-component-suites/", ASSETS)
FOR_EVER = "public, max-age=31536000, immutable"
HEALTH = "/health"
SESSION = "/session"
# In the range for applications; servers answer 403 while the handshake is not done.
SIGN_IN_FIRST = 4401
UNKNOWN_HOST = 4421
# How long a socket may outlive its session; to look costs next to nothing.
LOOK_SECONDS = 1.0

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Gate:
    """Lets through who signed in, everyone if there is no password, and completes the headers.

    A session is prolonged by what passes. A WebSocket ends with the session that opened it; what
    prolongs the session meanwhile counts for the next one.

    Args:
        password: to look with
        admin_password: to look and act with; where it is the only one, nobody looks without it
        folder: where it is kept which sessions were signed out
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        password: str | None,
        admin_password: str | None = None,
        policy: str,
        hosts: Hosts | None = None,
        folder: Path | None = None,
        now: Clock = time.time,
        delay: Delay = asyncio.sleep,
        attempts: Attempts | None = None,
    ) -> None:
        self._app = app
        self._headers = HEADERS | {"Content-Security-Policy": policy}
        self._hosts = hosts or Hosts([ANY_NAME])
        given = {Role.VIEWER: password, Role.ADMIN: admin_password}
        passwords = {role: text for role, text in given.items() if text is not None}
        self._sessions = (
            Sessions(passwords, now, signed_out=SignedOut(folder, now)) if passwords else None
        )
        self._sign_in = SignIn(self._sessions, delay, attempts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._connect(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        send = self._completing(scope, send)
        if scope["method"] == "HEAD":
            # FastAPI's routes know no HEAD; the server leaves out the body.
            scope = {**scope, "method": "GET"}
        # What watches over it may call it as it likes.
        if scope["path"] != HEALTH and not self._hosts.accept(scope):
            await _unknown_host()(scope, receive, send)
        elif scope["path"] in METHODS:
            response = await self._sign_in.answer(Request(scope, receive))
            await response(scope, receive, send)
        elif self._sessions is None or _is_open(scope["path"]):
            await self._inside(scope, None)(scope, receive, send)
        elif session := self._sessions.find(scope):
            send = _prolonging(self._sessions, session, scope, send)
            await self._inside(scope, session)(scope, receive, send)
        else:
            await _refusal(scope)(scope, receive, send)

    def _inside(self, scope: Scope, session: Session | None) -> ASGIApp:
        """What answers who may pass; it finds the role in the scope."""
        scope[ROLE] = None if session is None else session.role
        return _tell_role if scope["path"] == SESSION else self._app

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._hosts.accept(scope):
            await _close(receive, send, UNKNOWN_HOST)
        elif self._sessions is None:
            await self._app(scope, receive, send)
        elif session := self._sessions.find(scope):
            scope[ROLE] = session.role
            prolonging = _prolonging(self._sessions, session, scope, send)
            socket = _Socket(self._sessions, self._sessions.prolonged(session) or session)
            await socket.serve(self._app, scope, receive, prolonging)
        else:
            await _close(receive, send, SIGN_IN_FIRST)

    def _completing(self, scope: Scope, send: Send) -> Send:
        caching = FOR_EVER if scope["path"].startswith(ASSETS) else None

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = _with_headers(message, self._headers, caching)
            await send(message)

        return complete


class _Socket:
    """Serves a WebSocket until its session ends."""

    def __init__(self, sessions: Sessions, session: Session) -> None:
        self._sessions = sessions
        self._session = session
        self._is_closed = False

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        async def tell(message: Message) -> None:
            if self._is_closed:
                return  # the application hears of the end only when it listens
            self._is_closed = message["type"] == "websocket.close"
            await send(message)

        closing = asyncio.create_task(self._close_at_end(tell), name="end of a session")
        try:
            await app(scope, receive, tell)
        finally:
            closing.cancel()
            await asyncio.gather(closing, return_exceptions=True)  # its peer may be gone

    async def _close_at_end(self, tell: Send) -> None:
        # No event tells of the end: it may be that of its time, or on another replica.
        while self._sessions.is_open(self._session):  # noqa: ASYNC110  # see above
            await asyncio.sleep(LOOK_SECONDS)
        await tell({"type": "websocket.close", "code": SIGN_IN_FIRST})


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


async def _tell_role(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers GET /session, by which a page knows whether to draw what acts."""
    if scope["method"] == "GET":
        response = JSONResponse({"role": scope[ROLE]})
    else:
        response = JSONResponse({"detail": "Method not allowed."}, 405, {"Allow": "GET, HEAD"})
    await response(scope, receive, send)


def _unknown_host() -> Response:
    told = "The dashboard does not answer by this name. MONITOR_DASHBOARD_HOSTS can allow it."
    return JSONResponse({"detail": told}, 421)


def _prolonging(sessions: Sessions, session: Session, scope: Scope, send: Send) -> Send:
    """Prolongs the session, with the answer, when less than half of it remains."""
    prolonged = sessions.prolonged(session)
    if prolonged is None:
        return send

    async def prolong(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.accept"):
            headers = MutableHeaders(raw=list(message.get("headers", ())))
            headers.append("Set-Cookie", session_cookie(scope, sessions, prolonged))
            message = {**message, "headers": headers.raw}
        await send(message)

    return prolong


async def _close(receive: Receive, send: Send, code: int) -> None:
    await receive()
    await send({"type": "websocket.close", "code": code})


def _with_headers(start: Message, values: dict[str, str], caching: str | None) -> Message:
    headers = MutableHeaders(raw=list(start.get("headers", ())))
    headers.update(values)
    if headers.get("content-type", "").startswith(("text/html", "application/json")):
        headers.setdefault("Cache-Control", "no-store")
    elif caching and start["status"] < 400:
        headers.setdefault("Cache-Control", caching)
    return {**start, "headers": headers.raw}
