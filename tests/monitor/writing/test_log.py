"""The log says what went wrong, and never what people reported."""

import asyncio
import logging

import pytest
from sqlalchemy import text

from db.session import Database
from monitor.entities import TaskStatus
from monitor.processes import start_process
from monitor.tasks import update_task
from tests.monitor.reports import register, replica
from tests.monitor.writing.test_lost_races import ON_MARIADB, give_up_locks_after, retries

SECRET = "the patient's name"


@ON_MARIADB
async def test_a_lost_race_is_logged_without_what_was_reported(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    give_up_locks_after(database, 1)
    transactions = replica(database)
    worker = await register(transactions)
    _, tasks = await transactions.run(start_process, worker_id=worker.id)
    # Tasks are not locked when they are read, so the race is lost by the statement with details.
    lock = text("SELECT id FROM tasks WHERE id = :id FOR UPDATE")
    with retries() as lost:
        async with database.reading() as other:
            await other.execute(text("BEGIN"))
            await other.execute(lock, {"id": tasks[0].id})
            reporting = asyncio.create_task(
                transactions.run(
                    update_task, task_id=tasks[0].id, status=TaskStatus.ERROR, details=SECRET
                )
            )
            await lost.first.wait()
            await other.execute(text("ROLLBACK"))
        await reporting
    assert "1205" in caplog.text
    assert SECRET not in caplog.text
