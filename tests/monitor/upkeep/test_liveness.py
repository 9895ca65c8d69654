"""What is made of a worker's silence: a verdict by what it runs, and why."""

import asyncio
from datetime import timedelta

import pytest

from db.session import Database
from monitor.entities import Liveness, Process, ProcessStatus, Task, TaskStatus, Worker
from monitor.processes import end_process, start_process
from monitor.reading.figures import get_totals
from monitor.reading.reads import PROCESSES, WORKERS, find_by_id
from monitor.silence import explain
from monitor.tasks import update_task
from monitor.upkeep.counters import check_counters
from monitor.workers import record_heartbeat
from monitor.writing.transactions import Transactions
from tests.monitor.reports import events_of, register, replica
from tests.monitor.silence import (
    LIMIT,
    SILENT_STEP,
    make_silent,
    ran_before,
    watch_since,
    watcher,
)
from tests.statements import statements_to

SECOND = timedelta(seconds=1)
# A quantile is up to 4.4 % off.
SHORT_OF, BEYOND = 0.95, 1.05


@pytest.fixture
def transactions(database: Database) -> Transactions:
    return replica(database)


async def find(database: Database, worker: Worker) -> Worker:
    found = await find_by_id(database, WORKERS, worker.id)
    assert found is not None
    return found


async def judge(database: Database, worker: Worker, ago: timedelta) -> Worker:
    """The worker after a look, when it was heard for the last time so long before."""
    now = await make_silent(database, worker.id, ago=ago)
    await watcher(database).look(now)
    return await find(database, worker)


async def liveness(database: Database, worker: Worker, ago: timedelta) -> str:
    return (await judge(database, worker, ago)).liveness.value


async def reason(database: Database, worker: Worker, ago: timedelta) -> str:
    judged = await judge(database, worker, ago)
    return explain(judged, judged.last_seen_at + ago)


async def start(transactions: Transactions, worker: Worker) -> tuple[Process, list[Task]]:
    process, tasks = await transactions.run(start_process, worker_id=worker.id)
    return process, list(tasks)


async def begin(transactions: Transactions, worker: Worker, *positions: int) -> Process:
    """A process of which the tasks at these positions run, from 1."""
    process, tasks = await start(transactions, worker)
    for position in positions:
        await report(transactions, tasks[position - 1], TaskStatus.RUNNING)
    return process


async def report(transactions: Transactions, task: Task, status: TaskStatus) -> None:
    await transactions.run(update_task, task_id=task.id, status=status, details=None)


async def end(transactions: Transactions, process: Process) -> None:
    await transactions.run(
        end_process, process_id=process.id, status=ProcessStatus.SUCCESS, details=None
    )


async def is_stalled(database: Database, process: Process) -> bool:
    found = await find_by_id(database, PROCESSES, process.id)
    assert found is not None
    return found.stalled


async def verdicts_told(database: Database, worker: Worker) -> list[str]:
    """Of the worker's events, each verdict that differs from the one before."""
    told: list[str] = []
    for event in await events_of(database):
        if isinstance(event.entity, Worker) and event.entity.id == worker.id:
            verdict = event.entity.liveness.value
            if told[-1:] != [verdict]:
                told.append(verdict)
    return told


async def test_a_worker_is_alive_within_the_limit_whatever_it_does(
    database: Database, transactions: Transactions
) -> None:
    idle, running, beating = [await register(transactions) for _ in range(3)]
    await ran_before(database, running, "extract", *[0.1] * 5)
    await begin(transactions, running, 1)
    await transactions.run(record_heartbeat, worker_id=beating.id)
    for worker in (idle, running, beating):
        # Not the limit itself: the first would pass it while the others are looked at.
        assert await liveness(database, worker, LIMIT - 9 * SECOND) == "ALIVE"
    assert await reason(database, idle, 12 * SECOND) == "heard from 12 s ago"


