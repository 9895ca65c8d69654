"""Lists: which entities a filter picks, and in which order they come."""

from datetime import timedelta
from typing import Any

import pytest

from db.session import Database
from monitor.entities import Liveness, ProcessStatus, Task, TaskStatus, Worker
from monitor.ids import failure_id
from tests.client import Client, GraphQLErrors
from tests.stored import THEN, a_process, a_task, a_worker, store

SECOND = timedelta(seconds=1)

# The fields of the lists, with the type of their filter and order.
LISTS = {"workers": "Worker", "processes": "Process", "tasks": "Task"}


async def ids_of(
    client: Client, field: str, filter_: object = None, order: object = None
) -> list[str]:
    """The ids of a list, in its order."""
    type_ = LISTS[field]
    query = f"""
    query ($filter: {type_}Filter, $order: {type_}Order) {{
      {field}(filter: $filter, orderBy: $order) {{ edges {{ node {{ id }} }} }}
    }}
    """
    data = await client.graphql(query, filter=filter_, order=order)
    return [edge["node"]["id"] for edge in data[field]["edges"]]


async def test_workers_can_be_picked_by_id_status_and_name(
    client: Client, database: Database
) -> None:
    nightly = a_worker(name="Nightly import")
    hourly = a_worker(name="Hourly import", liveness=Liveness.LOST)
    cleaner = a_worker(name="cleaner", liveness=Liveness.LOST)
    await store(database, nightly, hourly, cleaner)

    async def picked(**filter_: Any) -> set[str]:
        return set(await ids_of(client, "workers", filter_))

    assert await picked() == {nightly.id, hourly.id, cleaner.id}
    assert await picked(ids=[nightly.id, cleaner.id]) == {nightly.id, cleaner.id}
    assert await picked(status=["OFFLINE"]) == {hourly.id, cleaner.id}
    assert await picked(status=["OFFLINE", "ONLINE"]) == {nightly.id, hourly.id, cleaner.id}
    assert await picked(nameContains="IMPORT") == {nightly.id, hourly.id}
    assert await picked(nameContains="import", status=["OFFLINE"]) == {hourly.id}
    assert await picked(nameContains="import", status=["OFFLINE"], ids=[nightly.id]) == set()


async def test_processes_can_be_picked_by_every_field(client: Client, database: Database) -> None:
    one, two = a_worker(), a_worker(liveness=Liveness.LOST)
    running = a_process(one, started_at=THEN)
    stalled = a_process(two, started_at=THEN + SECOND, stalled=True)
    ended = a_process(
        two, started_at=THEN + 2 * SECOND, ended_at=THEN + 3 * SECOND, status=ProcessStatus.ERROR
    )
    await store(database, one, two, running, stalled, ended)

    async def picked(**filter_: Any) -> set[str]:
        return set(await ids_of(client, "processes", filter_))

    def after(seconds: float) -> str:
        return (THEN + seconds * SECOND).isoformat()

    assert await picked(ids=[running.id, ended.id]) == {running.id, ended.id}
    assert await picked(workerIds=[two.id]) == {stalled.id, ended.id}
    assert await picked(workerIds=[one.id, two.id]) == {running.id, stalled.id, ended.id}
    assert await picked(status=["RUNNING"]) == {running.id, stalled.id}
    assert await picked(status=["SUCCESS", "ERROR"]) == {ended.id}
    assert await picked(stalled=True) == {stalled.id}
    assert await picked(stalled=False) == {running.id, ended.id}
    assert await picked(startedAfter=after(0)) == {stalled.id, ended.id}
    assert await picked(startedBefore=after(2)) == {running.id, stalled.id}
    assert await picked(startedAfter=after(0.999999), startedBefore=after(1.000001)) == {stalled.id}
    assert await picked(workerIds=[two.id], status=["RUNNING"], stalled=True) == {stalled.id}
    assert await picked(workerIds=[one.id], stalled=True) == set()


async def test_the_processes_of_a_version_can_be_picked_in_a_pipeline(
    client: Client, database: Database
) -> None:
    worker = a_worker()
    old, new = a_process(worker, version="v1.3"), a_process(worker, version="v1.4")
    await store(database, worker, old, new)
    pipeline = {"pipelineIds": [worker.pipeline_id]}
    assert await ids_of(client, "processes", {**pipeline, "versions": ["v1.3"]}) == [old.id]
    both = await ids_of(client, "processes", {**pipeline, "versions": ["v1.3", "v1.4", "v9"]})
    assert set(both) == {old.id, new.id}


