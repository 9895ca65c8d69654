"""Who falls silent: once, whoever notices; and never because the monitor itself was away."""

import asyncio
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from db import models
from db.session import Database
from monitor.entities import Process, ProcessStatus, TaskStatus, Worker, WorkerStatus
from monitor.errors import Unavailable
from monitor.events import Event
from monitor.processes import end_process, start_process
from monitor.reading.figures import get_totals
from monitor.reading.reads import PROCESSES, WORKERS, find_by_ids
from monitor.reading.usual import Usual
from monitor.tasks import update_task
from monitor.upkeep.presence import Presence
from monitor.workers import record_heartbeat
from tests.monitor.reports import events_of, register, replica, revisions_of
from tests.monitor.silence import LIMIT, SILENT_STEP, make_silent, watch_since, watcher
from tests.tasks import stop

SECOND = timedelta(seconds=1)


async def statuses(database: Database, *workers: Worker) -> list[str]:
    found = await find_by_ids(database, WORKERS, [worker.id for worker in workers])
    return [found[worker.id].status.value for worker in workers]


async def status_at(database: Database, worker: Worker, at: datetime) -> str:
    """The worker's status after a look at that moment, the last one having been shortly before."""
    async with database.reading() as connection:
        since = (await connection.execute(select(models.watch.c.watching_since))).scalar_one()
    await watch_since(database, since, last_look_at=at - SECOND)
    await watcher(database).look(at)
    [status] = await statuses(database, worker)
    return status


def status_events(events: list[Event], worker: Worker) -> list[str]:
    return [
        event.entity.status.value
        for event in events
        if isinstance(event.entity, Worker) and event.entity.id == worker.id
    ]


async def test_a_worker_is_offline_when_it_was_silent_for_longer_than_the_limit(
    database: Database,
) -> None:
    worker = await register(replica(database))
    seen = worker.last_seen_at
    await watch_since(database, seen - SECOND, last_look_at=seen)
    assert await status_at(database, worker, seen + LIMIT - SECOND) == "ONLINE"
    assert await status_at(database, worker, seen + LIMIT) == "ONLINE"
    assert await status_at(database, worker, seen + LIMIT + SECOND) == "OFFLINE"


async def test_two_replicas_that_look_at_once_say_it_once(database: Database) -> None:
    transactions = replica(database)
    workers = [await register(transactions) for _ in range(3)]
    for worker in workers:
        now = await make_silent(database, worker.id, ago=timedelta(hours=1))
    await asyncio.gather(*(watcher(database).look(now) for _ in range(2)))
    events = await events_of(database)
    for worker in workers:
        assert status_events(events, worker) == ["ONLINE", "OFFLINE"]
    totals = await get_totals(database)
    assert (totals.workers_online, totals.workers_offline) == (0, 3)


async def test_looking_again_says_nothing_again(database: Database) -> None:
    worker = await register(replica(database))
    now = await make_silent(database, worker.id, ago=timedelta(hours=1))
    for _ in range(3):
        await watcher(database).look(now)
    assert status_events(await events_of(database), worker) == ["ONLINE", "OFFLINE"]


async def test_more_workers_than_one_step_takes_fall_silent_in_one_look(
    database: Database,
) -> None:
    transactions = replica(database)
    workers = await asyncio.gather(*(register(transactions) for _ in range(501)))
    seen = max(worker.last_seen_at for worker in workers)
    await watch_since(database, seen - timedelta(days=1), last_look_at=seen + LIMIT)
    await watcher(database).look(seen + LIMIT + SECOND)
    totals = await get_totals(database)
    assert (totals.workers_online, totals.workers_offline) == (0, 501)


