"""Activity by the minute, which is kept for a while only: what remains is that by the hour."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.session import Database
from monitor.reading.asking import reading
from monitor.slots import SLOT_SECONDS

# One statement looks for the old minutes of so many workers or pipelines.
STEP_SUBJECTS = 500
_DAY = timedelta(days=1)

_slot = models.activity.c
_OLD = _slot.slot_seconds == min(SLOT_SECONDS), _slot.slot_at < bindparam("before")
# It reads what is to be removed, and nothing of who has nothing that is old.
OLDEST_MINUTES = (
    select(_slot.subject_id, func.min(_slot.slot_at))
    .where(_slot.subject_id.in_(bindparam("ids", expanding=True)), *_OLD)
    .group_by(_slot.subject_id)
)
_REMOVE = delete(models.activity).where(_slot.subject_id == bindparam("of"), *_OLD)


async def forget_minutes(database: Database, before: datetime) -> None:
    """Removes the activity by the minute from before this instant, a day of each subject at a time.

    Raises Unavailable.
    """
    async with reading(database) as connection:
        await _forget(connection, [""], before)
        for ids in (models.pipelines.c.id, models.workers.c.id):
            page = select(ids).where(ids > bindparam("last")).order_by(ids).limit(STEP_SUBJECTS)
            last = ""
            while subjects := (await connection.scalars(page, {"last": last})).all():
                await _forget(connection, subjects, before)
                last = subjects[-1]


async def _forget(connection: AsyncConnection, subjects: Sequence[str], before: datetime) -> None:
    found: Any = await connection.execute(OLDEST_MINUTES, {"ids": subjects, "before": before})
    for subject_id, oldest in found.all():
        until = oldest
        while until < before:
            until = min(until + _DAY, before)
            await connection.execute(_REMOVE, {"of": subject_id, "before": until})
