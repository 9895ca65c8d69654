"""How far something is that takes long, on stderr."""

import sys
import time

PROGRESS_SECONDS = 2.0


class Progress:
    """Says how far it is, how fast, and how long it takes still.

    Args:
        what: of which it takes so many, in the plural
        total: None where nobody knows
    """

    def __init__(self, what: str, total: int | None) -> None:
        self._what = what
        self._total = total
        self._done = 0
        self._start = self._said = time.monotonic()

    def add(self, count: int) -> None:
        """Notes what was done; says so every PROGRESS_SECONDS, and at the end."""
        self._done += count
        now = time.monotonic()
        if now - self._said < PROGRESS_SECONDS and self._done != self._total:
            return
        self._said = now
        rate = self._done / max(now - self._start, 1e-6)
        sys.stderr.write(f"{self._how_far(rate)}\n")
        sys.stderr.flush()

    def _how_far(self, rate: float) -> str:
        # What is counted at first may have become more.
        if self._total is None or self._done > self._total:
            return f"{self._done:,} {self._what}, {rate:,.0f}/s"
        left = (self._total - self._done) / max(rate, 1e-6)
        return f"{self._done:,} of {self._total:,} {self._what}, {rate:,.0f}/s, {left:,.0f} s left"
