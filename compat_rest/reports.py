"""The short way of a report that is as it should be: no more than its body, its route, its answer.

FastAPI resolves dependencies, stacks contexts and copies values for each request, which takes
longer than everything else that this process does for a report. Whatever does not fit goes the long
way, which says what is wrong with it.
"""

from collections.abc import Awaitable, Callable
from typing import Any, get_type_hints

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from compat_rest.errors import refusal_response
from monitor.errors import MonitorError

Endpoint = Callable[[Any], Awaitable[BaseModel]]


class ReportApp:
    """Serves `endpoint`, which takes one model and answers one; `long_way` serves the same."""

    def __init__(
        self, long_way: ASGIApp, endpoint: Endpoint, guard: Callable[[Request], object]
    ) -> None:
        self._long_way = long_way
        self._endpoint = endpoint
        self._guard = guard
        body, *_ = (type_ for name, type_ in get_type_hints(endpoint).items() if name != "return")
        self._validate = body.__pydantic_validator__.validate_json

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.headers.get("content-type", "application/json") != "application/json":
            await self._long_way(scope, receive, send)
            return
        try:
            self._guard(request)
            body = await request.body()
            try:
                report = self._validate(body)
            except ValidationError:
                await self._long_way(scope, _again(body), send)
                return
            response = _response(await self._endpoint(report))
        except MonitorError as error:
            response = refusal_response(error)
        except ClientDisconnect:
            return
        await response(scope, receive, send)


def _response(answer: BaseModel) -> Response:
    content = answer.__pydantic_serializer__.to_json(answer)
    return Response(content, media_type="application/json")


def _again(body: bytes) -> Receive:
    """The body that was read, for somebody else to read."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
