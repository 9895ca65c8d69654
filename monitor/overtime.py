"""Overtime: processes and steps that run for longer than they usually do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from monitor.entities import Process, ProcessStatus, Task, TaskStatus, evolve
from monitor.errors import TaskNotFound
from monitor.writing.loading import Needs
from monitor.writing.operation import operation
from monitor.writing.transaction import Transaction

R = TypeVar("R", Process, Task)


@dataclass(frozen=True, slots=True)
class Look:
    """What was found out about a process, or a task of it, that was due at `due_at`: whether it is
    in overtime, and when it is to be looked at again (None: never).
    """

    process_id: str
    task_id: str | None
    due_at: datetime
    overtime: bool
    again_at: datetime | None


def _looked_at(looks: Sequence[Look]) -> Needs:
    tasks = [look.task_id for look in looks if look.task_id is not None]
    return Needs(alone=(*(look.process_id for look in looks), *tasks))


@operation(needs=_looked_at)
def judge_overtime(tx: Transaction, *, looks: Sequence[Look]) -> int:
    """Those that are in overtime by now become so, and followers are told; how many were due still.

    Looked at again under the lock of the process, so one replica of several does it, and what ended
    or was begun anew meanwhile is not. A task is in overtime only while its process runs.
    """
    due = 0
    for look in looks:
        process = tx.find_process(look.process_id)
        if process is None:
            continue
        runs = process.status is ProcessStatus.RUNNING
        if look.task_id is None:
            due += _judge(tx, process, look, runs=runs)
        elif (task := _find_task(tx, look.task_id)) is not None:
            due += _judge(tx, task, look, runs=runs and task.status is TaskStatus.RUNNING)
    return due


def _judge(tx: Transaction, found: R, look: Look, *, runs: bool) -> bool:
    """Whether it was due."""
    if found.overtime_due_at != look.due_at:
        return False
    overtime = runs and (look.overtime or found.overtime)
    after = evolve(found, overtime=overtime, overtime_due_at=look.again_at if runs else None)
    if overtime is found.overtime:
        tx.keep(after)
    else:
        tx.update(after)
    return True


def _find_task(tx: Transaction, task_id: str) -> Task | None:
    try:
        return tx.task(task_id)
    except TaskNotFound:  # removed meanwhile
        return None
