"""Durations of old hours become those of their days, and every sum stays what it was."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select

from db import models
from db.session import Database
from monitor.entities import Process, ProcessStatus, Task, TaskDefinition, TaskStatus, Worker
from monitor.errors import Unavailable
from monitor.processes import remove_processes
from monitor.reading.histograms import Step
from monitor.reading.usual import Usual
from monitor.slots import DAY_SECONDS, HOUR_SECONDS, HOURS_KEPT, REMOVED_SHARD, oldest_hours
from monitor.upkeep.counters import check_counters
from monitor.upkeep.purging import Policy
from monitor.upkeep.retention import Retention
from monitor.upkeep.rollup import roll_up
from monitor.writing.tally import DURATION_KEYS, DURATIONS, Tally
from tests.monitor.reports import replica
from tests.statements import statements_to
from tests.stored import a_process, a_task, a_worker, store

NOW = datetime(2026, 3, 20, 15, 30, tzinfo=UTC)
BEFORE = oldest_hours(NOW)
HOUR = timedelta(hours=1)
STEPS = ("extract", "load")
SHARDS = (0, 3, 7)
_key = models.durations.c


def history(worker: Worker, hours: Iterable[int]) -> list[tuple[Process, list[Task]]]:
    """A process an hour, which ended so many hours before BEFORE; its steps took some seconds."""
    chance, runs = random.Random(1), []
    for hour in hours:
        ended_at = BEFORE - hour * HOUR + timedelta(minutes=chance.randrange(1, 60))
        status = chance.choice(["SUCCESS", "SUCCESS", "ERROR"])
        process = a_process(
            worker,
            status=ProcessStatus(status),
            started_at=ended_at - timedelta(minutes=1),
            ended_at=ended_at,
            ended_task_count=len(STEPS),
        )
        tasks = [
            a_task(
                process,
                name=step,
                position=position,
                status=TaskStatus(status),
                started_at=ended_at - timedelta(seconds=chance.choice([2, 3, 20])),
                ended_at=ended_at,
            )
            for position, step in enumerate(STEPS, start=1)
        ]
        runs.append((process, tasks))
    return runs


async def keep(database: Database, worker: Worker, hours: Iterable[int]) -> list[Process]:
    """A history in the tables, its durations as several server processes noted them."""
    runs = history(worker, hours)
    tasks_of_all = [task for _, tasks in runs for task in tasks]
    await store(database, worker, *[process for process, _ in runs], *tasks_of_all)
    tallies = [Tally(shard) for shard in SHARDS]
    for number, (process, tasks) in enumerate(runs):
        tally = tallies[number % len(tallies)]
        tally.note_end(process)
        for task in tasks:
            tally.note_task_end(task, process.version)
    rows = [
        dict(zip((*DURATION_KEYS, *DURATIONS), (*key, *counts), strict=True))
        for tally in tallies
        for key, counts in tally.durations.items()
    ]
    async with database.writing() as connection:
        await connection.execute(insert(models.durations), rows)
    return [process for process, _ in runs]


def of_steps(name: str = "worker") -> Worker:
    return a_worker(name=name, task_definitions=[TaskDefinition(step, "v1.0") for step in STEPS])


async def rows_of(database: Database) -> list[Any]:
    async with database.reading() as connection:
        return list((await connection.execute(select(models.durations))).all())


async def sums_by(database: Database, *names: str) -> Counter[tuple[Any, ...]]:
    """What is counted of each of these, and of each outcome."""
    sums: Counter[tuple[Any, ...]] = Counter()
    for row in await rows_of(database):
        for outcome in DURATIONS:
            key = [getattr(row, name) for name in names]
            sums[(*key, row.shard == REMOVED_SHARD, outcome)] += getattr(row, outcome)
    return sums


async def assert_right(database: Database) -> None:
    found = await check_counters(database, repair=False)
    assert [each for each in found if each.what.startswith("durations")] == []


SAME = ("pipeline_id", "of", "step", "version", "bucket")


async def test_old_hours_become_days_with_the_same_counts(database: Database) -> None:
    await keep(database, of_steps(), range(-30, 60))
    before, rows = await sums_by(database, *SAME), len(await rows_of(database))
    await assert_right(database)
    assert await roll_up(database, BEFORE)
    await assert_right(database)
    assert await sums_by(database, *SAME) == before
    found = await rows_of(database)
    assert len(found) < rows
    for row in found:
        young = row.slot_at >= BEFORE
        assert row.slot_seconds == (HOUR_SECONDS if young else DAY_SECONDS)
        assert young or (row.shard, row.slot_at.hour) == (0, 0)
    assert {row.slot_at for row in found if row.slot_at < BEFORE} == {
        BEFORE - timedelta(days=days) for days in (1, 2, 3)
    }


async def test_what_is_usual_stays_what_it_was(database: Database) -> None:
    worker = of_steps()
    await keep(database, worker, range(1, 60))
    step = Step(worker.pipeline_id, "extract")
    before = await Usual(database).find([step])
    assert await roll_up(database, BEFORE)
    assert await Usual(database).find([step]) == before != {}


async def test_hours_are_kept_for_more_than_a_week() -> None:
    assert timedelta(days=8) <= NOW - BEFORE < timedelta(days=9)
    assert (BEFORE.hour, BEFORE.minute, BEFORE.second) == (0, 0, 0)
    assert oldest_hours(BEFORE + HOURS_KEPT) == BEFORE


async def test_doing_it_again_changes_nothing(database: Database) -> None:
    await keep(database, of_steps(), range(1, 60))
    assert await roll_up(database, BEFORE)
    once = await rows_of(database)
    assert await roll_up(database, BEFORE)
    assert await rows_of(database) == once


async def test_what_is_noted_of_an_old_hour_later_is_added_the_next_time(
    database: Database,
) -> None:
    worker = of_steps()
    processes = await keep(database, worker, range(1, 60))
    assert await roll_up(database, BEFORE)
    before = await sums_by(database, *SAME)
    removed = [process.id for process in processes[::2]]
    await replica(database).run(remove_processes, process_ids=removed, abandoned_before=None)
    await assert_right(database)
    noted = await sums_by(database, *SAME)
    assert noted != before

    assert await roll_up(database, BEFORE)
    assert await sums_by(database, *SAME) == noted
    await assert_right(database)
    rows = await rows_of(database)
    assert {row.slot_seconds for row in rows} == {DAY_SECONDS}
    assert {row.shard for row in rows} == {0, REMOVED_SHARD}
    # Those of before are as they were: what was removed still tells how long it took.
    kept = {key: count for key, count in noted.items() if not key[-2]}
    assert kept == {key: count for key, count in before.items() if not key[-2]}


async def test_it_is_right_while_others_remove_check_and_roll_up(database: Database) -> None:
    workers = [of_steps(f"worker {number}") for number in range(3)]
    processes = [p for worker in workers for p in await keep(database, worker, range(1, 40))]
    through = replica(database)

    async def remove() -> None:
        for process in processes[::3]:
            await through.run(remove_processes, process_ids=[process.id], abandoned_before=None)

    async def check() -> None:
        for _ in range(5):
            await assert_right(database)

    await asyncio.gather(remove(), check(), *(roll_up(database, BEFORE) for _ in range(3)))
    async with asyncio.timeout(30):  # who lost a race tries again
        while not await roll_up(database, BEFORE):
            pass
    await assert_right(database)
    assert {row.slot_seconds for row in await rows_of(database)} == {DAY_SECONDS}


async def test_rows_that_somebody_else_holds_are_left_for_the_next_time(
    database: Database,
) -> None:
    held, free = of_steps("held"), of_steps("free")
    for worker in (held, free):
        await keep(database, worker, range(1, 30))
    async with database.writing() as connection:
        mine = models.durations.update().where(_key.pipeline_id == held.pipeline_id)
        await connection.execute(mine.values(failed=_key.failed))
        assert not await roll_up(database, BEFORE)
    rows = await rows_of(database)
    assert {r.slot_seconds for r in rows if r.pipeline_id == held.pipeline_id} == {HOUR_SECONDS}
    if not database.is_sqlite:  # which has one lock for all
        assert {r.slot_seconds for r in rows if r.pipeline_id == free.pipeline_id} == {DAY_SECONDS}
    assert await roll_up(database, BEFORE)
    assert {row.slot_seconds for row in await rows_of(database)} == {DAY_SECONDS}
    await assert_right(database)


async def test_a_repair_of_a_day_is_added_to_it(database: Database) -> None:
    await keep(database, of_steps(), range(1, 30))
    assert await roll_up(database, BEFORE)
    async with database.writing() as connection:
        wrong = models.durations.update().where(_key.step == "load")
        await connection.execute(wrong.values(failed=_key.failed + 3))
    assert await check_counters(database, repair=True) != []
    await assert_right(database)
    before = await sums_by(database, *SAME)
    assert await roll_up(database, BEFORE)
    await assert_right(database)
    assert await sums_by(database, *SAME) == before
    assert {row.slot_seconds for row in await rows_of(database)} == {DAY_SECONDS}


async def test_more_steps_than_one_transaction_takes_are_rolled_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.upkeep.rollup.STEP_SUBJECTS", 2)
    await keep(database, of_steps(), range(1, 60))
    assert await roll_up(database, BEFORE)
    assert {row.slot_seconds for row in await rows_of(database)} == {DAY_SECONDS}
    await assert_right(database)


async def test_upkeep_looks_for_old_hours_once_a_day(database: Database) -> None:
    worker = of_steps()
    await keep(database, worker, range(-48, 24))
    retention = Retention(database, replica(database), Policy(), archive_after=None)
    for now, looks in ((NOW, True), (NOW + HOUR, False), (NOW + timedelta(days=1), True)):
        with statements_to(database) as sent:
            await retention.roll_up(now)
        assert bool(sent) == looks
        hours = [r.slot_at for r in await rows_of(database) if r.slot_seconds == HOUR_SECONDS]
        assert min(hours) == oldest_hours(now)
    await assert_right(database)


async def test_a_database_that_cannot_be_reached_is_said_to_be_unavailable() -> None:
    database = Database("mariadb://root@127.0.0.1:1/monitor")
    with pytest.raises(Unavailable):
        await roll_up(database, BEFORE)
    await database.close()
