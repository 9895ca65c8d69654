"""Starting a process: as it is reported, or made up for when its report was lost.

A worker that got no answer to its start goes on under the ids of its process before. So a task that
is started in a process that ended belongs to another one: the successor, which was stored without
the worker knowing, or is opened now. While the successor runs, it is what the old ids mean.
"""

from monitor.entities import (
    OVERTIME_AT_LEAST,
    Process,
    ProcessStatus,
    Task,
    TaskStatus,
    Worker,
    evolve,
)
from monitor.ids import new_id
from monitor.writing.transaction import Transaction


def open_process(
    tx: Transaction, worker: Worker, *, recovered: bool = False
) -> tuple[Process, list[Task]]:
    """A new process of the worker, with one PENDING task per definition, in their order."""
    process = tx.create(
        Process(
            id=new_id("process"),
            worker_id=worker.id,
            pipeline_id=worker.pipeline_id,
            version=worker.version,
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
            recovered=recovered,
            overtime_due_at=tx.now + OVERTIME_AT_LEAST,
        )
    )
    tasks = [
        tx.create(
            Task(
                id=new_id("task"),
                process_id=process.id,
                worker_id=worker.id,
                pipeline_id=worker.pipeline_id,
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
    tx.update(evolve(worker, running=worker.running + 1))
    tx.count(worker.pipeline_id, running=1)
    tx.note_start(process)
    return process, tasks


def process_meant(tx: Transaction, process: Process) -> Process:
    """The process itself, or its successor as long as that runs."""
    if process.ended_at is None or process.successor_id is None:
        return process
    successor = tx.find_process(process.successor_id)
    return process if successor is None or successor.ended_at is not None else successor


def task_meant(tx: Transaction, task: Task, status: TaskStatus) -> Task:
    """The task that a report of this status is about: of the process itself, or of its successor.

    When none runs, a start opens one.
    """
    process = tx.process(task.process_id)
    meant = process_meant(tx, process)
    if meant.ended_at is not None:
        if status is not TaskStatus.RUNNING:
            return task  # a report that comes late
        meant = _recover(tx, process)
    return task if meant is process else tx.task_at(meant.id, task.position)


def _recover(tx: Transaction, process: Process) -> Process:
    """The process whose start was lost after this one.

    One that waits since before this one, or the one that came after it, is of another start that
    got lost.
    """
    waiting = [p for p in tx.running_processes(process.worker_id) if not p.reported]
    before = process.successor_id and tx.find_process(process.successor_id)
    known = [process, before] if before else [process]
    newest = max([*waiting, *known], key=lambda p: (p.started_at, p.id))
    if newest not in known:
        successor = tx.update(evolve(newest, recovered=True))
    else:
        successor, _ = open_process(tx, tx.worker(process.worker_id), recovered=True)
    tx.keep(evolve(process, successor_id=successor.id))
    return successor
