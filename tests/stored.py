"""Entities put into the tables as they are: states and histories that are laborious to report."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Table, insert

from db import models
from db.session import Database
from db.upserts import upsert
from monitor.entities import (
    Entity,
    Liveness,
    Pipeline,
    Process,
    ProcessStatus,
    Task,
    TaskDefinition,
    TaskStatus,
    Worker,
)
from monitor.ids import new_id, pipeline_id
from monitor.reading import rows
from monitor.writing.tally import Tally

THEN = datetime(2026, 3, 1, 12, tzinfo=UTC)
_TABLES: dict[type, tuple[Table, Callable[[Any], Mapping[str, Any]]]] = {
    Worker: (models.workers, rows.worker_values),
    Process: (models.processes, rows.process_values),
    Task: (models.tasks, rows.task_values),
}


def a_worker(**fields: Any) -> Worker:
    worker = Worker(
        id=new_id("worker"),
        name="worker",
        version="v1.0",
        pipeline_id=pipeline_id("worker"),
        liveness=Liveness.ALIVE,
        liveness_reason=None,
        sends_heartbeats=False,
        task_definitions=(TaskDefinition("step", "v1.0"),),
        registered_at=THEN,
        last_seen_at=THEN,
        quiet_since=THEN,
        running=0,
        succeeded=0,
        failed=0,
        runtime_microseconds=0,
        revision=1,
    )
    if "name" in fields:
        fields.setdefault("pipeline_id", pipeline_id(fields["name"]))
    return replace(worker, **fields)


def a_process(worker: Worker, **fields: Any) -> Process:
    # Nothing is updated before it is started.
    fields.setdefault("updated_at", fields.get("ended_at") or fields.get("started_at", THEN))
    process = Process(
        id=new_id("process"),
        worker_id=worker.id,
        pipeline_id=worker.pipeline_id,
        version=worker.version,
        status=ProcessStatus.RUNNING,
        stalled=False,
        task_count=len(worker.task_definitions),
        ended_task_count=0,
        current_task_id=None,
        started_at=THEN,
        updated_at=THEN,
        ended_at=None,
        details=None,
        revision=1,
    )
    return replace(process, **fields)


def a_task(process: Process, **fields: Any) -> Task:
    task = Task(
        id=new_id("task"),
        process_id=process.id,
        worker_id=process.worker_id,
        pipeline_id=process.pipeline_id,
        name="step",
        version="v1.0",
        position=1,
        status=TaskStatus.PENDING,
        created_at=THEN,
        started_at=None,
        updated_at=THEN,
        ended_at=None,
        details=None,
        revision=1,
    )
    return replace(task, **fields)


def a_pipeline(newest: Worker, **fields: Any) -> Pipeline:
    """That of the worker, of which nothing runs."""
    pipeline = Pipeline(
        id=newest.pipeline_id,
        name=newest.name,
        version=newest.version,
        task_definitions=newest.task_definitions,
        first_seen_at=newest.registered_at,
        last_seen_at=newest.last_seen_at,
        workers_alive=1,
        workers_finished=0,
        workers_lost=0,
        running=0,
        succeeded=0,
        failed=0,
        stalled=0,
        runtime_microseconds=0,
        failing=False,
        latest_process_id=None,
        revision=1,
    )
    return replace(pipeline, **fields)


async def store(database: Database, *entities: Entity) -> None:
    """Inserts them, workers first, and their pipelines; no figures are kept of them."""
    async with database.writing() as connection:
        dialect = connection.dialect.name
        for worker in (entity for entity in entities if isinstance(entity, Worker)):
            found = [rows.pipeline_values(worker)]
            await connection.execute(upsert(models.pipelines, dialect), found)
            tally = Tally(0)
            tally.note_seen(worker)
            figures = list(tally.figures())
            await connection.execute(upsert(models.pipeline_figures, dialect), figures)
        for type_, (table, values) in _TABLES.items():
            if found := [values(entity) for entity in entities if isinstance(entity, type_)]:
                await connection.execute(insert(table), found)