async def test_the_processes_of_a_version_can_be_picked_among_those_of_a_failure(
    client: Client, database: Database
) -> None:
    worker, failure = a_worker(), failure_id("v1:of two versions")
    old, new = (
        a_process(worker, version=version, status=ProcessStatus.ERROR, failure_id=failure)
        for version in ("v1.3", "v1.4")
    )
    await store(database, worker, old, new)
    of = {"failureIds": [failure], "versions": ["v1.3"]}
    assert await ids_of(client, "processes", of) == [old.id]


@pytest.mark.parametrize(
    ("filter_", "order", "fault"),
    [
        ({"versions": ["v1"]}, "STARTED_AT", "filter.versions: needs pipelineIds"),
        ({"versions": ["v1"], "pipelineIds": []}, "UPDATED_AT", "needs the order STARTED_AT"),
        ({"versions": ["x" * 51], "pipelineIds": []}, "STARTED_AT", "filter.versions.0: "),
    ],
)
async def test_versions_that_no_index_finds_are_refused(
    client: Client, filter_: dict[str, Any], order: str, fault: str
) -> None:
    document = """query ($filter: ProcessFilter, $order: ProcessOrderField!) {
      processes(filter: $filter, orderBy: {field: $order}) { edges { cursor } } }"""
    with pytest.raises(GraphQLErrors, match=fault):
        await client.graphql(document, filter=filter_, order=order)


async def test_an_instant_of_a_filter_may_have_any_offset(
    client: Client, database: Database
) -> None:
    worker = a_worker()
    process = a_process(worker, started_at=THEN)
    await store(database, worker, process)
    just_before = {"startedAfter": "2026-03-01T21:59:59.999999+10:00"}
    assert await ids_of(client, "processes", just_before) == [process.id]
    at_it = {"startedAfter": "2026-03-01T02:00:00-10:00"}
    assert await ids_of(client, "processes", at_it) == []


async def test_tasks_can_be_picked_by_every_field(client: Client, database: Database) -> None:
    worker, other = a_worker(), a_worker()
    process, another, of_other = a_process(worker), a_process(worker), a_process(other)
    fetch = a_task(process, name="Fetch", status=TaskStatus.SUCCESS)
    clean = a_task(another, name="Clean")
    refetch = a_task(of_other, name="refetch", status=TaskStatus.RUNNING)
    await store(database, worker, other, process, another, of_other, fetch, clean, refetch)

    async def picked(**filter_: Any) -> set[str]:
        return set(await ids_of(client, "tasks", filter_))

    assert await picked(ids=[clean.id]) == {clean.id}
    assert await picked(workerIds=[worker.id]) == {fetch.id, clean.id}
    assert await picked(processIds=[process.id, of_other.id]) == {fetch.id, refetch.id}
    assert await picked(status=["PENDING", "RUNNING"]) == {clean.id, refetch.id}
    assert await picked(nameContains="fetch") == {fetch.id, refetch.id}
    assert await picked(nameContains="fetch", workerIds=[worker.id]) == {fetch.id}
    assert await picked(processIds=[process.id], status=["PENDING"]) == set()


@pytest.mark.parametrize("field", LISTS)
async def test_an_empty_list_matches_nothing_and_null_everything(
    client: Client, database: Database, field: str
) -> None:
    worker = a_worker()
    process = a_process(worker)
    await store(database, worker, process, a_task(process))
    for name in ("ids", "status"):
        assert await ids_of(client, field, {name: []}) == []
        assert len(await ids_of(client, field, {name: None})) == 1


@pytest.mark.parametrize("field", LISTS)
async def test_ids_that_nothing_can_have_match_nothing(
    client: Client, database: Database, field: str
) -> None:
    worker = a_worker()
    process = a_process(worker)
    task = a_task(process)
    await store(database, worker, process, task)
    known = {"workers": worker.id, "processes": process.id, "tasks": task.id}[field]
    strange = ["", "wörker_1", "' OR 1=1 --", "x" * 1000, f"{known} ", known.upper()]
    assert await ids_of(client, field, {"ids": strange}) == []
    assert await ids_of(client, field, {"ids": [*strange, known]}) == [known]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Straße nach Süden", "STRASSE"),
        ("Straße nach Süden", "SÜDEN"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
        ("импорт", "ИМПОРТ"),
        ("夜間バッチ", "バッチ"),
        ("rocket 🚀 launch", "🚀"),
        ("100% done", "0% D"),
        ("a_b", "_"),
        ("back\\slash", "\\"),
        ("it's", "'s"),
    ],
)
async def test_a_name_is_searched_without_regard_to_case(
    client: Client, database: Database, name: str, part: str
) -> None:
    named, other = a_worker(name=name), a_worker(name="zzz")
    process = a_process(named)
    task = a_task(process, name=name)
    await store(database, named, other, process, task)
    assert await ids_of(client, "workers", {"nameContains": part}) == [named.id]
    assert await ids_of(client, "tasks", {"nameContains": part}) == [task.id]


