"""What is kept of pipelines beside what a recount gives, as in `monitor.upkeep.recount`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Select,
    case,
    false,
    func,
    literal,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.instants import microseconds_between, unix_seconds
from monitor.histogram import BUCKETS_PER_OCTAVE, ROUNDING, UNKNOWN
from monitor.slots import DAY_SECONDS
from monitor.upkeep.recount import Mismatch, count, mismatch

FIGURES = (
    *("workers_alive", "workers_finished", "workers_lost"),
    *("running", "succeeded", "failed", "stalled", "runtime_microseconds"),
)
DURATIONS = ("succeeded", "failed")
_KEY = ("of_pipeline", "of_kind", "of_step", "of_version", "of_day", "of_bucket")
_LIVENESS = ("ALIVE", "FINISHED", "LOST")
_ENDED = ("SUCCESS", "ERROR")


@dataclass(frozen=True, slots=True)
class DurationKey:
    """A bucket of a day of a step, or of whole processes, under a version."""

    pipeline_id: str
    of: str
    step: str
    version: str
    day: datetime
    bucket: int

    def __str__(self) -> str:
        what = f"step {self.step}" if self.of == "TASK" else "processes"
        of = f"{what} of {self.pipeline_id} {self.version}"
        return f"{of}, bucket {self.bucket} of {self.day.date().isoformat()}"


async def compare_pipelines(connection: AsyncConnection, ids: Sequence[str]) -> list[Mismatch[str]]:
    """Workers by liveness, processes by status, and their summed runtime, of these pipelines."""
    pipeline, worker, process = models.pipelines.c, models.workers.c, models.processes.c
    figures = models.pipeline_figures.c
    runtime = microseconds_between(
        process.started_at, process.ended_at, sqlite=connection.dialect.name == "sqlite"
    )
    mine = process.pipeline_id == pipeline.id
    kept = [
        select(func.coalesce(func.sum(figures[name]), 0))
        .where(figures.pipeline_id == pipeline.id)
        .scalar_subquery()
        for name in FIGURES
    ]
    counted = [
        *(
            count(
                worker.id,
                worker.pipeline_id == pipeline.id,
                worker.liveness == liveness,
                worker.archived == false(),
            )
            for liveness in _LIVENESS
        ),
        *(count(process.id, mine, process.status == s) for s in ("RUNNING", *_ENDED)),
        count(process.id, mine, process.status == "RUNNING", process.stalled),
        select(func.coalesce(func.sum(runtime), 0)).where(mine).scalar_subquery(),
    ]
    found = await connection.execute(
        select(pipeline.id, *kept, *counted).where(pipeline.id.in_(ids))
    )
    compared = [mismatch(row[0], FIGURES, row[1:]) for row in found]
    return [each for each in compared if any(each.missing().values())]


async def compare_durations(
    connection: AsyncConnection, ids: Sequence[str]
) -> list[Mismatch[DurationKey]]:
    """How long the steps and processes of these pipelines took, by day and bucket."""
    sqlite = connection.dialect.name == "sqlite"
    if sqlite:
        await _teach_logarithm(connection)
    kept, none = models.durations.c, literal(0)
    of = (
        *(kept.pipeline_id, kept.of, kept.step, kept.version),
        *(_day(kept.slot_at, sqlite=sqlite), kept.bucket),
    )
    parts = union_all(
        select(
            *(column.label(name) for name, column in zip(_KEY, of, strict=True)),
            *(kept[name].label(f"kept_{name}") for name in DURATIONS),
            *(none.label(f"counted_{name}") for name in DURATIONS),
        ).where(kept.pipeline_id.in_(ids)),
        _count_tasks(ids, sqlite=sqlite),
        _count_processes(ids, sqlite=sqlite),
    ).subquery()
    key = [parts.c[name] for name in _KEY]
    sums = {
        side: [func.sum(parts.c[f"{side}_{name}"]) for name in DURATIONS]
        for side in ("kept", "counted")
    }
    differs = or_(*(k != c for k, c in zip(sums["kept"], sums["counted"], strict=True)))
    statement = select(*key, *sums["kept"], *sums["counted"]).group_by(*key).having(differs)
    return [
        mismatch(_key(*row[:6]), DURATIONS, row[6:])
        for row in await connection.execute(statement.order_by(*key))
    ]


def _key(pipeline_id: str, of: str, step: str, version: str, day: int, bucket: int) -> DurationKey:
    at = datetime.fromtimestamp(int(day), UTC)
    return DurationKey(pipeline_id, of, step, version, at, int(bucket))


def _count_tasks(ids: Sequence[str], *, sqlite: bool) -> Any:
    task, process = models.tasks.c, models.processes.c
    of = (task.pipeline_id, literal("TASK"), task.name, process.version)
    return (
        _counted(of, task, sqlite=sqlite)
        .join(models.processes, process.id == task.process_id)
        .where(task.pipeline_id.in_(ids), task.status.in_(_ENDED))
    )


def _count_processes(ids: Sequence[str], *, sqlite: bool) -> Any:
    process = models.processes.c
    of = (process.pipeline_id, literal("PROCESS"), literal(""), process.version)
    return _counted(of, process, sqlite=sqlite).where(
        process.pipeline_id.in_(ids), process.status.in_(_ENDED)
    )


def _counted(of: Sequence[ColumnElement[Any]], row: Any, *, sqlite: bool) -> Select[Any]:
    """Added up by itself: of millions of rows few are left to be put together."""
    runtime = microseconds_between(row.started_at, row.ended_at, sqlite=sqlite)
    bucket = func.floor(BUCKETS_PER_OCTAVE * func.log2(runtime) + ROUNDING)
    key = [
        *of,
        _day(row.ended_at, sqlite=sqlite),
        case((row.started_at.is_(None), UNKNOWN), (runtime < 1, 0), else_=bucket),
    ]
    labelled = [column.label(name) for name, column in zip(_KEY, key, strict=True)]
    sums = [func.sum(case((row.status == status, 1), else_=0)) for status in _ENDED]
    return select(*labelled, *[literal(0)] * len(DURATIONS), *sums).group_by(
        *(text(name) for name in _KEY)
    )


def _day(instant: ColumnElement[Any], *, sqlite: bool) -> ColumnElement[int]:
    seconds = unix_seconds(instant, sqlite=sqlite)
    return seconds - seconds % DAY_SECONDS


async def _teach_logarithm(connection: AsyncConnection) -> None:
    """SQLite has mathematical functions only where it was built with them."""
    raw = await connection.get_raw_connection()
    driver = cast(Any, raw.driver_connection)
    await driver.create_function("log2", 1, _log2, deterministic=True)
    await driver.create_function("floor", 1, math.floor, deterministic=True)


def _log2(value: float | None) -> float | None:
    return math.log2(value) if value else None
