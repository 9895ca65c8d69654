"""Causes reach the log: each when it is new, and then once in a while."""

import logging

import pytest

from db.errors import DatabaseUnavailable
from monitor.errors import Unavailable
from monitor.feed import condition
from monitor.feed.condition import Condition, cause

logger = logging.getLogger("monitor.feed.condition.test")


@pytest.fixture
def part(caplog: pytest.LogCaptureFixture) -> Condition:
    caplog.set_level(logging.INFO)
    return Condition(logger, "the part")


def test_what_lies_under_an_error_is_said() -> None:
    outer = Unavailable("try again")
    outer.__cause__ = DatabaseUnavailable("no")
    outer.__cause__.__cause__ = ConnectionRefusedError(111, "Connection\nrefused")
    assert cause(outer) == "ConnectionRefusedError: [Errno 111] Connection refused"
    assert cause(TimeoutError()) == "TimeoutError"
    assert cause(Unavailable("in words")) == "in words"


def test_a_cause_is_logged_once_and_a_new_one_at_once(
    part: Condition, caplog: pytest.LogCaptureFixture
) -> None:
    for problem in ("full", "full", "away", "full"):
        part.fail(problem)
        assert part.problem == f"the part: {problem}"
    assert caplog.messages == ["the part: full", "the part: away"]
    part.recover()
    part.recover()
    part.fail("full")
    assert caplog.messages[2:] == ["the part: works", "the part: full"]


def test_a_cause_that_lasts_is_logged_again(
    part: Condition, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(condition, "REPEAT_SECONDS", 0)
    part.fail("full")
    part.fail("full")
    assert caplog.messages == ["the part: full"] * 2
