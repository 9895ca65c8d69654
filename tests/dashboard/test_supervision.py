"""What fails is begun anew, later each time, and known by then."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from dashboard.supervision import LONGEST_SECONDS, Backoff, Supervisor


class Clock:
    """Seconds that pass when it is told so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_one_waits_longer_after_each_failure_and_anew_after_a_long_time_without() -> None:
    clock = Clock()
    backoff = Backoff(clock)
    waits = []
    for _ in range(6):
        waits.append(backoff.seconds())
        clock.seconds += waits[-1]
    assert waits == [1, 2, 4, 8, LONGEST_SECONDS, LONGEST_SECONDS]
    clock.seconds += 3 * LONGEST_SECONDS
    assert backoff.seconds() == 1


class Failing:
    """Fails some times, then goes on until it is cancelled."""

    def __init__(self, *failures: Exception | None) -> None:
        self._failures = list(failures)
        self.goes_on = asyncio.Event()

    async def run(self) -> None:
        if not self._failures:
            self.goes_on.set()
            await asyncio.Event().wait()
        failure = self._failures.pop(0)
        if failure:
            raise failure


def recording(waits: list[float]) -> Callable[[float], Awaitable[None]]:
    """Notes how long it would have slept."""

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0)

    return sleep


async def test_whatever_is_raised_is_logged_and_known_until_it_recovered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    waits: list[float] = []
    supervisor = Supervisor(recording(waits))
    failing = Failing(ValueError("min() of nothing"), ExceptionGroup("two", [KeyError()]), None)
    keeping = asyncio.create_task(supervisor.keep("key", "The board", failing.run))
    async with asyncio.timeout(10):
        await failing.goes_on.wait()
    assert waits == [1, 2, 4]
    assert "min() of nothing" in caplog.text
    assert supervisor.faults == ["The board ended by itself"]
    supervisor.recovered("key")
    assert supervisor.faults == []
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
