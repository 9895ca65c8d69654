"""POST /endprocess: success or failure by the length of the details, once."""

from typing import Any

import pytest

from tests.client import Client
from tests.compat_rest.rows import process_row, task_rows, worker_row
from tests.factories import Run, end, register, report, run_all, start

PROCESS = "query ($id: ID!) { process(id: $id) { status details endedAt revision } }"


async def graph_process(client: Client, run: Run) -> dict[str, Any]:
    data = await client.graphql(PROCESS, id=run.process)
    process: dict[str, Any] = data["process"]
    return process


@pytest.mark.parametrize(
    ("end_of_body", "status", "details"),
    [
        ({}, "success", None),
        ({"details": None}, "success", None),
        ({"details": ""}, "success", None),
        ({"details": "1234"}, "success", "1234"),
        ({"details": "🚀🚀🚀🚀"}, "success", "🚀🚀🚀🚀"),
        ({"details": "12345"}, "error", "12345"),
        ({"details": "ñandú"}, "error", "ñandú"),
        ({"details": "     "}, "error", "     "),
        (
            {"details": "Details about the end of the process"},
            "error",
            "Details about the end of the process",
        ),
        ({"details": '{"message": "boom"}'}, "error", '{"message": "boom"}'),
        ({"details": "x" * 1024 * 1024}, "error", "x" * 1024 * 1024),
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_five_characters_of_details_make_a_failure(
    client: Client, end_of_body: dict[str, Any], status: str, details: str | None
) -> None:
    run = await start(client, await register(client, "a"))
    response = await client.post("/endprocess", {"id": run.process, **end_of_body})
    assert response.json() == {"status": True}
    assert (await process_row(client, run.worker, run.process))["status"] == status
    assert (await graph_process(client, run))["details"] == details


@pytest.mark.parametrize(
    ("details", "status"),
    [("x" * (1024 * 1024 + 1), 400), (1, 400), (["boom!"], 400), ({"message": "boom"}, 400)],
    ids=["too long", "number", "list", "object"],
)
async def test_details_that_cannot_be_kept_leave_the_process_running(
    client: Client, details: object, status: int
) -> None:
    run = await start(client, await register(client, "a"))
    response = await client.post("/endprocess", {"id": run.process, "details": details})
    assert response.status_code == status
    assert response.json()["detail"].startswith("details: ")
    assert (await graph_process(client, run))["status"] == "RUNNING"


@pytest.mark.parametrize("again", ["", "a failure this time"])
@pytest.mark.parametrize("first", ["", "a failure at first"])
async def test_ending_an_ended_process_again_changes_nothing(
    client: Client, first: str, again: str
) -> None:
    run = await start(client, await register(client, "a"))
    await end(client, run.process, first)
    process = await graph_process(client, run)
    worker = await worker_row(client, run.worker)
    response = await client.post("/endprocess", {"id": run.process, "details": again})
    assert response.json() == {"status": True}
    assert await graph_process(client, run) == process
    assert await worker_row(client, run.worker) == worker


async def test_ending_a_process_leaves_its_tasks_as_they_were_reported(client: Client) -> None:
    run = await start(client, await register(client, "a", "b", "c"))
    await report(client, run.tasks[0], "start")
    await report(client, run.tasks[0], "error", "boom")
    await report(client, run.tasks[1], "start")
    await end(client, run.process, '{"message": "boom"}')
    rows = await task_rows(client, run.process)
    assert [row["state"] for row in rows] == ["error", "running", "pending"]
    assert [row["details"] for row in rows] == ["boom", None, None]
    assert (await process_row(client, run.worker, run.process))["progress"] == "33%"


async def test_ends_are_counted_for_the_worker_and_the_mean_runtime_with_them(
    client: Client,
) -> None:
    worker_id = await register(client, "a")
    await run_all(client, worker_id)
    failed = await start(client, worker_id)
    await end(client, failed.process, "a failure")
    await start(client, worker_id)
    row = await worker_row(client, worker_id)
    counts = (row["processed"], row["active"], row["successed"], row["failed"])
    assert counts == (3, 1, 1, 1)
    query = """
    query ($ids: [ID!]) {
      processes(first: 10, filter: {workerIds: $ids, status: [SUCCESS, ERROR]}) {
        edges { node { runtimeSeconds } }
      }
    }
    """
    edges = (await client.graphql(query, ids=[worker_id]))["processes"]["edges"]
    runtimes = [edge["node"]["runtimeSeconds"] for edge in edges]
    assert len(runtimes) == 2
    assert float(row["load_average"]) == pytest.approx(sum(runtimes) / 2, abs=1e-5)


async def test_a_process_without_tasks_runs_from_its_start_to_its_end(client: Client) -> None:
    run = await start(client, await register(client))
    assert run.tasks == []
    row = await process_row(client, run.worker, run.process)
    expected = {"step": None, "status": "pending", "progress": "0%", "last_update": None}
    assert row == row | expected
    await end(client, run.process)
    row = await process_row(client, run.worker, run.process)
    assert row["status"] == "success"
    assert row["last_update"] is not None
    assert await task_rows(client, run.process) == []
