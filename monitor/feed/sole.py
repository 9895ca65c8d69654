"""A log in memory beside which another server process works on the same database.

They take turns at one outbox, so each moves events that the other's subscribers are never told.
That cannot be mended without Redis; but it is found out, said, and ends in a new epoch for both.
"""

import logging
import math
import time
from collections.abc import Sequence

from monitor.feed.condition import Condition
from monitor.feed.log import Feed, Position

logger = logging.getLogger(__name__)

# Subscribers are told that they missed something no more often than this.
RESET_SECONDS = 1.0
# An idle process that found another one notes its own log again, so that the other learns of it.
ANSWER_SECONDS = 30.0
# How long after the last sign of another process there may still be one.
MEMORY_SECONDS = 120.0

_PROBLEM = (
    "another server process works on this database, and each has a live feed of its own in memory, "
    "which is not told what the other moves: set REDIS_URL for both, or end one of them"
)


class Sole:
    """Watches over the log of a relay that ought to be the only one."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._condition = Condition(logger, "the live feed")
        self._noted_at: float | None = None
        self._met_at = -math.inf
        self._begun_at = -math.inf
        self._missed = False

    @property
    def problem(self) -> str | None:
        """Why the feed cannot be relied on; None when this process is alone."""
        return self._condition.problem if self._is_met() else None

    @property
    def is_due(self) -> bool:
        """Whether subscribers have to be told that they missed something."""
        return self._missed and time.monotonic() - self._begun_at >= RESET_SECONDS

    async def catch_up(self, known: Position) -> None:
        """Begins a new epoch when something was missed, but not in each turn."""
        if self.is_due:
            self._missed = False
            self._begun_at = time.monotonic()
            await self._feed.begin(known)

    async def append(self, payloads: Sequence[bytes], known: Position) -> Position:
        """Goes on although the database noted another log than this one."""
        end = await self._feed.open()
        self._missed = True
        # At first, the other log went with the process that it was of; or that one is still there,
        # and will find ours.
        if self._noted_at is not None and known.epoch != end.epoch:
            if not self._is_met():
                self._condition.recover()
            self._met_at = time.monotonic()
            self._condition.fail(_PROBLEM, level=logging.ERROR)
        await self.catch_up(known)
        return await self._feed.append(payloads, known=None)

    def may_note(self, *, moved: bool) -> bool:
        """Whether to note our log: idle processes would otherwise take turns at it for ever."""
        now = time.monotonic()
        if not moved and self._noted_at is not None and now - self._noted_at < ANSWER_SECONDS:
            return False
        self._noted_at = now
        return True

    def _is_met(self) -> bool:
        return time.monotonic() - self._met_at < MEMORY_SECONDS
