"""Signing in with a password, and out: the form, the cookie, and what guessing costs."""

import math
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import Scope

from dashboard.door.sessions import COOKIE, Session, Sessions

SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
METHODS = {SIGN_IN: "GET, HEAD, POST", SIGN_OUT: "POST"}

MAX_FORM_BYTES = 4096
MAX_NEXT_CHARACTERS = 4096
FAILURE_SECONDS = 1.0
# Per address, so that who guesses locks out nobody else; in all, so that more gain little.
MAX_FAILURES_OF_ADDRESS = 3
MAX_FAILURES = 60

Delay = Callable[[float], Awaitable[None]]


class Attempts(Protocol):
    """Who failed how often, by address."""

    def wait_seconds(self, address: str) -> float:
        """Until the next attempt is looked at; 0 when it is looked at now."""

    def failed(self, address: str) -> None:
        """One more that was looked at, and was wrong."""


class SignIn:
    """Answers /sign-in and /sign-out; without `sessions` there is nothing to sign in to."""

    def __init__(
        self, sessions: Sessions | None, delay: Delay, attempts: Attempts | None = None
    ) -> None:
        self._sessions = sessions
        self._failures = _Failures(delay)
        self._attempts = attempts

    async def answer(self, request: Request) -> Response:
        path = request.scope["path"]
        if self._sessions is None:
            return RedirectResponse("/", 303)
        if request.method == "POST":
            sign = self._sign_in if path == SIGN_IN else self._sign_out
            return await sign(request, self._sessions)
        if request.method == "GET" and path == SIGN_IN:
            if self._sessions.find(request.scope):
                return RedirectResponse(_next(request), 303)
            return HTMLResponse(form())
        return JSONResponse({"detail": "Method not allowed."}, 405, {"Allow": METHODS[path]})

    async def _sign_in(self, request: Request, sessions: Sessions) -> Response:
        fields = await _fields(request)
        if fields is None:
            return JSONResponse({"detail": "The form is too large."}, 413)
        address = request.client.host if request.client else ""
        # Before the password is looked at: else this answer would tell at once that it is wrong.
        wait = 0.0 if self._attempts is None else self._attempts.wait_seconds(address)
        if wait > 0 or self._failures.are_too_many(address):
            notice = "Too many attempts. Try again in a moment."
            return HTMLResponse(form(notice), 429, {"Retry-After": f"{max(1, math.ceil(wait))}"})
        role = sessions.role_by(fields.get("password", ""))
        if role is not None:
            cookie = session_cookie(request.scope, sessions, sessions.begin(role))
            return RedirectResponse(_next(request), 303, {"Set-Cookie": cookie})
        if self._attempts is not None:
            self._attempts.failed(address)
        await self._failures.wait_out(address)
        return HTMLResponse(form("The password is not right."), 401)

    async def _sign_out(self, request: Request, sessions: Sessions) -> Response:
        response = RedirectResponse(SIGN_IN, 303)
        # Other sites can send this form, but not the cookie with it: they end no session.
        if sessions.end(request.scope):
            response.headers["Set-Cookie"] = _set_cookie(request.scope, "", 0)
        return response


class _Failures:
    """The failed attempts that are being waited out."""

    def __init__(self, delay: Delay) -> None:
        self._delay = delay
        self._waiting: Counter[str] = Counter()

    def are_too_many(self, address: str) -> bool:
        of_address = self._waiting[address]
        return of_address >= MAX_FAILURES_OF_ADDRESS or self._waiting.total() >= MAX_FAILURES

    async def wait_out(self, address: str) -> None:
        self._waiting[address] += 1
        try:
            await self._delay(FAILURE_SECONDS)
        finally:
            self._waiting -= Counter([address])


def local_path(target: str) -> str:
    """`target` if it leads nowhere but to this site, else "/"."""
    # Browsers take "\" for "/", and leave out control characters before they look at the host.
    fits = len(target) <= MAX_NEXT_CHARACTERS and re.fullmatch(r"/(?![/\\])[!-~]*", target)
    return target if fits else "/"


def _next(request: Request) -> str:
    query = parse_qs(request.scope["query_string"].decode("latin-1"))
    return local_path(query.get("next", ["/"])[0])


async def _fields(request: Request) -> dict[str, str] | None:
    """The fields of an URL-encoded form, or None if it is too large; any bytes make a form."""
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > MAX_FORM_BYTES:
                return None
    except ClientDisconnect:
        return {}
    text = body.decode(errors="surrogateescape")
    return {name: values[0] for name, values in parse_qs(text, errors="surrogateescape").items()}


def session_cookie(scope: Scope, sessions: Sessions, session: Session) -> str:
    """The Set-Cookie header of a session."""
    return _set_cookie(scope, sessions.cookie(session), sessions.remaining_seconds(session))


def _set_cookie(scope: Scope, value: str, seconds: int) -> str:
    # Not Strict: links from elsewhere, as in a chat, are to open what they show.
    header = f"{COOKIE}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Lax"
    return f"{header}; Secure" if _is_secure(scope) else header


def _is_secure(scope: Scope) -> bool:
    # What a proxy says of it is in the scheme already, if it is one that is trusted.
    return scope.get("scheme") in ("https", "wss")


def form(notice: str = "") -> str:
    """The form to sign in with. It goes to its own URL, which knows what comes next."""
    return _FORM.replace("{notice}", notice)


_FORM = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sign in · Process Monitor</title>
<link rel="icon" href="data:,">
<style>
:root { --back: #f1f3f5; --card: #fff; --line: #868e96; --text: #212529; --error: #c92a2a }
@media (prefers-color-scheme: dark) {
  :root { --back: #1a1b1e; --card: #25262b; --line: #868e96; --text: #e9ecef; --error: #ffa8a8 }
}
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem;
  font: 1rem/1.5 system-ui, sans-serif; background: var(--back); color: var(--text) }
main { width: 100%; max-width: 22rem; padding: 2rem; border-radius: .5rem;
  background: var(--card); box-shadow: 0 1px 4px #0003 }
h1 { margin: 0 0 1.5rem; font-size: 1.375rem; line-height: 1.2 }
label { display: block; margin-bottom: .25rem; font-weight: 600 }
input, button { width: 100%; min-height: 2.75rem; font: inherit; border-radius: .25rem }
input { padding: 0 .75rem; border: 1px solid var(--line); background: none; color: inherit }
button { margin-top: 1rem; border: 0; background: #1864ab; color: #fff; font-weight: 600;
  cursor: pointer }
button:hover { background: #1971c2 }
:focus-visible { outline: 2px solid #339af0; outline-offset: 2px }
p { margin: .5rem 0 0; color: var(--error) }
p:empty { display: none }
</style>
</head>
<body>
<main>
<h1>Process Monitor</h1>
<form method="post">
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password"
  aria-describedby="notice" required autofocus>
<p id="notice" role="alert">{notice}</p>
<button>Sign in</button>
</form>
</main>
</body>
</html>
"""
