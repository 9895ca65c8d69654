"""The messages of graphql-transport-ws by themselves, without a socket."""

import json
from typing import Any

import pytest

from graph.transports.protocol import (
    MAX_ID_LENGTH,
    CloseCode,
    Violation,
    encode_message,
    encode_next,
    encode_pong,
    parse_id,
    parse_init,
    parse_message,
    parse_request,
)
from graph.transports.requests import GraphRequest


def nested(levels: int) -> dict[str, Any]:
    return {"a": nested(levels - 1)} if levels else {}


@pytest.mark.parametrize("text", [None, "", "{", "null", "1", '"ping"', "[]", "[" * 2_000])
def test_a_message_is_a_json_object_in_a_text(text: str | None) -> None:
    with pytest.raises(Violation) as violation:
        parse_message(text)
    assert violation.value.code == CloseCode.INVALID_MESSAGE
    assert parse_message('{"type": "ping"}') == {"type": "ping"}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "subscribe"}, CloseCode.UNAUTHORIZED),
        ({}, CloseCode.UNAUTHORIZED),
        ({"type": "connection_init", "payload": "Bearer t"}, CloseCode.INVALID_MESSAGE),
    ],
)
def test_the_first_message_is_connection_init(message: dict[str, Any], code: CloseCode) -> None:
    with pytest.raises(Violation) as violation:
        parse_init(message)
    assert violation.value.code == code


@pytest.mark.parametrize(
    ("payload", "given"),
    [
        ({"Authorization": "Bearer t"}, "Bearer t"),
        ({"authorization": "Bearer t", "other": 1}, "Bearer t"),
        ({"authorization": 1}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_token_comes_under_any_spelling_of_authorization(
    payload: Any, given: str | None
) -> None:
    assert parse_init({"type": "connection_init", "payload": payload}) == given


@pytest.mark.parametrize("id_", [None, "", 1, "x" * (MAX_ID_LENGTH + 1)])
def test_an_id_is_a_text_that_is_not_too_long(id_: object) -> None:
    with pytest.raises(Violation) as violation:
        parse_id({"id": id_})
    assert violation.value.code == CloseCode.INVALID_MESSAGE
    assert parse_id({"id": "x" * MAX_ID_LENGTH}) == "x" * MAX_ID_LENGTH


def test_what_to_run_comes_in_the_payload() -> None:
    payload = {"query": "{ version }", "operationName": "", "variables": {"a": 1}}
    assert parse_request({"payload": payload}) == GraphRequest("{ version }", None, {"a": 1})


@pytest.mark.parametrize(
    "payload", [None, [], {}, {"query": 1}, {"query": "{ version }", "variables": []}]
)
def test_a_payload_that_is_no_operation_breaks_the_protocol(payload: object) -> None:
    with pytest.raises(Violation) as violation:
        parse_request({"payload": payload})
    assert violation.value.code == CloseCode.INVALID_MESSAGE


def test_a_payload_is_taken_over_as_it_is_and_an_id_is_escaped() -> None:
    text = encode_next('"\n', b'{"data":{"version":"v1.1"}}')
    assert json.loads(text) == {
        "id": '"\n',
        "type": "next",
        "payload": {"data": {"version": "v1.1"}},
    }


def test_a_message_has_no_field_without_a_value() -> None:
    assert json.loads(encode_message("connection_ack", payload=None)) == {"type": "connection_ack"}


def test_a_pong_has_the_payload_of_its_ping() -> None:
    assert json.loads(encode_pong({"type": "ping"})) == {"type": "pong"}
    assert json.loads(encode_pong({"payload": {"a": 1}})) == {"type": "pong", "payload": {"a": 1}}


@pytest.mark.parametrize("payload", ["text", [1], nested(500)], ids=["text", "list", "too deep"])
def test_a_ping_with_another_payload_breaks_the_protocol(payload: object) -> None:
    with pytest.raises(Violation) as violation:
        encode_pong({"payload": payload})
    assert violation.value.code == CloseCode.INVALID_MESSAGE
