"""Failures that nothing is left of: silent for long, and all of their processes were removed."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, exists, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.errors import is_conflict
from db.session import Database
from monitor.events import ChangeKind, Event
from monitor.reading.asking import reading
from monitor.reading.failures import read_failures
from monitor.slots import LONG_AGO
from monitor.writing.storing import encode_in_parts
from monitor.writing.texts import REMOVE_FAILURE_TEXTS

STEP_FAILURES = 100
PAGE_FAILURES = 500
# Server processes rely on what they have seen lately (`monitor.writing.failing`).
AT_LEAST = timedelta(hours=1)

_failure = models.failures.c
_IDS: Any = bindparam("ids", expanding=True)
_behind: Any = bindparam("at", type_=models.UtcDateTime())
# Page by page, since most of them may be of processes that are kept.
SILENT = (
    select(
        *(_failure.id, _failure.last_seen_at),
        exists().where(models.processes.c.failure_id == _failure.id).label("kept"),
    )
    .where(
        # As it was told last; looked at again under the lock.
        _failure.last_seen_at < bindparam("before"),
        # The first comparison is implied by the other: it is there for the index.
        _failure.last_seen_at >= _behind,
        or_(_failure.last_seen_at > _behind, _failure.id > bindparam("last")),
    )
    .order_by(_failure.last_seen_at, _failure.id)
    .limit(PAGE_FAILURES)
)
_LOCK = select(_failure.id).where(_failure.id.in_(_IDS)).order_by(_failure.id).with_for_update()
_REMOVE = (
    REMOVE_FAILURE_TEXTS,
    delete(models.failure_figures).where(models.failure_figures.c.failure_id.in_(_IDS)),
    delete(models.failures).where(_failure.id.in_(_IDS)),
)


async def forget_failures(
    database: Database, now: datetime, silent_for: timedelta
) -> AsyncIterator[int]:
    """Removes them in steps; after each, how many that step removed.

    Raises what the database raises. May be broken off at any time, and done by several at once.
    """
    before = now - max(silent_for, AT_LEAST)
    at, last = LONG_AGO, ""
    while True:
        async with reading(database) as connection:
            given = {"before": before, "at": at, "last": last}
            found = (await connection.execute(SILENT, given)).all()
        if not found:
            return
        gone = [row.id for row in found if not row.kept]
        for first in range(0, len(gone), STEP_FAILURES):
            some = {"ids": sorted(gone[first : first + STEP_FAILURES])}
            try:
                async with database.writing() as connection:
                    removed = await _forget(connection, some, before, now)
            except Exception as error:
                if not is_conflict(error):
                    raise
                continue  # what another replica is at; the next look finds the rest
            yield removed
        at, last = found[-1].last_seen_at, found[-1].id


async def _forget(
    connection: AsyncConnection, some: dict[str, Any], before: datetime, now: datetime
) -> int:
    locked = (await connection.scalars(_LOCK, some)).all()
    found = (await read_failures(connection, locked, now)).values()
    gone = [f for f in found if f.last_seen_at < before and f.latest_process_id is None]
    if not gone:
        return 0
    for statement in _REMOVE:
        await connection.execute(statement, {"ids": [failure.id for failure in gone]})
    events = [
        Event(ChangeKind.REMOVED, now, replace(failure, revision=failure.revision + 1))
        for failure in gone
    ]
    for part in encode_in_parts(events):
        await connection.execute(insert(models.outbox), [{"events": part}])
    return len(gone)
