"""A worker's processes: the same pages, filters and orders as at the root, for many workers."""

from datetime import timedelta
from typing import Any

import pytest

from db.session import Database
from monitor.entities import Process, ProcessStatus, Worker
from tests.client import Client, GraphQLErrors
from tests.stored import THEN, a_process, a_task, a_worker, store

SECOND = timedelta(seconds=1)
NESTED = """
query ($first: Int, $after: String, $last: Int, $before: String, $filter: ProcessFilter,
       $order: ProcessOrder) {
  workers {
    edges { node {
      id
      processes(first: $first, after: $after, last: $last, before: $before, filter: $filter,
                orderBy: $order) {
        edges { cursor node { id worker { id } } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      }
    } }
  }
}
"""
PROCESSES = """
query ($first: Int, $after: String, $last: Int, $before: String, $filter: ProcessFilter,
       $order: ProcessOrder) {
  processes(first: $first, after: $after, last: $last, before: $before, filter: $filter,
            orderBy: $order) {
    edges { cursor node { id worker { id } } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""


async def stored_histories(database: Database) -> tuple[list[Worker], list[Process]]:
    """Of two workers that started at the same instants, and one that never did."""
    workers = [a_worker() for _ in range(3)]
    processes = [
        a_process(
            worker,
            started_at=THEN + n // 2 * SECOND,
            updated_at=THEN - n * SECOND,
            status=ProcessStatus.ERROR if n == 3 else ProcessStatus.RUNNING,
        )
        for n in range(6)
        for worker in workers[:2]
    ]
    await store(database, *workers, *processes)
    return workers, processes


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"first": 2},
        {"last": 2},
        {"first": 0},
        {"first": 6},
        {"order": {"field": "STARTED_AT", "direction": "ASC"}, "first": 3},
        {"order": {"field": "UPDATED_AT"}, "last": 3},
        {"order": {"field": "UPDATED_AT", "direction": "ASC"}},
        {"filter": {"status": ["ERROR"]}},
        {"filter": {"status": ["RUNNING"], "startedAfter": THEN.isoformat()}, "first": 1},
        {"filter": {"ids": []}},
        {"filter": {"stalled": True}},
    ],
    ids=str,
)
async def test_a_worker_has_the_page_that_the_root_has_with_its_filter(
    client: Client, database: Database, arguments: dict[str, Any]
) -> None:
    workers, _ = await stored_histories(database)
    data = await client.graphql(NESTED, **arguments)
    nested = {edge["node"]["id"]: edge["node"]["processes"] for edge in data["workers"]["edges"]}
    for worker in workers:
        filter_ = {**arguments.get("filter", {}), "workerIds": [worker.id]}
        alone = await client.graphql(PROCESSES, **{**arguments, "filter": filter_})
        assert nested[worker.id] == alone["processes"]


@pytest.mark.parametrize(("size", "cursor"), [("first", "after"), ("last", "before")])
async def test_one_cursor_serves_for_the_processes_of_all_workers(
    client: Client, database: Database, size: str, cursor: str
) -> None:
    workers, processes = await stored_histories(database)
    mine = [process for process in processes if process.worker_id == workers[0].id]
    everything = await client.graphql(PROCESSES)
    cursors = {edge["node"]["id"]: edge["cursor"] for edge in everything["processes"]["edges"]}
    order = {"field": "STARTED_AT", "direction": "ASC"}
    arguments = {size: 2, cursor: cursors[mine[2].id], "order": order}
    data = await client.graphql(NESTED, **arguments)
    for edge in data["workers"]["edges"]:
        filter_ = {"workerIds": [edge["node"]["id"]]}
        alone = await client.graphql(PROCESSES, **arguments, filter=filter_)
        assert edge["node"]["processes"] == alone["processes"]


async def test_fields_with_other_arguments_are_loaded_apart(
    client: Client, database: Database
) -> None:
    (worker, *_), processes = await stored_histories(database)
    query = """
    query ($id: ID!) { worker(id: $id) {
      one: processes(first: 1) { edges { node { id } } }
      two: processes(first: 2) { edges { node { id } } }
      failed: processes(filter: {status: [ERROR]}) { edges { node { id } } }
    } }
    """
    found = (await client.graphql(query, id=worker.id))["worker"]
    assert [len(found[name]["edges"]) for name in ("one", "two", "failed")] == [1, 2, 1]
    (failed,) = (p.id for p in processes if p.status == "ERROR" and p.worker_id == worker.id)
    assert found["failed"]["edges"] == [{"node": {"id": failed}}]


async def test_a_page_that_cannot_be_does_not_spoil_the_one_beside_it(
    client: Client, database: Database
) -> None:
    (worker, *_), _ = await stored_histories(database)
    query = """
    query ($id: ID!) {
      good: worker(id: $id) { processes(first: 1) { edges { node { id } } } }
      bad: worker(id: $id) { processes(first: -1) { edges { node { id } } } }
    }
    """
    response = await client.post("/graphql", {"query": query, "variables": {"id": worker.id}})
    body = response.json()
    assert len(body["data"]["good"]["processes"]["edges"]) == 1
    assert body["data"]["bad"] is None
    (error,) = body["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["bad", "processes"], "BAD_USER_INPUT")


async def test_long_filters_fit_for_many_workers(client: Client, database: Database) -> None:
    workers = [a_worker() for _ in range(60)]
    processes = [a_process(worker) for worker in workers]
    await store(database, *workers, *processes)
    ids = [process.id for process in processes[:50]] + [f"process_{n}" for n in range(950)]
    query = """
    query ($ids: [ID!]) {
      workers(first: 60) { edges { node { processes(filter: {ids: $ids}) { edges { cursor } } } } }
    }
    """
    data = await client.graphql(query, ids=ids)
    lengths = [len(edge["node"]["processes"]["edges"]) for edge in data["workers"]["edges"]]
    assert sum(lengths) == 50


async def test_the_way_down_and_up_again_meets_the_same_entities(
    client: Client, database: Database
) -> None:
    worker = a_worker(name="top")
    process = a_process(worker)
    tasks = [a_task(process, position=n) for n in (2, 1)]
    await store(database, worker, process, *tasks)
    query = """{ workers { edges { node { processes { edges { node {
      currentTask { position process { worker { name } } }
      tasks { position process { id worker { id } } }
    } } } } } } }"""
    data = await client.graphql(query)
    (found,) = data["workers"]["edges"][0]["node"]["processes"]["edges"]
    up = {"id": process.id, "worker": {"id": worker.id}}
    assert found["node"] == {
        "currentTask": {"position": 1, "process": {"worker": {"name": "top"}}},
        "tasks": [{"position": 1, "process": up}, {"position": 2, "process": up}],
    }


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_more_tasks_than_fit_are_refused_and_asked_for_in_parts(
    client: Client, database: Database
) -> None:
    worker = a_worker()
    processes = [a_process(worker, task_count=10_001) for _ in range(5)]
    tasks = [a_task(process, position=n + 1) for process in processes for n in range(10_001)]
    await store(database, worker, *processes, *tasks)
    query = """
    query ($n: Int) { processes(first: $n) { edges { node { tasks { position } } } } }
    """
    with pytest.raises(GraphQLErrors) as refused:
        await client.graphql(query, n=5)
    assert set(refused.value.codes) == {"BAD_USER_INPUT"}
    data = await client.graphql(query, n=1)
    (process,) = data["processes"]["edges"]
    assert [task["position"] for task in process["node"]["tasks"]] == list(range(1, 10_002))
