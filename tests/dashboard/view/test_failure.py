"""What workers say of an error, as people read it."""

import json

import pytest

from dashboard.view.failure import Failure, read_failure


def test_what_wpipe_says_of_a_task_is_message_step_and_traceback() -> None:
    details = json.dumps(
        {
            "task_name": "transform",
            "error_traceback": [{"file": "/srv/etl.py", "line": 41, "method": "run"}],
            "error_message": "no table for 3 rows: 'ñandú' 🚀",
            "task_id": "task_1",
        }
    )
    assert read_failure(details) == Failure(
        "no table for 3 rows: 'ñandú' 🚀",
        "transform",
        ('File "/srv/etl.py", line 41, in run',),
    )


def test_what_wpipe_says_of_a_process_keeps_the_code() -> None:
    told = {"message": "boom", "error_code": 5, "process_name": "p", "task_name": "load"}
    failure = read_failure(json.dumps(told))
    assert failure == Failure("boom", "load", (), '{\n  "error_code": 5\n}')


def test_a_traceback_in_one_text_is_shown_in_lines() -> None:
    failure = read_failure(json.dumps({"error": "boom", "error_traceback": "one\n  two\n"}))
    assert failure is not None
    assert failure.frames == ("one", "  two")
    assert failure.text == "boom\none\n  two"


@pytest.mark.parametrize(
    ("details", "message"),
    [
        ("disk full", "disk full"),
        ("[1, 2]", "[1, 2]"),
        ("{broken", "{broken"),
        ('{"rows": 3}', '{\n  "rows": 3\n}'),
        ("[" * 100_000, "[" * 100_000),
        ('{"message": 5}', '{\n  "message": 5\n}'),
    ],
)
def test_everything_else_is_shown_as_it_is(details: str, message: str) -> None:
    assert read_failure(details) == Failure(message)


@pytest.mark.parametrize("details", [None, "", "  \n"])
def test_nothing_said_is_nothing_shown(details: str | None) -> None:
    assert read_failure(details) is None


@pytest.mark.parametrize("traceback", [5, {"a": 1}, [None, 1, {"line": 3}]])
def test_a_traceback_of_another_kind_does_no_harm(traceback: object) -> None:
    failure = read_failure(json.dumps({"message": "boom", "error_traceback": traceback}))
    assert failure is not None
    assert failure.message == "boom"


TRACEBACK = """Traceback (most recent call last):
  File "/srv/etl.py", line 41, in run
    rows[key]
ValueError: two lines,
as it were"""


@pytest.mark.parametrize("details", [TRACEBACK, json.dumps({"error_message": TRACEBACK})])
def test_of_a_printed_traceback_what_was_raised_is_the_message(details: str) -> None:
    frames = tuple(TRACEBACK.splitlines()[:3])
    assert read_failure(details) == Failure("ValueError: two lines,\nas it were", None, frames)


@pytest.mark.parametrize(
    "text",
    [
        'File "/srv/etl.py", line 41, in run',
        'no File "x" in it',
        '  | File "/srv/etl.py", line 41\n  | ExceptionGroup: two',
    ],
)
def test_a_text_that_is_no_whole_traceback_stays_whole(text: str) -> None:
    assert read_failure(text) == Failure(text.strip())
