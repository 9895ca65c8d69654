"""How long steps usually take, from the kept histograms; known without a query per look."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import bindparam, func, select

from db import models
from db.session import Database
from monitor.histogram import UNKNOWN, quantile
from monitor.reading.reads import reading

# So old may be what is said to be usual.
FRESH_SECONDS = 5.0
# It rests on at least so many successful runs.
LEAST_RUNS = 5
SHARE = 0.99
MAX_STEPS = 50_000
# They are looked for under all names of steps in all of the pipelines.
_STEPS_PER_QUERY = 25

_durations = models.durations.c
_COUNTS = (
    select(
        *(_durations.pipeline_id, _durations.step, _durations.bucket),
        func.sum(_durations.succeeded),
    )
    .where(
        _durations.pipeline_id.in_(bindparam("pipelines", expanding=True)),
        _durations.of == "TASK",
        _durations.step.in_(bindparam("steps", expanding=True)),
        # What was removed still tells how long such a step takes.
        _durations.shard >= 0,
        _durations.bucket != UNKNOWN,
    )
    .group_by(_durations.pipeline_id, _durations.step, _durations.bucket)
)


class Step(NamedTuple):
    """A step of a pipeline."""

    pipeline_id: str
    name: str


class Usual:
    """The 99th percentile of steps' successful runs, as of at most FRESH_SECONDS ago."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[Step, tuple[float, timedelta | None]] = {}

    async def find(self, steps: Iterable[Step]) -> Mapping[Step, timedelta]:
        """Those of the steps of which it is known. Raises Unavailable."""
        now = asyncio.get_running_loop().time()
        wanted = set(steps)
        stale = sorted(step for step in wanted if not self._is_fresh(step, now))
        for first in range(0, len(stale), _STEPS_PER_QUERY):
            part = stale[first : first + _STEPS_PER_QUERY]
            counts = await self._count(part)
            for step in part:
                self._known.pop(step, None)
                self._known[step] = (now, _usual(counts.get(step, {})))
        while len(self._known) > MAX_STEPS:
            del self._known[next(iter(self._known))]
        found = {step: self._known[step][1] for step in wanted if step in self._known}
        return {step: usual for step, usual in found.items() if usual is not None}

    def _is_fresh(self, step: Step, now: float) -> bool:
        return step in self._known and now - self._known[step][0] < FRESH_SECONDS

    async def _count(self, steps: Iterable[Step]) -> Mapping[Step, dict[int, int]]:
        wanted = {
            "pipelines": sorted({step.pipeline_id for step in steps}),
            "steps": sorted({step.name for step in steps}),
        }
        counts: dict[Step, dict[int, int]] = {}
        async with reading(self._database) as connection:
            for pipeline_id, name, bucket, count in await connection.execute(_COUNTS, wanted):
                counts.setdefault(Step(pipeline_id, name), {})[bucket] = int(count)
        return counts


def _usual(counts: Mapping[int, int]) -> timedelta | None:
    if sum(counts.values()) < LEAST_RUNS:
        return None
    return quantile(counts, SHARE)
