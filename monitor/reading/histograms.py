"""Histograms of what succeeded, of whole processes and of steps, with what ended lately apart."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Select, bindparam, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from monitor.histogram import UNKNOWN
from monitor.reading.parts import Steps, in_parts
from monitor.slots import HOUR_SECONDS

_PIPELINES_PER_QUERY = 500

_durations = models.durations.c
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_SINCE: BindParameter[Any] = bindparam("since", type_=models.UtcDateTime())
Counts = dict[int, int]


class Step(NamedTuple):
    """A step of a pipeline; with None for its name, the whole process."""

    pipeline_id: str
    name: str | None


class Histogram(NamedTuple):
    """How many took how long, by bucket: of those that ended before an instant, and since."""

    before: Counts
    since: Counts


def _counts(*conditions: Any, only_since: bool) -> Select[Any]:
    by: list[Any] = [_durations.pipeline_id, _durations.step, _durations.bucket]
    if only_since:
        # Of each of them, a few entries of the primary key, however long its history is.
        conditions += (_durations.slot_seconds == HOUR_SECONDS, _durations.slot_at >= _SINCE)
    else:
        by.append(case((_durations.slot_at >= _SINCE, 1), else_=0).label("late"))
    return (
        select(*by, func.sum(_durations.succeeded).label("count"))
        # What was removed still tells how long such a thing takes.
        .where(*conditions, _durations.shard >= 0, _durations.bucket != UNKNOWN)
        .group_by(*by)
    )


def _of_steps(
    pipeline_ids: Sequence[str], names: Sequence[str], *, only_since: bool
) -> Select[Any]:
    return _counts(
        _durations.pipeline_id.in_(pipeline_ids),
        _durations.of == "TASK",
        _durations.step.in_(names),
        only_since=only_since,
    )


_OF_PROCESSES = {
    only_since: _counts(
        _durations.pipeline_id.in_(_IDS),
        _durations.of == "PROCESS",
        _durations.step == "",
        only_since=only_since,
    )
    for only_since in (False, True)
}


async def read_histograms(
    connection: AsyncConnection, steps: Collection[Step], since: datetime, *, only_since: bool
) -> Mapping[Step, Histogram]:
    """Of each of them, cut at an hour's begin that is not yet part of a day.

    Only what ended since then costs the same however long the history is. One statement for all
    steps and one for all processes, unless they are thousands.
    """
    found = {step: Histogram({}, {}) for step in steps}
    for statement in in_parts([*_by_pipeline(steps)], partial(_of_steps, only_since=only_since)):
        for row in await connection.execute(statement, {"since": since}):
            _add(found[Step(row[0], row[1])], row, only_since=only_since)
    whole = sorted(step.pipeline_id for step in steps if step.name is None)
    for first in range(0, len(whole), _PIPELINES_PER_QUERY):
        ids = whole[first : first + _PIPELINES_PER_QUERY]
        values = {"ids": ids, "since": since}
        for row in await connection.execute(_OF_PROCESSES[only_since], values):
            _add(found[Step(row[0], None)], row, only_since=only_since)
    return found


def _by_pipeline(steps: Iterable[Step]) -> Iterator[Steps]:
    names: dict[str, list[str]] = {}
    for step in steps:
        if step.name is not None:
            names.setdefault(step.pipeline_id, []).append(step.name)
    for pipeline_id, of in names.items():
        yield Steps(pipeline_id, tuple(of))


def _add(histogram: Histogram, row: Sequence[Any], *, only_since: bool) -> None:
    counts = histogram.since if only_since or row[3] else histogram.before
    counts[row[2]] = int(row[-1])
