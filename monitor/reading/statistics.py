"""How long pipelines and their steps take, and how they end: from histograms and the activity.

What is read grows with time and with versions, not with runs, and is merged by the database. Of any
number of pipelines it is one statement. What was removed still counts. Raises Unavailable.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Self

from sqlalchemy import BindParameter, Select, bindparam, func, select, union_all

from db import models
from db.session import Database
from monitor.errors import InvalidInput
from monitor.histogram import UNKNOWN, quantile
from monitor.limits import VERSION_LENGTH, check_text
from monitor.reading.asking import reading
from monitor.reading.parts import Steps, in_parts
from monitor.reading.windows import (
    MINUTES_KEPT,
    slots_between,
    start_of_durations,
    start_of_slot,
)
from monitor.slots import DAY_SECONDS, HOUR_SECONDS, LONG_AGO, slot_start

_MINUTE_SECONDS = 60

_durations, _activity = models.durations.c, models.activity.c
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_SINCE: BindParameter[Any] = bindparam("since", type_=models.UtcDateTime())
_UNTIL: BindParameter[Any] = bindparam("until", type_=models.UtcDateTime())
_VERSION: BindParameter[Any] = bindparam("version")
_SUCCEEDED = func.sum(_durations.succeeded)
_FAILED = func.sum(_durations.failed)
# Hours and days, of which neither is kept where the other is; without what notes removals.
KEPT = (_durations.slot_seconds.in_([HOUR_SECONDS, DAY_SECONDS]), _durations.shard >= 0)


def _of_processes(*columns: Any) -> Select[Any]:
    """Processes of pipelines that ended since then, by these columns and their buckets."""
    return (
        select(_durations.pipeline_id, *columns, _durations.bucket, _SUCCEEDED)
        .where(
            _durations.pipeline_id.in_(_IDS),
            _durations.of == "PROCESS",
            _durations.step == "",
            *KEPT,
            _durations.slot_at >= _SINCE,
        )
        .group_by(_durations.pipeline_id, *columns, _durations.bucket)
    )


_PROCESSES = _of_processes()
_PROCESSES_OF_VERSION = _PROCESSES.where(_durations.version == _VERSION)
PROCESSES_BY_VERSION = _of_processes(_durations.version).add_columns(_FAILED)


@dataclass(frozen=True, slots=True)
class Runtimes:
    """How long what succeeded took, in seconds; None while nothing did."""

    count: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None

    @classmethod
    def of(cls, counts: Mapping[int, int]) -> Self:
        """Of a histogram; a runtime that is not known is none."""
        known = {bucket: n for bucket, n in counts.items() if n > 0 and bucket != UNKNOWN}
        p50, p95, p99, longest = (_seconds(known, share) for share in (0.5, 0.95, 0.99, 1))
        return cls(sum(known.values()), p50, p95, p99, longest)


def _seconds(counts: Mapping[int, int], share: float) -> float | None:
    found = quantile(counts, share)
    return None if found is None else found.total_seconds()


@dataclass(slots=True)
class Ends:
    """What ended: how many, and of those that succeeded, how long they took by bucket."""

    succeeded: int = 0
    failed: int = 0
    counts: dict[int, int] = field(default_factory=dict)

    def add(self, bucket: int, succeeded: int, failed: int) -> None:
        self.succeeded += int(succeeded)
        self.failed += int(failed)
        self.counts[bucket] = self.counts.get(bucket, 0) + int(succeeded)


@dataclass(frozen=True, slots=True)
class StepFigures:
    """How a step ended, and how long it took where it succeeded: by bucket, too."""

    succeeded: int
    failed: int
    runtimes: Runtimes
    counts: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, ends: Ends) -> Self:
        """Of what ended."""
        return cls(ends.succeeded, ends.failed, Runtimes.of(ends.counts), ends.counts)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How processes ended."""

    succeeded: int = 0
    failed: int = 0

    @property
    def success_rate(self) -> float | None:
        """0 to 1; None where none ended."""
        ended = self.succeeded + self.failed
        return self.succeeded / ended if ended else None


@dataclass(frozen=True, slots=True)
class RuntimeSlot:
    """The successful processes that ended in a slot of time, which begins at `at`."""

    at: datetime
    runtimes: Runtimes


async def find_runtimes(
    database: Database,
    pipeline_ids: Collection[str],
    since: datetime | None,
    version: str | None,
) -> Mapping[str, Runtimes]:
    """Of the successful processes of each pipeline, of one version or all."""
    values = {"ids": sorted(pipeline_ids), **_window(since, version)}
    statement = _PROCESSES if version is None else _PROCESSES_OF_VERSION
    counts: dict[str, dict[int, int]] = {id_: {} for id_ in pipeline_ids}
    async with reading(database) as connection:
        for pipeline_id, bucket, count in await connection.execute(statement, values):
            counts[pipeline_id][bucket] = int(count)
    return {pipeline_id: Runtimes.of(found) for pipeline_id, found in counts.items()}


