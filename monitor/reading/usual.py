"""How long processes and steps usually take, from the kept histograms; known without a query per
look, per row or per event.
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Select, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.session import Database
from monitor.entities import OVERTIME_AT_LEAST
from monitor.histogram import UNKNOWN
from monitor.reading.parts import Steps, in_parts
from monitor.reading.reads import reading
from monitor.reading.statistics import Runtimes

# So old may be what is said to be usual.
FRESH_SECONDS = 5.0
# It rests on at least so many successful runs.
LEAST_RUNS = 5
MAX_STEPS = 50_000
# What takes so many times what nearly all runs took is in overtime.
OVERTIME_SHARE = 1.5
_PIPELINES_PER_QUERY = 500

_durations = models.durations.c
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)


def _counts(*conditions: Any) -> Select[Any]:
    by = (_durations.pipeline_id, _durations.step, _durations.bucket)
    return (
        select(*by, func.sum(_durations.succeeded))
        .where(
            *conditions,
            # What was removed still tells how long such a thing takes.
            _durations.shard >= 0,
            _durations.bucket != UNKNOWN,
        )
        .group_by(*by)
    )


def _of_steps(pipeline_ids: Sequence[str], names: Sequence[str]) -> Select[Any]:
    return _counts(
        _durations.pipeline_id.in_(pipeline_ids),
        _durations.of == "TASK",
        _durations.step.in_(names),
    )


_OF_PROCESSES = _counts(
    _durations.pipeline_id.in_(_IDS), _durations.of == "PROCESS", _durations.step == ""
)


class Step(NamedTuple):
    """A step of a pipeline; with None for its name, the whole process."""

    pipeline_id: str
    name: str | None


class NotKnown(Exception):
    """It was not looked up lately."""


class Usual:
    """What the successful runs took, as of at most FRESH_SECONDS ago, where they are LEAST_RUNS."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[Step, tuple[float, Runtimes | None]] = {}

    def recall(self, step: Step) -> Runtimes | None:
        """What is known of it without asking; None for too few runs. Raises NotKnown."""
        if not self._is_fresh(step, asyncio.get_running_loop().time()):
            raise NotKnown
        return self._known[step][1]

    async def find(self, steps: Iterable[Step]) -> Mapping[Step, Runtimes]:
        """Those of the steps of which there are enough runs. Raises Unavailable."""
        now = asyncio.get_running_loop().time()
        wanted = set(steps)
        stale = [step for step in wanted if not self._is_fresh(step, now)]
        counts = await self._count(stale) if stale else {}
        # Before the oldest are forgotten, which these may be.
        found = {step: self._known[step][1] for step in wanted if step in self._known}
        for step in stale:
            self._known.pop(step, None)
            found[step] = usual = _usual(counts.get(step, {}))
            self._known[step] = (now, usual)
        while len(self._known) > MAX_STEPS:
            del self._known[next(iter(self._known))]
        return {step: usual for step, usual in found.items() if usual is not None}

    def _is_fresh(self, step: Step, now: float) -> bool:
        return step in self._known and now - self._known[step][0] < FRESH_SECONDS

    async def _count(self, wanted: Collection[Step]) -> Mapping[Step, dict[int, int]]:
        counts: dict[Step, dict[int, int]] = {}
        async with reading(self._database) as connection:
            for statement in in_parts(list(_by_pipeline(wanted)), _of_steps):
                for pipeline_id, name, bucket, count in await connection.execute(statement):
                    counts.setdefault(Step(pipeline_id, name), {})[bucket] = int(count)
            whole = sorted(step.pipeline_id for step in wanted if step.name is None)
            for first in range(0, len(whole), _PIPELINES_PER_QUERY):
                part = whole[first : first + _PIPELINES_PER_QUERY]
                await _count_processes(connection, part, counts)
        return counts


def _by_pipeline(steps: Iterable[Step]) -> Iterator[Steps]:
    names: dict[str, list[str]] = {}
    for step in steps:
        if step.name is not None:
            names.setdefault(step.pipeline_id, []).append(step.name)
    for pipeline_id, of in names.items():
        yield Steps(pipeline_id, tuple(of))


async def _count_processes(
    connection: AsyncConnection, pipeline_ids: Sequence[str], counts: dict[Step, dict[int, int]]
) -> None:
    found = await connection.execute(_OF_PROCESSES, {"ids": pipeline_ids})
    for pipeline_id, _, bucket, count in found:
        counts.setdefault(Step(pipeline_id, None), {})[bucket] = int(count)


def _usual(counts: Mapping[int, int]) -> Runtimes | None:
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
