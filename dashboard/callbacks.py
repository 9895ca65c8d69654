"""Requests for callbacks, checked before Dash sees them: it answers 500 to garbage.

On a WebSocket it would end with a traceback in the log: garbage closes the socket instead.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATH = "/_dash-update-component"
MAX_BODY_BYTES = 64 * 1024
MAX_SEARCH_CHARACTERS = 4096
# RFC 6455, 7.4.1: a message that violates the policy of who gets it.
POLICY_VIOLATION = 1008


class CallbackRequests:
    """Lets through what a tab may ask for; everything else is refused with the reason.

    Args:
        callbacks: Dash's, by name
    """

    def __init__(self, app: ASGIApp, callbacks: Mapping[str, Mapping[str, Any]]) -> None:
        self._app = app
        self._callbacks = callbacks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._app(scope, self._checking(receive, send), send)
            return
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
        return self._fault_of_callback(asked)

    def _fault_of_callback(self, asked: Any, *, websocket: bool = False) -> str | None:
        match asked:
            case {"output": str(name), "inputs": [{"value": value}, *_]}:
                callback = self._callbacks.get(name)
                if callback is None or (websocket and not callback.get("websocket")):
                    return "output: no such callback"
                return fault_of(value)
            case _:
                return "body: needs output and inputs"

    def _checking(self, receive: Receive, send: Send) -> Receive:
        async def check() -> Message:
            message = await receive()
            if message["type"] != "websocket.receive":
                return message
            fault = self._fault_of_message(message)
            if fault is None:
                return message
            await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": fault[:120]})
            return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}

        return check

    def _fault_of_message(self, message: Message) -> str | None:
        try:
            told = orjson.loads(message.get("text") or b"")
        except orjson.JSONDecodeError as error:
            return f"message: no JSON: {error}"
        match told:
            case {"type": "callback_request", "requestId": str(), "payload": asked}:
                return self._fault_of_callback(asked, websocket=True)
            case {"type": "get_props_response", "requestId": str()}:
                return None
            case {"type": str(kind)} if kind not in ("callback_request", "get_props_response"):
                return None
            case _:
                return "message: needs type, requestId and payload"


def fault_of(request: Any) -> str | None:
    """What is wrong with what a tab says of itself."""
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
