"""Whether the database takes writes: seen at those that are made, found out when they fail."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterator

from db.errors import is_unavailable, reason
from db.session import Database, Limits
from monitor.writing.marks import Marks

logger = logging.getLogger(__name__)

PROBE_SECONDS = 1.0
QUICK_SECONDS = 0.3
# It is tried again after pauses that grow to this.
MAX_PAUSE_SECONDS = 0.5
# A commit proves for so long that the database takes writes. One that took the probe, but not the
# reports before it (a disk may have room for a few bytes), is not believed for longer.
FRESH_SECONDS = 1.0
SUSPECT_SECONDS = 5.0


class Circuit:
    """Open: nothing gets to the database but probes. `on_opening` is called when that begins."""

    def __init__(self, database: Database, marks: Marks, *, on_opening: Callable[[], None]) -> None:
        self._database = database
        self._marks = marks
        self._on_opening = on_opening
        self._committed_at = self._suspected_at = float("-inf")
        self.is_open = False

    @property
    def works(self) -> bool | None:
        """Whether the database takes writes; None when that was not seen lately."""
        now = asyncio.get_running_loop().time()
        if self.is_open or now - self._suspected_at < SUSPECT_SECONDS:
            return False
        return True if now - self._committed_at < FRESH_SECONDS else None

    def note_commit(self, *, of_reports: bool) -> None:
        """Notes that something was written durably, and whether it was more than a probe."""
        self._committed_at = asyncio.get_running_loop().time()
        if of_reports:
            self._suspected_at = float("-inf")

    def suspect(self) -> None:
        """Notes that reports could not be written, though a probe could."""
        self._suspected_at = asyncio.get_running_loop().time()

    async def recover(self, error: Exception, *, until: float) -> int:
        """Returns once the database takes a write: the number of the last one of ours before.

        When it does not until then, it is taken for gone, and the circuit is open meanwhile.
        """
        logger.warning("the database cannot be written: %s", reason(error))
        loop = asyncio.get_running_loop()
        pauses = _pauses()
        # One that was slow is asked once before it is taken for gone.
        until = max(until, loop.time() + QUICK_SECONDS)
        while (number := await self._probe(until)) is None:
            pause = next(pauses)
            await asyncio.sleep(pause if self.is_open else min(pause, until - loop.time()))
            if loop.time() >= until and not self.is_open:
                self.is_open = True
                self._on_opening()
        if self.is_open:
            logger.warning("the database can be written again")
        self.is_open = False
        return number

    async def _probe(self, until: float) -> int | None:
        limit = asyncio.get_running_loop().time() + PROBE_SECONDS
        if not self.is_open:
            limit = min(limit, until)
        try:
            return await self._marks.settle(self._database, Limits(limit, limit))
        except Exception as error:
            if not is_unavailable(error):
                logger.exception("the database cannot be probed")
            return None


def _pauses() -> Iterator[float]:
    pause = 0.02
    while True:
        yield random.uniform(pause / 2, pause)
        pause = min(2 * pause, MAX_PAUSE_SECONDS)
