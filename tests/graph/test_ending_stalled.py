"""Ending what nobody goes on with: only while it is so, and only that."""

from datetime import UTC, datetime
from typing import Any

import pytest

from db.session import Database
from monitor.entities import ProcessStatus, TaskStatus
from monitor.ids import new_id
from monitor.processes import end_process, start_process
from monitor.tasks import update_task
from monitor.upkeep.counters import check_counters
from monitor.workers import record_heartbeat
from monitor.writing.loading import Memory, Needs
from monitor.writing.transaction import Transaction
from monitor.writing.transactions import Transactions
from tests.client import Client, GraphQLErrors
from tests.monitor.reports import register, replica
from tests.monitor.silence import judge_silent

END = """
mutation ($input: EndProcessInput!, $key: String) {
  endProcess(input: $input, idempotencyKey: $key) { id status details stalled }
}
"""
REASON = "Ended by an operator: the machine is gone"


@pytest.fixture
def transactions(database: Database) -> Transactions:
    return replica(database)


async def stalled_process(
    database: Database, transactions: Transactions, *, processes: int = 1
) -> tuple[str, str]:
    """The ids of a process that stalls and of its worker, which has so many of them."""
    worker = await register(transactions)
    for _ in range(processes):
        process, _ = await transactions.run(start_process, worker_id=worker.id)
    await judge_silent(database, transactions, worker.id)
    return process.id, worker.id


async def end(client: Client, process_id: str, key: str | None = None, **more: Any) -> Any:
    asked = {"processId": process_id, "status": "ERROR", "details": REASON, "onlyStalled": True}
    return (await client.graphql(END, input=asked | more, key=key))["endProcess"]


async def worker_as_told(client: Client, worker_id: str) -> Any:
    query = f'{{ worker(id: "{worker_id}") {{ liveness livenessReason lastSeenAt }} }}'
    return (await client.graphql(query))["worker"]


async def refusal(client: Client, process_id: str, **more: Any) -> tuple[str, str]:
    with pytest.raises(GraphQLErrors) as refused:
        await end(client, process_id, **more)
    return refused.value.codes[0], refused.value.messages[0]


async def test_a_stalled_process_is_ended_with_the_reason(
    client: Client, database: Database, transactions: Transactions
) -> None:
    process_id, _ = await stalled_process(database, transactions)
    ended = await end(client, process_id)
    assert ended == {"id": process_id, "status": "ERROR", "details": REASON, "stalled": False}
    assert await check_counters(database, repair=False) == []


async def test_others_of_the_same_worker_stall_until_they_are_ended_too(
    client: Client, database: Database, transactions: Transactions
) -> None:
    first, worker_id = await stalled_process(database, transactions, processes=2)
    liveness = f'{{ worker(id: "{worker_id}") {{ liveness }} }}'
    await end(client, first)
    assert await client.graphql(liveness) == {"worker": {"liveness": "LOST"}}
    listed = await client.graphql(
        "{ processes(filter: {stalled: true}) { edges { node { id } } } }"
    )
    [second] = listed["processes"]["edges"]
    await end(client, second["node"]["id"])
    assert await client.graphql(liveness) == {"worker": {"liveness": "FINISHED"}}
    assert await check_counters(database, repair=False) == []


async def test_it_is_no_sign_of_life(
    client: Client, database: Database, transactions: Transactions
) -> None:
    process_id, worker_id = await stalled_process(database, transactions)
    seen = await worker_as_told(client, worker_id)
    await end(client, process_id)
    ended = await worker_as_told(client, worker_id)
    assert (seen["liveness"], ended["liveness"]) == ("LOST", "FINISHED")
    assert ended["livenessReason"].endswith("nothing of it runs")
    assert ended["lastSeenAt"] == seen["lastSeenAt"]
    assert await check_counters(database, repair=False) == []


async def test_a_worker_that_used_to_send_heartbeats_stays_lost(
    client: Client, database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    await transactions.run(record_heartbeat, worker_id=worker.id)
    process, _ = await transactions.run(start_process, worker_id=worker.id)
    await judge_silent(database, transactions, worker.id)
    await end(client, process.id)
    assert (await worker_as_told(client, worker.id))["liveness"] == "LOST"


async def test_a_worker_that_was_archived_stays_out_of_lists_and_counts(
    client: Client, database: Database, transactions: Transactions
) -> None:
    process_id, worker_id = await stalled_process(database, transactions)
    async with database.writing() as connection:
        tx = Transaction(connection, memory=Memory(), shard=0, now=datetime.now(UTC))
        await tx.load([Needs(workers=(worker_id,))])
        tx.archive(tx.worker(worker_id))
        await tx.store()
    await end(client, process_id)
    assert await client.graphql("{ workers { edges { cursor } } summary { workersOffline } }") == {
        "workers": {"edges": []},
        "summary": {"workersOffline": 0},
    }
    assert await check_counters(database, repair=False) == []


async def test_one_whose_worker_reported_meanwhile_goes_on(
    client: Client, database: Database, transactions: Transactions
) -> None:
    process_id, worker_id = await stalled_process(database, transactions)
    await replica(database).run(record_heartbeat, worker_id=worker_id)
    told = ("CONFLICT", "The process is not stalled: its worker is alive")
    assert await refusal(client, process_id) == told
    data = await client.graphql(f'{{ process(id: "{process_id}") {{ status }} }}')
    assert data["process"]["status"] == "RUNNING"


async def test_one_that_ended_meanwhile_stays_as_it_is(
    client: Client, database: Database, transactions: Transactions
) -> None:
    process_id, _ = await stalled_process(database, transactions)
    await transactions.run(
        end_process, process_id=process_id, status=ProcessStatus.SUCCESS, details=None
    )
    told = ("CONFLICT", "The process is not stalled: it has ended, as SUCCESS")
    assert await refusal(client, process_id) == told


async def test_the_run_that_came_after_it_is_left_alone(
    client: Client, database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    before, tasks = await transactions.run(start_process, worker_id=worker.id)
    await transactions.run(
        end_process, process_id=before.id, status=ProcessStatus.SUCCESS, details=None
    )
    later = await transactions.run(
        update_task, task_id=tasks[0].id, status=TaskStatus.RUNNING, details=None
    )
    await judge_silent(database, transactions, worker.id)
    assert (await refusal(client, before.id))[0] == "CONFLICT"
    assert (await end(client, later.process_id))["status"] == "ERROR"


async def test_the_same_key_again_answers_the_first_answer(
    client: Client, database: Database, transactions: Transactions
) -> None:
    process_id, _ = await stalled_process(database, transactions)
    first = await end(client, process_id, key="one dialogue")
    assert await end(client, process_id, key="one dialogue") == first
    assert (await refusal(client, process_id))[0] == "CONFLICT"


async def test_what_cannot_be_is_refused_as_for_any_end(
    client: Client, database: Database, transactions: Transactions
) -> None:
    process_id, _ = await stalled_process(database, transactions)
    assert (await refusal(client, process_id, status="RUNNING"))[0] == "BAD_USER_INPUT"
    assert (await refusal(client, process_id, details="x" * 2**21))[0] == "BAD_USER_INPUT"
    assert (await refusal(client, new_id("process")))[0] == "NOT_FOUND"
