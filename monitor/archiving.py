"""Archiving: workers leave lists and figures until they report again; their processes stay.

However many there are, in steps that hold nobody up.
"""

import time
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, false, select

from db import models
from db.session import Database
from monitor.entities import Liveness, Worker
from monitor.errors import InvalidInput, PipelineNotFound, WorkerNotFound
from monitor.limits import ARCHIVED_WORKERS
from monitor.reading.asking import reading
from monitor.reading.reads import WORKERS, find_by_ids
from monitor.workers import archive_workers
from monitor.writing.loading import Needs
from monitor.writing.operation import operation
from monitor.writing.transaction import Transaction
from monitor.writing.transactions import Transactions

# A step locks so many workers; a report waits for it for some 40 ms at most.
STEP_WORKERS = 250
# A request has less than 10 s, in which it shall say what was done.
FINISHED_SECONDS = 4.0
SILENT = (Liveness.FINISHED, Liveness.LOST)

_worker = models.workers.c
_OF_PIPELINE = select(models.pipelines.c.id).where(models.pipelines.c.id == bindparam("id"))
_FINISHED = (
    select(_worker.id)
    .where(
        _worker.archived == false(),
        _worker.pipeline_id == bindparam("of"),
        _worker.liveness == "FINISHED",
    )
    .order_by(_worker.last_seen_at, _worker.id)
    .limit(STEP_WORKERS)
)
_IDLE = (
    select(_worker.id)
    .where(
        _worker.archived == false(),
        _worker.liveness.in_(SILENT),
        _worker.running == 0,
        _worker.last_seen_at < bindparam("since"),
    )
    .order_by(_worker.last_seen_at)
    .limit(STEP_WORKERS)
)


@operation(needs=lambda worker_ids, **_: Needs(workers=tuple(worker_ids)))
def archive_silent(
    tx: Transaction, *, worker_ids: Sequence[str], liveness: Collection[Liveness]
) -> Sequence[Worker]:
    """Those of the workers of which the verdict is one of these, none of them ALIVE.

    Raises WorkerNotFound.
    """
    found = [tx.worker(worker_id) for worker_id in worker_ids]
    wanted = [worker for worker in found if worker.liveness in liveness and not worker.archived]
    if wanted:
        subjects = [id_ for worker in wanted for id_ in (worker.id, worker.pipeline_id)]
        tx.audit.note(
            "archiveWorkers", subjects, "1 worker" if len(wanted) == 1 else f"{len(wanted)} workers"
        )
    return [tx.archive(worker) for worker in wanted]


async def archive_by_ids(
    database: Database, transactions: Transactions, worker_ids: Collection[str]
) -> int:
    """Archives those of the workers that are not ALIVE; how many there were.

    Raises InvalidInput for too many and WorkerNotFound, before any of them is archived, and
    Unavailable.
    """
    if len(worker_ids) > ARCHIVED_WORKERS:
        reason = f"has {len(worker_ids)} values, at most {ARCHIVED_WORKERS}"
        raise InvalidInput("ids", reason)
    wanted = sorted(set(worker_ids))
    if len(await find_by_ids(database, WORKERS, wanted)) < len(wanted):
        raise WorkerNotFound
    archived = 0
    for first in range(0, len(wanted), STEP_WORKERS):
        some = wanted[first : first + STEP_WORKERS]
        done = await transactions.run(archive_silent, worker_ids=some, liveness=SILENT)
        archived += len(done)
    return archived


async def archive_finished(
    database: Database,
    transactions: Transactions,
    pipeline_id: str,
    *,
    seconds: float = FINISHED_SECONDS,
) -> int:
    """Archives the FINISHED workers of a pipeline; how many there were.

    Begins no step after so many seconds: whoever is told a number asks again, until there are none.
    May be broken off at any time, and begun again: what was done stays. Raises PipelineNotFound,
    Unavailable.
    """
    until = time.monotonic() + seconds
    if not await _find(database, _OF_PIPELINE, id=pipeline_id):
        raise PipelineNotFound
    archived = 0
    while ids := await _find(database, _FINISHED, of=pipeline_id):
        some = await transactions.run(archive_silent, worker_ids=ids, liveness=(Liveness.FINISHED,))
        if not some:
            break  # they reported meanwhile, or somebody else was first
        archived += len(some)
        if time.monotonic() >= until:
            break
    return archived


async def archive_idle(database: Database, transactions: Transactions, since: datetime) -> None:
    """Archives the workers that run nothing, and were silent since before that.

    Raises Unavailable.
    """
    while ids := await _find(database, _IDLE, since=since):
        if not await transactions.run(archive_workers, worker_ids=ids, silent_since=since):
            return  # they reported meanwhile, or another replica was first


async def _find(database: Database, statement: Any, **parameters: object) -> Sequence[str]:
    async with reading(database) as connection:
        return (await connection.scalars(statement, parameters)).all()
