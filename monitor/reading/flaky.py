"""Flaky steps: those that fail and succeed by turns, although nothing of them was changed."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, func, select

from db import models
from db.session import Database
from monitor.reading.asking import reading
from monitor.reading.parts import Steps, in_parts
from monitor.slots import HOUR_SECONDS, slot_start

# A step of one version that did both so often in this time. Hours are kept for longer.
WITHIN = timedelta(days=7)
LEAST_OF_EACH = 3
# Where more than this share of everything failed, it was not the step. Fewer ends say nothing of
# everything: an hour in which one run ended, and failed, is no outage.
OUTAGE = 0.8
LEAST_OF_AN_OUTAGE = 5

_durations, _activity = models.durations.c, models.activity.c
_SINCE: BindParameter[Any] = bindparam("since", type_=models.UtcDateTime())
_FAILED, _ENDED = (
    func.sum(_activity.failed),
    func.sum(_activity.failed) + func.sum(_activity.succeeded),
)
# Of all processes of the installation.
_OUTAGES = (
    select(_activity.slot_at)
    .where(
        _activity.subject_id == "",
        _activity.slot_seconds == HOUR_SECONDS,
        _activity.slot_at >= _SINCE,
        _activity.shard >= 0,
    )
    .group_by(_activity.slot_at)
    .having((_ENDED >= LEAST_OF_AN_OUTAGE) & (_FAILED > OUTAGE * _ENDED))
)


@dataclass(frozen=True, slots=True)
class FlakyStep:
    """How often a step of one version did either, outages left out."""

    name: str
    version: str
    succeeded: int
    failed: int


async def find_flaky_steps(
    database: Database, steps: Collection[Steps]
) -> Mapping[Steps, Sequence[FlakyStep]]:
    """Those of the steps that are flaky, as of now, by their order and version.

    In two statements, unless they are thousands. Raises Unavailable.
    """
    since = {"since": slot_start(datetime.now(UTC) - WITHIN, HOUR_SECONDS)}
    flaky: defaultdict[tuple[str, str], list[FlakyStep]] = defaultdict(list)
    async with reading(database) as connection:
        outages = (await connection.scalars(_OUTAGES, since)).all()
        both = partial(_both, outages=outages)
        for statement in in_parts(steps, both, others=len(outages)):
            for pipeline_id, name, version, *counts in await connection.execute(statement, since):
                flaky[pipeline_id, name].append(FlakyStep(name, version, *map(int, counts)))
    return {
        each: [
            found
            for name in dict.fromkeys(each.names)
            for found in sorted(flaky[each.pipeline_id, name], key=lambda step: step.version)
        ]
        for each in steps
    }


def _both(
    pipeline_ids: Sequence[str], names: Sequence[str], outages: Sequence[datetime]
) -> Select[Any]:
    by = (_durations.pipeline_id, _durations.step, _durations.version)
    succeeded, failed = func.sum(_durations.succeeded), func.sum(_durations.failed)
    statement = (
        select(*by, succeeded, failed)
        .where(
            _durations.pipeline_id.in_(pipeline_ids),
            _durations.of == "TASK",
            _durations.step.in_(names),
            _durations.slot_seconds == HOUR_SECONDS,
            _durations.slot_at >= _SINCE,
            _durations.shard >= 0,
        )
        .group_by(*by)
        .having((succeeded >= LEAST_OF_EACH) & (failed >= LEAST_OF_EACH))
    )
    return statement.where(_durations.slot_at.not_in(outages)) if outages else statement
