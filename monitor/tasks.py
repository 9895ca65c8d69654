"""Tasks: what is reported on the steps of a process."""

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.entities import OVERTIME_AT_LEAST, Task, TaskStatus, evolve
from monitor.errors import InvalidInput
from monitor.limits import TASK_UPDATES, check_details
from monitor.starts import task_meant
from monitor.writing.loading import Needs
from monitor.writing.operation import operation
from monitor.writing.transaction import Transaction


@dataclass(frozen=True, slots=True)
class TaskUpdate:
    """A report on one task; `details` None leaves those that are there."""

    task_id: str
    status: TaskStatus
    details: str | None = None


def _needs(*reports: tuple[str, TaskStatus]) -> Needs:
    started = tuple(task_id for task_id, status in reports if status is TaskStatus.RUNNING)
    return Needs(tasks=tuple(task_id for task_id, _ in reports), started=started)


@operation(needs=lambda task_id, status, **_: _needs((task_id, status)))
def update_task(tx: Transaction, *, task_id: str, status: TaskStatus, details: str | None) -> Task:
    """Stores a report. A task may be started again after it ended: it begins anew.

    In a process that ended, the task of its successor is meant (`monitor.starts`), and answered.

    Raises TaskNotFound, InvalidInput for details over 1 MiB.
    """
    check_details("details", details)
    tx.task(task_id)
    task = _apply(tx, TaskUpdate(task_id, status, details))
    tx.audit.note("updateTask", (task.process_id,), f"task {task.position}: {status}")
    return task


@operation(needs=lambda updates: _needs(*((u.task_id, u.status) for u in updates)))
def update_tasks(tx: Transaction, *, updates: Sequence[TaskUpdate]) -> Sequence[Task]:
    """Stores many reports in order, all or none.

    Raises TaskNotFound, InvalidInput for details over 1 MiB or more than 1,000 reports.
    """
    if len(updates) > TASK_UPDATES:
        raise InvalidInput("inputs", f"has {len(updates)} entries, at most {TASK_UPDATES}")
    for index, update in enumerate(updates):
        check_details(f"inputs.{index}.details", update.details)
        tx.task(update.task_id)
    tasks = [_apply(tx, update) for update in updates]
    if tasks:
        tx.audit.note("updateTasks", [t.process_id for t in tasks], f"{len(tasks)} reports")
    return tasks


def _apply(tx: Transaction, update: TaskUpdate) -> Task:
    told = tx.task(update.task_id)
    tx.see(told.worker_id)
    before = task_meant(tx, told, update.status)
    after = tx.update(_reported(before, update, tx))
    process = tx.process(before.process_id)
    tx.note_task(before, after, process.version)
    tx.update(
        evolve(
            process,
            current_task_id=after.id,
            ended_task_count=process.ended_task_count + after.status.ended - before.status.ended,
            updated_at=max(tx.now, process.updated_at),
        )
    )
    return after


def _reported(task: Task, update: TaskUpdate, tx: Transaction) -> Task:
    now = max(tx.now, task.updated_at)
    details = task.details if update.details is None else update.details
    changed = evolve(task, status=update.status, details=details, updated_at=now)
    match update.status:
        case _ if task.status is update.status and task.status is not TaskStatus.PENDING:
            return changed  # said again: the first start counts, and the first end
        case TaskStatus.PENDING:
            return evolve(
                changed, started_at=None, ended_at=None, overtime=False, overtime_due_at=None
            )
        case TaskStatus.RUNNING:
            return evolve(
                changed,
                started_at=now,
                ended_at=None,
                details=update.details,
                overtime=False,
                overtime_due_at=now + OVERTIME_AT_LEAST,
            )
        case _:
            return evolve(changed, ended_at=now, overtime=False, overtime_due_at=None)
