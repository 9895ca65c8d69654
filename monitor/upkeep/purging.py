"""Which processes are old enough to be removed, and removing them in steps that hold nobody up.

Old is what ended before `days`, what is not among the newest `processes` of its worker, and what
nobody goes on with: stalled, and not reported on for `days`. What runs is never removed.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, bindparam, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.maintenance import MaintenanceDatabase
from db.session import Database
from monitor.processes import remove_processes
from monitor.reading.asking import reading
from monitor.reading.conditions import Condition
from monitor.writing.transactions import Transactions

# A step locks its workers and processes for some 10 ms; then it rests for as long as it took.
STEP_TASKS = 500
STEP_PROCESSES = 100
MAX_REST_SECONDS = 1.0
# Of so many workers it is known at a time what is too much of them.
PAGE_WORKERS = 200
# Minutes are kept longer than the processes they count, for a chart that is whole.
SLOT_MARGIN = timedelta(days=1)

_process = models.processes.c
_worker = models.workers.c
_COLUMNS = select(_process.id, _process.task_count)
_WITH_MORE = (
    select(_worker.id)
    .where(
        _worker.running + _worker.succeeded + _worker.failed > bindparam("kept"),
        _worker.id > bindparam("last"),
    )
    .order_by(_worker.id)
    .limit(PAGE_WORKERS)
)


@dataclass(frozen=True, slots=True)
class Policy:
    """What is kept; None is no limit."""

    days: float | None = None
    processes: int | None = None

    @property
    def removes_anything(self) -> bool:
        return self.days is not None or self.processes is not None

    def before(self, now: datetime) -> datetime | None:
        """What ended before this instant is old."""
        return None if self.days is None else now - timedelta(days=self.days)


async def purge(
    database: Database, transactions: Transactions, policy: Policy, now: datetime
) -> AsyncIterator[int]:
    """Removes what is old, in steps; after each, how many processes that step removed.

    Raises Unavailable. May be broken off and begun again at any time, by several at once.
    """
    before = policy.before(now)
    async for statement in _old(database, policy, before):
        while True:
            async with reading(database) as connection:
                found = (await connection.execute(statement.limit(STEP_PROCESSES))).all()
            if not found:
                break
            began = time.monotonic()
            removed = await transactions.run(
                remove_processes, process_ids=_one_step(found), abandoned_before=before
            )
            yield len(removed)
            if not removed:
                break  # reported on meanwhile, or another replica was first
            await asyncio.sleep(min(time.monotonic() - began, MAX_REST_SECONDS))


def _one_step(found: Sequence[Any]) -> list[str]:
    """The first of them that together have few tasks; one at least."""
    chosen: list[str] = []
    tasks = 0
    for id_, task_count in found:
        tasks += task_count
        if chosen and tasks > STEP_TASKS:
            break
        chosen.append(id_)
    return chosen


async def count_purgeable(database: Database, policy: Policy, now: datetime) -> int:
    """How many processes `purge` would remove now, however long that takes. Raises Unavailable."""
    before = policy.before(now)
    # Each once: what is among the old ones already is left out.
    young = true() if before is None else _process.ended_at >= before
    unhurried = MaintenanceDatabase(database)
    total = 0
    try:
        async with reading(unhurried) as connection:
            for statement in _by_age(before):
                total += await _count(connection, statement)
            async for statement in _by_number(database, policy.processes):
                total += await _count(connection, statement.where(young))
    finally:
        await unhurried.close()
    return total


async def _count(connection: AsyncConnection, statement: Select[Any]) -> int:
    number = select(func.count()).select_from(statement.order_by(None).subquery())
    counted: int = (await connection.execute(number)).scalar_one()
    return counted


async def _old(
    database: Database, policy: Policy, before: datetime | None
) -> AsyncIterator[Select[Any]]:
    for statement in _by_age(before):
        yield statement
    async for statement in _by_number(database, policy.processes):
        yield statement


def _by_age(before: datetime | None) -> list[Select[Any]]:
    """What is older, in the order of an index for each status."""
    if before is None:
        return []
    ended = [
        _COLUMNS.where(_process.status == status, _process.ended_at < before).order_by(
            _process.ended_at
        )
        for status in ("SUCCESS", "ERROR")
    ]
    abandoned = _COLUMNS.where(
        _process.status == "RUNNING", _process.stalled == true(), _process.updated_at < before
    )
    return [*ended, abandoned.order_by(_process.updated_at)]


async def _by_number(database: Database, processes: int | None) -> AsyncIterator[Select[Any]]:
    """What has ended and is not among the newest of its worker, worker by worker."""
    last, found = "", processes is not None
    while found:
        async with reading(database) as connection:
            given = {"kept": processes, "last": last}
            ids = (await connection.scalars(_WITH_MORE, given)).all()
            limits = [(id_, await _oldest_kept(connection, id_, processes or 0)) for id_ in ids]
        for worker_id, older in limits:
            if older is not None:
                yield _COLUMNS.where(
                    _process.worker_id == worker_id,
                    _process.status.in_(("SUCCESS", "ERROR")),
                    older,
                ).order_by(_process.started_at)
        found = len(ids) == PAGE_WORKERS
        last = ids[-1] if ids else ""


async def _oldest_kept(
    connection: AsyncConnection, worker_id: str, processes: int
) -> Condition | None:
    """Older than the worker's n-th newest process."""
    statement = (
        select(_process.started_at, _process.id)
        .where(_process.worker_id == worker_id)
        .order_by(_process.started_at.desc(), _process.id.desc())
        .limit(1)
        .offset(processes - 1)
    )
    row = (await connection.execute(statement)).first()
    if row is None:
        return None
    # The first comparison is implied by the others: it is there for the index.
    return and_(
        _process.started_at <= row.started_at,
        or_(_process.started_at < row.started_at, _process.id < row.id),
    )
