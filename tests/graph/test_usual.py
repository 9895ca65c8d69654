"""What is usual, over GraphQL: of processes and tasks, and when they are expected to end."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from db.session import Database
from monitor.entities import Process, Task, TaskDefinition, TaskStatus, Worker
from tests.client import Client
from tests.monitor.silence import ran_before
from tests.stored import a_process, a_task, a_worker, store

USUAL = """
query ($id: ID!) {
  process(id: $id) {
    overtime expectedEndAt usualRuntime { count p50Seconds p99Seconds }
    tasks { name overtime usualRuntime { count p50Seconds } }
  }
}
"""
EXPECTED = "query ($id: ID!) { process(id: $id) { expectedEndAt } }"
STEPS = tuple(TaskDefinition(name, "v1") for name in ("a", "b", "c"))
ENOUGH = 5
# Of a quantile, and of the clock.
CLOSE = 0.05


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def run_of(worker: Worker, *statuses: TaskStatus, running_for: float = 0) -> list[Process | Task]:
    """A running process whose steps stand like that; what runs has been running for so long."""
    ended = sum(status.ended for status in statuses)
    process = a_process(
        worker, task_count=len(statuses), ended_task_count=ended, started_at=ago(running_for)
    )
    return [
        process,
        *(
            a_task(
                process,
                name=definition.name,
                position=position,
                status=status,
                started_at=None if status is TaskStatus.PENDING else ago(running_for),
                ended_at=ago(0) if status.ended else None,
            )
            for position, (definition, status) in enumerate(
                zip(worker.task_definitions, statuses, strict=False), start=1
            )
        ),
    ]


async def expected_in(client: Client, process: Any) -> float | None:
    """In how many seconds it is expected to end."""
    [found] = (await client.graphql(EXPECTED, id=process.id)).values()
    if found["expectedEndAt"] is None:
        return None
    return (datetime.fromisoformat(found["expectedEndAt"]) - datetime.now(UTC)).total_seconds()


async def test_what_is_usual_is_told_of_a_process_and_of_each_step(
    client: Client, database: Database
) -> None:
    worker = a_worker(task_definitions=STEPS)
    run = run_of(worker, *[TaskStatus.PENDING] * 3)
    await store(database, worker, *run)
    await ran_before(database, worker, None, *[100.0] * ENOUGH)
    await ran_before(database, worker, "a", *[10.0] * ENOUGH)
    await ran_before(database, worker, "b", *[10.0] * (ENOUGH - 1))
    process = (await client.graphql(USUAL, id=run[0].id))["process"]
    assert process["usualRuntime"] == {
        "count": ENOUGH,
        "p50Seconds": pytest.approx(100, rel=CLOSE),
        "p99Seconds": pytest.approx(100, rel=CLOSE),
    }
    assert [task["usualRuntime"] for task in process["tasks"]] == [
        {"count": ENOUGH, "p50Seconds": pytest.approx(10, rel=CLOSE)},
        None,
        None,
    ]
    assert [process["overtime"], *(task["overtime"] for task in process["tasks"])] == [False] * 4


async def test_the_expected_end_is_what_is_left_by_the_median_of_each_step(
    client: Client, database: Database
) -> None:
    worker = a_worker(task_definitions=STEPS)
    await store(database, worker)
    for step, seconds in (("a", 1000.0), ("b", 100.0), ("c", 10.0)):
        await ran_before(database, worker, step, *[seconds] * ENOUGH, 10 * seconds)
    done, runs, waits = TaskStatus.SUCCESS, TaskStatus.RUNNING, TaskStatus.PENDING
    for statuses, running_for, expected in (
        ((waits, waits, waits), 0, 1110),
        ((done, runs, waits), 40, 70),
        # It takes longer than usual: what is left of it is nothing, not less.
        ((done, runs, waits), 4000, 10),
        ((done, TaskStatus.ERROR, runs), 4000, 0),
        ((done, done, done), 0, 0),
    ):
        run = run_of(worker, *statuses, running_for=running_for)
        await store(database, *run)
        assert await expected_in(client, run[0]) == pytest.approx(expected, rel=CLOSE, abs=1)


async def test_no_end_is_expected_where_a_step_that_is_left_is_not_known(
    client: Client, database: Database
) -> None:
    worker = a_worker(task_definitions=STEPS)
    await store(database, worker)
    for step in ("a", "b"):
        await ran_before(database, worker, step, *[10.0] * ENOUGH)
    left = run_of(worker, *[TaskStatus.PENDING] * 3)
    done = run_of(worker, TaskStatus.PENDING, TaskStatus.PENDING, TaskStatus.SUCCESS)
    await store(database, *left, *done)
    assert await expected_in(client, left[0]) is None
    assert await expected_in(client, done[0]) == pytest.approx(20, rel=CLOSE, abs=1)


async def test_without_steps_the_whole_process_says_when_it_ends(
    client: Client, database: Database
) -> None:
    worker = a_worker(task_definitions=())
    process = a_process(worker, started_at=ago(40))
    await store(database, worker, process)
    await ran_before(database, worker, None, *[100.0] * ENOUGH)
    assert await expected_in(client, process) == pytest.approx(60, rel=2 * CLOSE, abs=1)


async def test_what_has_ended_is_expected_no_more(client: Client, database: Database) -> None:
    worker = a_worker(task_definitions=())
    process = a_process(worker, started_at=ago(40), ended_at=ago(1))
    await store(database, worker, process)
    await ran_before(database, worker, None, *[100.0] * ENOUGH)
    assert await expected_in(client, process) is None
