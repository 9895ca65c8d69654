"""Processes: one run of a worker's steps, from its start to its end."""

from collections.abc import Sequence
from dataclasses import replace

from monitor.entities import MICROSECOND, Process, ProcessStatus, Task, TaskStatus
from monitor.errors import InvalidInput
from monitor.ids import new_id
from monitor.limits import check_details
from monitor.transaction import Needs, Transaction
from monitor.transactions import operation


@operation(needs=lambda worker_id: Needs(workers=(worker_id,)))
def start_process(tx: Transaction, *, worker_id: str) -> tuple[Process, Sequence[Task]]:
    """A new process with one PENDING task per definition, in their order. Raises WorkerNotFound."""
    tx.worker(worker_id)
    tx.see(worker_id)
    worker = tx.worker(worker_id)
    process = tx.create(
        Process(
            id=new_id("process"),
            worker_id=worker_id,
            status=ProcessStatus.RUNNING,
            stalled=False,
            task_count=len(worker.task_definitions),
            ended_task_count=0,
            current_task_id=None,
            started_at=tx.now,
            updated_at=tx.now,
            ended_at=None,
            details=None,
            revision=1,
        )
    )
    tasks = [
        tx.create(
            Task(
                id=new_id("task"),
                process_id=process.id,
                worker_id=worker_id,
                name=definition.name,
                version=definition.version,
                position=position,
                status=TaskStatus.PENDING,
                created_at=tx.now,
                started_at=None,
                updated_at=tx.now,
                ended_at=None,
                details=None,
                revision=1,
            )
        )
        for position, definition in enumerate(worker.task_definitions, start=1)
    ]
    tx.update(replace(worker, running=worker.running + 1))
    tx.count(running=1)
    tx.note_activity(process, started=1)
    return process, tasks


@operation(needs=lambda process_id, **_: Needs(processes=(process_id,)))
def end_process(
    tx: Transaction, *, process_id: str, status: ProcessStatus, details: str | None
) -> Process:
    """Ends a process; its tasks stay as they were reported, an ended one stays as it is.

    Raises ProcessNotFound, InvalidInput for RUNNING or details over 1 MiB.
    """
    if status is ProcessStatus.RUNNING:
        raise InvalidInput("status", "RUNNING is no end, use SUCCESS or ERROR")
    check_details("details", details)
    tx.process(process_id)
    tx.see(tx.process(process_id).worker_id)
    process = tx.process(process_id)
    if process.ended_at is not None:
        return process
    ended_at = max(tx.now, process.updated_at)
    process = tx.update(
        replace(
            process,
            status=status,
            stalled=False,
            updated_at=ended_at,
            ended_at=ended_at,
            details=details,
        )
    )
    succeeded, failed = (1, 0) if status is ProcessStatus.SUCCESS else (0, 1)
    worker = tx.worker(process.worker_id)
    tx.update(
        replace(
            worker,
            running=worker.running - 1,
            succeeded=worker.succeeded + succeeded,
            failed=worker.failed + failed,
            runtime_microseconds=worker.runtime_microseconds
            + process.runtime(ended_at) // MICROSECOND,
        )
    )
    tx.count(running=-1, succeeded=succeeded, failed=failed)
    tx.note_activity(process, succeeded=succeeded, failed=failed)
    return process