async def test_running_processes_of_a_silent_worker_stall_until_it_comes_back(
    database: Database,
) -> None:
    transactions = replica(database)
    worker, other = await register(transactions), await register(transactions)
    running = [(await transactions.run(start_process, worker_id=worker.id))[0] for _ in range(2)]
    ended, _ = await transactions.run(start_process, worker_id=worker.id)
    await transactions.run(
        end_process, process_id=ended.id, status=ProcessStatus.SUCCESS, details=None
    )
    elsewhere, _ = await transactions.run(start_process, worker_id=other.id)

    async def stalled() -> list[bool]:
        processes = [*running, ended, elsewhere]
        found = await find_by_ids(database, PROCESSES, [process.id for process in processes])
        return [found[process.id].stalled for process in processes]

    now = await make_silent(database, worker.id, ago=timedelta(hours=1))
    await watcher(database).look(now)
    assert await stalled() == [True, True, False, False]
    totals = await get_totals(database)
    assert (totals.running, totals.stalled, totals.workers_offline) == (3, 2, 1)

    back = await transactions.run(record_heartbeat, worker_id=worker.id)
    assert back.status is WorkerStatus.ONLINE
    assert await stalled() == [False] * 4
    totals = await get_totals(database)
    assert (totals.running, totals.stalled, totals.workers_offline) == (3, 0, 0)
    told = [
        event.entity.stalled
        for event in await events_of(database)
        if isinstance(event.entity, Process) and event.entity.id == running[0].id
    ]
    assert told == [False, True, False]
    for revisions in (await revisions_of(database)).values():
        assert revisions == list(range(1, len(revisions) + 1))


async def test_ending_a_stalled_process_brings_its_worker_back_and_counts_once(
    database: Database,
) -> None:
    transactions = replica(database)
    worker = await register(transactions)
    first, _ = await transactions.run(start_process, worker_id=worker.id)
    await transactions.run(start_process, worker_id=worker.id)
    now = await make_silent(database, worker.id, ago=timedelta(hours=1))
    await watcher(database).look(now)
    ended = await transactions.run(
        end_process, process_id=first.id, status=ProcessStatus.ERROR, details="late"
    )
    assert not ended.stalled
    assert await statuses(database, worker) == ["ONLINE"]
    totals = await get_totals(database)
    assert (totals.running, totals.failed, totals.stalled) == (1, 1, 0)


async def test_silence_while_the_monitor_was_down_is_not_held_against_a_worker(
    database: Database,
) -> None:
    worker = await register(replica(database))
    seen = worker.last_seen_at
    await watch_since(database, seen - SECOND, last_look_at=seen)
    await watcher(database).look(seen + timedelta(hours=1))
    assert await statuses(database, worker) == ["ONLINE"]
    up_again = seen + timedelta(hours=1)
    assert await status_at(database, worker, up_again + LIMIT) == "ONLINE"
    assert await status_at(database, worker, up_again + LIMIT + SECOND) == "OFFLINE"


async def test_a_worker_that_reports_after_the_monitor_was_down_stays_online(
    database: Database,
) -> None:
    transactions = replica(database)
    silent, alive = await register(transactions), await register(transactions)
    now = await make_silent(database, silent.id, ago=timedelta(hours=1))
    await make_silent(database, alive.id, ago=timedelta(hours=1))
    await watch_since(database, now - timedelta(days=1), last_look_at=now - timedelta(minutes=30))
    await watcher(database).look(now)
    assert await statuses(database, silent, alive) == ["ONLINE", "ONLINE"]
    await transactions.run(record_heartbeat, worker_id=alive.id)
    await watch_since(database, now - LIMIT, last_look_at=now)
    await watcher(database).look(now + SECOND)
    assert await statuses(database, silent, alive) == ["OFFLINE", "ONLINE"]


async def test_silence_counts_again_when_a_clock_that_was_ahead_is_set_right(
    database: Database,
) -> None:
    worker, heard_ahead = [await register(replica(database)) for _ in range(2)]
    now, ahead = worker.last_seen_at, timedelta(days=1)
    await make_silent(database, heard_ahead.id, ago=-ahead)
    await watch_since(database, now - SECOND, last_look_at=now)
    looking = watcher(database)
    await looking.look(now + ahead)
    assert await statuses(database, worker, heard_ahead) == ["ONLINE", "ONLINE"]
    for seconds in range(0, 48, 4):
        await looking.look(now + seconds * SECOND)
    assert await statuses(database, worker, heard_ahead) == ["OFFLINE", "OFFLINE"]


