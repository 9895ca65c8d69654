"""GraphQL over HTTP: queries and mutations, by the letter of the specification's draft.

https://graphql.github.io/graphql-over-http/draft/ — written here, since Strawberry's router answers
bodies such as `null` with 500, knows only one media type, and always parses anew.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from graphql import OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from graph.context import Context
from graph.execution.engine import Engine
from graph.execution.responses import error_of
from graph.fanout.channels import Channels
from graph.fanout.patience import Patience
from graph.loaders import Loaders
from graph.scalars import encode
from graph.transports.actors import actor_of
from graph.transports.explorer import explorer_response
from graph.transports.requests import BadRequest, GraphRequest, parse_parameters
from graph.transports.sse import MEDIA_TYPE as EVENT_STREAM
from graph.transports.sse import EventStream, single_event
from monitor.auth import Authenticator, Principal, bearer_token
from monitor.errors import MonitorError, TooManyAttempts, Unauthenticated, Unavailable, wire
from monitor.feed.log import Cursor
from monitor.monitor import Monitor

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"


class HttpEndpoint:
    """Answers GET and POST of /graphql."""

    def __init__(
        self,
        engine: Engine,
        monitor: Monitor,
        authenticator: Authenticator,
        channels: Channels,
        patience: Patience,
    ) -> None:
        self._engine = engine
        self._monitor = monitor
        self._authenticator = authenticator
        self._channels = channels
        self._patience = patience

    async def handle(self, request: Request) -> Response:
        """The answer to one HTTP request; never raises for what a client sent."""
        if wants_explorer(request):
            return explorer_response()
        media_type = JSON
        try:
            media_type = choose_media_type(", ".join(request.headers.getlist("accept")))
            principal = self._authenticator.principal(
                bearer_token(request.headers.get("authorization")),
                request.client.host if request.client else "",
            )
            operation = await read_request(request)
            if media_type == EVENT_STREAM:
                return await self._stream(request, operation, principal)
            return await self._answer(request, operation, principal, media_type)
        except BadRequest as error:
            body = {"errors": [{"message": str(error), "extensions": {"code": "BAD_USER_INPUT"}}]}
            return _response(encode(body), _not_stream(media_type), error.status, error.headers)
        except MonitorError as error:
            headers = {}
            if isinstance(error, Unauthenticated):
                headers = {"WWW-Authenticate": "Bearer"}
            if isinstance(error, TooManyAttempts):
                headers = {"Retry-After": str(error.retry_after_seconds)}
            body = {"errors": [error_of(error)]}
            return _response(encode(body), _not_stream(media_type), wire(error).status, headers)

    async def _answer(
        self, request: Request, operation: GraphRequest, principal: Principal, media_type: str
    ) -> Response:
        prepared = self._engine.prepare(operation.query)
        match prepared.operation_type(operation.operation_name):
            case OperationType.MUTATION if request.method == "GET":
                raise BadRequest(405, "A mutation cannot be sent by GET", {"Allow": "POST"})
            case OperationType.SUBSCRIPTION:
                raise BadRequest(
                    400,
                    "A subscription needs a stream: use a WebSocket (graphql-transport-ws), or "
                    "Server-Sent Events (Accept: text/event-stream)",
                )
        loaders, actor = Loaders.of(self._monitor), actor_of(request, principal)
        answer = await self._engine.run(
            prepared,
            Context(self._monitor, principal, loaders, actor),
            variables=operation.variables,
            operation_name=operation.operation_name,
        )
        status = _status(answer.response, media_type)
        return _response(answer.encoded, media_type, status, {})

    async def _stream(
        self, request: Request, operation: GraphRequest, principal: Principal
    ) -> Response:
        """The operation as Server-Sent Events."""
        prepared = self._engine.prepare(operation.query)
        if prepared.operation_type(operation.operation_name) is not OperationType.SUBSCRIPTION:
            answer = await self._answer(request, operation, principal, JSON)
            return single_event(bytes(answer.body))
        resume = request.headers.get("last-event-id")
        return EventStream(
            self._channels,
            prepared,
            operation,
            principal,
            after=Cursor.parse("Last-Event-ID", resume) if resume else None,
            patience=self._patience,
        )


def wants_explorer(request: Request) -> bool:
    """A browser that opens the explorer, rather than a client that sends a query."""
    return (
        request.method == "GET"
        and "query" not in request.query_params
        and "text/html" in request.headers.get("accept", "")
    )


def choose_media_type(accept: str) -> str:
    """Of the two media types, the one the client likes better. Raises BadRequest (406)."""
    if not accept:
        return JSON
    best, best_quality = "", 0.0
    for part in accept.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
            elif key.strip() == "charset" and value.strip('" ') not in ("utf-8", "utf8"):
                quality = 0.0
        chosen = {
            "*/*": JSON,
            "application/*": JSON,
            JSON: JSON,
            GRAPHQL_JSON: GRAPHQL_JSON,
            EVENT_STREAM: EVENT_STREAM,
        }.get(name, "")
        if chosen and quality > best_quality:
            best, best_quality = chosen, quality
    if not best:
        raise BadRequest(406, f"Answers can be {GRAPHQL_JSON} or {JSON}")
    return best


async def read_request(request: Request) -> GraphRequest:
    """The operation a request carries. Raises BadRequest."""
    if request.method == "GET":
        parameters: dict[str, Any] = dict(request.query_params)
        for name in ("variables", "extensions"):
            if name in parameters:
                parameters[name] = _parse_json(parameters[name].encode(), name)
    elif request.method == "POST":
        media_type, _, rest = request.headers.get("content-type", "").lower().partition(";")
        if media_type.strip() != JSON:
            raise BadRequest(415, f"The body must be {JSON}")
        if "charset" in rest and "utf-8" not in rest and "utf8" not in rest:
            raise BadRequest(415, "The body must be encoded in UTF-8")
        try:
            body = await request.body()
        except ClientDisconnect as error:
            raise Unavailable from error
        parameters = _parse_json(body, "body")
        if not isinstance(parameters, dict):
            raise BadRequest(400, "The body must be a JSON object")
    else:
        raise BadRequest(405, "Use GET or POST", {"Allow": "GET, POST"})
    return parse_parameters(parameters)


def _parse_json(data: bytes, what: str) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadRequest(400, f"{what}: is not JSON: {error}") from error


def _not_stream(media_type: str) -> str:
    """What is refused before a stream began is answered as JSON."""
    return JSON if media_type == EVENT_STREAM else media_type


def _status(body: Mapping[str, Any], media_type: str) -> int:
    """Errors before execution are 400 in the GraphQL media type; JSON clients expect 200."""
    return 400 if "data" not in body and media_type == GRAPHQL_JSON else 200


def _response(body: bytes, media_type: str, status: int, headers: Mapping[str, str]) -> Response:
    return Response(body, status, dict(headers), media_type=f"{media_type}; charset=utf-8")
