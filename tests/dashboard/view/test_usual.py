"""What is said of how long a process takes."""

import pytest

from dashboard.boards.rows import Node
from dashboard.view.usual import between, lasting

RUNNING: Node = {
    "status": "RUNNING",
    "startedAt": "2026-11-28T10:00:00.000Z",
    "endedAt": None,
    "runtimeSeconds": 1.0,
    "overtime": False,
    "stalled": False,
    "usualRuntime": {"p50Seconds": 60.0, "p95Seconds": 90.0},
    "expectedEndAt": "2026-11-28T10:01:00.000Z",
}
ENDED = {
    "status": "SUCCESS",
    "endedAt": "2026-11-28T10:01:10.000Z",
    "runtimeSeconds": 70.0,
    "expectedEndAt": None,
}


def said(**other: object) -> str:
    return str(lasting(RUNNING | other))


def test_of_what_runs_it_is_said_what_is_usual_and_when_it_will_end() -> None:
    assert "usually 1 min 00 s to 1 min 30 s" in said()
    assert "data-ends='2026-11-28T10:01:00.000Z'" in said()
    assert "beyond" not in said()


def test_overtime_is_counted_from_when_nearly_all_had_ended() -> None:
    assert "data-over='2026-11-28T10:01:30+00:00'" in said(overtime=True)
    assert "data-late" in said(overtime=True)
    assert "data-over='unknown'" in said(overtime=True, usualRuntime=None)


def test_nothing_is_expected_of_what_is_stalled_or_not_known() -> None:
    assert "data-ends" not in said(stalled=True)
    assert "data-ends" not in said(expectedEndAt=None)
    assert "usually" not in said(usualRuntime=None)


def test_of_what_has_ended_it_is_said_how_long_it_took() -> None:
    assert "'took ', '1 min 10 s', ', usually" in said(**ENDED)
    assert "data-ends" not in said(**ENDED)


@pytest.mark.parametrize(
    ("p50", "p95", "words"),
    [(60.0, 90.0, "1 min 00 s to 1 min 30 s"), (60.0, 60.9, "about 1 min 00 s")],
)
def test_what_is_usual_is_a_range_unless_it_is_one_duration(
    p50: float, p95: float, words: str
) -> None:
    assert between({"p50Seconds": p50, "p95Seconds": p95}) == words
