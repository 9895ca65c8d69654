"""The outermost layer: no defect reaches a client with its text, none goes unlogged."""

import logging
import secrets

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
