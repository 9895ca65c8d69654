"""What a transaction writes of rows that were there."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import pytest
from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError

from db import models
from db.lookups import fetch_rows
from db.session import Database
from db.upserts import upsert
from db.writes import Row
from monitor.entities import Process, Task, TaskStatus
from monitor.processes import start_process
from monitor.reading import rows
from monitor.tasks import update_task
from monitor.writing.loading import Memory, Needs
from monitor.writing.statements import Loaded
from monitor.writing.transaction import Transaction
from tests.monitor.reports import STEPS, register, replica
from tests.statements import statements_to
from tests.stored import a_process, a_task, a_worker, store

_IDS: Any = bindparam("ids", expanding=True)
WORKERS, PROCESSES, TASKS = (
    select(*columns).where(columns[0].in_(_IDS))
    for columns in (rows.WORKER, rows.PROCESS, rows.TASK)
)
# What an entity is for good.
OF_A_WORKER = {"id", "name", "version", "pipeline_id", "task_definitions", "registered_at"}
OF_A_PROCESS = {"id", "worker_id", "pipeline_id", "version", "started_at"}
OF_A_TASK = {
    *("id", "process_id", "worker_id", "pipeline_id", "name", "version"),
    *("position", "created_at"),
}


def another(value: Any) -> Any:
    """A value of the same kind."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case Enum():
            return next(member for member in type(value) if member is not value)
        case datetime():
            return value + timedelta(seconds=1)
        case str():
            return f"{value}'\\"
        case _:
            return None


def changed(entity: Any, kept: set[str]) -> Any:
    """The entity with another value in each field but these."""
    names = {field.name for field in fields(entity)} - kept
    assert names
    return replace(entity, **{name: another(getattr(entity, name)) for name in names})


async def begin(connection: Any, process: Process, task: Task) -> Transaction:
    tx = Transaction(connection, memory=Memory(), shard=0, now=datetime.now(UTC))
    await tx.load([Needs(processes=(process.id,), tasks=(task.id,))])
    return tx


async def stored(database: Database, process: Process, task: Task) -> Loaded:
    async with database.reading() as connection:
        tasks = await fetch_rows(connection, TASKS, [task.id])
        processes = await fetch_rows(connection, PROCESSES, [process.id])
        workers = await fetch_rows(connection, WORKERS, [process.worker_id])
    return Loaded(
        workers={row[0]: rows.worker(row) for row in workers},
        processes={row[0]: rows.process(row) for row in processes},
        tasks={row[0]: rows.task(row) for row in tasks},
    )


@pytest.mark.parametrize("details", [None, "as it was", "é" * 1000])
async def test_whatever_can_be_different_is_written(
    database: Database, details: str | None
) -> None:
    now = datetime.now(UTC)
    worker = replace(a_worker(), liveness_reason="quiet")
    runs: dict[str, Any] = {"ended_at": now, "overtime_due_at": now, "details": details}
    process = replace(
        a_process(worker), current_task_id="task", successor_id="next", failure_id="f", **runs
    )
    task = replace(a_task(process), started_at=now, **runs)
    await store(database, worker, process, task)
    after = (
        changed(worker, OF_A_WORKER),
        changed(process, OF_A_PROCESS),
        changed(task, OF_A_TASK),
    )
    async with database.writing() as connection:
        tx = await begin(connection, process, task)
        for entity in after:
            tx.keep(entity)
        await tx.store()
    found = await stored(database, process, task)
    assert (found.workers[worker.id], found.processes[process.id], found.tasks[task.id]) == after


async def test_what_an_entity_is_for_good_is_not_sent_again(database: Database) -> None:
    transactions = replica(database)
    worker = await register(transactions, name="of the nightly import")
    process, (task, _) = await transactions.run(start_process, worker_id=worker.id)
    said = {"task_id": task.id, "details": "read 5 rows"}
    await transactions.run(update_task, status=TaskStatus.RUNNING, **said)
    with statements_to(database) as sent:
        await transactions.run(
            update_task, task_id=task.id, status=TaskStatus.SUCCESS, details=None
        )
    written = [text for text in sent if "INTO tasks" in text or "INTO processes" in text]
    assert written
    for kept in (STEPS[0].name, "read 5 rows", worker.id):
        assert not any(kept in text for text in written)
    found = await stored(database, process, task)
    assert found.tasks[task.id].details == "read 5 rows"
    assert found.tasks[task.id].name == STEPS[0].name


async def test_what_is_not_there_is_not_made_up(database: Database) -> None:
    worker = a_worker()
    process = a_process(worker)
    task = a_task(process)
    states: list[tuple[Any, Row]] = [
        (models.processes, rows.process_state(process)),
        (models.tasks, rows.task_state(task)),
    ]
    await store(database, worker)
    for table, state in states:
        statement = upsert(table, database.write_engine.dialect.name, only=frozenset(state))
        with pytest.raises(IntegrityError):
            async with database.writing() as connection:
                await connection.execute(statement, [state])
