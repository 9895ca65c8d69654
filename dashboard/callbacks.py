"""Requests for callbacks over HTTP, checked before Dash sees them: it answers 500 to garbage."""

from collections.abc import Callable
from typing import Any

import orjson
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATH = "/_dash-update-component"
MAX_BODY_BYTES = 64 * 1024
MAX_SEARCH_CHARACTERS = 4096


class CallbackRequests:
    """Lets through what a page may ask for; everything else is refused with the reason.

    Args:
        is_known: whether there is a callback of this name
    """

    def __init__(self, app: ASGIApp, is_known: Callable[[str], bool]) -> None:
        self._app = app
        self._is_known = is_known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        if body is None:
            await _refuse("body: 64 KiB at most", 413)(scope, receive, send)
        elif fault := self._fault(body):
            await _refuse(fault, 400)(scope, receive, send)
        else:
            await self._app(scope, _replaying(body, receive), send)

    def _fault(self, body: bytes) -> str | None:
        try:
            asked = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            return f"body: no JSON: {error}"
        match asked:
            case {"output": str(name), "inputs": [{"value": value}, *_]}:
                if not self._is_known(name):
                    return "output: no such callback"
                return fault_of(value)
            case _:
                return "body: needs output and inputs"


def fault_of(request: Any) -> str | None:
    """What is wrong with what a page says of itself."""
    match request:
        case {"tab": str(), "search": str(search)} if len(search) <= MAX_SEARCH_CHARACTERS:
            return None
        case _:
            return f"inputs: need tab and search, of {MAX_SEARCH_CHARACTERS} characters at most"


async def _read(receive: Receive) -> bytes | None:
    """The body; None when it is too long."""
    body = b""
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        body += part
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body"):
            return body


def _replaying(body: bytes, receive: Receive) -> Receive:
    pending = True

    async def replay() -> Message:
        nonlocal pending
        if pending:
            pending = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replay


def _refuse(reason: str, status: int) -> JSONResponse:
    return JSONResponse({"detail": reason}, status)
