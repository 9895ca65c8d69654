"""Histograms of durations: buckets that grow by the eighth part of an octave; their quantiles.

A quantile is the middle of its bucket, and so at most 2^(1/16), 4.4 %, off. Histograms are merged
by adding them up.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from monitor.entities import MICROSECOND

BUCKETS_PER_OCTAVE = 8
# Of what ended, but was never said to have been started.
UNKNOWN = -1
# However logarithms and products are rounded: powers of two, which stand between two buckets, are
# in the upper one, and 7 % of 100 durations are 7 of them.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many durations are in each of some columns, which begin with the shortest and are each as
    many times as long as the one before; the last one ends at `end`. Some in between may be empty.
    """

    begin: timedelta
    end: timedelta
    counts: Sequence[int]


def bucket_of(duration: timedelta | None) -> int:
    """floor(8 · log2(microseconds)); 0 for less than one, UNKNOWN for None."""
    if duration is None:
        return UNKNOWN
    microseconds = duration // MICROSECOND
    if microseconds < 1:
        return 0
    return math.floor(BUCKETS_PER_OCTAVE * math.log2(microseconds) + ROUNDING)


def quantile(counts: Mapping[int, int], share: float) -> timedelta | None:
    """What this share of the durations does not exceed (nearest rank), by their number per bucket.

    None when there are none; UNKNOWN ones do not count.
    """
    known = sorted((bucket, count) for bucket, count in counts.items() if bucket != UNKNOWN)
    rank = math.ceil(share * sum(count for _, count in known) - ROUNDING)
    for bucket, count in known:
        rank -= count
        if count > 0 and rank <= 0:
            return MICROSECOND * 2 ** ((bucket + 0.5) / BUCKETS_PER_OCTAVE)
    return None


def distribution(counts: Mapping[int, int], most: int) -> Distribution | None:
    """In at most so many columns. None of no durations; UNKNOWN ones do not count."""
    known = {bucket: n for bucket, n in counts.items() if bucket != UNKNOWN and n > 0}
    if not known:
        return None
    first, last = min(known), max(known)
    width = math.ceil((last - first + 1) / most)
    columns = [0] * math.ceil((last - first + 1) / width)
    for bucket, count in known.items():
        columns[(bucket - first) // width] += count
    return Distribution(_begin(first), _begin(first + width * len(columns)), columns)


def _begin(bucket: int) -> timedelta:
    return MICROSECOND * 2 ** (bucket / BUCKETS_PER_OCTAVE)
