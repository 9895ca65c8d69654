"""How a pipeline may have been since its last event, as filters saw it.

Queries see every state, events tell one a second: whoever found a pipeline in between must be told
when it no longer is like that. In which order things happened is not kept, but how often is. So
these are the states that some order would give, each of which may have been.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

_Seen = tuple[bool, bool]


@dataclass(frozen=True, slots=True)
class Standing:
    """What filters look at, and how often it came about: the latter only grows."""

    failing: bool = False
    running: int = 0
    workers_lost: int = 0
    ever_started: int = 0
    ever_succeeded: int = 0
    ever_failed: int = 0
    ever_lost: int = 0

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """From what has these among others; what is missing is as if it had never been."""
        return cls(**{name: told[name] for name in cls.__dataclass_fields__ if name in told})


def list_moments(before: Standing, now: Standing) -> Sequence[Mapping[str, Any]]:
    """Each way in which it may have been from `before` on and is not now: what was different."""
    lost_now = now.workers_lost > 0
    found = [
        {
            **({"failing": failing} if failing != now.failing else {}),
            **({"running": int(running)} if running != (now.running > 0) else {}),
            **({"workers_lost": int(lost)} if lost != lost_now else {}),
        }
        for failing, running in sorted(_runs(before, now))
        for lost in sorted(_losses(before, now))
    ]
    return [different for different in found if different]


class _Changes(NamedTuple):
    """How often each thing happened in between; `dropped`: what ran and was removed."""

    starts: int
    successes: int
    failures: int
    dropped: int


def _runs(before: Standing, now: Standing) -> set[_Seen]:
    """Whether it was failing, and whether something ran, together: an end changes both."""
    starts = now.ever_started - before.ever_started
    successes = now.ever_succeeded - before.ever_succeeded
    failures = now.ever_failed - before.ever_failed
    dropped = max(0, before.running + starts - successes - failures - now.running)
    changes = _Changes(starts, successes, failures, dropped)
    return {(before.failing, before.running > 0), (now.failing, now.running > 0)} | set(
        _in_between(before, now, changes)
    )


def _in_between(before: Standing, now: Standing, changes: _Changes) -> Iterator[_Seen]:
    least, most = before.running - changes.dropped, before.running + changes.starts
    # Before the first end.
    for running in _signs(least, most):
        yield before.failing, running
    ended = changes.successes + changes.failures
    for failing, ends in ((False, changes.successes), (True, changes.failures)):
        if ends:
            # After one of these, up to all; unlike now, one of the others is still to come.
            for running in _signs(least - ended + (failing != now.failing), most - 1):
                yield failing, running
    if now.failing != before.failing and not (
        changes.failures if now.failing else changes.successes
    ):
        # The run that ended last was removed.
        for running in _signs(least - ended, most):
            yield now.failing, running


def _losses(before: Standing, now: Standing) -> set[bool]:
    """Whether workers were lost."""
    lost = now.ever_lost - before.ever_lost
    found = before.workers_lost + lost - now.workers_lost
    return {now.workers_lost > 0, *_signs(before.workers_lost - found, before.workers_lost + lost)}


def _signs(least: int, most: int) -> set[bool]:
    """Whether a number from `least` to `most` is positive."""
    return {least > 0, most > 0}
