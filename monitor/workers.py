"""Workers: registering, signs of life, falling silent, being archived."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from monitor.entities import TaskDefinition, Worker, WorkerStatus
from monitor.events import ChangeKind
from monitor.ids import new_id
from monitor.limits import NAME_LENGTH, VERSION_LENGTH, check_task_definitions, check_text
from monitor.writing.loading import Needs
from monitor.writing.operation import operation
from monitor.writing.transaction import Transaction


@operation(needs=lambda **_: Needs())
def register_worker(
    tx: Transaction, *, name: str, version: str, task_definitions: Sequence[TaskDefinition]
) -> Worker:
    """A new worker each time, also under a name that is there already. Raises InvalidInput."""
    check_text("name", name, NAME_LENGTH)
    check_text("version", version, VERSION_LENGTH)
    check_task_definitions("tasks", task_definitions)
    tx.count(workers_online=1)
    return tx.create(
        Worker(
            id=new_id("worker"),
            name=name,
            version=version,
            status=WorkerStatus.ONLINE,
            task_definitions=tuple(task_definitions),
            registered_at=tx.now,
            last_seen_at=tx.now,
            running=0,
            succeeded=0,
            failed=0,
            runtime_microseconds=0,
            revision=1,
        )
    )


@operation(needs=lambda worker_id: Needs(workers=(worker_id,)))
def record_heartbeat(tx: Transaction, *, worker_id: str) -> Worker:
    """A sign of life. Raises WorkerNotFound."""
    tx.worker(worker_id)
    tx.see(worker_id)
    return tx.worker(worker_id)


@operation(needs=lambda worker_ids, **_: Needs(workers=tuple(worker_ids)))
def archive_workers(
    tx: Transaction, *, worker_ids: Sequence[str], silent_since: datetime
) -> Sequence[Worker]:
    """Those of the workers that are OFFLINE and were last seen before `silent_since` leave lists
    and totals, until they report again; their processes stay.
    """
    archived = []
    for worker_id in worker_ids:
        worker = tx.worker(worker_id)
        silent = worker.status is WorkerStatus.OFFLINE and worker.last_seen_at < silent_since
        if silent and not worker.archived:
            archived.append(tx.update(replace(worker, archived=True), ChangeKind.REMOVED))
            tx.count(workers_offline=-1)
    return archived


@operation(needs=lambda worker_ids, **_: Needs(running_of=tuple(worker_ids)))
def mark_workers_offline(
    tx: Transaction, *, worker_ids: Sequence[str], silent_since: datetime
) -> Sequence[Worker]:
    """Those of the workers that are ONLINE and were last seen before `silent_since` go OFFLINE.

    Looked at again under the lock, so one replica of several does it, and a worker that reported
    meanwhile stays ONLINE.
    """
    silent = []
    for worker_id in worker_ids:
        worker = tx.worker(worker_id)
        if worker.status is WorkerStatus.ONLINE and worker.last_seen_at < silent_since:
            silent.append(tx.update(replace(worker, status=WorkerStatus.OFFLINE)))
            tx.count(workers_online=-1, workers_offline=1)
            tx.mark_stalled(worker_id, stalled=True)
    return silent
