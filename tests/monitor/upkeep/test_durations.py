"""How long steps and processes took: kept in the transactions that end them, and proven."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, update

from db import models
from db.session import Database
from monitor.entities import MICROSECOND, Process, ProcessStatus, Task, TaskStatus, Worker
from monitor.histogram import UNKNOWN, bucket_of
from monitor.processes import end_process, remove_processes, start_process, take_back_process
from monitor.slots import HOUR_SECONDS, slot_start
from monitor.tasks import TaskUpdate, update_task, update_tasks
from monitor.upkeep.counters import check_counters
from monitor.writing.tally import DURATION_KEYS, DURATIONS, Tally
from monitor.writing.transactions import Transactions
from tests.monitor.reports import register, replica
from tests.stored import THEN, a_process, a_task, a_worker, store

PENDING, RUNNING = TaskStatus.PENDING, TaskStatus.RUNNING
SUCCESS, ERROR = TaskStatus.SUCCESS, TaskStatus.ERROR
EXTRACT, PROCESS = ("TASK", "extract"), ("PROCESS", "")
Counts = dict[tuple[str, str], tuple[int, int]]


@pytest.fixture
def transactions(database: Database) -> Transactions:
    return replica(database)


@pytest.fixture
async def worker(transactions: Transactions) -> Worker:
    return await register(transactions)


async def start(transactions: Transactions, worker: Worker) -> tuple[Process, Sequence[Task]]:
    return await transactions.run(start_process, worker_id=worker.id)


async def tell(transactions: Transactions, task: Task, *statuses: TaskStatus) -> None:
    for status in statuses:
        await transactions.run(update_task, task_id=task.id, status=status, details=None)


async def end(
    transactions: Transactions, process: Process, status: ProcessStatus = ProcessStatus.SUCCESS
) -> None:
    await transactions.run(end_process, process_id=process.id, status=status, details=None)


async def counted(database: Database, *, kept: bool = False) -> Counts:
    """How many succeeded and failed, by what it is of; `kept`: without what is not kept any more.

    Raises AssertionError when a recount gives anything else.
    """
    assert await check_counters(database, repair=False) == []
    durations = models.durations.c
    sums = [func.sum(durations[name]) for name in DURATIONS]
    statement = select(durations.of, durations.step, *sums).group_by(durations.of, durations.step)
    if not kept:
        statement = statement.where(durations.shard >= 0)
    async with database.reading() as connection:
        found = (await connection.execute(statement)).all()
    rows = {(of, step): (int(good), int(bad)) for of, step, good, bad in found}
    return {key: row for key, row in rows.items() if any(row)}


async def buckets(database: Database) -> set[int]:
    async with database.reading() as connection:
        return set((await connection.scalars(select(models.durations.c.bucket))).all())


async def test_what_ends_is_counted_by_its_outcome_and_what_runs_is_not(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    first, (extract, load) = await start(transactions, worker)
    assert await counted(database) == {}
    await tell(transactions, extract, RUNNING)
    assert await counted(database) == {}
    await tell(transactions, extract, SUCCESS)
    assert await counted(database) == {EXTRACT: (1, 0)}
    await tell(transactions, load, RUNNING, ERROR)
    await end(transactions, first, ProcessStatus.ERROR)
    assert await counted(database) == {
        EXTRACT: (1, 0),
        ("TASK", "load"): (0, 1),
        PROCESS: (0, 1),
    }
    second, _ = await start(transactions, worker)
    await end(transactions, second)
    assert (await counted(database))[PROCESS] == (1, 1)


async def test_versions_of_a_pipeline_are_counted_apart_and_its_workers_together(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    other = await register(transactions)
    for each in (worker, other):
        _, (extract, _) = await start(transactions, each)
        await tell(transactions, extract, RUNNING, SUCCESS)
    assert await counted(database) == {EXTRACT: (2, 0)}
    async with database.reading() as connection:
        found = await connection.execute(
            select(models.durations.c.pipeline_id, models.durations.c.version).distinct()
        )
        assert found.all() == [(worker.pipeline_id, worker.version)]


async def test_a_task_that_is_started_anew_counts_with_each_end(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    _, (extract, _) = await start(transactions, worker)
    for ends in (1, 2, 3):
        await tell(transactions, extract, RUNNING, SUCCESS)
        assert await counted(database) == {EXTRACT: (ends, 0)}
        # Of the others no row tells any more.
        assert await counted(database, kept=True) == {EXTRACT: (1, 0)}
    await tell(transactions, extract, RUNNING)
    assert await counted(database) == {EXTRACT: (3, 0)}
    assert await counted(database, kept=True) == {}


async def test_an_end_that_is_told_again_counts_once(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    process, (extract, _) = await start(transactions, worker)
    await tell(transactions, extract, RUNNING, SUCCESS, SUCCESS, SUCCESS)
    for status in (ProcessStatus.SUCCESS, ProcessStatus.ERROR):
        await end(transactions, process, status)
    assert await counted(database) == {EXTRACT: (1, 0), PROCESS: (1, 0)}


@pytest.mark.parametrize("again", [PENDING, RUNNING, ERROR])
async def test_a_task_may_become_anything_after_it_ended(
    database: Database, transactions: Transactions, worker: Worker, again: TaskStatus
) -> None:
    _, (extract, _) = await start(transactions, worker)
    await tell(transactions, extract, RUNNING, SUCCESS, again)
    expected: Counts = {EXTRACT: (0, 1)} if again is ERROR else {}
    assert await counted(database, kept=True) == expected
    await tell(transactions, extract, RUNNING, ERROR)
    assert await counted(database, kept=True) == {EXTRACT: (0, 1)}


async def test_how_long_it_took_is_not_known_of_what_was_never_started(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    _, (extract, load) = await start(transactions, worker)
    await tell(transactions, extract, SUCCESS)
    await tell(transactions, load, RUNNING, PENDING, ERROR)
    assert await counted(database) == {EXTRACT: (1, 0), ("TASK", "load"): (0, 1)}
    assert await buckets(database) == {UNKNOWN}


async def test_many_reports_in_one_transaction_are_counted_one_after_the_other(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    _, (extract, _) = await start(transactions, worker)
    statuses = [RUNNING, SUCCESS, RUNNING, ERROR, PENDING, RUNNING, SUCCESS]
    updates = [TaskUpdate(extract.id, status) for status in statuses]
    await transactions.run(update_tasks, updates=updates)
    assert await counted(database) == {EXTRACT: (2, 1)}
    assert await counted(database, kept=True) == {EXTRACT: (1, 0)}


async def test_what_is_removed_still_tells_how_long_it_took(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    for status in (SUCCESS, ERROR):
        process, (extract, _) = await start(transactions, worker)
        await tell(transactions, extract, RUNNING, status)
        await end(transactions, process)
    before = await counted(database)
    await transactions.run(remove_processes, process_ids=[process.id], abandoned_before=None)
    assert await counted(database) == before == {EXTRACT: (1, 1), PROCESS: (2, 0)}
    assert await counted(database, kept=True) == {EXTRACT: (1, 0), PROCESS: (1, 0)}


async def test_a_process_that_is_taken_back_was_never_counted(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    process, _ = await start(transactions, worker)
    await transactions.run(take_back_process, process_id=process.id)
    assert await counted(database) == {}


async def test_a_late_report_for_an_ended_process_is_counted(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    process, (extract, load) = await start(transactions, worker)
    await tell(transactions, extract, RUNNING)
    await end(transactions, process, ProcessStatus.ERROR)
    await tell(transactions, extract, SUCCESS)
    await tell(transactions, load, ERROR)
    assert await counted(database) == {EXTRACT: (1, 0), ("TASK", "load"): (0, 1), PROCESS: (0, 1)}


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "not stored"])
async def test_a_run_whose_start_was_lost_is_counted_beside_the_one_before(
    database: Database, transactions: Transactions, worker: Worker, stored: bool
) -> None:
    process, (extract, _) = await start(transactions, worker)
    await tell(transactions, extract, RUNNING, SUCCESS)
    await end(transactions, process)
    if stored:
        await start(transactions, worker)
    await tell(transactions, extract, RUNNING, ERROR)
    assert await counted(database, kept=True) == {EXTRACT: (1, 1), PROCESS: (1, 0)}
    await end(transactions, process, ProcessStatus.ERROR)
    assert await counted(database, kept=True) == {EXTRACT: (1, 1), PROCESS: (1, 1)}


async def test_replicas_that_end_steps_at_once_lose_none(
    database: Database, worker: Worker
) -> None:
    async def run(through: Transactions) -> None:
        for _ in range(5):
            process, (extract, _) = await start(through, worker)
            await tell(through, extract, RUNNING, SUCCESS)
            await end(through, process)

    await asyncio.gather(*(run(replica(database)) for _ in range(3)))
    assert await counted(database) == {EXTRACT: (15, 0), PROCESS: (15, 0)}


async def test_the_databases_put_durations_into_the_same_buckets(database: Database) -> None:
    """The recount, which they do, finds what the transactions noted."""
    chance, worker = random.Random(3), a_worker()
    lengths = [2**exponent + aside for exponent in range(1, 45) for aside in (-1, 0, 1)]
    lengths += [0, *(round(10 ** chance.uniform(0, 13)) for _ in range(2_000))]
    process = a_process(worker, task_count=len(lengths), ended_task_count=len(lengths))
    tasks, tally = [], Tally(3)
    for position, length in enumerate(lengths, start=1):
        ended_at = THEN + length * MICROSECOND
        task = a_task(
            process, position=position, status=SUCCESS, started_at=THEN, ended_at=ended_at
        )
        tally.note_task_end(task, process.version)
        tasks.append(task)
    await store(database, worker, process, *tasks)
    rows = [
        dict(zip((*DURATION_KEYS, *DURATIONS), (*key, *counts), strict=True))
        for key, counts in tally.durations.items()
    ]
    async with database.writing() as connection:
        await connection.execute(insert(models.durations), rows)
    found = await check_counters(database, repair=False)
    assert [each for each in found if each.what.startswith("durations")] == []


async def alter(database: Database, statement: Any) -> None:
    async with database.writing() as connection:
        await connection.execute(statement)


async def assert_repaired(database: Database, *expected: tuple[str, int]) -> None:
    """The checker finds these (what, kept minus counted), repairs them, and then finds nothing."""
    found = await check_counters(database, repair=False)
    assert sorted((d.what, d.kept - d.counted) for d in found) == sorted(expected)
    assert await check_counters(database, repair=True) == found
    assert await check_counters(database, repair=False) == []


@pytest.mark.parametrize("name", DURATIONS)
async def test_a_wrong_row_is_found_and_repaired(
    database: Database, transactions: Transactions, worker: Worker, name: str
) -> None:
    process, (extract, _) = await start(transactions, worker)
    await tell(transactions, extract, RUNNING, SUCCESS)
    await end(transactions, process)
    table = models.durations
    of_step = table.c.step == "extract"
    await alter(database, update(table).where(of_step).values({name: table.c[name] + 7}))
    await assert_repaired(database, (f"durations.{name}", 7))
    assert (await counted(database))[EXTRACT] == (1, 0)


async def test_rows_that_were_lost_or_made_up_are_found_and_repaired(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    process, (extract, _) = await start(transactions, worker)
    await tell(transactions, extract, RUNNING, SUCCESS)
    await end(transactions, process)
    await alter(database, delete(models.durations))
    made_up = {
        "pipeline_id": worker.pipeline_id,
        "of": "TASK",
        "step": "never was",
        "slot_seconds": HOUR_SECONDS,
        "slot_at": slot_start(THEN, HOUR_SECONDS),
        "version": "v9",
        "bucket": bucket_of(timedelta(seconds=2)),
        "shard": 5,
        "succeeded": 0,
        "failed": 4,
    }
    await alter(database, insert(models.durations).values(made_up))
    (difference,) = [d for d in await check_counters(database, repair=False) if "never was" in d.id]
    assert str(difference) == (
        f"durations.failed of step never was of {worker.pipeline_id} v9, "
        f"bucket {made_up['bucket']} of 2026-03-01: kept 4, counted 0"
    )
    await assert_repaired(database, ("durations.failed", 4), *[("durations.succeeded", -1)] * 2)
    assert await counted(database) == {EXTRACT: (1, 0), PROCESS: (1, 0)}
