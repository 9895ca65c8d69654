"""What is old goes, figures stay true, and whoever works on meanwhile is not harmed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import delete, func, select

from app.seeding import seed_history
from db import models
from db.maintenance import compact, give_back_free_pages
from db.session import Database
from monitor.entities import Liveness, Process, ProcessStatus, Task, TaskStatus, Worker
from monitor.errors import ProcessNotFound, TaskNotFound
from monitor.events import ChangeKind, Event, decode_events
from monitor.processes import end_process, start_process
from monitor.reading.figures import get_totals, list_activity
from monitor.reading.filters import ProcessFilter
from monitor.reading.pages import Direction, Order
from monitor.reading.reads import PROCESSES, WORKERS, find_by_id, list_slice
from monitor.tasks import update_task
from monitor.upkeep.counters import check_counters
from monitor.upkeep.minutes import forget_minutes
from monitor.upkeep.purging import STEP_TASKS, Policy, count_purgeable, purge
from monitor.upkeep.retention import Retention
from monitor.workers import record_heartbeat
from monitor.writing.transactions import Transactions
from tests.monitor.silence import judge_silent
from tests.monitor.upkeep.test_counters import register, run

NEWEST_FIRST = Order("STARTED_AT", Direction.DESC)


@pytest.fixture
async def transactions(database: Database) -> AsyncIterator[Transactions]:
    transactions = Transactions(database, on_commit=lambda: None)
    yield transactions
    await transactions.close()


async def all_processes(database: Database) -> list[Process]:
    return await list_slice(
        database, PROCESSES, ProcessFilter(), NEWEST_FIRST, limit=100_000, offset=0
    )


async def purged(
    database: Database, transactions: Transactions, policy: Policy, now: datetime | None = None
) -> int:
    now = now or datetime.now(UTC)
    return sum([step async for step in purge(database, transactions, policy, now)])


async def events(database: Database) -> list[Event]:
    async with database.reading() as connection:
        found = await connection.execute(select(models.outbox.c.events).order_by("id"))
        return [event for row in found for event in decode_events(row.events)]


async def test_what_ended_before_so_many_days_goes_and_every_figure_stays_true(
    database: Database, transactions: Transactions
) -> None:
    await seed_history(database, processes=400, workers=3, random=Random(1))
    now = datetime.now(UTC)
    policy = Policy(days=10)
    before = now - timedelta(days=10)
    known = await all_processes(database)
    old = {process.id for process in known if process.ended_at and process.ended_at < before}
    since = now - timedelta(days=31)
    chart = await list_activity(database, since=since, until=now, slot_seconds=3600, worker_id=None)

    assert await count_purgeable(database, policy, now) == len(old)
    assert await purged(database, transactions, policy, now) == len(old)

    assert {process.id for process in await all_processes(database)} == (
        {process.id for process in known} - old
    )
    assert await check_counters(database, repair=False) == []
    totals = await get_totals(database)
    assert totals.succeeded + totals.failed + totals.running == len(known) - len(old)
    # The chart shows what happened, whether or not it is kept.
    again = await list_activity(database, since=since, until=now, slot_seconds=3600, worker_id=None)
    assert again == chart
    assert len(old) > 100


async def test_the_newest_of_each_worker_are_kept(
    database: Database, transactions: Transactions
) -> None:
    await seed_history(database, processes=300, workers=3, random=Random(2))
    known = await all_processes(database)
    policy = Policy(processes=20)
    kept: list[Process] = []
    for worker_id in {process.worker_id for process in known}:
        mine = [process for process in known if process.worker_id == worker_id]
        kept += mine[:20]
    number = len(known) - len(kept)
    assert await count_purgeable(database, policy, datetime.now(UTC)) == number
    assert await purged(database, transactions, policy) == number
    assert {process.id for process in await all_processes(database)} == {p.id for p in kept}
    assert await check_counters(database, repair=False) == []


async def test_days_and_number_together_count_each_process_once(
    database: Database, transactions: Transactions
) -> None:
    await seed_history(database, processes=300, workers=3, random=Random(3))
    policy, now = Policy(days=15, processes=30), datetime.now(UTC)
    number = await count_purgeable(database, policy, now)
    assert await purged(database, transactions, policy, now) == number
    assert await count_purgeable(database, policy, now) == 0


async def test_what_runs_is_kept_and_what_nobody_goes_on_with_is_not(
    database: Database, transactions: Transactions
) -> None:
    alive, silent = await register(transactions), await register(transactions)
    running = await run(transactions, alive, end=None)
    abandoned = await run(transactions, silent, TaskStatus.SUCCESS, end=None)
    later = datetime.now(UTC) + timedelta(days=2)
    await judge_silent(database, transactions, silent.id)

    assert await purged(database, transactions, Policy(days=1), later) == 1

    assert [process.id for process in await all_processes(database)] == [running.id]
    assert (await get_totals(database)).stalled == 0
    over = await find_by_id(database, WORKERS, silent.id)
    assert over is not None
    assert over.liveness is Liveness.FINISHED
    assert await check_counters(database, repair=False) == []
    with pytest.raises(ProcessNotFound):
        await transactions.run(
            end_process, process_id=abandoned.id, status=ProcessStatus.SUCCESS, details=None
        )


async def test_those_who_follow_are_told_of_each_process_and_task_without_details(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    process, tasks = await transactions.run(start_process, worker_id=worker.id)
    await transactions.run(
        update_task, task_id=tasks[0].id, status=TaskStatus.ERROR, details="x" * 10_000
    )
    await transactions.run(
        end_process, process_id=process.id, status=ProcessStatus.ERROR, details="y" * 10_000
    )
    before = len(await events(database))
    later = datetime.now(UTC) + timedelta(days=2)
    assert await purged(database, transactions, Policy(days=1), later) == 1

    *removals, last = (await events(database))[before:]
    assert {(event.kind, event.entity.id) for event in removals} == {
        (ChangeKind.REMOVED, id_) for id_ in (process.id, *(task.id for task in tasks))
    }
    for event in removals:
        assert isinstance(event.entity, Process | Task)
        assert event.entity.details is None
    assert isinstance(last.entity, Worker)
    assert (last.kind, last.entity.process_count) == (ChangeKind.UPDATED, 0)
    with pytest.raises(TaskNotFound):
        await transactions.run(
            update_task, task_id=tasks[0].id, status=TaskStatus.SUCCESS, details=None
        )


async def test_a_step_removes_few_tasks_and_tells_each_worker_once(
    database: Database, transactions: Transactions
) -> None:
    await seed_history(database, processes=600, workers=2, random=Random(4))
    steps = [
        step
        async for step in purge(
            database, transactions, Policy(days=0.001), datetime.now(UTC) + timedelta(days=1)
        )
    ]
    assert sum(steps) > 500
    async with database.reading() as connection:
        batches = (await connection.execute(select(models.outbox.c.events))).scalars().all()
    assert len(batches) == len(steps)
    for batch in map(decode_events, batches):
        assert sum(isinstance(event.entity, Task) for event in batch) <= STEP_TASKS
        told = [event.entity.id for event in batch if isinstance(event.entity, Worker)]
        assert len(told) == len(set(told))


async def test_minutes_of_days_that_are_gone_are_forgotten_and_hours_are_not(
    database: Database, transactions: Transactions
) -> None:
    await seed_history(database, processes=200, workers=2, random=Random(5))
    now = datetime.now(UTC)
    await purged(database, transactions, Policy(days=10), now)
    await forget_minutes(database, now - timedelta(days=11))
    slot = models.activity.c
    async with database.reading() as connection:
        found = await connection.execute(
            select(slot.slot_seconds, func.min(slot.slot_at)).group_by(slot.slot_seconds)
        )
        oldest = {row[0]: row[1] for row in found}
    assert oldest[60] >= now - timedelta(days=11, minutes=1)
    assert oldest[3600] < now - timedelta(days=25)
    assert await check_counters(database, repair=False) == []


async def test_what_is_removed_from_minutes_that_were_forgotten_is_no_difference(
    database: Database, transactions: Transactions
) -> None:
    await seed_history(database, processes=200, workers=2, random=Random(5))
    now = datetime.now(UTC)
    await forget_minutes(database, now - timedelta(days=5))
    assert await purged(database, transactions, Policy(days=10), now)
    assert await check_counters(database, repair=False) == []


async def test_space_comes_back(database: Database, transactions: Transactions) -> None:
    if not database.is_sqlite:
        await compact(database)  # how much MariaDB gives back is its own affair
        return
    path = Path(str(database.url.database))

    def size() -> int:
        return path.stat().st_size

    await seed_history(database, processes=1_500, workers=2, random=Random(6))
    await compact(database)
    full = size()
    later = datetime.now(UTC) + timedelta(days=1)
    await purged(database, transactions, Policy(days=0.001), later)
    await forget_minutes(database, later)
    async with database.writing() as connection:
        await connection.execute(delete(models.outbox))  # as the relay does
    await give_back_free_pages(database)
    async with database.reading() as connection:
        await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    assert size() < full / 3


async def test_a_worker_that_is_archived_comes_back_when_it_reports(
    database: Database, transactions: Transactions
) -> None:
    worker, _ = await register(transactions), await register(transactions)
    later = datetime.now(UTC) + timedelta(days=8)
    retention = Retention(database, transactions, Policy(), archive_after=timedelta(days=7))
    await retention.archive(later)
    assert (await get_totals(database)).workers_online == 2, "only who is OFFLINE is archived"

    await judge_silent(database, transactions, worker.id)
    await retention.archive(later)
    totals = await get_totals(database)
    assert (totals.workers_online, totals.workers_offline) == (1, 0)
    archived = await find_by_id(database, WORKERS, worker.id)
    assert archived is not None
    assert archived.archived
    last = (await events(database))[-1]
    assert (last.kind, last.entity) == (ChangeKind.REMOVED, archived)
    assert await check_counters(database, repair=False) == []

    back = await transactions.run(record_heartbeat, worker_id=worker.id)
    assert not back.archived
    assert (await get_totals(database)).workers_online == 2
    kinds = [event.kind for event in await events(database) if event.entity.id == worker.id]
    assert kinds[-2:] == [ChangeKind.REMOVED, ChangeKind.CREATED]
    assert await check_counters(database, repair=False) == []


async def test_a_look_removes_what_is_old_and_the_minutes_of_its_days(
    database: Database, transactions: Transactions
) -> None:
    await seed_history(database, processes=100, workers=2, random=Random(7))
    retention = Retention(database, transactions, Policy(days=5), archive_after=None)
    now = datetime.now(UTC)
    await retention.purge(now)
    assert await count_purgeable(database, Policy(days=5), now) == 0
    left = await all_processes(database)
    assert 10 < len(left) < 25
    slot = models.activity.c
    async with database.reading() as connection:
        minutes = select(func.min(slot.slot_at)).where(slot.slot_seconds == 60)
        oldest = await connection.scalar(minutes)
    assert oldest is not None
    assert oldest >= now - timedelta(days=6, hours=1, minutes=1)
    assert await check_counters(database, repair=False) == []
