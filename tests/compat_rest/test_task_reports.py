"""POST /actualizar_task: the words workers use, and what a report changes."""

import json

import pytest

from tests.client import Client
from tests.compat_rest.rows import process_row, task_rows, worker_row
from tests.factories import end, register, report, start

MEBIBYTE = 1024 * 1024


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("start", "running"),
        ("in_progress", "running"),
        ("running", "running"),
        ("success", "success"),
        ("completed", "success"),
        ("error", "error"),
        ("failed", "error"),
        ("pending", "pending"),
    ],
)
async def test_every_documented_word_sets_the_state(client: Client, word: str, state: str) -> None:
    run = await start(client, await register(client, "a", "b"))
    await report(client, run.tasks[0], word)
    assert [row["state"] for row in await task_rows(client, run.process)] == [state, "pending"]


@pytest.mark.parametrize("word", ["", "START", "Success", "started", "done", " start", "null"])
async def test_any_other_word_is_refused_and_changes_nothing(client: Client, word: str) -> None:
    run = await start(client, await register(client, "a"))
    before = await process_row(client, run.worker, run.process)
    response = await client.post("/actualizar_task", {"task_id": run.tasks[0], "status": word})
    assert response.status_code == 400
    assert response.json()["detail"].startswith("status: ")
    assert "start" in response.json()["detail"]
    assert [row["state"] for row in await task_rows(client, run.process)] == ["pending"]
    assert await process_row(client, run.worker, run.process) == before


async def test_a_task_that_starts_again_after_its_end_begins_anew(client: Client) -> None:
    run = await start(client, await register(client, "a", "b"))
    await report(client, run.tasks[0], "start")
    await report(client, run.tasks[0], "error", "first try failed")
    assert (await process_row(client, run.worker, run.process))["progress"] == "50%"
    await report(client, run.tasks[0], "start")
    row = (await task_rows(client, run.process))[0]
    assert row["state"] == "running"
    assert row["details"] is None
    process = await process_row(client, run.worker, run.process)
    assert process["progress"] == "1%"
    assert process["status"] == "running"
    query = "query ($id: ID!) { task(id: $id) { status startedAt endedAt } }"
    task = (await client.graphql(query, id=run.tasks[0]))["task"]
    assert task["status"] == "RUNNING"
    assert task["startedAt"] is not None
    assert task["endedAt"] is None
    await report(client, run.tasks[0], "success")
    assert (await process_row(client, run.worker, run.process))["progress"] == "50%"


async def test_a_task_may_end_without_ever_having_started(client: Client) -> None:
    run = await start(client, await register(client, "a"))
    await report(client, run.tasks[0], "success")
    [row] = await task_rows(client, run.process)
    assert (row["state"], row["started"], row["runtime"]) == ("success", None, "PT0S")
    assert (await process_row(client, run.worker, run.process))["progress"] == "100%"


async def test_ending_a_task_twice_counts_once_and_keeps_its_runtime(client: Client) -> None:
    run = await start(client, await register(client, "a", "b"))
    await report(client, run.tasks[0], "start")
    await report(client, run.tasks[0], "success")
    before = (await task_rows(client, run.process))[0]
    await report(client, run.tasks[0], "success")
    assert (await task_rows(client, run.process))[0] == before
    assert (await process_row(client, run.worker, run.process))["progress"] == "50%"


async def test_a_failed_task_may_still_be_said_to_have_succeeded(client: Client) -> None:
    run = await start(client, await register(client, "a", "b"))
    await report(client, run.tasks[0], "error", "no luck")
    await report(client, run.tasks[0], "success")
    row = (await task_rows(client, run.process))[0]
    assert (row["state"], row["details"]) == ("success", "no luck")
    assert (await process_row(client, run.worker, run.process))["progress"] == "50%"


async def test_a_report_without_details_leaves_those_that_are_there(client: Client) -> None:
    run = await start(client, await register(client, "a"))
    await report(client, run.tasks[0], "start", "reading the file")
    await report(client, run.tasks[0], "success")
    assert (await task_rows(client, run.process))[0]["details"] == "reading the file"
    await report(client, run.tasks[0], "success", "")
    assert (await task_rows(client, run.process))[0]["details"] == ""


async def test_details_that_are_null_are_as_good_as_absent(client: Client) -> None:
    run = await start(client, await register(client, "a"))
    body = {"task_id": run.tasks[0], "status": "start", "details": None}
    assert (await client.post("/actualizar_task", body)).json() == {"status": "ok"}
    assert (await task_rows(client, run.process))[0]["details"] is None


async def test_a_task_of_an_ended_process_may_still_be_reported_on(client: Client) -> None:
    run = await start(client, await register(client, "a"))
    await report(client, run.tasks[0], "start")
    await end(client, run.process)
    await report(client, run.tasks[0], "success")
    assert (await task_rows(client, run.process))[0]["state"] == "success"
    assert (await process_row(client, run.worker, run.process))["status"] == "success"
    assert (await worker_row(client, run.worker))["active"] == 0


@pytest.mark.parametrize(
    "details",
    ["x" * MEBIBYTE, "é" * (MEBIBYTE // 2), "🚀" * (MEBIBYTE // 4), '"' * (MEBIBYTE - 512)],
    ids=["ascii", "two bytes", "four bytes", "escaped in JSON"],
)
async def test_details_of_a_mebibyte_are_kept_whole(client: Client, details: str) -> None:
    run = await start(client, await register(client, "a"))
    await report(client, run.tasks[0], "error", details)
    assert (await task_rows(client, run.process))[0]["details"] == details


@pytest.mark.parametrize(
    "details",
    ["x" * (MEBIBYTE + 1), "é" * (MEBIBYTE // 2) + "x", "\ud800"],
    ids=["ascii", "two bytes", "half a character"],
)
async def test_longer_details_and_half_characters_are_refused(client: Client, details: str) -> None:
    run = await start(client, await register(client, "a"))
    body = {"task_id": run.tasks[0], "status": "error", "details": details}
    content = json.dumps(body, ensure_ascii=details == "\ud800").encode()
    headers = {**client.headers, "Content-Type": "application/json"}
    response = await client.http.post("/actualizar_task", content=content, headers=headers)
    assert response.status_code == 400
    assert response.json()["detail"].startswith("details: ")
    assert (await task_rows(client, run.process))[0]["state"] == "pending"


async def test_odd_characters_in_details_come_back_to_the_letter(client: Client) -> None:
    run = await start(client, await register(client, "a"))
    details = 'nul \0, quote ", back\\slash, \r\n\t, \u2028, 😀, trailing '
    await report(client, run.tasks[0], "error", details)
    assert (await task_rows(client, run.process))[0]["details"] == details
