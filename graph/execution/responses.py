"""Responses: what came of an operation as clients get it, errors named for them."""

import logging
import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from graphql import ExecutionResult, GraphQLError

from graph.scalars import encode
from monitor.errors import INTERNAL, Unavailable, wire

logger = logging.getLogger(__name__)

BAD_USER_INPUT = "BAD_USER_INPUT"

Response = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """A response, which all who asked for it share."""

    response: Response

    @cached_property
    def encoded(self) -> bytes:
        """The response as JSON."""
        return encode(self.response)


def encode_result(result: ExecutionResult) -> bytes:
    """A result as JSON."""
    return encode(respond(result))


def is_unavailable(result: ExecutionResult) -> bool:
    """Whether some of it could not be read right now."""
    return any(isinstance(error.original_error, Unavailable) for error in result.errors or ())


def respond(result: ExecutionResult) -> Response:
    """The response with this result."""
    if not result.errors:
        return {"data": result.data}
    errors = [format_error(error) for error in result.errors]
    # Variables are coerced before anything runs: without a path there was no execution.
    if result.data is None and all(error.path is None for error in result.errors):
        return {"errors": errors}
    return {"data": result.data, "errors": errors}


def format_error(error: GraphQLError) -> dict[str, Any]:
    """An error as clients see it, with `extensions.code`; unexpected ones masked and logged."""
    original = error.original_error
    while isinstance(original, GraphQLError) and original.original_error is not None:
        original = original.original_error
    formatted = dict(error.formatted)
    if (
        error.path is None
        or original is None
        # What graphql-core says of an argument points at it; of a resolver's value, at nothing.
        or (isinstance(original, GraphQLError) and original.nodes)
    ):
        # About the document: syntax, validation, variables, arguments.
        return {**formatted, "extensions": {"code": BAD_USER_INPUT}}
    return {**formatted, **error_of(original)}


def error_of(error: BaseException) -> dict[str, Any]:
    """Message and extensions of an error; a defect gets an id that is also in the log."""
    named = wire(error)
    if named is not INTERNAL:
        return {"message": str(error), "extensions": {"code": named.code}}
    error_id = secrets.token_hex(8)
    logger.error("unexpected error %s", error_id, exc_info=error)
    return {
        "message": f"Internal error; the log has it under {error_id}",
        "extensions": {"code": INTERNAL.code, "id": error_id},
    }