async def test_one_that_sent_a_heartbeat_is_lost_past_the_limit_with_nothing_running(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    await transactions.run(record_heartbeat, worker_id=worker.id)
    assert await liveness(database, worker, LIMIT + SECOND) == "LOST"


async def test_one_that_sent_a_heartbeat_is_lost_past_the_limit_in_a_long_step_too(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    await ran_before(database, worker, "extract", *[600] * 5)
    await transactions.run(record_heartbeat, worker_id=worker.id)
    process = await begin(transactions, worker, 1)
    expected = "silent for 31 s; it used to send heartbeats"
    assert await reason(database, worker, LIMIT + SECOND) == expected
    assert (await find(database, worker)).liveness is Liveness.LOST
    assert await is_stalled(database, process)


async def test_one_that_sent_none_and_runs_nothing_is_finished(
    database: Database, transactions: Transactions
) -> None:
    never_ran, done = await register(transactions), await register(transactions)
    process = await begin(transactions, done, 1)
    await end(transactions, process)
    for worker in (never_ran, done):
        assert await reason(database, worker, 41 * SECOND) == "silent for 41 s; nothing of it runs"
        assert (await find(database, worker)).liveness is Liveness.FINISHED
    assert not await is_stalled(database, process)


async def test_in_a_step_it_is_alive_for_three_times_as_long_as_is_usual_and_lost_after(
    database: Database, transactions: Transactions
) -> None:
    for usual, ago, expected in (
        (100, 300 * SHORT_OF, "ALIVE"),
        (100, 300 * BEYOND, "LOST"),
        # Three times that is within the limit, which everybody has.
        (1, 29, "ALIVE"),
        (1, 31, "LOST"),
    ):
        worker = await register(transactions, name=f"{usual} {ago}")
        await ran_before(database, worker, "extract", *[usual] * 5)
        process = await begin(transactions, worker, 1)
        assert await liveness(database, worker, timedelta(seconds=ago)) == expected
        assert await is_stalled(database, process) == (expected == "LOST")


async def test_what_is_usual_is_the_99th_percentile_of_the_successful_runs(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    await ran_before(database, worker, "extract", *[10] * 98, 100, 1000)
    await ran_before(database, worker, "extract", *[5000] * 50, outcome="failed")
    await begin(transactions, worker, 1)
    assert await liveness(database, worker, timedelta(seconds=300 * SHORT_OF)) == "ALIVE"
    assert await liveness(database, worker, timedelta(seconds=300 * BEYOND)) == "LOST"


async def test_the_runs_of_all_workers_of_the_name_count_and_of_no_other(
    database: Database, transactions: Transactions
) -> None:
    other = await register(transactions, name="other")
    await ran_before(database, other, "extract", *[600] * 5)
    first, second = [await register(transactions, name="same") for _ in range(2)]
    await ran_before(database, first, "extract", *[60] * 5)
    await ran_before(database, first, "load", *[600] * 5)
    await begin(transactions, second, 1)
    assert await liveness(database, second, timedelta(seconds=180 * BEYOND)) == "LOST"


async def test_with_fewer_than_five_runs_of_a_step_it_has_the_time_of_any(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    await ran_before(database, worker, "extract", *[1] * 4)
    await ran_before(database, worker, "extract", *[1] * 9, outcome="failed")
    await begin(transactions, worker, 1)
    expected = (
        "silent for 14 min; how long step extract usually takes is not known yet, "
        "so it may be for up to 15 min"
    )
    assert await reason(database, worker, timedelta(minutes=14)) == expected
    assert await liveness(database, worker, SILENT_STEP) == "ALIVE"
    assert await liveness(database, worker, SILENT_STEP + SECOND) == "LOST"


async def test_before_the_first_step_and_between_two_it_has_the_time_of_any(
    database: Database, transactions: Transactions
) -> None:
    before, between = await register(transactions), await register(transactions)
    await ran_before(database, before, "extract", *[1] * 5)
    await start(transactions, before)
    _, (task, _) = await start(transactions, between)
    for status in (TaskStatus.RUNNING, TaskStatus.SUCCESS):
        await report(transactions, task, status)
    for worker in (before, between):
        expected = "silent for 41 s; between two steps it may be for up to 15 min"
        assert await reason(database, worker, 41 * SECOND) == expected
        assert await liveness(database, worker, SILENT_STEP) == "ALIVE"
        assert await liveness(database, worker, SILENT_STEP + SECOND) == "LOST"


async def test_of_several_running_tasks_the_longest_counts(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    await ran_before(database, worker, "extract", *[75] * 5)
    await ran_before(database, worker, "load", *[15] * 5)
    await begin(transactions, worker, 2)
    await begin(transactions, worker, 1)
    long = "silent for 3 min; step extract usually takes up to"
    assert (await reason(database, worker, timedelta(minutes=3))).startswith(long)
    assert await liveness(database, worker, timedelta(seconds=225 * SHORT_OF)) == "ALIVE"
    assert await liveness(database, worker, timedelta(seconds=225 * BEYOND)) == "LOST"


async def test_a_step_of_a_process_that_ended_is_not_in_hand(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    await ran_before(database, worker, "extract", *[5000] * 5)
    await end(transactions, await begin(transactions, worker, 1))
    await begin(transactions, worker, 2)
    assert await liveness(database, worker, SILENT_STEP + SECOND) == "LOST"


async def test_time_in_which_nobody_watched_does_not_count(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    await ran_before(database, worker, "extract", *[100] * 5)
    await begin(transactions, worker, 1)
    now = await make_silent(database, worker.id, ago=timedelta(days=1))
    for watched, expected in ((300 * SHORT_OF, "ALIVE"), (300 * BEYOND, "LOST")):
        at = now + timedelta(seconds=watched)
        await watch_since(database, now, last_look_at=at)
        await watcher(database).look(at)
        assert (await find(database, worker)).liveness == expected


async def test_a_monitor_that_was_blind_in_a_long_step_begins_anew(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    await ran_before(database, worker, "extract", *[100] * 5)
    await begin(transactions, worker, 1)
    assert await liveness(database, worker, 200 * SECOND) == "ALIVE"
    # Away for an hour.
    now = (await find(database, worker)).last_seen_at + timedelta(hours=1)
    for later, expected in ((0, "ALIVE"), (300 * SHORT_OF, "ALIVE"), (300 * BEYOND, "LOST")):
        at = now + timedelta(seconds=later)
        await watch_since(database, now, last_look_at=at)
        await watcher(database).look(at)
        assert (await find(database, worker)).liveness == expected


@pytest.mark.parametrize("verdict", ["LOST", "FINISHED"])
async def test_a_report_undoes_a_verdict_and_each_is_told_once(
    database: Database, transactions: Transactions, verdict: str
) -> None:
    worker = await register(transactions)
    if verdict == "LOST":
        process = await begin(transactions, worker, 1)
    assert await liveness(database, worker, timedelta(hours=1)) == verdict
    totals = await get_totals(database)
    assert (totals.workers_online, totals.workers_offline) == (0, 1)
    if verdict == "LOST":
        assert await is_stalled(database, process)

    _, (task, _) = await start(replica(database), worker)
    await report(replica(database), task, TaskStatus.RUNNING)
    back = await find(database, worker)
    assert (back.liveness, back.liveness_reason) == (Liveness.ALIVE, None)
    assert explain(back, back.last_seen_at + 2 * SECOND) == "heard from 2 s ago"
    if verdict == "LOST":
        assert not await is_stalled(database, process)
    assert await verdicts_told(database, worker) == ["ALIVE", verdict, "ALIVE"]
    assert await check_counters(database, repair=False) == []


async def test_once_somebody_ended_what_a_lost_worker_ran_it_is_finished_later(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    process = await begin(transactions, worker, 1)
    assert await liveness(database, worker, timedelta(hours=1)) == "LOST"
    await end(replica(database), process)
    assert await liveness(database, worker, LIMIT) == "ALIVE"
    assert await liveness(database, worker, LIMIT + SECOND) == "FINISHED"
    assert not await is_stalled(database, process)
    assert await check_counters(database, repair=False) == []


async def test_two_replicas_that_look_at_once_say_lost_once(
    database: Database, transactions: Transactions
) -> None:
    workers = [await register(transactions) for _ in range(3)]
    for worker in workers:
        await begin(transactions, worker, 1)
    for worker in workers:
        now = await make_silent(database, worker.id, ago=timedelta(hours=1))
    await asyncio.gather(*(watcher(database).look(now) for _ in range(2)))
    told = [
        event.entity.id
        for event in await events_of(database)
        if isinstance(event.entity, Worker) and event.entity.liveness is Liveness.LOST
    ]
    assert sorted(told) == sorted(worker.id for worker in workers)
    assert await check_counters(database, repair=False) == []


async def test_one_in_a_long_usual_step_is_looked_at_again_when_that_is_due(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    await ran_before(database, worker, "extract", *[100] * 5)
    await begin(transactions, worker, 1)
    now = await make_silent(database, worker.id, ago=LIMIT + SECOND)
    presence = watcher(database)

    async def look(after: float) -> tuple[int, int]:
        """How many of the statements of a look are about tasks, and change workers."""
        at = now - LIMIT + timedelta(seconds=after)
        await watch_since(database, now - timedelta(days=1), last_look_at=at)
        with statements_to(database) as sent:
            await presence.look(at)
        assert sent
        about_tasks = [statement for statement in sent if "FROM tasks" in statement]
        changes = [statement for statement in sent if "INSERT INTO workers" in statement]
        return len(about_tasks), len(changes)

    assert await look(31) == (1, 1)
    for after in (32, 100, 200, 300 * SHORT_OF):
        assert await look(after) == (0, 0)
    assert await look(300 * BEYOND) == (1, 1)
    assert await look(300 * BEYOND + 1) == (0, 0)
    assert await verdicts_told(database, worker) == ["ALIVE", "LOST"]


async def test_a_step_that_follows_is_judged_by_its_own_usual_duration(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    await ran_before(database, worker, "extract", *[1000] * 5)
    await ran_before(database, worker, "load", *[1] * 5)
    _, (long, short) = await start(transactions, worker)
    await report(transactions, long, TaskStatus.RUNNING)
    assert await liveness(database, worker, timedelta(minutes=30)) == "ALIVE"
    for task, status in ((long, TaskStatus.SUCCESS), (short, TaskStatus.RUNNING)):
        await report(replica(database), task, status)
    assert await liveness(database, worker, LIMIT) == "ALIVE"
    assert await liveness(database, worker, LIMIT + SECOND) == "LOST"
