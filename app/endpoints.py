"""What those who run the product look at: health, metrics, and the documentation of the routes."""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.metrics import Metrics
from graph.transports.explorer import docs_response
from monitor.auth import Authenticator, bearer_token
from monitor.errors import TooManyAttempts, Unauthenticated, Unavailable
from monitor.monitor import Monitor
from monitor.reading.reads import reading

# A database that takes longer is as good as down, and who asks for health does not wait for long.
HEALTH_SECONDS = 3


def add_endpoints(
    app: FastAPI,
    monitor: Monitor,
    authenticator: Authenticator,
    metrics: Metrics,
    relay_works: Callable[[], bool],
) -> None:
    """Adds /health (open), and /metrics, /docs, /openapi.json (token, also as Basic password)."""

    async def health(_: Request) -> Response:
        database = await _database_answers(monitor)
        feed = monitor.live.working and relay_works()
        status = "ok" if database and feed else "degraded" if database else "down"
        body = {
            "status": status,
            "database": "ok" if database else "down",
            "feed": "ok" if feed else "down",
        }
        return JSONResponse(body, 200 if database else 503)

    def guarded(
        answer: Callable[[], Awaitable[Response]],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                authenticator.principal(
                    _token(request.headers.get("authorization")),
                    request.client.host if request.client else "",
                )
            except Unauthenticated as error:
                # Browsers ask for user and password: any user, the token as the password.
                headers = {"WWW-Authenticate": 'Basic realm="Process Monitor: token as password"'}
                return JSONResponse({"detail": str(error)}, 401, headers)
            except TooManyAttempts as error:
                headers = {"Retry-After": str(error.retry_after_seconds)}
                return JSONResponse({"detail": str(error)}, 429, headers)
            return await answer()

        return endpoint

    async def figures() -> Response:
        return Response(await metrics.text(), media_type=CONTENT_TYPE_LATEST)

    async def docs() -> Response:
        return docs_response()

    async def openapi() -> Response:
        return JSONResponse(await asyncio.to_thread(app.openapi))

    app.add_route("/health", health)
    app.add_route("/metrics", guarded(figures))
    app.add_route("/docs", guarded(docs))
    app.add_route("/openapi.json", guarded(openapi))


async def _database_answers(monitor: Monitor) -> bool:
    try:
        async with asyncio.timeout(HEALTH_SECONDS), reading(monitor.database) as connection:
            await connection.execute(text("SELECT 1"))
    except (Unavailable, TimeoutError):
        return False
    return True


def _token(authorization: str | None) -> str | None:
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return bearer_token(authorization)
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2] or None
    except (binascii.Error, UnicodeDecodeError):
        return None
