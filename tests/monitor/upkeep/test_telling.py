"""What followers of pipelines are told: not too often, the last state always, and once."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from db import models
from db.errors import is_conflict
from db.session import Database
from monitor.entities import Pipeline, ProcessStatus, TaskDefinition, Worker
from monitor.events import ChangeKind, Event
from monitor.ids import pipeline_id
from monitor.processes import end_process, start_process, take_back_process
from monitor.reading.pipelines import find_pipelines, read_pipelines
from monitor.upkeep.counters import check_counters
from monitor.upkeep.telling import Telling
from monitor.workers import record_heartbeat
from monitor.writing.job import UNHURRIED
from monitor.writing.loading import Memory, Needs
from monitor.writing.transaction import Transaction
from monitor.writing.transactions import Transactions
from tests.monitor.reports import events_of, register, replica
from tests.monitor.silence import judge_silent
from tests.tasks import stop

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ID = pipeline_id("worker")


@pytest.fixture
async def transactions(database: Database) -> AsyncIterator[Transactions]:
    transactions = replica(database)
    yield transactions
    await transactions.close()


@pytest.fixture
def telling(database: Database) -> Telling:
    return Telling(database, on_told=lambda: None)


async def pipeline_events(database: Database) -> list[Event]:
    """What has been told of pipelines, in order; stored as a list of ways."""
    events = [e for e in await events_of(database) if isinstance(e.entity, Pipeline)]
    return [replace(event, before=list(event.before)) for event in events]


async def told(database: Database) -> list[tuple[ChangeKind, Pipeline]]:
    """Their kinds and states."""
    return [
        (event.kind, event.entity)
        for event in await pipeline_events(database)
        if isinstance(event.entity, Pipeline)
    ]


async def state(database: Database, id_: str = ID) -> Pipeline:
    return (await find_pipelines(database, [id_]))[id_]


async def run(
    transactions: Transactions, worker: Worker, end: ProcessStatus = ProcessStatus.SUCCESS
) -> str:
    """A process from its start to its end; its id."""
    process, _ = await transactions.run(start_process, worker_id=worker.id)
    await transactions.run(end_process, process_id=process.id, status=end, details=None)
    return process.id


async def test_a_pipeline_is_told_with_its_whole_state_first_as_created(
    database: Database, transactions: Transactions, telling: Telling
) -> None:
    worker = await register(transactions)
    assert await telling.tell(NOW) == 1
    process_id = await run(transactions, worker, ProcessStatus.ERROR)
    assert await telling.tell(NOW + SECOND) == 1
    (created, first), (updated, second) = await told(database)
    assert (created, updated) == (ChangeKind.CREATED, ChangeKind.UPDATED)
    assert (first.name, first.workers_alive, first.latest_process_id) == ("worker", 1, None)
    assert [step.name for step in first.task_definitions] == ["extract", "load"]
    assert second == await state(database)
    assert (second.failed, second.failing, second.latest_process_id) == (1, True, process_id)
    assert [first.revision, second.revision] == [1, 2]
    assert await check_counters(database, repair=False) == []


async def test_a_busy_pipeline_is_told_once_a_second_and_then_as_it_ended(
    database: Database, transactions: Transactions, telling: Telling
) -> None:
    worker = await register(transactions)
    for tick in range(31):
        await run(transactions, worker)
        await telling.tell(NOW + tick * SECOND / 10)
    events = await pipeline_events(database)
    assert [event.occurred_at - NOW for event in events] == [n * SECOND for n in range(4)]
    assert [event.entity.revision for event in events] == [1, 2, 3, 4]
    await run(transactions, worker)
    assert await telling.tell(NOW + 3.9 * SECOND) == 0
    assert await telling.tell(NOW + 4 * SECOND) == 1
    assert await telling.tell(NOW + 9 * SECOND) == 0
    assert (await told(database))[-1] == (ChangeKind.UPDATED, await state(database))


async def test_what_a_replica_committed_before_it_crashed_another_one_tells(
    database: Database, transactions: Transactions, telling: Telling
) -> None:
    worker = await register(transactions)
    await telling.tell(NOW)
    await run(transactions, worker)
    await transactions.close()
    others = Telling(database, on_told=lambda: None)
    assert await others.tell(NOW + SECOND) == 1
    assert (await told(database))[-1] == (ChangeKind.UPDATED, await state(database))


async def test_a_crash_while_it_is_told_leaves_it_to_be_told(
    database: Database,
    transactions: Transactions,
    telling: Telling,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await register(transactions)

    def crash(_: object) -> None:
        raise RuntimeError("the server process was killed")

    with monkeypatch.context() as patch:
        patch.setattr("monitor.upkeep.telling.encode_in_parts", crash)
        with pytest.raises(RuntimeError):
            await telling.tell(NOW)
    assert await told(database) == []
    assert await telling.tell(NOW) == 1
    assert [kind for kind, _ in await told(database)] == [ChangeKind.CREATED]


async def test_replicas_that_tell_at_once_tell_it_once(
    database: Database, transactions: Transactions
) -> None:
    names = [f"pipeline {number}" for number in range(5)]
    workers = [await register(transactions, name=name) for name in names]
    replicas = [Telling(database, on_told=lambda: None) for _ in range(4)]
    for round_ in range(4):
        for worker in workers:
            await run(transactions, worker)
        now = NOW + round_ * SECOND

        async def tell(through: Telling, now: datetime = now) -> None:
            while await insistently(through, now):
                pass

        await asyncio.gather(*map(tell, replicas))
    revisions: dict[str, list[int]] = {}
    for _, pipeline in await told(database):
        revisions.setdefault(pipeline.id, []).append(pipeline.revision)
    assert revisions == {pipeline_id(name): [1, 2, 3, 4] for name in names}


async def insistently(telling: Telling, now: datetime) -> int:
    """As its loop does: what lost a race is done again."""
    while True:
        try:
            return await telling.tell(now)
        except Exception as error:
            if not is_conflict(error):
                raise


async def test_signs_of_life_alone_are_no_event_and_move_when_it_was_seen(
    database: Database, transactions: Transactions, telling: Telling
) -> None:
    worker = await register(transactions)
    await telling.tell(NOW)
    seen_at = (await state(database)).last_seen_at
    await hear(database, worker, seen_at + 5 * SECOND)
    assert await telling.tell(NOW + SECOND) == 1
    assert len(await told(database)) == 1
    assert (await state(database)).last_seen_at == seen_at + 5 * SECOND
    async with database.reading() as connection:
        listed = await connection.scalar(select(models.pipelines.c.last_seen_at))
    assert listed == seen_at + 5 * SECOND
    # However often it is heard from, it is looked at once a second.
    await hear(database, worker, seen_at + 7 * SECOND)
    assert await telling.tell(NOW + 1.5 * SECOND) == 0


async def hear(database: Database, worker: Worker, at: datetime) -> None:
    """A sign of life that comes at this time."""
    async with database.writing() as connection:
        table = models.workers
        # As if it had been silent since: a sign of life is stored once a second.
        await connection.execute(
            update(table).where(table.c.id == worker.id).values(last_seen_at=at - 10 * SECOND)
        )
    async with database.writing() as connection:
        tx = Transaction(connection, memory=Memory(), shard=3, now=at)
        await tx.load([Needs(workers=(worker.id,))])
        tx.see(worker.id)
        await tx.store()


async def test_what_a_repair_sets_right_is_told(
    database: Database, transactions: Transactions, telling: Telling
) -> None:
    worker = await register(transactions)
    await run(transactions, worker)
    figures = models.pipeline_figures
    async with database.writing() as connection:
        await connection.execute(update(figures).values(succeeded=figures.c.succeeded + 3))
    await telling.tell(NOW)
    await check_counters(database, repair=True)
    assert await telling.tell(NOW + SECOND) == 1
    kind, pipeline = (await told(database))[-1]
    assert (kind, pipeline.succeeded) == (ChangeKind.UPDATED, 1)
    assert pipeline == await state(database)
    assert await check_counters(database, repair=False) == []


async def test_other_steps_are_a_change_also_where_no_figure_differs(
    database: Database, transactions: Transactions, telling: Telling
) -> None:
    worker = await register(transactions)
    await telling.tell(NOW)
    await register(transactions, steps=[TaskDefinition("transform", "v1")])
    await judge_silent(database, transactions, worker.id)
    figures = models.pipeline_figures
    async with database.writing() as connection:  # as if the silent one were archived
        await connection.execute(update(figures).values(workers_finished=0))
    await telling.tell(NOW + SECOND)
    (_, first), (_, second) = await told(database)
    assert replace(second, task_definitions=(), revision=0, last_seen_at=NOW) == replace(
        first, task_definitions=(), revision=0, last_seen_at=NOW
    )
    assert [step.name for step in second.task_definitions] == ["transform"]


async def test_a_clock_that_was_set_back_holds_nothing_up(
    database: Database, transactions: Transactions, telling: Telling
) -> None:
    worker = await register(transactions)
    await telling.tell(NOW)
    await run(transactions, worker)
    # That of another replica may well be a little behind.
    assert await telling.tell(NOW - 5 * SECOND) == 0
    assert await telling.tell(NOW - timedelta(hours=1)) == 1
    assert (await told(database))[-1] == (ChangeKind.UPDATED, await state(database))


async def test_one_that_cannot_be_told_keeps_no_other_from_being_told(
    database: Database, transactions: Transactions, telling: Telling
) -> None:
    for name in ("a", "garbled", "z"):
        await register(transactions, name=name)
    await telling.tell(NOW)
    await garble(database, "garbled", "{")
    for name in ("a", "garbled", "z"):
        await register(transactions, name=name)
    with pytest.raises(Exception, match="unexpected"):
        await telling.tell(NOW + SECOND)
    assert {pipeline.name for _, pipeline in (await told(database))[3:]} == {"a", "z"}


async def garble(database: Database, name: str, state: str) -> None:
    async with database.writing() as connection:
        await connection.exec_driver_sql(
            f"UPDATE pipelines SET told = '{state}' WHERE name = '{name}'"
        )


async def test_its_loop_outlives_what_goes_wrong(
    database: Database,
    transactions: Transactions,
    telling: Telling,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("monitor.upkeep.telling.BACKOFF_SECONDS", 0.02)
    was_told = asyncio.Event()
    monkeypatch.setattr(telling, "_on_told", was_told.set)
    await register(transactions, name="garbled")
    await telling.tell(NOW)
    was_told.clear()
    await garble(database, "garbled", '{"running": "many"}')
    await register(transactions, name="garbled")
    failed = asyncio.Event()

    def note(record: logging.LogRecord) -> bool:
        failed.set()
        return record.levelno == logging.ERROR

    monkeypatch.setattr(logging.getLogger("monitor.upkeep.telling"), "filters", [note])
    loop = asyncio.create_task(telling.run())
    async with asyncio.timeout(10):
        await failed.wait()
    await garble(database, "garbled", "{}")
    async with asyncio.timeout(10):
        await was_told.wait()
    await stop(loop)
    assert "telling of pipelines failed" in caplog.text
    assert (await told(database))[-1] == (
        ChangeKind.UPDATED,
        await state(database, pipeline_id("garbled")),
    )


async def test_who_reports_while_it_is_told_does_not_wait_and_is_told_next(
    database: Database,
    transactions: Transactions,
    telling: Telling,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = await register(transactions)
    reported: list[asyncio.Task[str]] = []

    async def read_and_report(*arguments: Any) -> dict[str, Pipeline]:
        states = await read_pipelines(*arguments)
        reported.append(asyncio.create_task(run(transactions, worker)))
        if not database.is_sqlite:  # which has one lock for all
            await reported[0]
        return states

    with monkeypatch.context() as patch:
        patch.setattr("monitor.upkeep.telling.read_pipelines", read_and_report)
        await telling.tell(NOW)
    await reported[0]
    assert [pipeline.succeeded for _, pipeline in await told(database)] == [0]
    await telling.tell(NOW + SECOND)
    assert [pipeline.succeeded for _, pipeline in await told(database)] == [0, 1]


async def test_nothing_of_the_last_state_is_missed_while_replicas_write_and_tell(
    database: Database, transactions: Transactions
) -> None:
    names = [f"pipeline {number}" for number in range(3)]
    workers = [await register(transactions, name=name) for name in names]
    writers = [Transactions(database, on_commit=lambda: None, deadlines=UNHURRIED) for _ in "ab"]
    tellers = [Telling(database, on_told=lambda: None) for _ in "ab"]
    # Faster than in life, so that there are many looks between the writes.
    clock = [NOW]

    async def write(number: int) -> None:
        through = writers[number % 2]
        for round_ in range(12):
            end = ProcessStatus.ERROR if round_ % 3 else ProcessStatus.SUCCESS
            await run(through, workers[number % 3], end)

    async def tell(telling: Telling) -> None:
        while True:
            clock[0] += SECOND
            await insistently(telling, clock[0])

    telling = [asyncio.create_task(tell(teller)) for teller in tellers]
    await asyncio.gather(*(write(number) for number in range(6)))
    await stop(*telling)
    # The marks that are left.
    while await tellers[0].tell(clock[0] + 5 * SECOND):
        pass
    last: dict[str, Pipeline] = {}
    for _, pipeline in await told(database):
        before = last.get(pipeline.id)
        assert before is None or pipeline.revision == before.revision + 1
        last[pipeline.id] = pipeline
    now = await find_pipelines(database, [pipeline_id(name) for name in names])
    assert last == now
    assert {pipeline.succeeded + pipeline.failed for pipeline in now.values()} == {24}
    assert await check_counters(database, repair=False) == []
    for through in writers:
        await through.close()


async def test_what_was_for_a_moment_is_told_of(
    database: Database, transactions: Transactions, telling: Telling
) -> None:
    """See `test_moments` for the ways; here that figures and events carry them."""
    worker = await register(transactions)
    await run(transactions, worker)
    await telling.tell(NOW)
    await run(transactions, worker, ProcessStatus.ERROR)
    await run(transactions, worker)
    await telling.tell(NOW + SECOND)
    await telling.tell(NOW + 2 * SECOND)
    # A start without an answer is taken back: nothing else differs.
    process, _ = await transactions.run(start_process, worker_id=worker.id)
    await transactions.run(take_back_process, process_id=process.id)
    await telling.tell(NOW + 3 * SECOND)
    first, second, third = await pipeline_events(database)
    assert first.before == [{"running": 1}]
    assert second.before == [{"running": 1}, {"failing": True}, {"failing": True, "running": 1}]
    assert third.before == [{"running": 1}]
    assert replace(third.entity, revision=0) == replace(second.entity, revision=0)


async def test_a_worker_that_was_lost_for_a_moment_is_told_of(
    database: Database, transactions: Transactions, telling: Telling
) -> None:
    worker = await register(transactions)
    await transactions.run(start_process, worker_id=worker.id)
    await telling.tell(NOW)
    await judge_silent(database, transactions, worker.id)
    await transactions.run(record_heartbeat, worker_id=worker.id)
    await telling.tell(NOW + SECOND)
    assert (await pipeline_events(database))[-1].before == [{"workers_lost": 1}]
    await judge_silent(database, transactions, worker.id)
    await telling.tell(NOW + 2 * SECOND)
    assert (await pipeline_events(database))[-1].before == [{"workers_lost": 0}]
