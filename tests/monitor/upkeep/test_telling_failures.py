"""What followers of failures are told: not too often, the last state always, and who left."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from db import models
from db.session import Database
from monitor.entities import Failure, FailureStatus, Process, ProcessStatus, Worker
from monitor.events import ChangeKind, Event
from monitor.failures import mute_failure, reopen_failure, resolve_failure
from monitor.processes import end_process, remove_processes, start_process
from monitor.reading.failures import FailureFilter, find_failures
from monitor.reading.filters import told_as
from monitor.upkeep.failure_telling import FAILURES
from monitor.upkeep.telling import Telling
from monitor.writing.transactions import Transactions
from tests.monitor.reports import events_of, register, replica

NOW = datetime.now(UTC) + timedelta(seconds=10)
SECOND = timedelta(seconds=1)


@pytest.fixture
async def transactions(database: Database) -> AsyncIterator[Transactions]:
    transactions = replica(database)
    yield transactions
    await transactions.close()


@pytest.fixture
def telling(database: Database) -> Telling:
    return Telling(database, on_told=lambda: None, kind=FAILURES)


@pytest.fixture
async def worker(transactions: Transactions) -> Worker:
    return await register(transactions)


async def fail(transactions: Transactions, worker: Worker) -> Process:
    process, _ = await transactions.run(start_process, worker_id=worker.id)
    return await transactions.run(
        end_process, process_id=process.id, status=ProcessStatus.ERROR, details="broken"
    )


def failure_of(process: Process) -> str:
    assert process.failure_id is not None
    return process.failure_id


async def told(database: Database) -> list[Event]:
    return [e for e in await events_of(database) if isinstance(e.entity, Failure)]


async def kinds(database: Database, *wanted: FailureStatus) -> list[ChangeKind | None]:
    """How a follower of these statuses is told of each event."""
    return [told_as(FailureFilter(status=wanted), event) for event in await told(database)]


async def test_a_failure_is_told_first_as_created_and_then_once_a_second(
    database: Database, transactions: Transactions, telling: Telling, worker: Worker
) -> None:
    await fail(transactions, worker)
    assert await telling.tell(NOW) == 1
    for _ in range(3):
        await fail(transactions, worker)
        assert await telling.tell(NOW + SECOND / 2) == 0
    assert await telling.tell(NOW + SECOND) == 1
    assert await telling.tell(NOW + 3 * SECOND) == 0
    first, second = await told(database)
    assert (first.kind, second.kind) == (ChangeKind.CREATED, ChangeKind.UPDATED)
    assert isinstance(second.entity, Failure)
    assert [first.entity.revision, second.entity.revision, second.entity.count] == [1, 2, 4]
    assert {second.entity.id: second.entity} == await find_failures(database, [second.entity.id])


async def test_lists_are_sorted_by_what_was_told(
    database: Database, transactions: Transactions, telling: Telling, worker: Worker
) -> None:
    for _ in range(2):
        last = await fail(transactions, worker)
    await telling.tell(NOW)
    kept = models.failures.c
    async with database.reading() as connection:
        row = (await connection.execute(select(kept.occurrences, kept.last_seen_at))).one()
    assert row == (2, last.ended_at)


async def test_who_follows_what_is_open_is_told_that_it_was_resolved(
    database: Database, transactions: Transactions, telling: Telling, worker: Worker
) -> None:
    process = await fail(transactions, worker)
    await telling.tell(NOW)
    await transactions.run(resolve_failure, failure_id=failure_of(process))
    assert await telling.tell(NOW + SECOND) == 1
    assert await kinds(database, FailureStatus.OPEN) == [ChangeKind.CREATED, ChangeKind.LEFT]
    assert await kinds(database, FailureStatus.RESOLVED) == [None, ChangeKind.UPDATED]
    await fail(transactions, worker)
    assert await telling.tell(NOW + 2 * SECOND) == 1
    assert (await kinds(database, FailureStatus.RESOLVED))[-1] is ChangeKind.LEFT
    assert (await kinds(database, FailureStatus.REGRESSED))[-1] is ChangeKind.UPDATED


async def test_that_it_comes_again_does_not_wait_for_a_second_to_pass(
    database: Database, transactions: Transactions, telling: Telling, worker: Worker
) -> None:
    process = await fail(transactions, worker)
    await telling.tell(NOW)
    await transactions.run(resolve_failure, failure_id=failure_of(process))
    assert await telling.tell(NOW + SECOND) == 1
    await fail(transactions, worker)
    assert await telling.tell(NOW + 1.1 * SECOND) == 1
    assert (await kinds(database, FailureStatus.REGRESSED))[-1] is ChangeKind.UPDATED
    await fail(transactions, worker)
    assert await telling.tell(NOW + 1.2 * SECOND) == 0


@pytest.mark.parametrize("status", [FailureStatus.RESOLVED, FailureStatus.REGRESSED])
async def test_what_it_was_between_two_events_is_told_as_left(
    database: Database,
    transactions: Transactions,
    telling: Telling,
    worker: Worker,
    status: FailureStatus,
) -> None:
    process = await fail(transactions, worker)
    await telling.tell(NOW)
    await transactions.run(resolve_failure, failure_id=failure_of(process))
    await fail(transactions, worker)
    await transactions.run(reopen_failure, failure_id=failure_of(process))
    await telling.tell(NOW + SECOND)
    assert (await kinds(database, status))[-1] is ChangeKind.LEFT
    assert (await kinds(database, FailureStatus.MUTED))[-1] is None
    await fail(transactions, worker)
    await telling.tell(NOW + 2 * SECOND)
    assert (await kinds(database, status))[-1] is None


async def test_even_what_became_nothing_else_is_told_to_who_may_have_seen_it(
    database: Database, transactions: Transactions, telling: Telling, worker: Worker
) -> None:
    process = await fail(transactions, worker)
    await telling.tell(NOW)
    await transactions.run(mute_failure, failure_id=failure_of(process), until=None)
    await transactions.run(reopen_failure, failure_id=failure_of(process))
    await telling.tell(NOW + SECOND)
    assert (await kinds(database, FailureStatus.MUTED))[-1] is ChangeKind.LEFT


async def test_that_the_time_is_over_until_which_it_was_muted_is_told(
    database: Database, transactions: Transactions, telling: Telling, worker: Worker
) -> None:
    process = await fail(transactions, worker)
    await telling.tell(NOW)
    until = NOW + 36_000 * SECOND  # a mutation refuses what is past
    await transactions.run(mute_failure, failure_id=failure_of(process), until=until)
    assert await telling.tell(NOW + SECOND) == 1
    assert await telling.tell(until - SECOND) == 0
    assert await telling.tell(until + SECOND) == 1
    assert (await kinds(database, FailureStatus.OPEN))[-1] is ChangeKind.UPDATED
    assert (await kinds(database, FailureStatus.MUTED))[-1] is ChangeKind.LEFT
    assert await telling.tell(until + 30 * SECOND) == 0


async def test_what_a_replica_committed_before_it_crashed_another_one_tells(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    await fail(transactions, worker)
    await transactions.close()
    others: Any = [Telling(database, on_told=lambda: None, kind=FAILURES) for _ in range(2)]
    assert [await other.tell(NOW) for other in others] == [1, 0]
    assert len(await told(database)) == 1


async def test_that_processes_are_removed_is_told_with_the_next_event(
    database: Database, transactions: Transactions, telling: Telling, worker: Worker
) -> None:
    process = await fail(transactions, worker)
    await telling.tell(NOW)
    await transactions.run(remove_processes, process_ids=[process.id], abandoned_before=None)
    assert await telling.tell(NOW + SECOND) == 0
    await fail(transactions, worker)
    await telling.tell(NOW + SECOND)
    *_, last = await told(database)
    assert isinstance(last.entity, Failure)
    assert last.entity.count == 2