async def find_runtimes_by_slot(
    database: Database,
    pipeline_ids: Collection[str],
    since: datetime,
    until: datetime | None,
    slot_seconds: int,
) -> Mapping[str, Sequence[RuntimeSlot]]:
    """Of each pipeline the successful processes by slots of whole hours.

    Slots as in `list_activity`. A day whose hours are not kept is in the slot that it begins in.
    Raises InvalidInput for other lengths, more than MAX_SLOTS, or `until` before `since`.
    """
    if slot_seconds < HOUR_SECONDS or slot_seconds % HOUR_SECONDS:
        raise InvalidInput("slotSeconds", f"must be a multiple of {HOUR_SECONDS}")
    slots = slots_between(since, until, slot_seconds)
    slot = start_of_slot(_durations.slot_at, slot_seconds, sqlite=database.is_sqlite)
    statement = _of_processes(slot).where(_durations.slot_at < _UNTIL)
    values = {"ids": sorted(pipeline_ids), "since": slots.first, "until": slots.end}
    counts: defaultdict[tuple[str, datetime], dict[int, int]] = defaultdict(dict)
    async with reading(database) as connection:
        for pipeline_id, at, bucket, count in await connection.execute(statement, values):
            counts[pipeline_id, datetime.fromtimestamp(at, UTC)][bucket] = int(count)
    none = Runtimes()
    return {
        id_: [
            RuntimeSlot(at, Runtimes.of(counts[id_, at]) if (id_, at) in counts else none)
            for at in slots.starts
        ]
        for id_ in pipeline_ids
    }


async def find_steps(
    database: Database, steps: Collection[Steps], since: datetime | None, version: str | None
) -> Mapping[Steps, Mapping[str, StepFigures]]:
    """Of each of the steps what ended of it, by its name; one that nothing ended of is left out."""
    values = _window(since, version)
    select_steps = partial(_of_tasks, version=version)
    ends: defaultdict[tuple[str, str], Ends] = defaultdict(Ends)
    async with reading(database) as connection:
        for statement in in_parts(steps, select_steps):
            for pipeline_id, step, *counted in await connection.execute(statement, values):
                ends[pipeline_id, step].add(*counted)
    return {
        each: {
            name: StepFigures.of(found)
            for name in each.names
            if (found := ends.get((each.pipeline_id, name))) is not None
        }
        for each in steps
    }


def _of_tasks(
    pipeline_ids: Sequence[str], names: Sequence[str], version: str | None
) -> Select[Any]:
    by = (_durations.pipeline_id, _durations.step, _durations.bucket)
    statement = select(*by, _SUCCEEDED, _FAILED).where(
        _durations.pipeline_id.in_(pipeline_ids),
        _durations.of == "TASK",
        _durations.step.in_(names),
        *KEPT,
        _durations.slot_at >= _SINCE,
    )
    if version is not None:
        statement = statement.where(_durations.version == _VERSION)
    return statement.group_by(*by)


def _of_activity(slot_seconds: int) -> Select[Any]:
    return select(_activity.subject_id, _activity.succeeded, _activity.failed).where(
        _activity.subject_id.in_(_IDS),
        _activity.slot_seconds == slot_seconds,
        _activity.shard >= 0,
    )


# Whole hours, and minutes up to the first of them.
_ACTIVITY = union_all(
    _of_activity(HOUR_SECONDS).where(_activity.slot_at >= _UNTIL),
    _of_activity(_MINUTE_SECONDS).where(_activity.slot_at >= _SINCE, _activity.slot_at < _UNTIL),
).subquery()
_OUTCOMES = select(
    _ACTIVITY.c.subject_id, func.sum(_ACTIVITY.c.succeeded), func.sum(_ACTIVITY.c.failed)
).group_by(_ACTIVITY.c.subject_id)


async def find_outcomes(
    database: Database, pipeline_ids: Collection[str], since: datetime
) -> Mapping[str, Outcomes]:
    """Of each pipeline how its processes ended since the minute that this instant lies in.

    Where minutes are not kept for sure, since its hour.
    """
    now = datetime.now(UTC)
    kept = since >= now - MINUTES_KEPT
    begin = slot_start(max(since, LONG_AGO), _MINUTE_SECONDS if kept else HOUR_SECONDS)
    hour = slot_start(begin, HOUR_SECONDS)
    try:
        first_hour = hour if hour == begin else hour + timedelta(hours=1)
    except OverflowError as error:
        raise InvalidInput("since", "is out of range") from error
    values = {"ids": sorted(pipeline_ids), "since": begin, "until": first_hour}
    outcomes = dict.fromkeys(pipeline_ids, Outcomes())
    async with reading(database) as connection:
        for pipeline_id, succeeded, failed in await connection.execute(_OUTCOMES, values):
            outcomes[pipeline_id] = Outcomes(int(succeeded), int(failed))
    return outcomes


def _window(since: datetime | None, version: str | None) -> dict[str, Any]:
    values: dict[str, Any] = {"since": start_of_durations(since, datetime.now(UTC))}
    if version is not None:
        check_text("version", version, VERSION_LENGTH)
        values["version"] = version
    return values
