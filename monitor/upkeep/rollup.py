"""Durations of old hours become those of their days: the same counts, in fewer rows.

Each transaction removes hours and adds what they counted to their day, so whoever reads or checks
sees them once. What is noted in an old hour later on (a removal, a repair) is added the next time.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.errors import CommitUnknown, is_conflict, is_unavailable, reason
from db.session import Database
from db.writes import write_rows
from monitor.errors import Unavailable
from monitor.reading.asking import reading
from monitor.slots import DAY_SECONDS, HOUR_SECONDS, REMOVED_SHARD, slot_start
from monitor.writing.tally import DURATIONS

logger = logging.getLogger(__name__)

_DAY = timedelta(seconds=DAY_SECONDS)
# So many steps of a pipeline in one transaction; then it rests for as long as that took.
STEP_SUBJECTS = 50
MAX_REST_SECONDS = 1.0
# Of what the server processes noted, each in a shard of its own; that of what is removed stays.
_SHARD = 0

_durations = models.durations.c
_PIPELINES = select(models.pipelines.c.id).order_by(models.pipelines.c.id)
_OLDEST = (
    select(_durations.of, _durations.step, func.min(_durations.slot_at).label("oldest"))
    .where(
        _durations.pipeline_id == bindparam("pipeline_id"),
        _durations.slot_seconds == HOUR_SECONDS,
    )
    .group_by(_durations.pipeline_id, _durations.of, _durations.step)
    .having(func.min(_durations.slot_at) < bindparam("before", type_=models.UtcDateTime()))
)
# What is removed is what is answered, whatever others add meanwhile.
_TAKE_HOURS = (
    delete(models.durations)
    .where(
        _durations.pipeline_id == bindparam("of_pipeline"),
        _durations.of == bindparam("of_kind"),
        _durations.step == bindparam("of_step"),
        _durations.slot_seconds == HOUR_SECONDS,
        _durations.slot_at >= bindparam("since"),
        _durations.slot_at < bindparam("until"),
    )
    .returning(
        *(_durations.version, _durations.bucket, _durations.shard),
        *(_durations[name] for name in DURATIONS),
    )
)


class _Subject(NamedTuple):
    """Whose hours: those of a step, or of the processes, of a pipeline."""

    of: str
    step: str
    oldest: datetime


async def roll_up(database: Database, before: datetime) -> bool:
    """Rolls up the hours from before this start of a day; whether all of them are.

    May be broken off and begun again at any time, by several at once: who loses a race for the rows
    of a pipeline leaves them for the next time. Raises Unavailable.
    """
    async with reading(database) as connection:
        pipelines = (await connection.scalars(_PIPELINES)).all()
    complete = True
    for pipeline_id in pipelines:
        try:
            while await _roll_up_some(database, pipeline_id, before):
                pass
        except Exception as error:
            # A node of Galera's says at COMMIT that another was first.
            if is_conflict(error) or isinstance(error, CommitUnknown):
                logger.info("durations of %s wait: %s", pipeline_id, reason(error))
                complete = False
            elif is_unavailable(error):
                raise Unavailable from error
            else:
                raise
    return complete


async def _roll_up_some(database: Database, pipeline_id: str, before: datetime) -> bool:
    """Rolls up some of the hours of the pipeline's oldest day; whether there were any."""
    of_pipeline = {"pipeline_id": pipeline_id, "before": before}
    async with reading(database) as connection:
        found = [_Subject(*row) for row in await connection.execute(_OLDEST, of_pipeline)]
    if not found:
        return False
    day = slot_start(min(subject.oldest for subject in found), DAY_SECONDS)
    subjects = sorted(subject for subject in found if subject.oldest < day + _DAY)[:STEP_SUBJECTS]
    began = time.monotonic()
    async with database.writing() as connection:
        await _roll_up_day(connection, pipeline_id, day, subjects)
    await asyncio.sleep(min(time.monotonic() - began, MAX_REST_SECONDS))
    return True


async def _roll_up_day(
    connection: AsyncConnection, pipeline_id: str, day: datetime, subjects: Sequence[_Subject]
) -> None:
    rows: list[Mapping[str, Any]] = []
    for of, step, _ in subjects:
        taken = await connection.execute(
            _TAKE_HOURS,
            {
                "of_pipeline": pipeline_id,
                "of_kind": of,
                "of_step": step,
                "since": day,
                "until": day + _DAY,
            },
        )
        slot = {"slot_seconds": DAY_SECONDS, "slot_at": day}
        key = {"pipeline_id": pipeline_id, "of": of, "step": step, **slot}
        rows += [{**key, **sums} for sums in _sums(taken.all())]
    await write_rows(connection, models.durations, rows, add=DURATIONS)


def _sums(hours: Sequence[Any]) -> list[Mapping[str, Any]]:
    """The counts of these rows by version, bucket and shard, in the order of their keys."""
    sums: defaultdict[tuple[str, int, int], list[int]] = defaultdict(lambda: [0, 0])
    for version, bucket, shard, succeeded, failed in hours:
        counts = sums[version, bucket, REMOVED_SHARD if shard == REMOVED_SHARD else _SHARD]
        counts[0] += succeeded
        counts[1] += failed
    keys = ("version", "bucket", "shard", *DURATIONS)
    return [dict(zip(keys, (*key, *sums[key]), strict=True)) for key in sorted(sums)]