async def test_who_is_in_a_long_step_was_not_heard_when_a_clock_is_set_back(
    database: Database,
) -> None:
    worker = await register(replica(database))
    now = await make_silent(database, worker.id, ago=timedelta(hours=1))
    in_hours = now + timedelta(hours=2)
    async with database.writing() as connection:
        await connection.execute(update(models.workers).values(quiet_since=in_hours))
    await watch_since(database, now, last_look_at=now + timedelta(days=1))
    looking = watcher(database)
    for seconds in (0, 4, 8):
        await looking.look(now + seconds * SECOND)
    found = (await find_by_ids(database, WORKERS, [worker.id]))[worker.id]
    assert found.last_seen_at == now - timedelta(hours=1)
    assert found.quiet_since == now + 8 * SECOND


async def test_a_worker_that_was_heard_when_a_clock_was_ahead_is_heard_again(
    database: Database,
) -> None:
    transactions = replica(database)
    worker = await register(transactions)
    await make_silent(database, worker.id, ago=-timedelta(days=1))
    heard = await transactions.run(record_heartbeat, worker_id=worker.id)
    assert abs(heard.last_seen_at - worker.last_seen_at) < timedelta(minutes=1)
    assert heard.quiet_since == heard.last_seen_at


async def test_a_replica_whose_clock_is_fast_goes_on_watching(database: Database) -> None:
    worker = await register(replica(database))
    now = worker.last_seen_at
    ahead = timedelta(minutes=5)
    await watch_since(database, now + ahead, last_look_at=now + ahead)
    fast, right = watcher(database), watcher(database)
    for seconds in range(0, 24, 4):
        await fast.look(now + ahead + seconds * SECOND)
        await right.look(now + seconds * SECOND)
    async with database.reading() as connection:
        since = await connection.scalar(select(models.watch.c.watching_since))
    assert since == now + ahead


async def test_a_first_start_gives_everybody_the_whole_limit(database: Database) -> None:
    worker = await register(replica(database))
    now = await make_silent(database, worker.id, ago=timedelta(hours=1))
    async with database.writing() as connection:
        await connection.execute(models.watch.delete())
    await asyncio.gather(*(watcher(database).look(now) for _ in range(3)))
    assert await statuses(database, worker) == ["ONLINE"]
    assert await status_at(database, worker, now + LIMIT) == "ONLINE"
    assert await status_at(database, worker, now + LIMIT + SECOND) == "OFFLINE"


@pytest.mark.parametrize("reports_first", [True, False])
async def test_a_report_at_the_very_moment_wins_and_nothing_is_counted_wrong(
    database: Database, reports_first: bool
) -> None:
    transactions = replica(database)
    worker = await register(transactions)
    process, (task, _) = await transactions.run(start_process, worker_id=worker.id)
    for _ in range(10):
        before = await events_of(database)
        now = await make_silent(database, worker.id, ago=timedelta(hours=1))
        looking = watcher(database).look(now)
        # As another server process, which has not heard of the worker yet.
        reporting = replica(database).run(
            update_task, task_id=task.id, status=TaskStatus.RUNNING, details=None
        )
        await asyncio.gather(*((reporting, looking) if reports_first else (looking, reporting)))
        assert await statuses(database, worker) == ["ONLINE"]
        found = await find_by_ids(database, PROCESSES, [process.id])
        assert not found[process.id].stalled
        totals = await get_totals(database)
        assert (totals.workers_online, totals.workers_offline, totals.stalled) == (1, 0, 0)
        said = status_events((await events_of(database))[len(before) :], worker)
        assert said in ([], ["OFFLINE", "ONLINE"])
    for revisions in (await revisions_of(database)).values():
        assert revisions == list(range(1, len(revisions) + 1))


class Blind(Presence):
    """Cannot look."""

    def __init__(self, database: Database) -> None:
        super().__init__(
            *(database, replica(database), Usual(database)),
            offline_after=LIMIT,
            silent_step=SILENT_STEP,
        )
        self.looks = 0
        self.has_looked_often = asyncio.Event()

    async def look(self, now: datetime) -> None:
        del now
        self.looks += 1
        if self.looks == 5:
            self.has_looked_often.set()
        raise Unavailable


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_that_nobody_can_look_is_not_said_at_each_look(
    database: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.upkeep.presence.LOOK_INTERVAL", timedelta())
    blind = Blind(database)
    looking = asyncio.create_task(blind.run())
    await blind.has_looked_often.wait()
    await stop(looking)
    assert [record.getMessage() for record in caplog.records] == [
        f"looking who fell silent: {Unavailable()}"
    ]
