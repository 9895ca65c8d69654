"""Pipelines over HTTP: by id, by name and by page, with what belongs to them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI

from app.factory import create_app
from app.settings import Settings
from monitor.ids import pipeline_id
from monitor.monitor import Monitor
from tests.client import Client, GraphQLErrors
from tests.conftest import serving
from tests.factories import Run, end, register, run_all, start
from tests.monitor.silence import judge_silent

ALL = """
  __typename id name version averageRuntimeSeconds failing revision firstSeenAt lastSeenAt
  taskDefinitions { name version position }
  workerCounts { total alive finished lost }
  counts { total running succeeded failed }
  latestProcess { id status pipeline { name } }
  recentProcesses(first: 3) { id worker { id } currentTask { name } }
"""
BY_ID = f"query ($id: ID, $name: String) {{ pipeline(id: $id, name: $name) {{ {ALL} }} }}"
NAMES = """
query ($first: Int, $after: String, $last: Int, $before: String, $filter: PipelineFilter,
       $order: PipelineOrder) {
  pipelines(first: $first, after: $after, last: $last, before: $before, filter: $filter,
            orderBy: $order) {
    edges { cursor node { id name } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture
def monitor(app: FastAPI) -> Monitor:
    monitor: Monitor = app.state.monitor
    return monitor


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[Client]:
    async with serving(app) as client:
        yield client


async def fail(client: Client, worker_id: str) -> Run:
    """A process that ends with an error."""
    run = await start(client, worker_id)
    await end(client, run.process, "it broke")
    return run


async def lose(monitor: Monitor, worker_id: str) -> None:
    await judge_silent(monitor.database, monitor.transactions, worker_id)


async def names(client: Client, **filter_: Any) -> list[str]:
    """Of the pipelines that match."""
    found = await client.graphql(NAMES, filter=filter_)
    return [edge["node"]["name"] for edge in found["pipelines"]["edges"]]


async def codes(client: Client, query: str, **variables: Any) -> list[str]:
    with pytest.raises(GraphQLErrors) as refused:
        await client.graphql(query, **variables)
    return refused.value.codes


async def test_a_pipeline_has_what_all_its_workers_did(client: Client, monitor: Monitor) -> None:
    first = await register(client, "old", name="nightly")
    done = await run_all(client, first)
    running = await start(client, first)
    second = await register(client, "fetch", "clean", name="nightly")
    failed = await fail(client, second)
    await lose(monitor, first)
    third = await register(client, "fetch", "clean", name="nightly")
    await lose(monitor, third)

    pipeline = (await client.graphql(BY_ID, id=pipeline_id("nightly")))["pipeline"]
    assert pipeline.pop("firstSeenAt") <= pipeline.pop("lastSeenAt")
    assert pipeline.pop("averageRuntimeSeconds") > 0
    assert pipeline.pop("revision") >= 0
    assert pipeline == {
        "__typename": "Pipeline",
        "id": pipeline_id("nightly"),
        "name": "nightly",
        "version": "v1.0",
        "failing": True,
        "taskDefinitions": [
            {"name": "fetch", "version": "v1.0", "position": 1},
            {"name": "clean", "version": "v1.0", "position": 2},
        ],
        "workerCounts": {"total": 3, "alive": 1, "finished": 1, "lost": 1},
        "counts": {"total": 3, "running": 1, "succeeded": 1, "failed": 1},
        "latestProcess": {
            "id": failed.process,
            "status": "ERROR",
            "pipeline": {"name": "nightly"},
        },
        "recentProcesses": [
            {"id": failed.process, "worker": {"id": second}, "currentTask": {"name": "fetch"}},
            {"id": running.process, "worker": {"id": first}, "currentTask": {"name": "old"}},
            {"id": done.process, "worker": {"id": first}, "currentTask": {"name": "old"}},
        ],
    }


async def test_version_and_steps_are_of_the_newest_registration(client: Client) -> None:
    for version, steps in (("v1", ["a"]), ("v0.9", ["b", "c"]), ("v2", [])):
        body = {
            "name": "nightly",
            "version": version,
            "tasks": [{"name": name, "version": "s"} for name in steps],
        }
        await client.post("/matricula", body)
        pipeline = (await client.graphql(BY_ID, name="nightly"))["pipeline"]
        assert pipeline["version"] == version
        assert [step["name"] for step in pipeline["taskDefinitions"]] == steps
    assert pipeline["latestProcess"] is None
    assert pipeline["recentProcesses"] == []
    assert pipeline["averageRuntimeSeconds"] is None


async def test_a_pipeline_is_found_by_its_exact_name(client: Client) -> None:
    written = ["Nightly", "nightly", "nightly ", " nightly", "näightly", "na\u0308ightly", "", "😀"]
    for name in written:
        await register(client, name=name)
    for name in written:
        found = (await client.graphql(BY_ID, name=name))["pipeline"]
        assert (found["name"], found["id"]) == (name, pipeline_id(name))
    for name in ("NIGHTLY", "nightly  ", "x" * 300):
        assert (await client.graphql(BY_ID, name=name))["pipeline"] is None
    half = r'{ pipeline(name: "\uD83D") { id } }'
    assert await codes(client, half) == ["BAD_USER_INPUT"]
    assert (await client.graphql("{ summary { pipelines } }"))["summary"]["pipelines"] == 8


async def test_it_is_asked_for_by_id_or_by_name(client: Client) -> None:
    await register(client, name="nightly")
    both = {"id": pipeline_id("nightly"), "name": "nightly"}
    assert await codes(client, BY_ID, **both) == ["BAD_USER_INPUT"]
    assert await codes(client, BY_ID) == ["BAD_USER_INPUT"]


async def test_there_is_none_of_an_id_of_nothing_or_of_something_else(client: Client) -> None:
    worker_id = await register(client, name="nightly")
    for id_ in (pipeline_id("nigthly"), worker_id, "pipeline_", "", "pipeline_ä"):
        assert (await client.graphql(BY_ID, id=id_))["pipeline"] is None


async def test_a_pipeline_is_a_node(client: Client) -> None:
    await register(client, name="nightly")
    query = "query ($id: ID!) { node(id: $id) { __typename id ... on Pipeline { name } } }"
    id_ = pipeline_id("nightly")
    assert (await client.graphql(query, id=id_))["node"] == {
        "__typename": "Pipeline",
        "id": id_,
        "name": "nightly",
    }
    assert (await client.graphql(query, id=pipeline_id("x")))["node"] is None


async def test_the_latest_processes_are_50_at_most(client: Client) -> None:
    worker = await register(client, name="nightly")
    runs = [await start(client, worker) for _ in range(22)]
    query = '{{ pipeline(name: "nightly") {{ recentProcesses{} {{ id }} }} }}'
    for arguments, size in (("", 20), ("(first: 0)", 0), ("(first: 50)", 22), ("(first: 2)", 2)):
        found = (await client.graphql(query.format(arguments)))["pipeline"]["recentProcesses"]
        assert [process["id"] for process in found] == [r.process for r in reversed(runs)][:size]
    for arguments in ("(first: 51)", "(first: -1)"):
        assert await codes(client, query.format(arguments)) == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("field", ["NAME", "LAST_SEEN_AT"])
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_pages_neither_skip_nor_repeat(client: Client, field: str, direction: str) -> None:
    # Of the same folded names, ids decide.
    written = ["a", "b", "B", "b ", "STRASSE", "straße", "Strasse", "c", "C", "Z"]
    for name in written:
        await register(client, name=name)
    order = {"field": field, "direction": direction}
    whole = (await client.graphql(NAMES, order=order))["pipelines"]["edges"]
    listed = [edge["node"]["name"] for edge in whole]
    if field == "NAME":
        written.sort(key=lambda name: (name.casefold(), pipeline_id(name)))
    assert listed == written[:: 1 if direction == "ASC" else -1]
    for size in (1, 3, 10):
        for forwards in (True, False):
            assert await walk(client, order, size, forwards=forwards) == listed


async def walk(client: Client, order: object, size: int, *, forwards: bool) -> list[str]:
    """The names of all pages of this size, in the order of the list."""
    listed: list[str] = []
    arguments: dict[str, Any] = {}
    while True:
        arguments |= {"first" if forwards else "last": size}
        found = (await client.graphql(NAMES, order=order, **arguments))["pipelines"]
        page = [edge["node"]["name"] for edge in found["edges"]]
        listed = listed + page if forwards else page + listed
        info = found["pageInfo"]
        if not info["hasNextPage" if forwards else "hasPreviousPage"]:
            return listed
        cursor = info["endCursor" if forwards else "startCursor"]
        arguments = {"after" if forwards else "before": cursor}


async def test_a_page_refuses_what_cannot_be(client: Client) -> None:
    for name in "ab":
        await register(client, name=name)
    cursor = (await client.graphql(NAMES, first=1))["pipelines"]["pageInfo"]["endCursor"]
    other = {"field": "LAST_SEEN_AT", "direction": "ASC"}
    for arguments in (
        {"first": 501},
        {"first": -1},
        {"first": 1, "last": 1},
        {"after": "nonsense"},
        {"after": cursor, "order": other},
        {"filter": {"ids": ["x"] * 1001}},
    ):
        assert await codes(client, NAMES, **arguments) == ["BAD_USER_INPUT"]


async def test_pipelines_are_filtered_by_ids_and_names(client: Client) -> None:
    for name in ("Nightly ETL", "nightly report", "50% off", "a_b"):
        await register(client, name=name)
    wanted = [pipeline_id("a_b"), pipeline_id("nightly report"), pipeline_id("x"), "worker_1", "ä"]
    assert await names(client, ids=wanted) == ["a_b", "nightly report"]
    assert await names(client, ids=[]) == []
    assert await names(client, nameContains="NIGHTLY") == ["Nightly ETL", "nightly report"]
    assert await names(client, nameContains="%") == ["50% off"]
    assert await names(client, nameContains="_") == ["a_b"]
    assert await names(client, nameContains="etl", ids=wanted) == []


async def test_a_filter_is_right_at_once_after_each_report(
    client: Client, monitor: Monitor
) -> None:
    worker = await register(client, "a", name="watched")
    await register(client, "a", name="other")

    async def stands(**expected: bool) -> None:
        for condition, holds in expected.items():
            assert ("watched" in await names(client, **{condition: True})) is holds
            assert ("watched" in await names(client, **{condition: False})) is not holds
            assert "other" in await names(client, **{condition: False})
        assert ("watched" in await names(client, **expected)) is True

    await stands(failing=False, running=False, lost=False)
    first = await start(client, worker)
    await stands(failing=False, running=True, lost=False)
    await lose(monitor, worker)
    await stands(failing=False, running=True, lost=True)
    await client.post("/healthchecker", {"id": worker})
    await stands(failing=False, running=True, lost=False)
    await end(client, first.process, "it broke")
    await stands(failing=True, running=False, lost=False)
    second = await start(client, worker)
    await stands(failing=True, running=True, lost=False)
    await end(client, second.process)
    await stands(failing=False, running=False, lost=False)
    # Ended later, though it started earlier.
    third, fourth = await start(client, worker), await start(client, worker)
    await end(client, fourth.process)
    await end(client, third.process, "it broke")
    await stands(failing=True, running=False, lost=False)


async def test_lists_are_narrowed_to_pipelines(client: Client) -> None:
    runs = {}
    for name in ("a", "b", "c"):
        worker = await register(client, "step", name=name)
        runs[name] = await run_all(client, worker)
    query = """
      query ($ids: [ID!]) {
        workers(filter: {pipelineIds: $ids}) { edges { node { id pipeline { name } } } }
        processes(filter: {pipelineIds: $ids}) { edges { node { id pipeline { name } } } }
        tasks(filter: {pipelineIds: $ids}) { edges { node { id } } }
      }
    """
    expected = [runs["a"], runs["c"]]
    ids = [pipeline_id("c"), pipeline_id("a"), pipeline_id("none"), "worker_1"]
    found = await client.graphql(query, ids=ids)
    listed = {
        name: {edge["node"]["id"] for edge in found[name]["edges"]}
        for name in ("workers", "processes", "tasks")
    }
    assert listed == {
        "workers": {run.worker for run in expected},
        "processes": {run.process for run in expected},
        "tasks": {run.tasks[0] for run in expected},
    }
    for edge in found["workers"]["edges"]:
        assert edge["node"]["pipeline"]["name"] in "ac"
    nothing = await client.graphql(query, ids=[])
    assert all(connection["edges"] == [] for connection in nothing.values())


async def test_workers_are_filtered_by_liveness_and_status_together(
    client: Client, monitor: Monitor
) -> None:
    alive, finished, lost = [await register(client, "a", name="w") for _ in range(3)]
    await start(client, lost)
    for worker_id in (finished, lost):
        await lose(monitor, worker_id)
    query = """
      query ($filter: WorkerFilter) {
        workers(filter: $filter) { edges { node { id status liveness livenessReason } } }
      }
    """

    async def listed(**filter_: Any) -> list[str]:
        found = await client.graphql(query, filter=filter_)
        return [edge["node"]["id"] for edge in found["workers"]["edges"]]

    assert await listed(liveness=["ALIVE"]) == [alive]
    assert await listed(liveness=["LOST", "FINISHED"]) == [finished, lost]
    assert await listed(status=["OFFLINE"]) == [finished, lost]
    assert await listed(status=["OFFLINE"], liveness=["LOST", "ALIVE"]) == [lost]
    assert await listed(status=["ONLINE"], liveness=["LOST"]) == []
    assert await listed(status=["ONLINE", "OFFLINE"]) == [alive, finished, lost]
    assert await listed(status=[]) == []
    assert await listed(liveness=["LOST"], pipelineIds=[pipeline_id("w")]) == [lost]
    assert await listed(liveness=["LOST"], pipelineIds=[pipeline_id("x")]) == []
    of_lost = (await client.graphql(query, filter={"ids": [lost]}))["workers"]["edges"][0]["node"]
    assert (of_lost["status"], of_lost["liveness"]) == ("OFFLINE", "LOST")
    assert of_lost["livenessReason"].startswith("silent for ")


async def test_the_workers_and_processes_of_a_pipeline_are_pages(
    client: Client, monitor: Monitor
) -> None:
    workers = [await register(client, "a", name="p") for _ in range(3)]
    runs = [await run_all(client, worker) for worker in workers]
    await lose(monitor, workers[1])
    await run_all(client, await register(client, "a", name="other"))
    query = """
      query ($first: Int, $after: String, $w: WorkerFilter, $p: ProcessFilter, $o: WorkerOrder) {
        pipeline(name: "p") {
          workers(first: $first, filter: $w, orderBy: $o) { edges { node { id } } }
          processes(first: $first, after: $after, filter: $p) {
            edges { node { id } } pageInfo { endCursor hasNextPage }
          }
        }
      }
    """

    async def listed(field: str, **arguments: Any) -> list[str]:
        found = (await client.graphql(query, **arguments))["pipeline"]
        return [edge["node"]["id"] for edge in found[field]["edges"]]

    newest_first = [run.process for run in reversed(runs)]
    assert await listed("workers") == workers
    assert await listed("workers", w={"liveness": ["FINISHED"]}) == [workers[1]]
    assert (
        await listed("workers", o={"field": "NAME", "direction": "DESC"}) == sorted(workers)[::-1]
    )
    assert await listed("processes") == newest_first
    assert await listed("processes", p={"workerIds": workers[:2]}) == newest_first[1:]
    assert await listed("processes", p={"status": ["ERROR"]}) == []
    assert await listed("processes", p={"pipelineIds": [pipeline_id("other")]}) == []
    page = (await client.graphql(query, first=2))["pipeline"]["processes"]["pageInfo"]
    assert page["hasNextPage"]
    assert await listed("processes", after=page["endCursor"]) == newest_first[2:]


async def test_the_summary_counts_pipelines_and_workers(client: Client, monitor: Monitor) -> None:
    workers = [await register(client, "a", name=name) for name in ("p", "p", "q")]
    await start(client, workers[0])
    for worker_id in workers[:2]:
        await lose(monitor, worker_id)
    query = """
      { summary { pipelines workersOnline workersOffline
                  workerCounts { total alive finished lost } stalledProcesses } }
    """
    assert (await client.graphql(query))["summary"] == {
        "pipelines": 2,
        "workersOnline": 1,
        "workersOffline": 2,
        "workerCounts": {"total": 3, "alive": 1, "finished": 1, "lost": 1},
        "stalledProcesses": 1,
    }


@pytest.mark.parametrize("slot_seconds", [7, 60, 3600])
async def test_activity_is_of_a_pipeline(client: Client, slot_seconds: int) -> None:
    workers = [await register(client, "a", name=name) for name in ("p", "p", "q")]
    for worker in workers:
        await run_all(client, worker)
    await fail(client, workers[0])
    query = """
      query ($since: DateTime!, $slot: Int!, $worker: ID, $pipeline: ID) {
        activity(since: $since, slotSeconds: $slot, workerId: $worker, pipelineId: $pipeline) {
          started succeeded failed averageRuntimeSeconds
        }
      }
    """
    process = "{ processes(last: 1) { edges { node { startedAt } } } }"
    since = (await client.graphql(process))["processes"]["edges"][0]["node"]["startedAt"]

    async def sums(**subject: str) -> tuple[int, int, int]:
        found = await client.graphql(query, since=since, slot=slot_seconds, **subject)
        slots = found["activity"]
        return tuple(sum(slot[n] for slot in slots) for n in ("started", "succeeded", "failed"))

    assert await sums(pipeline=pipeline_id("p")) == (3, 2, 1)
    assert await sums(pipeline=pipeline_id("none")) == (0, 0, 0)
    assert await sums() == (4, 3, 1)
    both = {"worker": workers[0], "pipeline": pipeline_id("p")}
    refused = await codes(client, query, since=since, slot=slot_seconds, **both)
    assert refused == ["BAD_USER_INPUT"]


async def test_an_id_of_the_other_kind_is_of_nothing(client: Client) -> None:
    worker = await register(client, "a", name="p")
    await run_all(client, worker)
    query = """
      query ($worker: ID, $pipeline: ID) {
        activity(since: "2026-01-01T00:00:00Z", slotSeconds: 86400, workerId: $worker,
                 pipelineId: $pipeline) { started }
      }
    """
    for subject in ({"worker": pipeline_id("p")}, {"pipeline": worker}, {"pipeline": "x"}):
        slots = (await client.graphql(query, **subject))["activity"]
        assert sum(slot["started"] for slot in slots) == 0
