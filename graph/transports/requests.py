"""What a request carries, whatever it came by: the parameters of one operation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class BadRequest(Exception):
    """The request is not GraphQL over HTTP; `status` says in which way."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class GraphRequest:
    """The parameters of one operation."""

    query: str
    operation_name: str | None
    variables: dict[str, Any] | None


def parse_parameters(parameters: Mapping[str, Any]) -> GraphRequest:
    """Checks the types of the parameters. Raises BadRequest naming the one that is wrong."""
    query = parameters.get("query")
    if not isinstance(query, str) or not query.strip():
        raise BadRequest(400, "query: must be a text with a GraphQL document")
    operation_name = parameters.get("operationName")
    if not isinstance(operation_name, str | None):
        raise BadRequest(400, "operationName: must be a text")
    for name in ("variables", "extensions"):
        if not isinstance(parameters.get(name), dict | None):
            raise BadRequest(400, f"{name}: must be an object")
    return GraphRequest(query, operation_name or None, parameters.get("variables"))
