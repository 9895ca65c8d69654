"""What ended of two versions, and what can be said of the difference."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple, Self

from monitor.reading.statistics import Ends, Runtimes
from monitor.reading.usual import LEAST_RUNS

# Of a normal distribution, within which 95 % lie.
_Z = NormalDist().inv_cdf(0.975)


class Interval(NamedTuple):
    """From a share to another, both from 0 to 1."""

    low: float
    high: float


def wilson(succeeded: int, ended: int) -> Interval:
    """Where the true share lies of which so many of so many were seen, with 95 % confidence.

    The score interval of E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical
    Inference", Journal of the American Statistical Association 22 (1927), 209-212. Unlike the one
    by the standard error it holds for few runs, and where all or none succeeded.
    """
    share, spread = succeeded / ended, _Z**2 / ended
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    # Rounding must not take 0 of 10 or 10 of 10 out of their own interval.
    return Interval(max(min(middle - half, share), 0.0), min(max(middle + half, share), 1.0))


@dataclass(frozen=True, slots=True)
class Sample:
    """What ended of a version: how it ended, and how long what succeeded took."""

    succeeded: int
    failed: int
    runtimes: Runtimes

    @classmethod
    def of(cls, ends: Ends) -> Self:
        return cls(ends.succeeded, ends.failed, Runtimes.of(ends.counts))

    @property
    def ended(self) -> int:
        return self.succeeded + self.failed

    @property
    def rate(self) -> float | None:
        """0 to 1; None where none ended."""
        return self.succeeded / self.ended if self.ended else None

    @property
    def interval(self) -> Interval | None:
        """Of the rate, with 95 % confidence; None where none ended."""
        return wilson(self.succeeded, self.ended) if self.ended else None


@dataclass(frozen=True, slots=True)
class Shift:
    """From one sample to another; what rests on fewer than LEAST_RUNS of either says nothing."""

    before: Sample
    after: Sample

    @property
    def enough(self) -> bool:
        """Whether enough succeeded of both to compare how long they took."""
        return min(self.before.runtimes.count, self.after.runtimes.count) >= LEAST_RUNS

    @property
    def enough_ends(self) -> bool:
        """Whether enough ended of both to compare how they did."""
        return min(self.before.ended, self.after.ended) >= LEAST_RUNS

    @property
    def p50_ratio(self) -> float | None:
        """How many times as long the median takes; None where there is not enough."""
        return self._ratio(self.before.runtimes.p50, self.after.runtimes.p50)

    @property
    def p95_ratio(self) -> float | None:
        """How many times as long the 95th percentile takes; None where there is not enough."""
        return self._ratio(self.before.runtimes.p95, self.after.runtimes.p95)

    def _ratio(self, before: float | None, after: float | None) -> float | None:
        return after / before if self.enough and before and after is not None else None