async def test_every_name_contains_nothing(client: Client, database: Database) -> None:
    await store(database, a_worker(name=""), a_worker(name="x"))
    assert len(await ids_of(client, "workers", {"nameContains": ""})) == 2


@pytest.mark.parametrize("part", ["%", "_", "a%c", "abd", "ábc", "abc "])
async def test_a_name_part_means_itself(client: Client, database: Database, part: str) -> None:
    await store(database, a_worker(name="abc"))
    assert await ids_of(client, "workers", {"nameContains": part}) == []


async def test_too_many_values_are_refused(client: Client) -> None:
    ids = [f"worker_{number}" for number in range(1001)]
    assert await ids_of(client, "workers", {"ids": ids[1:]}) == []
    with pytest.raises(GraphQLErrors) as refused:
        await ids_of(client, "workers", {"ids": ids})
    assert refused.value.codes == ["BAD_USER_INPUT"]


async def test_lists_have_their_documented_order_by_default(
    client: Client, database: Database
) -> None:
    workers = [a_worker(registered_at=THEN + number * SECOND) for number in range(3)]
    processes = [a_process(workers[0], started_at=THEN + number * SECOND) for number in range(3)]
    tasks = [a_task(processes[0], created_at=THEN + number * SECOND) for number in range(3)]
    await store(database, *workers[::-1], *processes[::-1], *tasks[::-1])
    assert await ids_of(client, "workers") == [worker.id for worker in workers]
    assert await ids_of(client, "processes") == [process.id for process in reversed(processes)]
    assert await ids_of(client, "tasks") == [task.id for task in tasks]


WORKERS: dict[str, tuple[str, list[Any]]] = {
    "REGISTERED_AT": ("registered_at", [THEN, THEN + SECOND, THEN + 2 * SECOND]),
    "LAST_SEEN_AT": ("last_seen_at", [THEN, THEN + SECOND, THEN + 2 * SECOND]),
    "NAME": ("name", ["alpha", "Beta", "gamma"]),
}


@pytest.mark.parametrize("order", WORKERS)
async def test_workers_can_be_ordered(client: Client, database: Database, order: str) -> None:
    field, values = WORKERS[order]
    ordered: list[Worker] = [a_worker(**{field: value}) for value in values]
    await store(database, ordered[2], ordered[0], ordered[1])
    await expect_order(client, "workers", order, [worker.id for worker in ordered], default="ASC")


@pytest.mark.parametrize("order", ["STARTED_AT", "UPDATED_AT"])
async def test_processes_can_be_ordered(client: Client, database: Database, order: str) -> None:
    worker = a_worker()
    ordered = [a_process(worker, **{order.lower(): THEN + n * SECOND}) for n in range(3)]
    await store(database, worker, ordered[2], ordered[0], ordered[1])
    ids = [process.id for process in ordered]
    await expect_order(client, "processes", order, ids, default="DESC")


@pytest.mark.parametrize("order", ["CREATED_AT", "UPDATED_AT", "POSITION"])
async def test_tasks_can_be_ordered(client: Client, database: Database, order: str) -> None:
    worker = a_worker()
    process = a_process(worker)
    ordered: list[Task] = [
        a_task(process, **{order.lower(): n + 1 if order == "POSITION" else THEN + n * SECOND})
        for n in range(3)
    ]
    await store(database, worker, process, ordered[2], ordered[0], ordered[1])
    await expect_order(client, "tasks", order, [task.id for task in ordered], default="ASC")


async def expect_order(
    client: Client, field: str, order: str, ascending: list[str], *, default: str
) -> None:
    assert await ids_of(client, field, None, {"field": order, "direction": "ASC"}) == ascending
    descending = ascending[::-1]
    assert await ids_of(client, field, None, {"field": order, "direction": "DESC"}) == descending
    by_default = {"ASC": ascending, "DESC": descending}[default]
    assert await ids_of(client, field, None, {"field": order}) == by_default
