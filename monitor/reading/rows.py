"""Between table rows and entities: the columns to select, and both directions of conversion."""

from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Text, type_coerce

from db import models
from db.writes import Row
from monitor.entities import (
    UNREAD,
    Details,
    Liveness,
    Process,
    ProcessStatus,
    Task,
    TaskDefinition,
    TaskStatus,
    Worker,
    fold,
)
from monitor.slots import LONG_AGO

# In the order of the entities' fields.
WORKER = tuple(
    # As text: pipelines of many workers have the same steps, which are parsed once.
    type_coerce(models.workers.c[field.name], Text)
    if field.name == "task_definitions"
    else models.workers.c[field.name]
    for field in fields(Worker)
)
PROCESS = tuple(models.processes.c[field.name] for field in fields(Process))
TASK = tuple(models.tasks.c[field.name] for field in fields(Task))
# Without details, which are read only for those who ask for them.
LISTED_PROCESS = tuple(column for column in PROCESS if column.name != "details")
LISTED_TASK = tuple(column for column in TASK if column.name != "details")
# Where the entities have them.
_PROCESS_DETAILS = [column.name for column in PROCESS].index("details")
_TASK_DETAILS = [column.name for column in TASK].index("details")
_LIVENESS = {liveness.value: liveness for liveness in Liveness}
_PROCESS_STATUS = {status.value: status for status in ProcessStatus}
_TASK_STATUS = {status.value: status for status in TaskStatus}


def worker(row: Sequence[Any]) -> Worker:
    """A row of WORKER columns as an entity."""
    id_, name, version, pipeline_id, liveness, reason, sends_heartbeats, steps, *rest = row
    return Worker(
        id_,
        name,
        version,
        pipeline_id,
        _LIVENESS[liveness],
        reason,
        sends_heartbeats,
        definitions(steps),
        *rest,
    )


@lru_cache(maxsize=256)
def definitions(text: str) -> Sequence[TaskDefinition]:
    """The steps from their stored form."""
    return tuple(TaskDefinition(*definition) for definition in orjson.loads(text))


def process(row: Sequence[Any]) -> Process:
    """A row of PROCESS columns as an entity."""
    id_, worker_id, pipeline_id, version, status, *rest = row
    return Process(id_, worker_id, pipeline_id, version, _PROCESS_STATUS[status], *rest)


def task(row: Sequence[Any]) -> Task:
    """A row of TASK columns as an entity."""
    id_, process_id, worker_id, pipeline_id, name, version, position, status, *rest = row
    of = (process_id, worker_id, pipeline_id)
    return Task(id_, *of, name, version, position, _TASK_STATUS[status], *rest)


def listed_process(row: Sequence[Any], details: Details = UNREAD) -> Process:
    """A row of LISTED_PROCESS columns as an entity."""
    return process([*row[:_PROCESS_DETAILS], details, *row[_PROCESS_DETAILS:]])


def listed_task(row: Sequence[Any], details: Details = UNREAD) -> Task:
    """A row of LISTED_TASK columns as an entity."""
    return task([*row[:_TASK_DETAILS], details, *row[_TASK_DETAILS:]])


def worker_values(worker: Worker) -> Row:
    """An entity as the column values of its row."""
    return {
        "name": worker.name,
        "name_folded": fold(worker.name),
        "version": worker.version,
        "pipeline_id": worker.pipeline_id,
        "task_definitions": [[d.name, d.version] for d in worker.task_definitions],
        "registered_at": worker.registered_at,
        **worker_state(worker),
    }


def worker_state(worker: Worker) -> Row:
    """Its id, and the values of what changes in it."""
    return {
        "id": worker.id,
        "liveness": worker.liveness.value,
        "liveness_reason": worker.liveness_reason,
        "sends_heartbeats": worker.sends_heartbeats,
        "last_seen_at": worker.last_seen_at,
        "quiet_since": worker.quiet_since,
        "running": worker.running,
        "succeeded": worker.succeeded,
        "failed": worker.failed,
        "runtime_microseconds": worker.runtime_microseconds,
        "revision": worker.revision,
        "archived": worker.archived,
    }


def pipeline_values(first: Worker) -> Row:
    """The row of the pipeline that this worker opens."""
    return {
        "id": first.pipeline_id,
        "name": first.name,
        "name_folded": fold(first.name),
        "first_seen_at": first.registered_at,
        "last_seen_at": first.registered_at,
        "told_at": LONG_AGO,
        "revision": 0,
        "told": None,
    }


def process_values(process: Process) -> Row:
    """An entity as the column values of its row."""
    return {
        "worker_id": process.worker_id,
        "pipeline_id": process.pipeline_id,
        "version": process.version,
        "started_at": process.started_at,
        "details": process.details,
        **process_state(process),
    }


def process_state(process: Process) -> Row:
    """Its id, and the values of what changes in it, but for details, which may be large."""
    return {
        "id": process.id,
        "status": process.status.value,
        "stalled": process.stalled,
        # Different only when it is repaired.
        "task_count": process.task_count,
        "ended_task_count": process.ended_task_count,
        "current_task_id": process.current_task_id,
        "updated_at": process.updated_at,
        "ended_at": process.ended_at,
        "revision": process.revision,
        "recovered": process.recovered,
        "successor_id": process.successor_id,
        "failure_id": process.failure_id,
        "overtime": process.overtime,
        "overtime_due_at": process.overtime_due_at,
    }


def task_values(task: Task) -> Row:
    """An entity as the column values of its row."""
    return {
        "process_id": task.process_id,
        "worker_id": task.worker_id,
        "pipeline_id": task.pipeline_id,
        "name": task.name,
        "name_folded": fold(task.name),
        "version": task.version,
        "position": task.position,
        "created_at": task.created_at,
        "details": task.details,
        **task_state(task),
    }


def task_state(task: Task) -> Row:
    """Its id, and the values of what changes in it, but for details, which may be large."""
    return {
        "id": task.id,
        "status": task.status.value,
        "started_at": task.started_at,
        "updated_at": task.updated_at,
        "ended_at": task.ended_at,
        "revision": task.revision,
        "overtime": task.overtime,
        "overtime_due_at": task.overtime_due_at,
    }
