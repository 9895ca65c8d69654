"""Archiving by hand: workers that are not ALIVE leave lists and counts until they report again."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from db.session import Database
from monitor.archiving import STEP_WORKERS, archive_by_ids, archive_finished
from monitor.entities import Liveness, Worker
from monitor.events import ChangeKind
from monitor.ids import new_id, pipeline_id
from monitor.processes import start_process
from monitor.reading.figures import get_totals
from monitor.upkeep.counters import check_counters
from monitor.upkeep.purging import Policy
from monitor.upkeep.retention import Retention
from monitor.workers import record_heartbeat
from monitor.writing.transactions import Transactions
from tests.client import Client, GraphQLErrors
from tests.conftest import READ_TOKEN
from tests.monitor.reports import events_of, register, replica
from tests.monitor.silence import judge_silent
from tests.stored import a_worker, store

ARCHIVE = "mutation ($ids: [ID!], $of: ID) { archiveWorkers(ids: $ids, pipelineId: $of) }"
LISTED = "{ workers(first: 100) { edges { node { id } } } }"


@pytest.fixture
def transactions(database: Database) -> Transactions:
    return replica(database)


async def some_worker(
    database: Database, transactions: Transactions, verdict: str, name: str = "worker"
) -> str:
    """The id of a new worker of which this is the verdict; one that is LOST runs something."""
    worker = await register(transactions, name=name)
    if verdict == "LOST":
        await transactions.run(start_process, worker_id=worker.id)
    if verdict != "ALIVE":
        await judge_silent(database, transactions, worker.id)
    return worker.id


async def archive(client: Client, **variables: Any) -> int:
    answer: int = (await client.graphql(ARCHIVE, **variables))["archiveWorkers"]
    return answer


async def listed(client: Client) -> set[str]:
    edges = (await client.graphql(LISTED))["workers"]["edges"]
    return {edge["node"]["id"] for edge in edges}


async def refusal(client: Client, **variables: Any) -> str:
    with pytest.raises(GraphQLErrors) as refused:
        await client.graphql(ARCHIVE, **variables)
    (code,) = refused.value.codes
    return str(code)


async def told(database: Database, kind: ChangeKind) -> list[str]:
    """The workers of which followers were told so, in order."""
    return [
        event.entity.id
        for event in await events_of(database)
        if isinstance(event.entity, Worker) and event.kind is kind
    ]


async def test_those_of_the_ids_that_are_not_alive_are_archived_and_counted(
    client: Client, database: Database, transactions: Transactions
) -> None:
    alive, finished, lost, other = [
        await some_worker(database, transactions, verdict)
        for verdict in ("ALIVE", "FINISHED", "LOST", "FINISHED")
    ]
    assert await archive(client, ids=[alive, finished, lost, finished]) == 2
    assert await listed(client) == {alive, other}
    assert await archive(client, ids=[alive, finished, lost]) == 0
    assert await archive(client, ids=[]) == 0
    totals = await get_totals(database)
    assert (totals.workers_online, totals.workers_offline) == (1, 1)
    # Its process stays, and is still to be ended by somebody.
    assert (totals.running, totals.stalled) == (1, 1)
    assert await check_counters(database, repair=False) == []


async def test_each_is_told_removed_and_created_when_it_reports_again(
    database: Database, transactions: Transactions
) -> None:
    ids = [await some_worker(database, transactions, v) for v in ("FINISHED", "LOST")]
    assert await archive_by_ids(database, transactions, ids) == 2
    assert await told(database, ChangeKind.REMOVED) == sorted(ids)
    for worker_id in ids:
        back = await replica(database).run(record_heartbeat, worker_id=worker_id)
        assert (back.liveness, back.archived) == (Liveness.ALIVE, False)
    assert (await told(database, ChangeKind.CREATED))[2:] == ids
    assert (await get_totals(database)).stalled == 0
    assert await check_counters(database, repair=False) == []


async def test_all_finished_ones_of_a_pipeline_are_archived_and_no_others(
    client: Client, database: Database, transactions: Transactions
) -> None:
    verdicts = ("ALIVE", "FINISHED", "LOST", "FINISHED")
    mine = [await some_worker(database, transactions, v) for v in verdicts]
    other = await some_worker(database, transactions, "FINISHED", name="other")
    assert await archive(client, of=pipeline_id("worker")) == 2
    assert await listed(client) == {mine[0], mine[2], other}
    assert await archive(client, of=pipeline_id("worker")) == 0
    assert await check_counters(database, repair=False) == []


async def test_many_are_archived_in_steps_each_of_them_told(database: Database) -> None:
    number = 2 * STEP_WORKERS + 1
    workers = [a_worker(name="many", liveness=Liveness.FINISHED) for _ in range(number)]
    await store(database, *workers)
    transactions = replica(database)
    assert await archive_finished(database, transactions, pipeline_id("many")) == number
    assert transactions.commits == 3
    assert sorted(await told(database, ChangeKind.REMOVED)) == sorted(w.id for w in workers)


async def test_two_who_archive_at_once_count_each_once(database: Database) -> None:
    number = STEP_WORKERS + 30
    workers = [a_worker(name="many", liveness=Liveness.FINISHED) for _ in range(number)]
    await store(database, *workers)
    counts = await asyncio.gather(
        *(archive_finished(database, replica(database), pipeline_id("many")) for _ in range(2))
    )
    assert sum(counts) == number
    assert sorted(await told(database, ChangeKind.REMOVED)) == sorted(w.id for w in workers)


async def test_one_of_ids_and_pipeline_is_needed(client: Client) -> None:
    assert await refusal(client) == "BAD_USER_INPUT"
    assert await refusal(client, ids=None, of=None) == "BAD_USER_INPUT"
    both = {"ids": [new_id("worker")], "of": pipeline_id("worker")}
    assert await refusal(client, **both) == "BAD_USER_INPUT"


async def test_what_is_not_there_is_not_found_and_nothing_archived(
    client: Client, database: Database, transactions: Transactions
) -> None:
    finished = await some_worker(database, transactions, "FINISHED")
    for unknown in (new_id("worker"), "no id", pipeline_id("worker")):
        assert await refusal(client, ids=[finished, unknown]) == "NOT_FOUND"
    assert await refusal(client, of=pipeline_id("nobody")) == "NOT_FOUND"
    assert await refusal(client, of=finished) == "NOT_FOUND"
    assert await listed(client) == {finished}


async def test_too_many_ids_are_refused(client: Client) -> None:
    ids = [new_id("worker") for _ in range(1_001)]
    assert await refusal(client, ids=ids) == "BAD_USER_INPUT"


async def test_only_who_may_write_may_archive(
    client: Client, database: Database, transactions: Transactions
) -> None:
    finished = await some_worker(database, transactions, "FINISHED")
    reader = client.with_token(READ_TOKEN)
    for variables in ({"ids": [finished]}, {"of": pipeline_id("worker")}, {}):
        assert await refusal(reader, **variables) == "FORBIDDEN"
    assert await listed(client) == {finished}


async def test_retention_archives_what_runs_nothing_and_was_silent_for_long(
    database: Database,
) -> None:
    now = datetime.now(UTC)
    long_ago, recently = now - timedelta(days=8), now - timedelta(days=6)
    expected = {}
    for verdict, running, seen_at, archived in (
        ("FINISHED", 0, long_ago, True),
        ("FINISHED", 0, recently, False),
        ("LOST", 0, long_ago, True),
        ("LOST", 1, long_ago, False),
        ("ALIVE", 0, long_ago, False),
    ):
        worker = a_worker(liveness=Liveness(verdict), running=running, last_seen_at=seen_at)
        await store(database, worker)
        expected[worker.id] = archived
    for after, wanted in ((None, False), (timedelta(days=7), True)):
        keep = Retention(database, replica(database), Policy(), archive_after=after)
        await keep.archive(now)
        removed = await told(database, ChangeKind.REMOVED)
        assert sorted(removed) == sorted(id_ for id_, goes in expected.items() if goes and wanted)


async def test_of_very_many_as_many_are_archived_as_fit_and_the_others_by_asking_again(
    database: Database,
) -> None:
    workers = [a_worker(name="many", liveness=Liveness.FINISHED) for _ in range(STEP_WORKERS + 1)]
    await store(database, *workers)
    transactions, of = replica(database), pipeline_id("many")
    assert await archive_finished(database, transactions, of, seconds=0) == STEP_WORKERS
    assert await archive_finished(database, transactions, of, seconds=0) == 1
    assert await archive_finished(database, transactions, of, seconds=0) == 0
