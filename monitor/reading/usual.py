"""How long processes and steps usually take, from the kept histograms; known without a query per
look, per row or per event.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from db.session import Database
from monitor.entities import OVERTIME_AT_LEAST
from monitor.reading.asking import reading
from monitor.reading.histograms import Counts, Step, read_histograms
from monitor.reading.statistics import Runtimes
from monitor.slots import HOUR_SECONDS, slot_start

# So old may be what is said to be usual.
FRESH_SECONDS = 5.0
# History is long, and does not change: it is read again seldom; each time, what ended lately is.
HISTORY_SECONDS = 600.0
# Nothing is written any more of hours that are over for so long.
SETTLED_AFTER = timedelta(hours=1)
# It rests on at least so many successful runs.
LEAST_RUNS = 5
# Each has its history: a number for each bucket.
MAX_STEPS = 20_000
# What takes so many times what nearly all runs took is in overtime.
OVERTIME_SHARE = 1.5


class NotKnown(Exception):
    """It was not looked up lately."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a step: what of it ended before an instant, as of when that was read in the
    event loop's time, and what is usual, as of when.
    """

    history: Counts
    until: datetime
    history_at: float
    usual: Runtimes | None
    at: float


class Usual:
    """What the successful runs took, as of at most FRESH_SECONDS ago, where they are LEAST_RUNS."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[Step, _Known] = {}

    def recall(self, step: Step) -> Runtimes | None:
        """What is known of it without asking; None for too few runs. Raises NotKnown."""
        known = self._known.get(step)
        if known is None or not _is_fresh(known, asyncio.get_running_loop().time()):
            raise NotKnown
        return known.usual

    async def find(self, steps: Iterable[Step]) -> Mapping[Step, Runtimes]:
        """Those of the steps of which there are enough runs. Raises Unavailable."""
        now = asyncio.get_running_loop().time()
        found: dict[Step, Runtimes | None] = {}
        new: set[Step] = set()
        # By when the history that is known of them ends.
        stale: dict[datetime, dict[Step, _Known]] = {}
        for step in set(steps):
            known = self._known.get(step)
            if known is None or now - known.history_at >= HISTORY_SECONDS:
                new.add(step)
            elif _is_fresh(known, now):
                found[step] = known.usual
            else:
                stale.setdefault(known.until, {})[step] = known
        if new or stale:
            async with reading(self._database) as connection:
                found |= await self._read(connection, new, now)
                for until, some in stale.items():
                    found |= await self._renew(connection, some, until, now)
        return {step: usual for step, usual in found.items() if usual is not None}

    async def _read(
        self, connection: AsyncConnection, steps: Collection[Step], now: float
    ) -> Mapping[Step, Runtimes | None]:
        until = slot_start(datetime.now(UTC) - SETTLED_AFTER, HOUR_SECONDS)
        read = await read_histograms(connection, steps, until, only_since=False)
        return {
            step: self._keep(step, _Known(of.before, until, now, _usual(*of), now))
            for step, of in read.items()
        }

    async def _renew(
        self, connection: AsyncConnection, stale: Mapping[Step, _Known], until: datetime, now: float
    ) -> Mapping[Step, Runtimes | None]:
        read = await read_histograms(connection, stale, until, only_since=True)
        found = {}
        for step, (_, since) in read.items():
            known = stale[step]
            usual = _usual(known.history, since)
            found[step] = self._keep(step, replace(known, usual=usual, at=now))
        return found

    def _keep(self, step: Step, known: _Known) -> Runtimes | None:
        """In the place of what was known for longest."""
        self._known.pop(step, None)
        self._known[step] = known
        if len(self._known) > MAX_STEPS:
            del self._known[next(iter(self._known))]
        return known.usual


def _is_fresh(known: _Known, now: float) -> bool:
    return now - known.at < FRESH_SECONDS


def _usual(history: Counts, lately: Counts) -> Runtimes | None:
    counts = dict(history)
    for bucket, count in lately.items():
        counts[bucket] = counts.get(bucket, 0) + count
    runtimes = Runtimes.of(counts)
    return None if runtimes.count < LEAST_RUNS else runtimes


def overtime_after(usual: Runtimes) -> timedelta:
    """What takes longer than this is in overtime."""
    assert usual.p50 is not None
    assert usual.p99 is not None, "what is usual rests on runs"
    return max(
        OVERTIME_SHARE * timedelta(seconds=usual.p99),
        timedelta(seconds=usual.p50) + OVERTIME_AT_LEAST,
    )
