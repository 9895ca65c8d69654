"""Durations in buckets: what can still be said of them, and how exactly."""

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from monitor.histogram import UNKNOWN, bucket_of, distribution, quantile

MICROSECOND = timedelta(microseconds=1)
NUMBER = 100_000
SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
SECOND = 1_000_000  # microseconds, as the following
# Of shorter ones a quantile is a whole microsecond, which alone may be more than 5 % off.
SHORTEST, LONGEST = 100, 365 * 86_400 * SECOND

# By a middle and a spread, from 0 to 1.
DISTRIBUTIONS: dict[str, Callable[[random.Random, float, float], float]] = {
    "uniform": lambda chance, middle, spread: middle * chance.uniform(1 - spread, 1 + spread),
    "normal": lambda chance, middle, spread: chance.gauss(middle, spread * middle),
    "exponential": lambda chance, middle, _: chance.expovariate(1 / middle),
    "log-normal": lambda chance, middle, spread: middle * chance.lognormvariate(0, 4 * spread),
    "heavy-tailed": lambda chance, middle, spread: middle * chance.paretovariate(1.2 - spread),
    "all the same": lambda _, middle, __: middle,
}


@dataclass(frozen=True)
class Kind:
    """How long one kind of runs takes."""

    name: str
    magnitude: float
    spread: float

    def draw(self, chance: random.Random) -> float:
        return DISTRIBUTIONS[self.name](chance, 10**self.magnitude, self.spread)


KINDS = st.builds(
    Kind,
    name=st.sampled_from(sorted(DISTRIBUTIONS)),
    magnitude=st.floats(math.log10(SHORTEST), math.log10(LONGEST)),
    spread=st.floats(0, 1),
)


def counts_of(durations: Iterable[timedelta | None]) -> Counter[int]:
    return Counter(map(bucket_of, durations))


# What fails is short as it is: to look for something shorter takes a minute.
@settings(max_examples=20, derandomize=True, deadline=None, database=None, phases=[Phase.generate])
@given(kinds=st.lists(KINDS, min_size=1, max_size=4), seed=st.integers(0, 2**32 - 1))
def test_a_quantile_is_at_most_5_percent_off(kinds: list[Kind], seed: int) -> None:
    chance = random.Random(seed)
    drawn = (kinds[number % len(kinds)].draw(chance) for number in range(NUMBER))
    durations = sorted(round(min(max(each, SHORTEST), LONGEST)) * MICROSECOND for each in drawn)
    counts = counts_of(durations)
    for share in SHARES:
        exact = durations[max(math.ceil(share * NUMBER) - 1, 0)]
        found = quantile(counts, share)
        assert found is not None
        assert abs(found / exact - 1) < 0.05, (share, exact, found)


def test_histograms_that_are_added_up_are_one_of_all_durations() -> None:
    chance = random.Random(7)
    durations = [chance.randrange(100 * SECOND) * MICROSECOND for _ in range(1_000)]
    parts = [counts_of(durations[first::7]) for first in range(7)]
    assert sum(parts, Counter[int]()) == counts_of(durations)


@pytest.mark.parametrize("exponent", range(1, 50))
def test_a_power_of_two_begins_a_bucket(exponent: int) -> None:
    power = 2**exponent * MICROSECOND
    assert bucket_of(power) == 8 * exponent
    # Nearer than a billionth part it may be rounded up.
    assert bucket_of(power - max(power // 1_000_000_000, MICROSECOND)) < 8 * exponent


def test_buckets_grow_with_durations() -> None:
    buckets = [bucket_of(microseconds * MICROSECOND) for microseconds in range(100_000)]
    assert buckets == sorted(buckets)


@pytest.mark.parametrize("microseconds", [-1, 0, 1])
def test_what_took_no_time_is_in_the_first_bucket(microseconds: int) -> None:
    assert bucket_of(microseconds * MICROSECOND) == 0
    assert quantile({0: 3}, 0.5) == MICROSECOND


def test_unknown_durations_do_not_count() -> None:
    assert bucket_of(None) == UNKNOWN
    known = counts_of([timedelta(seconds=2)] * 3 + [timedelta(seconds=9)])
    for share in SHARES:
        assert quantile(known | {UNKNOWN: 1_000}, share) == quantile(known, share)


@pytest.mark.parametrize("counts", [{}, {UNKNOWN: 5}, {80: 0}])
def test_of_no_durations_there_is_no_quantile(counts: dict[int, int]) -> None:
    assert quantile(counts, 0.99) is None


@pytest.mark.parametrize("most", [1, 2, 3, 24, 100])
def test_every_duration_is_in_its_column_of_the_distribution(most: int) -> None:
    chance = random.Random(most)
    durations = [round(10 ** chance.uniform(3, 9)) * MICROSECOND for _ in range(1_000)]
    found = distribution(counts_of(durations) | {UNKNOWN: 5, 500: 0}, most)
    assert found
    assert most / 2 < len(found.counts) <= most
    growth = (found.end / found.begin) ** (1 / len(found.counts))
    for column, count in enumerate(found.counts):
        begin = found.begin * growth**column
        exact = sum(begin <= each < begin * growth for each in durations)
        # A duration at a border may be in the column beside it.
        assert abs(count - exact) <= 1
    assert sum(found.counts) == 1_000
    assert found.counts[0] > 0 < found.counts[-1]


def test_of_no_durations_there_is_no_distribution() -> None:
    assert distribution({UNKNOWN: 5, 80: 0}, 24) is None


def test_the_rank_is_exact_where_products_are_not() -> None:
    # 0.07 · 100 is 7.000000000000001.
    counts = {8: 7, 800: 93}
    assert quantile(counts, 0.07) == quantile({8: 1}, 1)
