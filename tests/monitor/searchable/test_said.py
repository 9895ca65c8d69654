"""What details say, however they say it."""

import json

import pytest

from monitor.searchable.said import END_CHARACTERS, said_of

FRAMES = [
    {"file": "/srv/etl/load.py", "line": 17, "method": "main"},
    {"file": "/srv/etl/rows.py", "line": 4, "method": "parse"},
]


def test_of_json_it_is_the_message_and_then_the_rest_each_line_once() -> None:
    step = {"task_name": "load", "error_message": "no rows\nin batch 17", "error_traceback": FRAMES}
    process = {"message": "no rows", "error_code": 5, "ok": False, "more": None}
    assert said_of(json.dumps(step), json.dumps(process)).splitlines() == [
        *("no rows", "in batch 17", "load"),
        *("/srv/etl/load.py, 17, main", "/srv/etl/rows.py, 4, parse", "5"),
    ]


def test_what_json_escapes_is_read() -> None:
    assert said_of(json.dumps({"error": "Größe 数据"}, ensure_ascii=True)) == "Größe 数据"


@pytest.mark.parametrize("details", [None, "", " \n ", "null", "{}", "[]", '{"a": [[], {}]}'])
def test_nothing_is_said_by_what_says_nothing(details: str | None) -> None:
    assert said_of(details, details) in ("", "null", "[]")


def test_of_a_long_text_both_ends_are_kept() -> None:
    said = said_of("first " + "x" * 1_000_000 + " last", None)
    assert (said[:6], said[-5:]) == ("first ", " last")
    assert len(said) == 2 * END_CHARACTERS + 1


@pytest.mark.parametrize(
    "details",
    [
        "[" * 100_000,
        "[" * 500 + "]" * 500,
        json.dumps([[{"a": [n]}] for n in range(20_000)]),
        '{"a": ' * 900 + "1" + "}" * 900,
        '{"error": "half \\ud800 of it", "n": NaN}',
    ],
)
def test_whatever_it_is_it_is_text_of_a_bounded_size(details: str) -> None:
    said = said_of(details, details)
    said.encode()
    assert len(said) <= 2 * END_CHARACTERS + 1


def test_what_no_database_takes_is_left_out() -> None:
    assert said_of('{"error": "a\\u0000b \\ud800"}') == "ab ?"
