"""The frames of an error: the program's own set apart, as the API tells failures apart."""

import json

import pytest

from dashboard.view.failure import Failure, read_failure
from dashboard.view.frames import SHOWN_AT_EITHER_END, Frame, frame_list, read_frames, whose
from monitor.fingerprints.frames import sort_out
from tests.monitor.fingerprints.corpus import GROUPS


@pytest.mark.parametrize(
    ("file", "library"),
    [
        ("/srv/etl/steps/load.py", None),
        ("C:\\jobs\\etl\\load.py", None),
        ("/srv/etl/.venv/lib/python3.11/site-packages/wpipe/pipe/pipe.py", "wpipe"),
        ("/srv/wpipe/pipe/pipe.py", "wpipe"),
        ("/srv/etl/.venv/lib/python3.11/site-packages/pymysql/connections.py", "pymysql"),
        ("/usr/lib/python3/dist-packages/six.py", "six"),
        ("/usr/lib/python3.11/socket.py", "Python"),
        ("C:\\Python311\\Lib\\socket.py", "Python"),
        ("<frozen importlib._bootstrap>", "Python"),
    ],
)
def test_a_file_is_of_a_library_or_the_programs_own(file: str, library: str | None) -> None:
    assert whose(file) == library


def test_frames_are_the_programs_own_where_the_api_takes_them_for_that() -> None:
    seen = 0
    for group in GROUPS:
        for details in group.errors:
            told = read_failure(details)
            for frame in read_frames(told) if told else ():
                own = sort_out([(frame.file, frame.function)]).own
                assert bool(own) is (frame.whose is None), frame
                seen += 1
    assert seen > 200


def test_the_frames_of_a_printed_traceback_are_read_from_its_text() -> None:
    text = """Traceback (most recent call last):
  File "/srv/etl/load.py", line 41, in load
    rows[key]
  File "/usr/lib/python3.11/json/decoder.py", line 355
KeyError: 'customer'"""
    told = read_failure(text)
    assert told
    assert told.message == "KeyError: 'customer'"
    assert read_frames(told) == [
        Frame("/srv/etl/load.py", "41", "load", None),
        Frame("/usr/lib/python3.11/json/decoder.py", "355", "", "Python"),
    ]
    assert read_frames(Failure("no table")) == []


def test_of_a_long_traceback_both_ends_are_shown() -> None:
    calls = [{"file": "/srv/f.py", "line": n, "method": f"call_{n}"} for n in range(1000)]
    told = read_failure(json.dumps({"error_message": "deep", "error_traceback": calls}))
    assert told
    [shown] = frame_list(read_frames(told))
    assert len(shown.children) == 2 * SHOWN_AT_EITHER_END + 1
    assert "960 frames between them are left out." in str(shown)
    assert "call_0" in str(shown)
    assert "call_999" in str(shown)
