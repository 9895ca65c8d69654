"""The messages of graphql-transport-ws: what they may be, and how they are written.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import orjson

from graph.transports.requests import BadRequest, GraphRequest, parse_parameters

SUBPROTOCOL = "graphql-transport-ws"
MAX_ID_LENGTH = 256


class CloseCode(IntEnum):
    """Why the server closes a socket (the protocol's codes)."""

    INVALID_MESSAGE = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INITIALISATION_TIMEOUT = 4408
    ID_IN_USE = 4409
    TOO_MANY_INITIALISATIONS = 4429


class Violation(Exception):
    """The client broke the protocol: the socket is closed with this code and reason."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def parse_message(text: str | None) -> dict[str, Any]:
    """A message of a client; None is one that came as bytes. Raises Violation."""
    try:
        message = orjson.loads(text) if text is not None else None
    except orjson.JSONDecodeError:
        message = None
    if not isinstance(message, dict):
        raise Violation(CloseCode.INVALID_MESSAGE, "A message must be a JSON object in a text")
    return message


def parse_init(message: Mapping[str, Any]) -> str | None:
    """What connection_init says for authorization; no other message may come in its place.

    Raises Violation.
    """
    if message.get("type") != "connection_init":
        raise Violation(CloseCode.UNAUTHORIZED, "Unauthorized")
    payload = message.get("payload")
    if not isinstance(payload, dict | None):
        raise Violation(CloseCode.INVALID_MESSAGE, "The payload must be an object")
    for name, value in (payload or {}).items():
        if name.lower() == "authorization" and isinstance(value, str):
            return value
    return None


def parse_id(message: Mapping[str, Any]) -> str:
    """The id of the operation that a message is about. Raises Violation."""
    id_ = message.get("id")
    if not isinstance(id_, str) or not 0 < len(id_) <= MAX_ID_LENGTH:
        raise Violation(CloseCode.INVALID_MESSAGE, "id: must be a text of 1 to 256 characters")
    return id_


def parse_request(message: Mapping[str, Any]) -> GraphRequest:
    """The operation that a `subscribe` message asks for. Raises Violation."""
    payload = message.get("payload")
    try:
        if not isinstance(payload, dict):
            raise BadRequest(400, "The payload must be an object")
        return parse_parameters(payload)
    except BadRequest as error:
        raise Violation(CloseCode.INVALID_MESSAGE, str(error)) from None


def encode_message(type_: str, **fields: object) -> bytes:
    """A message of the server, without the fields that are None."""
    given = {name: value for name, value in fields.items() if value is not None}
    return orjson.dumps({"type": type_, **given})


def encode_next(id_: str, payload: bytes) -> bytes:
    """A `next` message around a payload that is encoded already."""
    return b'{"id":' + orjson.dumps(id_) + b',"type":"next","payload":' + payload + b"}"


def encode_pong(ping: Mapping[str, Any]) -> bytes:
    """The answer to a ping, with its payload. Raises Violation."""
    payload = ping.get("payload")
    try:
        if not isinstance(payload, dict | None):
            raise TypeError("not an object")
        return encode_message("pong", payload=payload)
    except TypeError as error:  # what orjson raises, too, for what is nested too deeply
        raise Violation(CloseCode.INVALID_MESSAGE, f"The payload of a ping: {error}") from None
