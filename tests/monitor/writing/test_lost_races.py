"""Several server processes report on the same rows at once: all of it counts, in order."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from sqlalchemy import event, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.session import Database
from monitor.entities import ProcessStatus, TaskStatus
from monitor.errors import Unavailable
from monitor.processes import end_process, start_process
from monitor.reading.figures import get_totals
from monitor.tasks import update_task
from monitor.workers import record_heartbeat
from tests.monitor.reports import (
    count_rows,
    register,
    replica,
    revisions_of,
    until_somebody_waits_for_a_lock,
)

ON_MARIADB = pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)


async def test_two_replicas_that_start_processes_of_one_worker_count_each_once(
    database: Database,
) -> None:
    replicas = [replica(database), replica(database)]
    worker = await register(replicas[0])
    started = await asyncio.gather(
        *(one.run(start_process, worker_id=worker.id) for _ in range(50) for one in replicas)
    )
    ended = [(one, process) for one, (process, _) in zip(replicas * 25, started, strict=False)]
    await asyncio.gather(
        *(
            one.run(end_process, process_id=process.id, status=ProcessStatus.SUCCESS, details=None)
            for one, process in ended
        )
    )
    assert len({process.id for process, _ in started}) == 100
    last = await replicas[1].run(record_heartbeat, worker_id=worker.id)
    assert (last.running, last.succeeded, last.revision) == (50, 50, 151)
    totals = await get_totals(database)
    assert (totals.running, totals.succeeded, totals.workers_online) == (50, 50, 1)
    revisions = await revisions_of(database)
    assert revisions[worker.id] == list(range(1, 152))
    assert all(found == list(range(1, len(found) + 1)) for found in revisions.values())
    async with database.reading() as connection:
        table = models.activity
        sums = await connection.execute(
            select(table.c.subject_id, table.c.slot_seconds, func.sum(table.c.started))
            .group_by(table.c.subject_id, table.c.slot_seconds)
            .order_by(table.c.subject_id, table.c.slot_seconds)
        )
        assert [tuple(row) for row in sums] == [
            ("", 60, 100),
            ("", 3600, 100),
            (worker.pipeline_id, 60, 100),
            (worker.pipeline_id, 3600, 100),
            (worker.id, 60, 100),
            (worker.id, 3600, 100),
        ]


async def test_two_replicas_that_report_on_one_process_lose_no_report(database: Database) -> None:
    replicas = [replica(database), replica(database)]
    worker = await register(replicas[0])
    process, tasks = await replicas[0].run(start_process, worker_id=worker.id)
    words = (TaskStatus.RUNNING, TaskStatus.SUCCESS, TaskStatus.RUNNING, TaskStatus.ERROR)

    async def report(number: int) -> None:
        for status in words * 5:
            await replicas[number].run(
                update_task, task_id=tasks[number].id, status=status, details=None
            )

    await asyncio.gather(report(0), report(1))
    revisions = await revisions_of(database)
    assert revisions[process.id] == list(range(1, 42))
    assert [revisions[task.id] for task in tasks] == [list(range(1, 22))] * 2
    ended = await replicas[0].run(
        end_process, process_id=process.id, status=ProcessStatus.ERROR, details="both failed"
    )
    assert ended.ended_task_count == 2


async def deadlocks(connection: AsyncConnection) -> int:
    found = await connection.execute(text("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'"))
    return int(found.one()[1])


@ON_MARIADB
async def test_a_deadlock_with_somebody_else_is_not_noticed_by_workers(database: Database) -> None:
    transactions = replica(database)
    worker = await register(transactions)
    process, _ = await transactions.run(start_process, worker_id=worker.id)
    async with database.reading() as watching, database.writing() as other:
        before = await deadlocks(watching)
        # The one that changed less is the victim: that shall be the report.
        fillers = [{"key": f"k{n}", "fingerprint": "", "answer": ""} for n in range(50)]
        now = {"created_at": worker.registered_at}
        await other.execute(models.idempotency_keys.insert(), [row | now for row in fillers])
        table = models.processes
        await other.execute(select(table).where(table.c.id == process.id).with_for_update())
        ending = asyncio.create_task(
            transactions.run(
                end_process, process_id=process.id, status=ProcessStatus.SUCCESS, details=None
            )
        )
        await until_somebody_waits_for_a_lock(watching)
        await other.execute(
            update(models.workers).where(models.workers.c.id == worker.id).values(version="v2")
        )
        assert await deadlocks(watching) == before + 1
    ended = await ending
    assert (ended.status, ended.revision) == (ProcessStatus.SUCCESS, 2)
    seen = await transactions.run(record_heartbeat, worker_id=worker.id)
    assert (seen.succeeded, seen.version) == (1, "v2")


class _Retries(logging.Handler):
    """Tells when the first lost race was noticed."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.first = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "trying again" in record.getMessage():
            self.first.set()


@contextmanager
def retries() -> Iterator[_Retries]:
    handler = _Retries()
    logger = logging.getLogger("monitor.writing.transactions")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.setLevel(level)
    logger.removeHandler(handler)


def give_up_locks_after(database: Database, seconds: int) -> None:
    @event.listens_for(database.write_engine.sync_engine, "checkout")
    def impatient(connection: Any, *_: object) -> None:
        connection.cursor().execute(f"SET SESSION innodb_lock_wait_timeout={seconds}")


@asynccontextmanager
async def locked(database: Database, worker_id: str) -> AsyncIterator[None]:
    """The worker's row while somebody else keeps it for himself."""
    async with database.reading() as connection:
        await connection.execute(text("BEGIN"))
        await connection.execute(
            text("SELECT id FROM workers WHERE id = :id FOR UPDATE"), {"id": worker_id}
        )
        yield
        await connection.execute(text("ROLLBACK"))


@ON_MARIADB
async def test_a_lock_that_is_waited_for_too_long_is_asked_for_again(database: Database) -> None:
    give_up_locks_after(database, 1)
    transactions = replica(database)
    worker = await register(transactions)
    with retries() as lost:
        async with locked(database, worker.id):
            starting = asyncio.create_task(transactions.run(start_process, worker_id=worker.id))
            await lost.first.wait()
        process, _ = await starting
    assert process.worker_id == worker.id
    assert (await count_rows(database))["processes"] == 1


@pytest.mark.in_time
@ON_MARIADB
async def test_a_lock_that_is_never_given_back_is_given_up(database: Database) -> None:
    give_up_locks_after(database, 0)
    transactions = replica(database)
    worker, other = await register(transactions), await register(transactions)
    async with locked(database, worker.id):
        with pytest.raises(Unavailable):
            await transactions.run(start_process, worker_id=worker.id)
        process, _ = await transactions.run(start_process, worker_id=other.id)
        assert process.worker_id == other.id
    assert (await count_rows(database))["processes"] == 1
