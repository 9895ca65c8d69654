"""What runs for as long as the dashboard does: begun anew when it fails, and known by then."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 15.0
# What was cancelled and goes on is cancelled again.
AGAIN_SECONDS = 0.5

logger = logging.getLogger(__name__)


async def end(*tasks: "asyncio.Task[Any]") -> None:
    """Cancels the tasks until they have ended.

    Groups of Python 3.11 lose a cancellation that comes while they end by an error.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_SECONDS)


class Backoff:
    """Waits twice as long after each failure, and a short time again after a long one without."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failures = 0
        self._failed_at = now()

    def seconds(self) -> float:
        """How long to wait after one more failure."""
        now = self._now()
        if now - self._failed_at > 2 * LONGEST_SECONDS:
            self._failures = 0
        self._failures, self._failed_at = self._failures + 1, now
        return min(FIRST_SECONDS * 2.0 ** (self._failures - 1), LONGEST_SECONDS)


class Supervisor:
    """Keeps what it is given running, and knows what fell and did not get over it yet."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._sleep = sleep
        self._faults: dict[Hashable, str] = {}

    @property
    def faults(self) -> list[str]:
        """What fell, and by which kind of error; the log has the rest of it."""
        return sorted(set(self._faults.values()))

    async def keep(self, key: Hashable, what: str, run: Callable[[], Awaitable[None]]) -> None:
        """Runs it until this is cancelled; whatever it raises is logged, and it is run again."""
        backoff = Backoff()
        try:
            while True:
                try:
                    await run()
                    logger.error("%s ended by itself", what)
                    self._faults[key] = f"{what} ended by itself"
                except Exception as error:
                    logger.exception("%s failed", what)
                    self._faults[key] = f"{what} failed: {type(error).__name__}"
                await self._sleep(backoff.seconds())
        finally:
            self._faults.pop(key, None)

    def recovered(self, key: Hashable) -> None:
        """It works again."""
        self._faults.pop(key, None)
