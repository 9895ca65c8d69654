"""How long pipelines and their steps take, and how they end, against what was put in."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from db import models
from db.session import Database
from db.writes import write_rows
from monitor.entities import (
    Process,
    ProcessStatus,
    Task,
    TaskDefinition,
    TaskStatus,
    Worker,
)
from monitor.histogram import bucket_of
from monitor.reading.statistics import Runtimes
from monitor.slots import oldest_hours
from monitor.upkeep.rollup import roll_up
from monitor.writing.tally import ACTIVITY, DURATION_KEYS, DURATIONS, Tally
from tests.client import Client, GraphQLErrors
from tests.factories import end, register, report, run_all, start
from tests.stored import a_process, a_task, a_worker, store

RUNTIME = "{ count p50Seconds p95Seconds p99Seconds maxSeconds }"
STATISTICS = f"""
query ($id: ID!, $since: DateTime, $version: String) {{
  pipeline(id: $id) {{
    runtime(since: $since, version: $version) {RUNTIME}
    steps(since: $since, version: $version) {{
      name position succeeded failed runtime {RUNTIME}
    }}
    versions(since: $since) {{
      version firstSeenAt counts {{ total running succeeded failed }} runtime {RUNTIME}
    }}
  }}
}}
"""
OUTCOMES = """
query ($id: ID!, $since: DateTime!) {
  pipeline(id: $id) { outcomes(since: $since) { succeeded failed successRate } }
}
"""
RUNTIMES = f"""
query ($id: ID!, $since: DateTime!, $until: DateTime, $slot: Int!) {{
  pipeline(id: $id) {{
    runtimes(since: $since, until: $until, slotSeconds: $slot) {{ at runtime {RUNTIME} }}
  }}
}}
"""
HISTOGRAM = """
query ($id: ID!, $buckets: Int) {
  pipeline(id: $id) { steps { histogram(buckets: $buckets) { fromSeconds toSeconds counts } } }
}
"""
NOTHING = {
    "count": 0,
    "p50Seconds": None,
    "p95Seconds": None,
    "p99Seconds": None,
    "maxSeconds": None,
}
STEPS = tuple(TaskDefinition(name, "v1.0") for name in ("extract", "load"))
SHARDS = (0, 3, 7)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime.now(UTC)
# In the middle of a day whose hours are days already.
LONG_AGO = oldest_hours(NOW) - 5 * DAY + timedelta(hours=12)
Run = tuple[Process, Sequence[Task]]


def text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def a_run(worker: Worker, ended_at: datetime, seconds: float, *, failed: bool = False) -> Run:
    """A process that took so long; its last step took half of that."""
    ended = {"started_at": ended_at - timedelta(seconds=seconds), "ended_at": ended_at}
    status = ProcessStatus.ERROR if failed else ProcessStatus.SUCCESS
    process = a_process(worker, status=status, **ended)
    half = ended_at - timedelta(seconds=seconds / 2)
    tasks = [
        a_task(
            process,
            name="extract",
            status=TaskStatus.SUCCESS,
            started_at=process.started_at,
            ended_at=half,
        ),
        a_task(
            process,
            name="load",
            position=2,
            status=TaskStatus(status),
            started_at=half,
            ended_at=ended_at,
        ),
    ]
    return process, tasks


async def keep(database: Database, worker: Worker, runs: Iterable[Run]) -> None:
    """The worker, and the figures of these runs as several server processes noted them."""
    tallies = [Tally(shard) for shard in SHARDS]
    for number, (process, tasks) in enumerate(runs):
        tally = tallies[number % len(tallies)]
        tally.note_start(process)
        tally.note_end(process)
        for task in tasks:
            tally.note_task_end(task, process.version)
    await store(database, worker)
    for tally in tallies:
        await note(database, tally)


async def note(database: Database, tally: Tally) -> None:
    """Adds what a tally has of pipelines, and of all together."""
    keys = ("subject_id", "slot_seconds", "slot_at", "shard")
    durations = [
        dict(zip((*DURATION_KEYS, *DURATIONS), (*key, *counts), strict=True))
        for key, counts in tally.durations.items()
    ]
    activity = [
        dict(zip((*keys, *ACTIVITY), (*key, *counts), strict=True))
        for key, counts in tally.activity.items()
        if not key[0].startswith("worker")
    ]
    async with database.writing() as connection:
        await write_rows(connection, models.durations, durations, add=DURATIONS)
        await write_rows(connection, models.activity, activity, add=ACTIVITY)


def of_steps(**fields: Any) -> Worker:
    return a_worker(task_definitions=STEPS, **fields)


async def pipeline(
    client: Client, worker: Worker, query: str = STATISTICS, **variables: Any
) -> dict[str, Any]:
    data = await client.graphql(query, id=worker.pipeline_id, **variables)
    found: dict[str, Any] = data["pipeline"]
    return found


async def refusals(client: Client, worker: Worker, query: str, **variables: Any) -> list[str]:
    with pytest.raises(GraphQLErrors) as refused:
        await pipeline(client, worker, query, **variables)
    return refused.value.codes


def assert_near(found: dict[str, Any], seconds: Iterable[float]) -> None:
    """These are the statistics of runs that took so long."""
    taken = sorted(seconds)
    assert found["count"] == len(taken)
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)):
        exact = taken[math.ceil(share * len(taken) - 1e-9) - 1] if taken else None
        assert found[f"{name}Seconds"] == (None if exact is None else pytest.approx(exact, 0.05))


async def test_what_is_reported_is_in_the_statistics_at_once(client: Client) -> None:
    worker_id = await register(client, "extract", "load")
    await run_all(client, worker_id)
    failed = await start(client, worker_id)
    await report(client, failed.tasks[0], "start")
    await report(client, failed.tasks[0], "error", "it broke")
    await end(client, failed.process, "it broke")
    await start(client, worker_id)
    worker = a_worker()
    found = await pipeline(client, worker, since=None, version=None)
    assert found["runtime"]["count"] == 1
    assert found["runtime"]["maxSeconds"] > 0
    assert [(s["name"], s["position"], s["succeeded"], s["failed"]) for s in found["steps"]] == [
        ("extract", 1, 1, 1),
        ("load", 2, 1, 0),
    ]
    assert [step["runtime"]["count"] for step in found["steps"]] == [1, 1]
    (version,) = found["versions"]
    assert version["version"] == "v1.0"
    assert version["counts"] == {"total": 3, "running": 1, "succeeded": 1, "failed": 1}
    assert version["runtime"] == found["runtime"]
    found = await pipeline(client, worker, OUTCOMES, since=text(NOW - HOUR))
    assert found["outcomes"] == {"succeeded": 1, "failed": 1, "successRate": 0.5}


async def test_a_pipeline_of_which_nothing_ended_has_no_quantiles(
    client: Client, database: Database
) -> None:
    worker = of_steps()
    await store(database, worker)
    found = await pipeline(client, worker)
    assert found["runtime"] == NOTHING
    assert [step["runtime"] for step in found["steps"]] == [NOTHING, NOTHING]
    assert found["versions"][0]["runtime"] == NOTHING
    found = await pipeline(client, worker, OUTCOMES, since=text(NOW))
    assert found["outcomes"] == {"succeeded": 0, "failed": 0, "successRate": None}


async def test_quantiles_are_those_of_what_succeeded(client: Client, database: Database) -> None:
    chance, worker = Random(1), of_steps()
    taken = [
        (chance.lognormvariate(3, 1.5), chance.random() < 0.2, chance.randrange(6 * 86_400))
        for _ in range(3_000)
    ]
    runs = [
        a_run(worker, NOW - timedelta(seconds=ago), seconds, failed=failed)
        for seconds, failed, ago in taken
    ]
    await keep(database, worker, runs)
    found = await pipeline(client, worker)
    succeeded = [seconds for seconds, failed, _ in taken if not failed]
    assert_near(found["runtime"], succeeded)
    extract, load = found["steps"]
    assert_near(extract["runtime"], [seconds / 2 for seconds, _, _ in taken])
    assert_near(load["runtime"], [seconds / 2 for seconds in succeeded])
    assert (extract["succeeded"], extract["failed"]) == (3_000, 0)
    assert (load["succeeded"], load["failed"]) == (len(succeeded), 3_000 - len(succeeded))
    found = await pipeline(client, worker, OUTCOMES, since=text(NOW - 7 * DAY))
    assert found["outcomes"] == {
        "succeeded": len(succeeded),
        "failed": 3_000 - len(succeeded),
        "successRate": pytest.approx(len(succeeded) / 3_000),
    }


async def test_a_histogram_has_each_run_that_succeeded(client: Client, database: Database) -> None:
    worker = of_steps()
    taken = [(10.0, False)] * 3 + [(30.0, False)] * 2 + [(400.0, True)]
    runs = [a_run(worker, NOW - HOUR, seconds, failed=failed) for seconds, failed in taken]
    await keep(database, worker, runs)
    found = await pipeline(client, worker, HISTOGRAM, buckets=50)
    _, load = (step["histogram"] for step in found["steps"])
    # Eight up to 10 s, of as many up to 20 s the fifth.
    assert load["counts"] == [3, *[0] * 11, 2]
    assert load["fromSeconds"] <= 5 < 15 < load["toSeconds"]
    assert (load["fromSeconds"], load["toSeconds"]) == pytest.approx((5, 15), 0.1)
    found = await pipeline(client, worker, HISTOGRAM, buckets=1)
    assert found["steps"][1]["histogram"]["counts"] == [5]


async def test_there_is_no_histogram_of_what_never_succeeded(
    client: Client, database: Database
) -> None:
    worker = of_steps()
    await keep(database, worker, [a_run(worker, NOW - HOUR, 10, failed=True)])
    extract, load = (await pipeline(client, worker, HISTOGRAM))["steps"]
    assert extract["histogram"]["counts"] == [1]
    assert load["histogram"] is None


@pytest.mark.parametrize("buckets", [-1, 0, 101])
async def test_no_histogram_has_so_many_buckets(
    client: Client, database: Database, buckets: int
) -> None:
    worker = of_steps()
    await keep(database, worker, [])
    refused = await refusals(client, worker, HISTOGRAM, buckets=buckets)
    assert refused == ["BAD_USER_INPUT"] * 2


async def test_the_window_begins_with_the_hour_that_since_lies_in(
    client: Client, database: Database
) -> None:
    worker = of_steps()
    hour = NOW.replace(minute=0, second=0, microsecond=0) - 30 * HOUR
    for_hours = [a_run(worker, hour + n * HOUR, 10 * 2**n) for n in range(3)]
    before = a_run(worker, hour - timedelta(microseconds=1), 5)
    await keep(database, worker, [*for_hours, before])
    for minutes in (0, 30, 59.999):
        found = await pipeline(client, worker, since=text(hour + timedelta(minutes=minutes)))
        assert_near(found["runtime"], [10, 20, 40])
    found = await pipeline(client, worker, since=text(hour + HOUR))
    assert_near(found["runtime"], [20, 40])
    found = await pipeline(client, worker, since=text(hour - HOUR))
    assert_near(found["runtime"], [5, 10, 20, 40])


@pytest.mark.parametrize("rolled_up", [False, True])
async def test_a_window_that_cuts_an_old_day_has_all_of_it(
    client: Client, database: Database, rolled_up: bool
) -> None:
    worker = of_steps()
    ends = {LONG_AGO - HOUR: 5, LONG_AGO + HOUR: 10, NOW - DAY: 40, LONG_AGO - DAY: 80}
    runs = [a_run(worker, ended_at, seconds) for ended_at, seconds in ends.items()]
    await keep(database, worker, runs)
    if rolled_up:
        assert await roll_up(database, oldest_hours(NOW))
    found = await pipeline(client, worker, since=text(LONG_AGO))
    for each in (found["runtime"], found["versions"][0]["runtime"]):
        assert_near(each, [5, 10, 40])
    assert_near(found["steps"][0]["runtime"], [2.5, 5, 20])
    found = await pipeline(client, worker, since="0001-01-01T00:00:00Z")
    assert_near(found["runtime"], [5, 10, 40, 80])
    for end_of_time in ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999Z"):
        found = await pipeline(client, worker, since=end_of_time)
        assert found["runtime"] == NOTHING


async def test_versions_are_apart_the_newest_first(client: Client, database: Database) -> None:
    old = of_steps(version="v1.0", registered_at=NOW - 9 * DAY)
    again = of_steps(version="v1.0", registered_at=NOW - HOUR)
    new = of_steps(version="v0.9", registered_at=NOW - 2 * DAY)
    unused = of_steps(version="v2.0", registered_at=NOW - 3 * DAY)
    await keep(database, old, [a_run(old, NOW - DAY, 10), a_run(old, NOW, 9, failed=True)])
    await keep(database, new, [a_run(new, NOW - HOUR, 80)])
    await store(database, again, unused, a_process(again), a_process(again), a_process(new))
    found = await pipeline(client, old)
    told = [
        (each["version"], each["firstSeenAt"], *each["counts"].values())
        for each in found["versions"]
    ]
    assert told == [
        ("v0.9", text(new.registered_at), 2, 1, 1, 0),
        ("v2.0", text(unused.registered_at), 0, 0, 0, 0),
        ("v1.0", text(old.registered_at), 4, 2, 1, 1),
    ]
    for seconds, each in zip(([80], [], [10]), found["versions"], strict=True):
        assert_near(each["runtime"], seconds)
    assert_near(found["runtime"], [10, 80])
    by_version: dict[str, list[float]] = {"v1.0": [10], "v0.9": [80], "v3": []}
    for version, taken in by_version.items():
        found = await pipeline(client, old, version=version)
        assert_near(found["runtime"], taken)
        assert_near(found["steps"][1]["runtime"], [seconds / 2 for seconds in taken])


async def test_of_many_versions_the_hundred_newest_are_told(
    client: Client, database: Database
) -> None:
    workers = [
        of_steps(version=f"{number:08x}", registered_at=NOW + number * HOUR)
        for number in Random(2).sample(range(1_000_000), 130)
    ]
    await store(database, *workers)
    found = await pipeline(client, workers[0])
    versions = sorted(workers, key=lambda worker: worker.registered_at, reverse=True)
    assert [each["version"] for each in found["versions"]] == [w.version for w in versions[:100]]


async def test_what_was_removed_or_begun_anew_stays_in_the_statistics(
    client: Client, database: Database
) -> None:
    worker = of_steps()
    runs = [a_run(worker, NOW - timedelta(minutes=1), seconds) for seconds in (10, 40)]
    tally = Tally(0)
    tally.note_end(runs[0][0], -1)
    tally.note_task_end(runs[0][1][0], worker.version, -1)
    await keep(database, worker, runs)
    await note(database, tally)
    found = await pipeline(client, worker)
    assert_near(found["runtime"], [10, 40])
    assert_near(found["steps"][0]["runtime"], [5, 20])


async def test_a_step_that_was_never_started_counts_and_has_no_runtime(
    client: Client, database: Database
) -> None:
    worker = of_steps()
    process, (extract, load) = a_run(worker, NOW, 10)
    await keep(database, worker, [(process, [replace(extract, started_at=None), load])])
    step = (await pipeline(client, worker))["steps"][0]
    assert (step["succeeded"], step["runtime"]) == (1, NOTHING)


async def test_steps_are_those_of_the_newest_registration_whatever_their_number(
    client: Client, database: Database
) -> None:
    names = [f"step {number}" for number in range(1_500)]
    old = of_steps(registered_at=NOW - DAY)
    new = a_worker(
        registered_at=NOW,
        task_definitions=[TaskDefinition(name, "v1") for name in (*names, "load")],
    )
    await keep(database, old, [a_run(old, NOW, 10)])
    await store(database, new)
    steps = (await pipeline(client, old))["steps"]
    assert [step["name"] for step in steps] == [*names, "load"]
    assert [step["position"] for step in steps] == list(range(1, 1_502))
    assert [step["succeeded"] for step in steps] == [0] * 1_500 + [1]


async def test_outcomes_slide_by_the_minute(client: Client, database: Database) -> None:
    worker = of_steps()
    hour = NOW.replace(minute=0, second=0, microsecond=0) - 3 * HOUR
    ends = [hour + timedelta(minutes=minutes) for minutes in (-1, 0, 20, 20.5, 40, 59, 60, 100)]
    await keep(database, worker, [a_run(worker, at, 10) for at in ends])
    for minutes, expected in ((-1, 8), (0, 7), (20, 6), (20.99, 6), (21, 4), (59, 3), (60, 2)):
        since = text(hour + timedelta(minutes=minutes))
        found = await pipeline(client, worker, OUTCOMES, since=since)
        assert found["outcomes"]["succeeded"] == expected, minutes
    found = await pipeline(client, worker, OUTCOMES, since=text(NOW + HOUR))
    assert found["outcomes"]["successRate"] is None


async def test_outcomes_of_more_than_a_day_begin_with_an_hour(
    client: Client, database: Database
) -> None:
    worker = of_steps()
    hour = NOW.replace(minute=0, second=0, microsecond=0) - 50 * HOUR
    ends = [hour - HOUR, hour, hour + timedelta(minutes=50), NOW]
    await keep(database, worker, [a_run(worker, at, 10, failed=at == NOW) for at in ends])
    since = text(hour + timedelta(minutes=40))
    found = await pipeline(client, worker, OUTCOMES, since=since)
    assert (found["outcomes"]["succeeded"], found["outcomes"]["failed"]) == (2, 1)
    found = await pipeline(client, worker, OUTCOMES, since="0001-01-01T00:00:00Z")
    assert (found["outcomes"]["succeeded"], found["outcomes"]["failed"]) == (3, 1)


async def test_runtimes_over_time_are_by_slots_of_whole_hours(
    client: Client, database: Database
) -> None:
    worker = of_steps()
    hour = NOW.replace(hour=0, minute=0, second=0, microsecond=0) - 2 * DAY
    ends = {0.0: 10, 0.9: 20, 2: 40, 5.999: 80, 6: 160}
    runs = [a_run(worker, hour + after * HOUR, seconds) for after, seconds in ends.items()]
    await keep(database, worker, [*runs, a_run(worker, hour, 500, failed=True)])
    for slot, expected in ((1, [[10, 20], [], [40], [], [], [80]]), (3, [[10, 20, 40], [80]])):
        since, until = text(hour + timedelta(minutes=59)), text(hour + 6 * HOUR)
        points = (
            await pipeline(client, worker, RUNTIMES, since=since, until=until, slot=slot * 3600)
        )["runtimes"]
        assert [point["at"] for point in points] == [
            text(hour + n * slot * HOUR) for n in range(6 // slot)
        ]
        for point, seconds in zip(points, expected, strict=True):
            assert_near(point["runtime"], seconds)


async def test_an_old_day_is_in_the_slot_that_it_begins_in(
    client: Client, database: Database
) -> None:
    worker = of_steps()
    await keep(database, worker, [a_run(worker, LONG_AGO, 10), a_run(worker, NOW, 40)])
    await roll_up(database, oldest_hours(NOW))
    midnight = LONG_AGO - timedelta(hours=12)
    points = (await pipeline(client, worker, RUNTIMES, since=text(midnight), slot=3600))["runtimes"]
    told = {point["at"]: point["runtime"] for point in points if point["runtime"]["count"]}
    assert list(told) == [text(midnight), text(NOW.replace(minute=0, second=0, microsecond=0))]
    assert_near(told[text(midnight)], [10])


@pytest.mark.parametrize("slot", [0, -3600, 60, 3601, 1_800])
async def test_slots_that_are_no_whole_hours_are_refused(
    client: Client, database: Database, slot: int
) -> None:
    worker = of_steps()
    await store(database, worker)
    since = text(NOW - HOUR)
    assert await refusals(client, worker, RUNTIMES, since=since, slot=slot) == ["BAD_USER_INPUT"]


async def test_a_thousand_slots_are_the_most(client: Client, database: Database) -> None:
    worker = of_steps()
    await store(database, worker)
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    window = {"since": text(hour - 1_000 * HOUR), "slot": 3600}
    found = await pipeline(client, worker, RUNTIMES, until=text(hour), **window)
    assert [point["runtime"] for point in found["runtimes"]] == [NOTHING] * 1_000
    until = text(hour + timedelta(seconds=1))
    codes = await refusals(client, worker, RUNTIMES, until=until, **window)
    assert codes == ["BAD_USER_INPUT"]


@pytest.mark.parametrize(
    "field",
    [
        f'runtime(version: "{"v" * 51}") {RUNTIME}',
        'runtime(version: "\\ud800") { count }',
        'runtime(since: "yesterday") { count }',
        'steps(version: "\\ud800") { name }',
        'outcomes(since: "2026-01-01T00:00:00") { failed }',
        'runtimes(since: "0001-01-01T00:00:00Z") { at }',
        'runtimes(since: "2026-03-02T00:00:00Z", until: "2026-03-01T00:00:00Z") { at }',
    ],
)
async def test_what_cannot_be_is_refused(client: Client, database: Database, field: str) -> None:
    worker = of_steps()
    await store(database, worker)
    query = f"query ($id: ID!) {{ pipeline(id: $id) {{ {field} }} }}"
    assert await refusals(client, worker, query) == ["BAD_USER_INPUT"]


async def test_a_field_that_is_refused_leaves_the_others_alone(
    client: Client, database: Database
) -> None:
    await store(database, of_steps())
    query = '{ pipelines { edges { node { runtime(version: "%s") { count } name } } } }'
    response = await client.post("/graphql", {"query": query % ("v" * 51)})
    assert [error["path"] for error in response.json()["errors"]] == [
        ["pipelines", "edges", 0, "node", "runtime"]
    ]


DISTRIBUTIONS: dict[str, Callable[[Random], float]] = {
    "uniform": lambda chance: chance.uniform(0.001, 100),
    "log-normal": lambda chance: chance.lognormvariate(0, 2),
    "any magnitude": lambda chance: 10 ** chance.uniform(-4, 7),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_all_quantiles_are_at_most_5_percent_off(name: str) -> None:
    chance = Random(name)
    taken = [timedelta(seconds=DISTRIBUTIONS[name](chance)) for _ in range(100_000)]
    found = Runtimes.of(Counter(map(bucket_of, taken)))
    told = {"count": found.count}
    told |= {f"{name}Seconds": getattr(found, name) for name in ("p50", "p95", "p99", "max")}
    assert_near(told, [each.total_seconds() for each in taken])
