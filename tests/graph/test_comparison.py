"""Versions against each other, and steps that fail now and then: against what was put in."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from db.session import Database
from monitor.entities import Process, ProcessStatus, Task, TaskDefinition, TaskStatus, Worker
from monitor.reading.samples import wilson
from monitor.slots import HOUR_SECONDS, slot_start
from monitor.writing.tally import Tally
from tests.client import Client, GraphQLErrors
from tests.graph.test_statistics import note
from tests.stored import a_process, a_task, a_worker, store

RUNTIME = "{ enough p50Ratio p95Ratio before { count p50Seconds } after { count p50Seconds } }"
SUCCESS = "{ enough before { succeeded failed rate low high } after { succeeded failed rate } }"
COMPARE = f"""
query ($id: ID!, $version: String!, $against: String!, $since: DateTime) {{
  pipeline(id: $id) {{
    compareVersions(version: $version, against: $against, since: $since) {{
      version against verdict runtime {RUNTIME} success {SUCCESS}
      steps {{ name position runtime {RUNTIME} success {SUCCESS} }}
    }}
  }}
}}
"""
FLAKY = "query ($id: ID!) { pipeline(id: $id) { flakySteps { name version succeeded failed } } }"
CLOSE = 0.1
HOUR = timedelta(hours=1)
# In the middle of an hour that is over.
LATELY = slot_start(datetime.now(UTC), HOUR_SECONDS) - HOUR / 2


def a_version(version: str, *steps: str) -> Worker:
    return a_worker(version=version, task_definitions=[TaskDefinition(s, "v1") for s in steps])


def a_run(
    worker: Worker, *seconds: float, failed_at: int | None = None, at: datetime = LATELY
) -> tuple[Process, Sequence[Task]]:
    """A process that ended then, whose steps took so long; one of them, by its place, failed."""
    status = ProcessStatus.SUCCESS if failed_at is None else ProcessStatus.ERROR
    process = a_process(
        worker, status=status, started_at=at - timedelta(seconds=sum(seconds)), ended_at=at
    )
    tasks, begin = [], process.started_at
    for place, (definition, each) in enumerate(zip(worker.task_definitions, seconds, strict=True)):
        outcome = TaskStatus.ERROR if place == failed_at else TaskStatus.SUCCESS
        task = a_task(process, name=definition.name, position=place + 1, status=outcome)
        end = begin + timedelta(seconds=each)
        tasks.append(replace(task, started_at=begin, ended_at=end))
        begin = end
    return process, tasks


async def keep(database: Database, *runs: tuple[Process, Sequence[Task]]) -> None:
    """The figures of these runs."""
    tally = Tally(0)
    for process, tasks in runs:
        tally.note_start(process)
        tally.note_end(process)
        for task in tasks:
            tally.note_task_end(task, process.version)
    await note(database, tally)


async def compare(client: Client, worker: Worker, **variables: Any) -> Any:
    given = {"version": "v1.4", "against": "v1.3", **variables}
    data = await client.graphql(COMPARE, id=worker.pipeline_id, **given)
    return data["pipeline"]["compareVersions"]


async def flaky(client: Client, worker: Worker) -> Any:
    return (await client.graphql(FLAKY, id=worker.pipeline_id))["pipeline"]["flakySteps"]


async def test_a_version_that_takes_longer_says_by_how_much_and_in_which_step(
    client: Client, database: Database
) -> None:
    old, new = a_version("v1.3", "extract", "load"), a_version("v1.4", "extract", "load")
    await store(database, old, new)
    await keep(database, *(a_run(old, 20, 10) for _ in range(20)))
    await keep(database, *(a_run(new, 20, 40) for _ in range(20)))
    found = await compare(client, new)
    assert found["runtime"]["p50Ratio"] == pytest.approx(2, rel=CLOSE)
    assert found["runtime"]["p95Ratio"] == pytest.approx(2, rel=CLOSE)
    assert found["runtime"]["before"] == {"count": 20, "p50Seconds": pytest.approx(30, rel=CLOSE)}
    assert [(s["name"], s["position"]) for s in found["steps"]] == [("extract", 1), ("load", 2)]
    ratios = [step["runtime"]["p50Ratio"] for step in found["steps"]]
    assert ratios == [pytest.approx(1, rel=CLOSE), pytest.approx(4, rel=CLOSE)]
    assert found["verdict"].startswith("v1.4 against v1.3: takes 2 times as long (")
    assert ", step load 4 times; succeeds about as often (100%, " in found["verdict"]
    assert "extract" not in found["verdict"]
    backwards = await compare(client, new, version="v1.3", against="v1.4")
    assert backwards["runtime"]["p50Ratio"] == pytest.approx(0.5, rel=CLOSE)


@pytest.mark.parametrize(("before", "after"), [(20, 4), (4, 20), (0, 20), (4, 4)])
async def test_of_fewer_than_five_runs_of_either_it_says_that_they_are_not_enough(
    client: Client, database: Database, before: int, after: int
) -> None:
    old, new = a_version("v1.3", "load"), a_version("v1.4", "load")
    await store(database, old, new)
    await keep(database, *(a_run(old, 10) for _ in range(before)))
    await keep(database, *(a_run(new, 30) for _ in range(after)))
    found = await compare(client, new)
    assert found["verdict"] == "v1.4 against v1.3: not enough runs to tell"
    for each in (found, *found["steps"]):
        assert (each["runtime"]["enough"], each["success"]["enough"]) == (False, False)
        assert (each["runtime"]["p50Ratio"], each["runtime"]["p95Ratio"]) == (None, None)
        assert each["runtime"]["before"]["count"] == before
        assert each["runtime"]["after"]["count"] == after


async def test_a_version_that_only_fails_is_said_to_succeed_less_often(
    client: Client, database: Database
) -> None:
    old, new = a_version("v1.3", "load"), a_version("v1.4", "load")
    await store(database, old, new)
    await keep(database, *(a_run(old, 10) for _ in range(20)))
    await keep(database, *(a_run(new, 10, failed_at=0) for _ in range(20)))
    found = await compare(client, new)
    assert found["success"]["enough"]
    assert not found["runtime"]["enough"]
    assert found["success"]["after"] == {"succeeded": 0, "failed": 20, "rate": 0}
    low, high = wilson(20, 20)
    assert found["success"]["before"] == {
        "succeeded": 20,
        "failed": 0,
        "rate": 1,
        "low": pytest.approx(low),
        "high": pytest.approx(high),
    }
    assert "succeeds less often (0%, likely 0% to 16%, was 100%" in found["verdict"]
    assert found["verdict"].endswith("; not enough runs to tell whether it takes longer")


async def test_a_difference_that_may_be_chance_is_none(client: Client, database: Database) -> None:
    old, new = a_version("v1.3", "load"), a_version("v1.4", "load")
    await store(database, old, new)
    await keep(database, *(a_run(old, 10, failed_at=0 if n == 0 else None) for n in range(10)))
    await keep(database, *(a_run(new, 10, failed_at=0 if n < 3 else None) for n in range(10)))
    found = await compare(client, new)
    assert "takes about as long; succeeds about as often (70%, " in found["verdict"]


async def test_steps_that_only_one_of_the_versions_has_are_told_without_a_shift(
    client: Client, database: Database
) -> None:
    old, new = a_version("v1.3", "load", "clean"), a_version("v1.4", "", "load", "load")
    await store(database, old, new)
    await keep(database, *(a_run(old, 10, 10) for _ in range(5)))
    await keep(database, *(a_run(new, 10, 10, 10) for _ in range(5)))
    found = await compare(client, new)
    steps = {step["name"]: step for step in found["steps"]}
    assert {name: step["position"] for name, step in steps.items()} == {
        "": 1,
        "load": 2,
        "clean": None,
    }
    assert {name: step["runtime"]["enough"] for name, step in steps.items()} == {
        "": False,
        "load": True,
        "clean": False,
    }
    # A step without a name is not taken for the whole process.
    assert steps[""]["runtime"]["after"]["count"] == 5
    assert found["runtime"]["after"]["p50Seconds"] == pytest.approx(30, rel=CLOSE)


async def test_everything_that_was_kept_counts_unless_somebody_says_since_when(
    client: Client, database: Database
) -> None:
    old, new = a_version("v1.3", "load"), a_version("v1.4", "load")
    await store(database, old, new)
    long_ago = LATELY - timedelta(days=200)
    await keep(database, *(a_run(old, 10, at=long_ago) for _ in range(5)))
    await keep(database, *(a_run(new, 10) for _ in range(5)))
    assert (await compare(client, new))["runtime"]["enough"]
    lately = await compare(client, new, since=(LATELY - HOUR).isoformat())
    assert lately["runtime"]["before"]["count"] == 0


async def test_a_version_nobody_knows_has_not_run_enough_and_one_against_itself_is_refused(
    client: Client, database: Database
) -> None:
    new = a_version("v1.4", "load")
    await store(database, new)
    await keep(database, *(a_run(new, 10) for _ in range(5)))
    found = await compare(client, new, against="v0")
    assert found["verdict"] == "v1.4 against v0: not enough runs to tell"
    with pytest.raises(GraphQLErrors) as refused:
        await compare(client, new, against="v1.4")
    assert refused.value.codes == ["BAD_USER_INPUT"]


def test_the_interval_is_that_of_the_textbook() -> None:
    # From a published table of it: 81 of 263, and none of 10.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert wilson(10, 10).high == 1


async def test_a_step_that_fails_and_succeeds_three_times_in_one_version_is_flaky(
    client: Client, database: Database
) -> None:
    old, new = a_version("v1.3", "extract", "load"), a_version("v1.4", "extract", "load")
    await store(database, old, new)
    await keep(database, *(a_run(new, 1, 1, failed_at=1 if n < 3 else None) for n in range(8)))
    await keep(database, *(a_run(old, 1, 1, failed_at=0 if n < 2 else None) for n in range(8)))
    assert await flaky(client, new) == [
        {"name": "load", "version": "v1.4", "succeeded": 5, "failed": 3}
    ]


async def test_what_failed_in_one_version_and_succeeds_in_the_next_was_mended(
    client: Client, database: Database
) -> None:
    old, new = a_version("v1.3", "load"), a_version("v1.4", "load")
    await store(database, old, new)
    await keep(database, *(a_run(old, 1, failed_at=0) for _ in range(5)))
    await keep(database, *(a_run(new, 1) for _ in range(5)))
    assert await flaky(client, new) == []


async def test_hours_in_which_nearly_everything_failed_do_not_count(
    client: Client, database: Database
) -> None:
    worker = a_version("v1.4", "load")
    other = a_worker(name="another", task_definitions=worker.task_definitions)
    await store(database, worker, other)
    await keep(database, *(a_run(worker, 1, at=LATELY - 2 * HOUR) for _ in range(5)))
    await keep(database, *(a_run(worker, 1, failed_at=0) for _ in range(4)))
    # 4 of 5, which is not more than 80 %.
    await keep(database, a_run(other, 1))
    assert len(await flaky(client, worker)) == 1
    await keep(database, *(a_run(other, 1, failed_at=0) for _ in range(2)))
    assert await flaky(client, worker) == []


async def test_an_hour_in_which_little_ended_is_no_outage(
    client: Client, database: Database
) -> None:
    worker = a_version("v1.4", "load")
    await store(database, worker)
    for hour in range(6):
        failed_at = 0 if hour % 2 else None
        await keep(database, a_run(worker, 1, failed_at=failed_at, at=LATELY - hour * HOUR))
    assert len(await flaky(client, worker)) == 1


async def test_what_failed_more_than_a_week_ago_is_forgotten(
    client: Client, database: Database
) -> None:
    worker = a_version("v1.4", "load")
    await store(database, worker)
    await keep(database, *(a_run(worker, 1) for _ in range(5)))
    for days, expected in ((7.5, 0), (6.5, 1)):
        at = LATELY - timedelta(days=days)
        await keep(database, *(a_run(worker, 1, failed_at=0, at=at) for _ in range(4)))
        assert len(await flaky(client, worker)) == expected
