"""Each way in which filters may have seen a pipeline between two events, and no other."""

from dataclasses import replace
from itertools import product
from random import Random

import pytest

from monitor.upkeep.moments import Standing, list_moments

QUIET = Standing()
BUSY = Standing(running=2, ever_started=2)
FAILED = Standing(failing=True, ever_started=1, ever_failed=1)
LOST = Standing(running=1, workers_lost=1, ever_started=1, ever_lost=1)


def succeed(of: Standing) -> Standing:
    return replace(of, failing=False, running=of.running - 1, ever_succeeded=of.ever_succeeded + 1)


def fail(of: Standing) -> Standing:
    return replace(of, failing=True, running=of.running - 1, ever_failed=of.ever_failed + 1)


def start(of: Standing) -> Standing:
    return replace(of, running=of.running + 1, ever_started=of.ever_started + 1)


def lose(of: Standing) -> Standing:
    return replace(of, workers_lost=of.workers_lost + 1, ever_lost=of.ever_lost + 1)


def find(of: Standing) -> Standing:
    return replace(of, workers_lost=of.workers_lost - 1)


def drop(of: Standing) -> Standing:
    """What runs is removed."""
    return replace(of, running=of.running - 1)


def seen(before: Standing, now: Standing) -> set[tuple[bool, bool, bool]]:
    """Failing, running and lost, in each of the moments."""
    return {
        (way.get("failing", now.failing), *(bool(way.get(n, getattr(now, n))) for n in NUMBERS))
        for way in list_moments(before, now)
    }


NUMBERS = ("running", "workers_lost")


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (QUIET, QUIET, []),
        (LOST, LOST, []),
        (BUSY, BUSY, []),
        # A start, and an end: it was what it was told to be.
        (QUIET, start(QUIET), [{"running": 0}]),
        (start(QUIET), fail(start(QUIET)), [{"failing": False, "running": 1}]),
        # One of two goes on.
        (BUSY, succeed(BUSY), []),
        (BUSY, fail(BUSY), [{"failing": False}]),
        # For a moment something ran, or nothing.
        (QUIET, succeed(start(QUIET)), [{"running": 1}]),
        (start(QUIET), start(succeed(start(QUIET))), [{"running": 0}]),
        (BUSY, start(succeed(BUSY)), []),
        # For a moment it did not fail, or did.
        (FAILED, start(FAILED), [{"running": 0}]),
        (QUIET, drop(start(QUIET)), [{"running": 1}]),
        (LOST, drop(LOST), [{"running": 1}]),
        # Workers.
        (QUIET, find(lose(QUIET)), [{"workers_lost": 1}]),
        (LOST, lose(find(LOST)), [{"workers_lost": 0}]),
        (LOST, lose(LOST), []),
        (LOST, find(LOST), [{"workers_lost": 1}]),
    ],
)
def test_what_may_have_been(
    before: Standing, now: Standing, expected: list[dict[str, int]]
) -> None:
    assert list_moments(before, now) == expected


def test_two_that_end_differently_may_have_ended_in_either_order() -> None:
    now = succeed(fail(BUSY))
    assert seen(BUSY, now) == {(False, True, False), (True, True, False)}


def test_whatever_happens_no_moment_is_missed() -> None:
    random = Random(7)
    steps = (start, succeed, fail, lose, find, drop)
    for _ in range(3_000):
        before = at = Standing(
            failing=random.random() < 0.5,
            running=random.randrange(3),
            workers_lost=random.randrange(3),
        )
        been = set()
        for _ in range(random.randrange(6)):
            step = random.choice(steps)
            at = step(at)
            if at.running < 0 or at.workers_lost < 0:
                break
            been.add((at.failing, at.running > 0, at.workers_lost > 0))
        else:
            now = (at.failing, at.running > 0, at.workers_lost > 0)
            assert been - {now} <= seen(before, at)
            assert seen(before, at) <= set(product((False, True), repeat=3)) - {now}
