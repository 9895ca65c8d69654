"""What a query costs the database: statements do not grow with rows, nor figures with history."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from fastapi import FastAPI

from app.factory import create_app
from app.settings import Settings
from db.session import Database
from monitor.entities import Entity, TaskDefinition, Worker
from tests.client import Client
from tests.conftest import serving
from tests.factories import end, register, run_all, start
from tests.monitor.silence import ran_before
from tests.statements import counting, note_counted, noting_statements_to
from tests.stored import THEN, a_process, a_task, a_worker, store

STEPS = (TaskDefinition("a", "v1"), TaskDefinition("b", "v1"))


@pytest.fixture
def app(settings: Settings) -> Iterator[FastAPI]:
    app = create_app(settings)
    with noting_statements_to(app.state.monitor.database, note_counted):
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[Client]:
    async with serving(app) as client:
        yield client


def histories(number: int) -> Sequence[Entity]:
    """Workers with three processes of two tasks; of each second process none was reported on."""
    entities: list[Entity] = []
    for _ in range(number):
        worker = a_worker(task_definitions=STEPS)
        entities.append(worker)
        for n in range(3):
            process = a_process(worker, started_at=THEN + timedelta(seconds=n))
            tasks = [a_task(process, position=position) for position in (1, 2)]
            if n % 2:
                process = replace(process, current_task_id=tasks[1].id)
            entities += [process, *tasks]
    return entities


EVERYTHING = """
{
  workers(first: 500) {
    edges { node {
      counts { total } taskDefinitions { name }
      processes(first: 2) { edges { node {
        progress
        worker { name }
        tasks { name process { status worker { name } } }
        currentTask { position process { currentTask { name } } }
      } } }
    } }
  }
}
"""


@pytest.mark.parametrize(
    ("query", "at_most"),
    [
        # What is loaded along two ways (a task in hand, or the first one) may take one more.
        (EVERYTHING, 9),
        ("{ workers(first: 500) { edges { node { processes { edges { cursor } } } } } }", 2),
        ("{ processes(first: 500) { edges { node { worker { name } tasks { name } } } } }", 3),
        ("{ processes(first: 500) { edges { node { currentTask { process { status } } } } } }", 5),
        ("{ tasks(first: 500) { edges { node { process { worker { name } } } } } }", 3),
    ],
)
async def test_a_query_sends_no_more_statements_for_200_rows_than_for_2(
    client: Client, database: Database, query: str, at_most: int
) -> None:
    await store(database, *histories(2))
    with counting() as for_two:
        await client.graphql(query)
    assert at_most // 2 < len(for_two) <= at_most
    await store(database, *histories(198))
    with counting() as for_many:
        data = await client.graphql(query)
    assert len(next(iter(data.values()))["edges"]) >= 200
    assert len(for_many) <= at_most


async def test_500_workers_with_all_below_them_take_a_handful_of_statements(
    client: Client, database: Database
) -> None:
    await store(database, *histories(500))
    with counting() as statements:
        workers = (await client.graphql(EVERYTHING))["workers"]["edges"]
    processes = [edge["node"] for w in workers for edge in w["node"]["processes"]["edges"]]
    assert (len(workers), len(processes)) == (500, 1000)
    assert all(len(process["tasks"]) == 2 for process in processes)
    assert {process["currentTask"]["position"] for process in processes} == {1, 2}
    assert len(statements) <= 9


PIPELINES = """
{
  pipelines(first: 50) { edges { node {
    name version taskDefinitions { name } counts { total } workerCounts { total }
    latestProcess { status }
    recentProcesses(first: 20) { id status worker { name } }
    workers(first: 5) { edges { node { name processes(first: 1) { edges { cursor } } } } }
  } } }
}
"""


async def test_50_pipelines_with_all_below_them_take_as_many_statements_as_2(
    client: Client, database: Database
) -> None:
    counts = []
    for names in (range(2), range(2, 50)):
        for name in names:
            workers = [a_worker(name=f"pipeline {name}") for _ in range(3)]
            processes = [a_process(worker) for worker in workers for _ in range(3)]
            await store(database, *workers, *processes)
        with counting() as statements:
            found = (await client.graphql(PIPELINES))["pipelines"]["edges"]
        counts.append(len(statements))
    assert len(found) == 50
    assert all(len(edge["node"]["recentProcesses"]) == 9 for edge in found)
    assert all(len(edge["node"]["workers"]["edges"]) == 3 for edge in found)
    # The page; states and newest workers; latest and recent processes; workers, twice, theirs.
    assert counts == [8, 8]


STATISTICS = {
    "runtime { p50Seconds p95Seconds }": 1,
    'outcomes(since: "2026-03-01T00:00:00Z") { successRate }': 1,
    'steps(version: "v1.0") { runtime { p95Seconds } }': 1,
    'runtimes(since: "2026-03-01T00:00:00Z", until: "2026-03-02T00:00:00Z") { at }': 1,
    "versions { firstSeenAt counts { total } }": 3,
    'compareVersions(version: "v1.0", against: "v2") { verdict steps { name } }': 4,
    "flakySteps { name }": 2,
}


@pytest.mark.parametrize("number", [2, 100])
async def test_statistics_take_as_many_statements_whatever_the_number_of_pipelines(
    client: Client, database: Database, number: int
) -> None:
    workers = [a_worker(name=f"pipeline {n}", task_definitions=STEPS) for n in range(number)]
    await store(database, *workers)
    costs = STATISTICS | {" ".join(STATISTICS): sum(STATISTICS.values())}
    # The page takes three of its own.
    for field, expected in costs.items():
        # A thousand slots of each are many objects.
        size = min(number, 50) if "runtimes" in field else number
        query = f"{{ pipelines(first: {size}) {{ edges {{ node {{ {field} }} }} }} }}"
        with counting() as statements:
            data = await client.graphql(query)
        assert len(data["pipelines"]["edges"]) == size
        assert len(statements) - 3 == expected, field


async def test_what_was_done_to_processes_is_one_statement_and_to_what_another(
    client: Client, database: Database
) -> None:
    counts = []
    for number in (2, 198):
        await store(database, *histories(number))
        with counting() as statements:
            await client.graphql(
                "{ processes(first: 500) { edges { node { audit(first: 5) { action } } } } }"
            )
        counts.append(len(statements))
    # Of more than 250 processes in two parts.
    assert counts == [2, 3]
    with counting() as statements:
        await client.graphql("{ audit { edges { node { action subjectIds } } } }")
    assert len(statements) == 1
    await client.graphql(
        'mutation { registerWorker(input: { name: "a", version: "1", tasks: [] }) { id } }'
    )
    with counting() as statements:
        await client.graphql("{ audit { edges { node { action subjectIds } } } }")
    assert len(statements) == 2


async def test_many_single_reads_are_one_statement(client: Client, database: Database) -> None:
    workers = [a_worker() for _ in range(40)]
    await store(database, *workers)
    query = " ".join(f'w{n}: worker(id: "{w.id}") {{ name }}' for n, w in enumerate(workers))
    with counting() as statements:
        data = await client.graphql(f"{{ {query} }}")
    assert len(data) == 40
    assert len(statements) == 1


@pytest.mark.parametrize(
    ("query", "statements"),
    [
        ("{ processes { edges { node { id # } } } }", 1),
        ("{ tasks { edges { node { id # } } } }", 1),
        ("{ tasks { edges { node { process { id # } } } } }", 2),
        ("{ processes { edges { node { id tasks { id # } } } } }", 2),
        ("{ processes { edges { node { id currentTask { id # } } } } }", 3),
        ("{ workers { edges { node { processes { edges { node { id # } } } } } } }", 2),
    ],
)
async def test_details_are_read_only_by_who_asks_for_them(
    client: Client, database: Database, query: str, statements: int
) -> None:
    await store(database, *histories(4))
    with counting() as without:
        await client.graphql(query.replace("#", ""))
    assert "details" not in "".join(without)
    # As long as they are small they come with their rows.
    with counting() as small:
        await client.graphql(query.replace("#", "details"))
    assert len(without) == len(small) == statements
    assert ["details" in statement for statement in small][-1]


async def test_all_large_details_of_a_list_are_one_more_statement(
    client: Client, database: Database
) -> None:
    workers = [a_worker() for _ in range(20)]
    processes = [a_process(worker, details="x" * 2_000) for worker in workers]
    await store(database, *workers, *processes)
    rows = "edges { node { id details } }"
    for query, expected in (
        (f"{{ processes {{ {rows} }} }}", 2),
        (f"{{ workers {{ edges {{ node {{ processes {{ {rows} }} }} }} }} }}", 3),
    ):
        with counting() as statements:
            await client.graphql(query)
        assert len(statements) == expected


async def test_figures_read_no_history(client: Client) -> None:
    await run_all(client, await register(client, "a"))
    with counting() as statements:
        await client.graphql("{ summary { workersOnline processes { total } } }")
    assert tables_of(statements) == {"totals"}
    with counting() as statements:
        await client.graphql(
            '{ activity(since: "2026-01-01T00:00:00Z", slotSeconds: 86400) { at } }'
        )
    assert tables_of(statements) == {"activity"}
    with counting() as statements:
        assert (await client.get("/dashboard_workers")).status_code == 200
    assert tables_of(statements) == {"totals", "workers"}
    with counting() as statements:
        await client.graphql("{ workers { edges { node { averageRuntimeSeconds } } } }")
    assert tables_of(statements) == {"workers"}


async def test_what_needs_no_database_asks_none(client: Client) -> None:
    with counting() as statements:
        await client.graphql("{ version feedCursor __schema { types { name } } }")
    assert statements == []


def tables_of(statements: Sequence[str]) -> set[str]:
    """The tables that the statements read."""
    words = " ".join(statements).replace("`", "").split()
    return {after for word, after in pairwise(words) if word in ("FROM", "JOIN")}


USUAL = """
{ processes(first: 500) { edges { node {
  overtime expectedEndAt usualRuntime { p50Seconds }
  tasks { overtime usualRuntime { p50Seconds } }
} } } }
"""
# The other way round, where no list of processes is loaded at once.
USUAL_OF_TASKS = """
{ tasks(first: 500) { edges { node { usualRuntime { count } process { expectedEndAt } } } } }
"""


@pytest.mark.parametrize(("query", "reads"), [(USUAL, 3), (USUAL_OF_TASKS, 3)])
async def test_what_is_usual_of_500_pipelines_is_known_after_few_statements(
    client: Client, database: Database, query: str, reads: int
) -> None:
    entities: list[Entity] = []
    for number in range(500):
        worker = a_worker(name=f"pipeline {number}", task_definitions=STEPS)
        process = a_process(worker, started_at=THEN + timedelta(seconds=number))
        entities += [worker, process]
        at = process.started_at
        entities += [a_task(process, name=step.name, created_at=at) for step in STEPS]
    await store(database, *entities)
    for known in (entities[0], worker):
        assert isinstance(known, Worker)
        for step_name in (None, "a", "b"):
            await ran_before(database, known, step_name, *[100.0] * 5)
    with counting() as first:
        data = await client.graphql(query)
    # Steps of pipelines that have the same ones are one statement, whole processes another.
    assert len(first) <= reads + 2
    assert len({str(edge) for edge in next(iter(data.values()))["edges"]}) > 1
    with counting() as again:
        await client.graphql(query)
    assert len(again) == reads
    assert not [statement for statement in again if "durations" in statement]


SEARCH = """
query ($first: Int!) {
  search(text: "rows", first: $first) {
    edges {
      line
      node {
        ... on Failure { title status pipeline { name } }
        ... on Process { details worker { name } pipeline { name } currentTask { name } }
      }
    }
  }
}
"""


async def test_a_search_costs_as_many_statements_whatever_it_finds(client: Client) -> None:
    for name in ("etl", "ocr"):
        worker = await register(client, "load", name=name)
        for number in range(6):
            run = await start(client, worker)
            await end(client, run.process, f"no rows in batch {number}")
    costs = []
    for first in (3, 9):
        with counting() as statements:
            found = (await client.graphql(SEARCH, first=first))["search"]["edges"]
        assert len(found) == first
        costs.append(len(statements))
    assert costs[0] == costs[1] < 20
