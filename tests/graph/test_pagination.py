"""Pages: both directions, whatever is inserted meanwhile, however equal the values are."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from db.session import Database
from monitor.entities import Process, ProcessStatus, Worker
from tests.client import Client, GraphQLErrors
from tests.stored import THEN, a_process, a_task, a_worker, store

SECOND = timedelta(seconds=1)
PROCESSES = """
query ($first: Int, $after: String, $last: Int, $before: String, $filter: ProcessFilter,
       $order: ProcessOrder) {
  processes(first: $first, after: $after, last: $last, before: $before, filter: $filter,
            orderBy: $order) {
    edges { cursor node { id } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""
OLDEST_FIRST = {"field": "STARTED_AT", "direction": "ASC"}


async def page(client: Client, **arguments: Any) -> dict[str, Any]:
    data: dict[str, Any] = (await client.graphql(PROCESSES, **arguments))["processes"]
    return data


def ids(connection: dict[str, Any]) -> list[str]:
    return [edge["node"]["id"] for edge in connection["edges"]]


async def forwards(client: Client, size: int, **arguments: Any) -> AsyncIterator[list[str]]:
    """The pages from the first to the last."""
    after = None
    while True:
        found = await page(client, first=size, after=after, **arguments)
        yield ids(found)
        if not found["pageInfo"]["hasNextPage"]:
            return
        after = found["pageInfo"]["endCursor"]


async def backwards(client: Client, size: int, **arguments: Any) -> AsyncIterator[list[str]]:
    """The pages from the last to the first."""
    before = None
    while True:
        found = await page(client, last=size, before=before, **arguments)
        yield ids(found)
        if not found["pageInfo"]["hasPreviousPage"]:
            return
        before = found["pageInfo"]["startCursor"]


async def stored_history(database: Database) -> tuple[Worker, list[Process]]:
    """Processes of which most started at the same instants, oldest first, then by id."""
    worker = a_worker()
    seconds = [0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 3]
    processes = [a_process(worker, started_at=THEN + n * SECOND) for n in seconds]
    await store(database, worker, *processes)
    return worker, sorted(processes, key=lambda process: (process.started_at, process.id))


@pytest.mark.parametrize("size", [1, 2, 3, 11, 12])
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_pages_neither_skip_nor_repeat_in_any_direction(
    client: Client, database: Database, size: int, direction: str
) -> None:
    _, processes = await stored_history(database)
    expected = [process.id for process in processes][:: 1 if direction == "ASC" else -1]
    order = {"field": "STARTED_AT", "direction": direction}
    onwards = [found async for found in forwards(client, size, order=order)]
    assert [id_ for found in onwards for id_ in found] == expected
    back = [found async for found in backwards(client, size, order=order)]
    assert [id_ for found in reversed(back) for id_ in found] == expected
    assert {len(found) for found in onwards[:-1] + back[:-1]} <= {size}


@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_what_starts_meanwhile_shifts_no_page(
    client: Client, database: Database, direction: str
) -> None:
    worker, processes = await stored_history(database)
    known = {process.id for process in processes}
    order = {"field": "STARTED_AT", "direction": direction}
    for walk in (forwards, backwards):
        seen: list[str] = []
        rounds = 0
        async for found in walk(client, 2, order=order):
            seen += found
            rounds += 1
            if rounds < 8:  # what is inserted ahead is found, too: it must come to an end
                seconds = (-1, 0, 1, 2, 3, 4)
                new = (a_process(worker, started_at=THEN + n * SECOND) for n in seconds)
                await store(database, *new)
        assert len(seen) == len(set(seen))
        assert known & set(seen) == known


async def test_page_info_tells_what_lies_on_both_sides(client: Client, database: Database) -> None:
    _, processes = await stored_history(database)
    whole = await page(client, first=11, order=OLDEST_FIRST)
    assert ids(whole) == [process.id for process in processes]
    cursors = [edge["cursor"] for edge in whole["edges"]]
    assert whole["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": False,
        "startCursor": cursors[0],
        "endCursor": cursors[-1],
    }
    middle = await page(client, first=3, after=cursors[4], order=OLDEST_FIRST)
    assert ids(middle) == [process.id for process in processes[5:8]]
    assert middle["pageInfo"] == {
        "hasNextPage": True,
        "hasPreviousPage": True,
        "startCursor": cursors[5],
        "endCursor": cursors[7],
    }
    back = await page(client, last=3, before=cursors[8], order=OLDEST_FIRST)
    assert back == middle
    between = await page(client, last=2, after=cursors[2], before=cursors[9], order=OLDEST_FIRST)
    assert ids(between) == [process.id for process in processes[7:9]]
    assert between["pageInfo"]["hasPreviousPage"]


async def test_a_page_of_nothing_has_no_cursors(client: Client) -> None:
    empty = {"startCursor": None, "endCursor": None, "hasNextPage": False, "hasPreviousPage": False}
    assert await page(client) == {"edges": [], "pageInfo": empty}


async def test_a_page_of_size_zero_still_tells_that_there_is_more(
    client: Client, database: Database
) -> None:
    await stored_history(database)
    for size in ("first", "last"):
        found = await page(client, **{size: 0})
        assert found["edges"] == []
    assert (await page(client, first=0))["pageInfo"]["hasNextPage"]
    assert (await page(client, last=0))["pageInfo"]["hasPreviousPage"]


async def test_a_page_has_50_by_default_and_500_at_most(client: Client, database: Database) -> None:
    worker = a_worker()
    await store(database, worker, *(a_process(worker) for _ in range(501)))
    assert len(ids(await page(client))) == 50
    most = await page(client, first=500)
    assert len(set(ids(most))) == 500
    assert most["pageInfo"]["hasNextPage"]


async def test_a_cursor_remains_when_its_row_changes_or_goes_out_of_the_filter(
    client: Client, database: Database
) -> None:
    worker, processes = await stored_history(database)
    ended = a_process(worker, started_at=THEN + SECOND, status=ProcessStatus.SUCCESS)
    await store(database, ended)
    everything = await page(client, first=500, order=OLDEST_FIRST)
    (cursor,) = (edge["cursor"] for edge in everything["edges"] if edge["node"]["id"] == ended.id)
    running = {"status": ["RUNNING"]}
    behind = await page(client, after=cursor, filter=running, order=OLDEST_FIRST)
    after = (ended.started_at, ended.id)
    assert ids(behind) == [p.id for p in processes if (p.started_at, p.id) > after]


@pytest.mark.parametrize(
    "order", ["REGISTERED_AT", "LAST_SEEN_AT", "NAME"], ids=lambda order: order.lower()
)
async def test_workers_are_paged_in_every_order_though_all_are_equal(
    client: Client, database: Database, order: str
) -> None:
    workers = [a_worker(name=name) for name in ("same", "Same", "SAME", "sáme", "same", "")]
    await store(database, *workers)
    query = """
    query ($after: String, $order: WorkerOrder) {
      workers(first: 1, after: $after, orderBy: $order) {
        edges { node { id } } pageInfo { endCursor }
      }
    }
    """
    seen, after = [], None
    for _ in workers:
        data = await client.graphql(query, after=after, order={"field": order})
        seen += ids(data["workers"])
        after = data["workers"]["pageInfo"]["endCursor"]
    assert sorted(seen) == sorted(worker.id for worker in workers)


async def test_tasks_are_paged_by_position(client: Client, database: Database) -> None:
    worker = a_worker()
    processes = [a_process(worker) for _ in range(3)]
    tasks = [a_task(process, position=n) for process in processes for n in (1, 2)]
    await store(database, worker, *processes, *tasks)
    query = """
    query ($after: String) {
      tasks(first: 4, after: $after, orderBy: {field: POSITION}) {
        edges { cursor node { id } }
      }
    }
    """
    first = (await client.graphql(query))["tasks"]
    second = (await client.graphql(query, after=first["edges"][-1]["cursor"]))["tasks"]
    expected = [task.id for task in sorted(tasks, key=lambda task: (task.position, task.id))]
    assert ids(first) + ids(second) == expected


def cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


@pytest.mark.parametrize(
    "arguments",
    [
        {"first": 1, "last": 1},
        {"first": 501},
        {"last": 501},
        {"first": -1},
        {"last": -1},
        {"first": 2**31},
        {"first": 1.5},
        {"after": ""},
        {"after": "x"},
        {"before": "ünïcode"},
        {"after": "bnVsbA=="},
        {"after": cursor()},
        {"after": cursor("STARTED_AT", 1, "process_1")},
        {"after": cursor("STARTED_AT", "2026-03-01T12:00:00", "process_1")},
        {"after": cursor("STARTED_AT", "0001-01-01T00:00:00+23:59", "process_1")},
        {"after": cursor("STARTED_AT", "2026-03-01T12:00:00Z", "prozeß")},
        {"after": cursor("STARTED_AT", "2026-03-01T12:00:00Z", None)},
        {"before": cursor("UPDATED_AT", "2026-03-01T12:00:00Z", "process_1")},
        {"before": cursor("NAME", "x", "process_1")},
    ],
    ids=str,
)
async def test_a_page_that_cannot_be_is_refused(client: Client, arguments: dict[str, Any]) -> None:
    with pytest.raises(GraphQLErrors) as refused:
        await page(client, **arguments)
    assert refused.value.codes == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("position", [-1, 2**31, 2**64 - 1, 2**80, 1.5, True, "1"])
async def test_a_made_up_position_is_refused(client: Client, position: object) -> None:
    query = """
    query ($after: String) {
      tasks(after: $after, orderBy: {field: POSITION}) { edges { cursor } }
    }
    """
    with pytest.raises(GraphQLErrors) as refused:
        await client.graphql(query, after=cursor("POSITION", position, "task_1"))
    assert refused.value.codes == ["BAD_USER_INPUT"]


async def test_a_cursor_of_another_order_is_refused(client: Client, database: Database) -> None:
    await stored_history(database)
    started = (await page(client, first=1))["pageInfo"]["endCursor"]
    with pytest.raises(GraphQLErrors) as refused:
        await page(client, after=started, order={"field": "UPDATED_AT"})
    assert refused.value.codes == ["BAD_USER_INPUT"]
