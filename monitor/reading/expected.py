"""When processes are expected to end: by what is usual for the steps that are left."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, bindparam, func, select

from db import models
from db.session import Database
from monitor.entities import Process
from monitor.errors import InvalidInput
from monitor.reading.asking import reading
from monitor.reading.histograms import Step
from monitor.reading.nested import MAX_TASKS
from monitor.reading.statistics import Runtimes

_task = models.tasks.c
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
# Those that wait have no start, so they are one row for each name.
_LEFT = (
    select(_task.process_id, _task.name, _task.started_at, func.count())
    .where(_task.process_id.in_(_IDS), _task.status.in_(["PENDING", "RUNNING"]))
    .group_by(_task.process_id, _task.name, _task.started_at)
    .limit(MAX_TASKS + 1)
)


class Left(NamedTuple):
    """So many tasks of one name that have not ended: since when they run, None: they wait."""

    name: str
    running_since: datetime | None
    number: int


async def find_left(
    database: Database, process_ids: Collection[str]
) -> Mapping[str, Sequence[Left]]:
    """What is left of each of the processes, in one statement.

    Raises InvalidInput when that are more than MAX_TASKS; Unavailable.
    """
    left: dict[str, list[Left]] = {process_id: [] for process_id in process_ids}
    async with reading(database) as connection:
        found = (await connection.execute(_LEFT, {"ids": sorted(process_ids)})).all()
    if len(found) > MAX_TASKS:
        raise InvalidInput(
            "expectedEndAt", f"has more than {MAX_TASKS} steps left, ask for fewer processes"
        )
    for process_id, name, started_at, number in found:
        left[process_id].append(Left(name, started_at, number))
    return left


def steps_of(process: Process, left: Sequence[Left]) -> Sequence[Step]:
    """What has to be known of it: without any steps, how long all of it usually takes."""
    if process.task_count == 0:
        return [Step(process.pipeline_id, None)]
    return [Step(process.pipeline_id, each.name) for each in left]


def end_of(
    process: Process, left: Sequence[Left], usual: Mapping[Step, Runtimes | None], now: datetime
) -> datetime | None:
    """Never before now; None where it is not known how long a step that is left usually takes."""
    if process.task_count == 0:
        left = [Left("", process.started_at, 1)]
    remaining = timedelta()
    for step, each in zip(steps_of(process, left), left, strict=True):
        known = usual.get(step)
        if known is None or known.p50 is None:
            return None
        rest = timedelta(seconds=known.p50)
        if each.running_since is not None:
            rest = max(rest - (now - each.running_since), timedelta())
        remaining += each.number * rest
    return now + remaining
