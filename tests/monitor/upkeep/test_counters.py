"""Kept counters equal a recount; where they do not, the checker says so and sets them right."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from db import models
from db.errors import DatabaseUnavailable
from db.session import Database
from monitor.entities import Process, ProcessStatus, TaskDefinition, TaskStatus, Worker
from monitor.events import decode_events
from monitor.processes import end_process, start_process
from monitor.tasks import update_task
from monitor.upkeep.counters import Difference, check_counters
from monitor.workers import record_heartbeat, register_worker
from monitor.writing.job import UNHURRIED
from monitor.writing.transactions import Transactions
from tests.monitor.silence import judge_silent

STEPS = (TaskDefinition("extract", "v1"), TaskDefinition("load", "v1"))


@pytest.fixture
async def transactions(database: Database) -> AsyncIterator[Transactions]:
    transactions = Transactions(database, on_commit=lambda: None)
    yield transactions
    await transactions.close()


async def register(transactions: Transactions) -> Worker:
    return await transactions.run(
        register_worker, name="worker", version="v1", task_definitions=STEPS
    )


async def run(
    transactions: Transactions, worker: Worker, *statuses: TaskStatus, end: ProcessStatus | None
) -> Process:
    """A process whose tasks got these reports, first to last; it ends as `end`, or runs on."""
    process, tasks = await transactions.run(start_process, worker_id=worker.id)
    for task, status in zip(tasks, statuses, strict=False):
        for report in (TaskStatus.RUNNING, status):
            await transactions.run(update_task, task_id=task.id, status=report, details=None)
    if end is not None:
        await transactions.run(end_process, process_id=process.id, status=end, details=None)
    return process


async def go_offline(transactions: Transactions, worker: Worker) -> None:
    await judge_silent(transactions._database, transactions, worker.id)


@dataclass(frozen=True)
class Life:
    """Two workers with processes in every state; the second is OFFLINE."""

    online: Worker
    offline: Worker
    ended: Process
    stalled: Process


async def live(transactions: Transactions) -> Life:
    online, offline = await register(transactions), await register(transactions)
    done = (TaskStatus.SUCCESS, TaskStatus.SUCCESS)
    ended = await run(transactions, online, *done, end=ProcessStatus.SUCCESS)
    await run(transactions, online, TaskStatus.ERROR, end=ProcessStatus.ERROR)
    await run(transactions, online, TaskStatus.SUCCESS, end=None)
    await run(transactions, offline, *done, end=ProcessStatus.SUCCESS)
    stalled = await run(transactions, offline, TaskStatus.SUCCESS, end=None)
    await go_offline(transactions, offline)
    return Life(online, offline, ended, stalled)


async def write(database: Database, statement: Any) -> None:
    async with database.writing() as connection:
        await connection.execute(statement)


async def assert_repaired(database: Database, expected: set[tuple[str, int]]) -> None:
    """The checker finds these (what, kept minus counted), repairs them, and then finds nothing."""
    found = await check_counters(database, repair=False)
    assert {(d.what, d.kept - d.counted) for d in found} == expected
    assert len(found) == len(expected)
    assert await check_counters(database, repair=True) == found
    assert await check_counters(database, repair=False) == []


async def test_an_empty_database_has_no_differences(database: Database) -> None:
    assert await check_counters(database, repair=False) == []


async def test_counters_equal_a_recount_after_everything_that_can_happen(
    database: Database, transactions: Transactions
) -> None:
    life = await live(transactions)
    assert await check_counters(database, repair=False) == []
    # The stalled one goes on: a task begins anew, another one ends twice, and so does the process.
    await transactions.run(record_heartbeat, worker_id=life.offline.id)
    async with database.reading() as connection:
        tasks = models.tasks.c
        ids = select(tasks.id).where(tasks.process_id == life.stalled.id).order_by(tasks.position)
        first, second = (await connection.scalars(ids)).all()
    for task_id, status in (
        (first, TaskStatus.RUNNING),
        (second, TaskStatus.ERROR),
        (second, TaskStatus.ERROR),
        (second, TaskStatus.PENDING),
    ):
        await transactions.run(update_task, task_id=task_id, status=status, details=None)
        assert await check_counters(database, repair=False) == []
    for end in (ProcessStatus.ERROR, ProcessStatus.SUCCESS):
        await transactions.run(end_process, process_id=life.stalled.id, status=end, details="late")
        assert await check_counters(database, repair=False) == []


async def test_a_difference_says_what_it_is(database: Database, transactions: Transactions) -> None:
    life = await live(transactions)
    table = models.workers
    await write(database, update(table).where(table.c.id == life.online.id).values(running=5))
    (difference,) = await check_counters(database, repair=False)
    assert difference == Difference("worker.running", life.online.id, kept=5, counted=1)
    assert str(difference) == f"worker.running of {life.online.id}: kept 5, counted 1"


@pytest.mark.parametrize("name", ["running", "succeeded", "failed", "runtime_microseconds"])
async def test_a_worker_is_repaired(
    database: Database, transactions: Transactions, name: str
) -> None:
    life = await live(transactions)
    table = models.workers
    wrong = update(table).where(table.c.id == life.online.id)
    await write(database, wrong.values({name: table.c[name] + 7}))
    await assert_repaired(database, {(f"worker.{name}", 7)})


@pytest.mark.parametrize("name", ["task_count", "ended_task_count"])
async def test_a_process_is_repaired(
    database: Database, transactions: Transactions, name: str
) -> None:
    life = await live(transactions)
    table = models.processes
    wrong = update(table).where(table.c.id == life.ended.id)
    await write(database, wrong.values({name: table.c[name] - 1}))
    await assert_repaired(database, {(f"process.{name}", -1)})


@pytest.mark.parametrize(
    "name", ["pipelines", "workers_alive", "workers_lost", "running", "failed", "stalled"]
)
async def test_the_totals_are_repaired(
    database: Database, transactions: Transactions, name: str
) -> None:
    await live(transactions)
    table = models.totals
    await write(database, update(table).values({name: table.c[name] + 3}))
    await assert_repaired(database, {(f"totals.{name}", 3)})


async def test_totals_that_were_lost_are_repaired(
    database: Database, transactions: Transactions
) -> None:
    await live(transactions)
    await write(database, delete(models.totals))
    # All but the shard, and what is 0 in any case: FINISHED workers.
    assert len(await check_counters(database, repair=True)) == len(models.totals.c) - 2
    assert await check_counters(database, repair=False) == []


@pytest.mark.parametrize(
    "name",
    ["workers_alive", "workers_lost", "running", "failed", "stalled", "runtime_microseconds"],
)
async def test_a_pipeline_is_repaired(
    database: Database, transactions: Transactions, name: str
) -> None:
    await live(transactions)
    table = models.pipeline_figures
    await write(database, update(table).values({name: table.c[name] - 3}))
    await assert_repaired(database, {(f"pipeline.{name}", -3)})


@pytest.mark.parametrize("slot_seconds", [60, 3600])
@pytest.mark.parametrize("subject", ["all", "pipeline", "worker"])
@pytest.mark.parametrize("name", ["started", "succeeded", "failed", "runtime_microseconds"])
async def test_activity_is_repaired(
    database: Database, transactions: Transactions, name: str, subject: str, slot_seconds: int
) -> None:
    life = await live(transactions)
    table = models.activity
    subjects = {"all": "", "pipeline": life.online.pipeline_id, "worker": life.online.id}
    wanted = table.c.subject_id == subjects[subject]
    wanted &= table.c.slot_seconds == slot_seconds
    async with database.writing() as connection:
        slot_at = await connection.scalar(select(table.c.slot_at).where(wanted).limit(1))
        wrong = update(table).where(wanted, table.c.slot_at == slot_at)
        await connection.execute(wrong.values({name: table.c[name] + 2}))
    await assert_repaired(database, {(f"activity.{name}", 2)})


async def test_activity_that_was_lost_or_made_up_is_repaired(
    database: Database, transactions: Transactions
) -> None:
    await live(transactions)
    await write(database, delete(models.activity))
    made_up = {
        "subject_id": "",
        "slot_seconds": 3600,
        "slot_at": datetime(2001, 2, 3, 4, tzinfo=UTC),
        "shard": 3,
        "started": 1,
        "succeeded": 0,
        "failed": 0,
        "runtime_microseconds": 0,
    }
    await write(database, insert(models.activity).values(made_up))
    found = await check_counters(database, repair=True)
    assert (
        Difference("activity.started", "all workers in 3600 s from 2001-02-03T04:00:00+00:00", 1, 0)
        in found
    )
    assert await check_counters(database, repair=False) == []


async def test_a_repaired_worker_is_shown_to_subscribers(
    database: Database, transactions: Transactions
) -> None:
    life = await live(transactions)
    table = models.workers
    of_worker = table.c.id == life.online.id
    await write(database, update(table).where(of_worker).values(running=9))
    await write(database, delete(models.outbox))
    await check_counters(database, repair=True)
    async with database.reading() as connection:
        revision = await connection.scalar(select(table.c.revision).where(of_worker))
        rows = (await connection.scalars(select(models.outbox.c.events))).all()
    (event,) = [event for row in rows for event in decode_events(row)]
    assert isinstance(event.entity, Worker)
    assert (event.entity.id, event.entity.running) == (life.online.id, 1)
    assert event.entity.revision == revision


async def test_nothing_differs_while_two_server_processes_write(
    database: Database, transactions: Transactions
) -> None:
    # They wait for one another on SQLite's one lock, and so long as this machine is busy.
    patient = [Transactions(database, on_commit=lambda: None, deadlines=UNHURRIED) for _ in "ab"]
    worker = await register(transactions)

    async def work(through: Transactions) -> None:
        for number in range(8):
            end = ProcessStatus.ERROR if number % 3 == 0 else ProcessStatus.SUCCESS
            await run(through, worker, TaskStatus.SUCCESS, TaskStatus.ERROR, end=end)

    writers = [asyncio.create_task(work(through)) for through in patient * 3]
    checks = 0
    while not all(writer.done() for writer in writers):
        assert await check_counters(database, repair=True) == []
        checks += 1
    await asyncio.gather(*writers)
    await asyncio.gather(*(through.close() for through in patient))
    assert checks > 1
    assert await check_counters(database, repair=False) == []


async def test_repairs_are_right_while_others_write_and_repair(
    database: Database, transactions: Transactions
) -> None:
    life = await live(transactions)
    totals, workers, activity = models.totals, models.workers, models.activity
    await write(database, update(totals).values(running=totals.c.running + 40))
    await write(database, update(workers).values(succeeded=workers.c.succeeded + 40))
    await write(database, update(activity).values(started=activity.c.started + 40))

    async def work() -> None:
        for _ in range(8):
            await run(transactions, life.online, TaskStatus.SUCCESS, end=ProcessStatus.SUCCESS)

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(work())
            group.create_task(check_counters(database, repair=True))
    assert await check_counters(database, repair=False) == []


async def test_checkers_that_repair_at_once_repair_only_once(
    database: Database, transactions: Transactions
) -> None:
    await live(transactions)
    totals, activity = models.totals, models.activity
    of_all = activity.c.subject_id == ""
    for number in range(3):
        await write(database, update(totals).values(running=totals.c.running + 1 + number))
        await write(
            database, update(activity).where(of_all).values(started=activity.c.started + 1 + number)
        )
        await asyncio.gather(*(check_counters(database, repair=True) for _ in range(8)))
        assert await check_counters(database, repair=False) == []


async def test_a_server_that_cannot_be_reached_is_said_to_be_unavailable() -> None:
    database = Database("mariadb://root@127.0.0.1:1/monitor")
    with pytest.raises(DatabaseUnavailable):
        await check_counters(database, repair=False)
    await database.close()
