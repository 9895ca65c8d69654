"""What those who run the product look at: health, metrics, and the documentation of the routes."""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.metrics import Metrics
from graph.transports.explorer import docs_response
from monitor.auth import Authenticator, bearer_token
from monitor.errors import TooManyAttempts, Unauthenticated
from monitor.monitor import Monitor


def add_endpoints(
    app: FastAPI,
    monitor: Monitor,
    authenticator: Authenticator,
    metrics: Metrics,
    relay_problem: Callable[[], str | None],
) -> None:
    """Adds /health (open), and /metrics, /docs, /openapi.json (token, also as Basic password).

    /health/live: this process answers; /health/ready: what is reported to it is stored.
    """

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_: Request) -> Response:
        stores = await monitor.transactions.works()
        return JSONResponse({"status": "ok" if stores else "down"}, 200 if stores else 503)

    async def health(_: Request) -> Response:
        # Where nothing can be written, nothing can be reported, whatever can be read.
        database = await monitor.transactions.works()
        reasons = [reason for reason in (monitor.live.problem, relay_problem()) if reason]
        feed = not reasons
        status = "ok" if database and feed else "degraded" if database else "down"
        body = {
            "status": status,
            "database": "ok" if database else "down",
            "feed": "ok" if feed else "down",
            "reasons": reasons,
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
    app.add_route("/health/live", live)
    app.add_route("/health/ready", ready)
    app.add_route("/metrics", guarded(figures))
    app.add_route("/docs", guarded(docs))
    app.add_route("/openapi.json", guarded(openapi))


def _token(authorization: str | None) -> str | None:
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return bearer_token(authorization)
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2] or None
    except (binascii.Error, UnicodeDecodeError):
        return None
