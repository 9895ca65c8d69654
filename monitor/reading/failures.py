"""Failures: read by id and by page; what they are by now is told from figures and what people did.

Figures are of the moment. Lists are in the order that followers were told last, at most a second or
so behind: replicas would queue for the row that each failed process changed.
"""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BindParameter, bindparam, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.lookups import fetch_rows
from monitor.entities import Failure, FailureStatus
from monitor.slots import EVER_SECONDS

# In place of an instant: for ever.
FOR_EVER = datetime(9999, 12, 31, tzinfo=UTC)

_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_failure = models.failures.c
_figures = models.failure_figures.c
_process = models.processes.c


def _sum_of(column: Any) -> Any:
    """Over the shards of one failure."""
    return (
        select(column)
        .where(_figures.failure_id == _failure.id, _figures.slot_seconds == EVER_SECONDS)
        .scalar_subquery()
    )


LAST_SEEN_AT = _sum_of(func.max(_figures.last_seen_at))
_LATEST_PROCESS = (
    select(_process.id)
    .where(_process.failure_id == _failure.id)
    .order_by(_process.started_at.desc(), _process.id.desc())
    .limit(1)
    .scalar_subquery()
)
_STATES = select(
    *(_failure.id, _failure.fingerprint, _failure.pipeline_id, _failure.step, _failure.title),
    *(_failure.first_seen_at, _failure.first_version, _failure.resolved_at, _failure.muted_until),
    _failure.revision,
    # What was removed is in a shard below.
    _sum_of(func.sum(case((_figures.shard >= 0, _figures.occurrences), else_=0))).label("count"),
    LAST_SEEN_AT.label("last_seen_at"),
    _sum_of(func.max(_figures.last_end)).label("last_end"),
    _LATEST_PROCESS.label("latest_process_id"),
).where(_failure.id.in_(_IDS))


async def read_failures(
    connection: AsyncConnection, ids: Collection[str], now: datetime
) -> dict[str, Failure]:
    """Those of the failures that exist, in one statement."""
    found = await fetch_rows(connection, _STATES, ids)
    return {row[0]: _failure_of(row, now) for row in found}


def _failure_of(row: Any, now: datetime) -> Failure:
    muted_until = row.muted_until if _is_muted(row.muted_until, now) else None
    return Failure(
        id=row.id,
        fingerprint=row.fingerprint,
        pipeline_id=row.pipeline_id,
        step=row.step,
        title=row.title,
        status=status_of(row.resolved_at, muted_until, row.last_seen_at),
        count=int(row[10] or 0),
        first_seen_at=row.first_seen_at,
        last_seen_at=row.last_seen_at,
        first_version=row.first_version,
        last_version=(row.last_end or "").partition(" ")[2],
        latest_process_id=row.latest_process_id,
        resolved_at=row.resolved_at,
        muted_until=muted_until,
        revision=row.revision,
    )


def _is_muted(until: datetime | None, now: datetime) -> bool:
    return until is not None and until > now


def status_of(
    resolved_at: datetime | None, muted_until: datetime | None, last_seen_at: datetime
) -> FailureStatus:
    """What it is by now; a time that is over is to be given as None."""
    if muted_until is not None:
        return FailureStatus.MUTED
    if resolved_at is None:
        return FailureStatus.OPEN
    return FailureStatus.REGRESSED if last_seen_at > resolved_at else FailureStatus.RESOLVED
