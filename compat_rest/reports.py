"""The short way of a report that is as it should be: no more than its body, its route, its answer.

FastAPI and Starlette ask each route whether it is meant, resolve dependencies, stack contexts and
copy values for each request, which takes longer than everything else that this process does for a
report. Whatever does not fit goes the long way, which says what is wrong with it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, get_type_hints

from fastapi.exception_handlers import http_exception_handler
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from compat_rest.errors import refusal_response
from monitor.errors import MonitorError

Guard = Callable[[Request], object]
Endpoint = Callable[[Any], Awaitable[BaseModel]]


class ReportRoute(APIRoute):
    """A route that takes one model and answers one, and lets nobody in whom `guard` refuses."""

    guard: Guard

    @property
    def takes_report(self) -> bool:
        return self.body_field is not None


class ReportsMiddleware:
    """Serves the routes that take reports, of which `routes` may have others besides."""

    def __init__(self, app: ASGIApp, *, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._reports: Mapping[tuple[str, str], _Report] = {
            ("POST", route.path): _Report(route)
            for route in routes
            if isinstance(route, ReportRoute) and route.takes_report
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        report = None
        if scope["type"] == "http" and not scope.get("root_path"):
            report = self._reports.get((scope["method"], scope["path"]))
        if report is None:
            await self._app(scope, receive, send)
            return
        again = await report.serve(scope, receive, send)
        if again is not None:
            await self._app(scope, again, send)


class _Report:
    """One route's short way."""

    def __init__(self, route: ReportRoute) -> None:
        self._route = route
        self._guard = route.guard
        self._endpoint: Endpoint = route.endpoint
        hints = get_type_hints(route.endpoint)
        body, *_ = (type_ for name, type_ in hints.items() if name != "return")
        self._validate = body.__pydantic_validator__.validate_json

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> Receive | None:
        """Answers; if it cannot, gives what is to be read once more."""
        request = Request(scope, receive)
        if request.headers.get("content-type", "application/json") != "application/json":
            return receive
        scope["route"] = self._route  # as the router does, for the figures
        try:
            self._guard(request)
            body = await request.body()
            try:
                report = self._validate(body)
            except ValidationError:
                return _again(body)
            response = _response(await self._endpoint(report))
        except MonitorError as error:
            response = refusal_response(error)
        except HTTPException as error:
            response = await http_exception_handler(request, error)
        except ClientDisconnect:
            return None
        await response(scope, receive, send)
        return None


def _response(answer: BaseModel) -> Response:
    content = answer.__pydantic_serializer__.to_json(answer)
    return Response(content, media_type="application/json")


def _again(body: bytes) -> Receive:
    """The body that was read, for somebody else to read."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
