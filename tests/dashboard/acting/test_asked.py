"""What a page may ask for: what fits is taken, what does not is named."""

import json
from typing import Any

import pytest

from dashboard.acting.asked import Asked, Fault, parse

END = {"action": "endProcess", "id": "process_1", "reason": "gone"}

MUTE = {"action": "muteFailure", "id": "failure_1", "reason": ...}


def asked(**fields: Any) -> Asked:
    given = {name: value for name, value in (END | fields).items() if value is not ...}
    return parse(json.dumps(given).encode())


@pytest.mark.parametrize(
    ("action", "id_"),
    [
        ("endProcess", "process_a-1"),
        ("archiveWorker", "worker_1"),
        ("archiveFinished", "pipeline_1"),
        ("resolveFailure", "failure_1"),
        ("reopenFailure", "failure_1"),
    ],
)
def test_each_action_is_taken_with_an_id_of_its_kind(action: str, id_: str) -> None:
    reason = "why" if action == "endProcess" else None
    assert asked(action=action, id=id_, reason=reason, key="k-1") == Asked(
        action,  # type: ignore[arg-type]  # one of them
        id_,
        reason or "",
        "k-1",
    )


@pytest.mark.parametrize("period", ["1h", "1d", "1w", "ever"])
def test_a_failure_is_muted_for_a_time_or_for_ever(period: str) -> None:
    muted = asked(action="muteFailure", id="failure_1", reason=None, key="k-1", period=period)
    assert muted == Asked("muteFailure", "failure_1", "", "k-1", period)


def test_without_a_key_each_is_another_one() -> None:
    assert asked().key != asked(key=None).key


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("  two\n\tlines ", "two lines"),
        ("x" * 500, "x" * 500),
        ("😀" * 500, "😀" * 500),
        ("👩‍👩‍👧 שלום", "👩‍👩‍👧 שלום"),
    ],
)
def test_a_reason_is_one_line_in_any_script(given: str, taken: str) -> None:
    assert asked(reason=given).reason == taken


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"action": ...}, "action"),
        ({"action": "dropDatabase"}, "action"),
        ({"action": ["endProcess"]}, "action"),
        ({"id": ...}, "id"),
        ({"id": 1}, "id"),
        ({"id": "worker_1"}, "id"),
        ({"id": "process_1\n"}, "id"),
        ({"id": "process_☃"}, "id"),
        ({"id": "process_" + "1" * 57}, "id"),
        ({"reason": ...}, "reason"),
        ({"reason": ""}, "reason"),
        ({"reason": " \n "}, "reason"),
        ({"reason": 7}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "a\x00b"}, "reason"),
        ({"action": "archiveWorker", "id": "worker_1"}, "reason"),
        ({"period": "1h"}, "period"),
        (MUTE, "period"),
        (MUTE | {"period": "2h"}, "period"),
        (MUTE | {"period": ["1h"]}, "period"),
        (MUTE | {"period": 3600}, "period"),
        ({"key": ""}, "key"),
        ({"key": "x" * 65}, "key"),
        ({"key": "a key"}, "key"),
        ({"key": 1}, "key"),
        ({"status": "SUCCESS"}, "body"),
        ({"x" * 1000: 1}, "body"),
    ],
)
def test_what_does_not_fit_is_named(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Fault) as raised:
        asked(**fields)
    assert raised.value.field == field
    assert str(raised.value).startswith(f"{field}: ")
    assert len(str(raised.value)) < 150


@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b"[]", b'"x"', b"\xff", b"[" * 10_000, b'{"reason": "\\ud800"}']
)
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(Fault) as raised:
        parse(body)
    assert raised.value.field == "body"
