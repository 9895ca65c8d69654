"""What a transaction reads: the statements, and the entities that come of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any

from sqlalchemy import BindParameter, bindparam, null, select

from db import models
from monitor.entities import Details, Failure, Process, Task, Worker
from monitor.reading import rows
from monitor.reading.details import sized

# Built once: SQLAlchemy then finds their compiled form without looking at their parts.
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
LOCK_WORKERS = (
    select(*rows.WORKER)
    .where(models.workers.c.id.in_(_IDS))
    .order_by(models.workers.c.id)
    .with_for_update()
)
LOCK_PROCESSES = (
    select(*rows.PROCESS)
    .where(models.processes.c.id.in_(_IDS))
    .order_by(models.processes.c.id)
    .with_for_update()
)
TASKS = select(*rows.LISTED_TASK, *sized(models.tasks.c.details)).where(models.tasks.c.id.in_(_IDS))
TASKS_OF = select(
    *(null().label("details") if column.name == "details" else column for column in rows.TASK)
).where(models.tasks.c.process_id.in_(_IDS))
PIPELINES = select(models.pipelines.c.id).where(models.pipelines.c.id.in_(_IDS))
LOCK_FAILURES = (
    select(models.failures.c.id, models.failures.c.moments)
    .where(models.failures.c.id.in_(_IDS))
    .order_by(models.failures.c.id)
    .with_for_update()
)
RUNNING = select(models.processes.c.id).where(
    models.processes.c.worker_id.in_(_IDS), models.processes.c.status == "RUNNING"
)
PARENTS_OF_TASK = select(
    models.tasks.c.id, models.tasks.c.process_id, models.tasks.c.worker_id
).where(models.tasks.c.id.in_(_IDS))
WORKER_OF_PROCESS = select(models.processes.c.id, models.processes.c.worker_id).where(
    models.processes.c.id.in_(_IDS)
)
# The tasks at the same positions in the successors of the processes of these tasks.
_new = models.tasks.alias()
TASKS_IN_SUCCESSORS = (
    select(*(_new.c[column.name] for column in rows.TASK))
    .select_from(models.tasks)
    .join(models.processes, models.processes.c.id == models.tasks.c.process_id)
    .join(
        _new,
        (_new.c.process_id == models.processes.c.successor_id)
        & (_new.c.position == models.tasks.c.position),
    )
    .where(models.tasks.c.id.in_(_IDS))
)


@dataclass(frozen=True, slots=True)
class FailedStep:
    """The task of a process that failed; of several the one reported last."""

    id: str
    name: str
    reported_at: datetime
    details: str | None


@dataclass(slots=True)
class Loaded:
    """The entities of one transaction, by id; of pipelines, which of them are there.

    `failed`: the failed steps of processes that may end with an error. `moments`: the statuses that
    failures had since followers were told of them.
    """

    workers: dict[str, Worker] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    pipelines: set[str] = field(default_factory=set)
    failed: dict[str, FailedStep] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    moments: dict[str, str] = field(default_factory=dict)

    def details(self) -> dict[str, Details]:
        """Of all that is here, by id; None of workers."""
        runs: Iterable[Process | Task] = chain(self.processes.values(), self.tasks.values())
        return {**dict.fromkeys(self.workers), **{run.id: run.details for run in runs}}
