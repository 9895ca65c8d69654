"""The GET routes: their rows, their order, and how much of a long list they give."""

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import pytest

from compat_rest.schemas import format_duration, format_progress
from db.session import Database
from monitor.entities import Process, ProcessStatus
from monitor.processes import remove_processes
from monitor.reading import reads
from tests.client import Client
from tests.compat_rest.rows import process_row, rows, task_rows, worker_row
from tests.factories import end, register, report, run_all, start
from tests.monitor.reports import replica

SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
DURATION = re.compile(r"PT\d+(\.\d{1,6})?S")


async def test_a_process_is_pending_until_its_first_report_then_running_then_ended(
    client: Client,
) -> None:
    run = await start(client, await register(client, "a", "b", "c"))
    steps = [(await process_row(client, run.worker, run.process))]
    for word in ("start", "success"):
        await report(client, run.tasks[1], word)
        steps.append(await process_row(client, run.worker, run.process))
    await end(client, run.process)
    steps.append(await process_row(client, run.worker, run.process))
    assert [(row["status"], row["step"], row["progress"]) for row in steps] == [
        ("pending", "a", "0%"),
        ("running", "b", "1%"),
        ("running", "b", "33%"),
        ("success", "b", "33%"),
    ]
    assert steps[0]["last_update"] is None
    assert all(SECONDS.fullmatch(row["last_update"]) for row in steps[1:])


async def test_progress_counts_the_tasks_that_ended_well_or_badly(client: Client) -> None:
    run = await start(client, await register(client, "a", "b", "c"))
    progress = []
    for task_id, word in zip(run.tasks, ("success", "error", "success"), strict=True):
        for said in ("start", word):
            await report(client, task_id, said)
            progress.append((await process_row(client, run.worker, run.process))["progress"])
    assert progress == ["1%", "33%", "33%", "66%", "66%", "100%"]


@pytest.mark.parametrize(
    ("ended", "count", "text"),
    [
        (0, 3, "1%"),
        (1, 3, "33%"),
        (29, 100, "29%"),
        (57, 100, "57%"),
        (1, 1000, "0%"),
        (3, 3, "100%"),
    ],
)
def test_progress_is_cut_to_whole_percents_exactly(ended: int, count: int, text: str) -> None:
    now = datetime.now(UTC)
    process = Process(
        id="process_1",
        worker_id="worker_1",
        pipeline_id="pipeline_1",
        version="v1",
        status=ProcessStatus.RUNNING,
        stalled=False,
        task_count=count,
        ended_task_count=ended,
        current_task_id="task_1",
        started_at=now,
        updated_at=now,
        ended_at=None,
        details=None,
        revision=2,
    )
    assert format_progress(process) == text


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(), "PT0S"),
        (timedelta(seconds=1.5), "PT1.5S"),
        (timedelta(microseconds=1), "PT0.000001S"),
        (timedelta(seconds=100), "PT100S"),
        (timedelta(days=1, seconds=2), "P1DT2S"),
    ],
)
def test_durations_are_iso_8601(duration: timedelta, text: str) -> None:
    assert format_duration(duration) == text


async def test_task_rows_stand_in_the_order_of_their_steps_with_times_and_runtimes(
    client: Client,
) -> None:
    run = await start(client, await register(client, "c", "a", "b"))
    await report(client, run.tasks[0], "start")
    await report(client, run.tasks[0], "success")
    await report(client, run.tasks[1], "start")
    listed = await task_rows(client, run.process)
    assert [row["id"] for row in listed] == run.tasks
    assert [row["name"] for row in listed] == ["c", "a", "b"]
    assert [row["step"] for row in listed] == ["1/3", "2/3", "3/3"]
    assert [row["state"] for row in listed] == ["success", "running", "pending"]
    assert {row["father"] for row in listed} == {run.process}
    assert all(SECONDS.fullmatch(row["received"]) for row in listed)
    assert [row["started"] is None for row in listed] == [False, False, True]
    assert all(DURATION.fullmatch(row["runtime"]) for row in listed)
    assert listed[2]["runtime"] == "PT0S"


async def test_the_runtime_of_a_running_task_grows_and_that_of_an_ended_one_does_not(
    client: Client,
) -> None:
    run = await start(client, await register(client, "a", "b"))
    await report(client, run.tasks[0], "start")
    await report(client, run.tasks[0], "success")
    await report(client, run.tasks[1], "start")
    first = [row["runtime"] for row in await task_rows(client, run.process)]
    second = [row["runtime"] for row in await task_rows(client, run.process)]
    assert first[0] == second[0]
    assert seconds(first[1]) < seconds(second[1])


def seconds(duration: str) -> float:
    return float(duration.removeprefix("PT").removesuffix("S"))


async def test_times_are_utc(client: Client) -> None:
    before = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    run = await start(client, await register(client, "a"))
    [row] = await task_rows(client, run.process)
    after = datetime.now(UTC).replace(tzinfo=None)
    assert before <= datetime.fromisoformat(row["received"]) <= after


async def test_workers_stand_in_the_order_of_registration_and_processes_newest_first(
    client: Client,
) -> None:
    workers = [await register(client, "a", name=name) for name in "cab"]
    assert [row["id"] for row in await rows(client, "/dashboard_workers")] == workers
    runs = [await run_all(client, workers[0]) for _ in range(3)]
    listed = await rows(client, f"/dashboard_process/{workers[0]}")
    assert [row["id"] for row in listed] == [run.process for run in reversed(runs)]
    assert await rows(client, f"/dashboard_process/{workers[1]}") == []


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", [0, 1, 2, 3, 4]),
        ("?limit=2", [0, 1]),
        ("?limit=2&offset=2", [2, 3]),
        ("?offset=4", [4]),
        ("?offset=5", []),
        ("?limit=0", []),
        ("?limit=10000&offset=0", [0, 1, 2, 3, 4]),
    ],
)
async def test_limit_and_offset_cut_a_list_and_the_header_says_how_many_there_are(
    client: Client, query: str, shown: list[int]
) -> None:
    worker_id = await register(client, "a", "b", "c", "d", "e")
    runs = [await start(client, worker_id) for _ in range(5)]
    newest_first = [run.process for run in reversed(runs)]
    response = await client.get(f"/dashboard_process/{worker_id}{query}")
    assert [row["id"] for row in response.json()] == [newest_first[index] for index in shown]
    assert response.headers["X-Total-Count"] == "5"
    response = await client.get(f"/dashboard_tasks/{runs[0].process}{query}")
    assert [row["id"] for row in response.json()] == [runs[0].tasks[index] for index in shown]
    assert response.headers["X-Total-Count"] == "5"


async def test_a_cut_list_of_workers_has_the_newest(client: Client) -> None:
    workers = [await register(client) for _ in range(5)]
    response = await client.get("/dashboard_workers?limit=2")
    assert [row["id"] for row in response.json()] == workers[3:]
    assert response.headers["X-Total-Count"] == "5"
    response = await client.get("/dashboard_workers?limit=2&offset=1")
    assert [row["id"] for row in response.json()] == workers[2:4]


async def test_a_very_long_list_is_cut_to_the_newest_thousand_unless_asked(client: Client) -> None:
    worker_id = await register(client, *(str(number) for number in range(1_001)))
    run = await start(client, worker_id)
    response = await client.get(f"/dashboard_tasks/{run.process}")
    assert [row["id"] for row in response.json()] == run.tasks[:1_000]
    assert response.headers["X-Total-Count"] == "1001"
    assert len(await rows(client, f"/dashboard_tasks/{run.process}?limit=10000")) == 1_001


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1",
        "limit=10001",
        "limit=ten",
        "limit=1.5",
        "limit=",
        "offset=-1",
        f"offset={10**30}",
    ],
)
async def test_a_limit_or_offset_that_cannot_be_is_refused_by_name(
    client: Client, query: str
) -> None:
    run = await start(client, await register(client, "a"))
    for path in (
        "/dashboard_workers",
        f"/dashboard_process/{run.worker}",
        f"/dashboard_tasks/{run.process}",
    ):
        response = await client.get(f"{path}?{query}")
        assert response.status_code == 400
        assert response.json()["detail"].startswith(query.partition("=")[0] + ": ")


async def test_a_worker_that_has_ended_nothing_has_no_mean_runtime(client: Client) -> None:
    run = await start(client, await register(client, "a"))
    row = await worker_row(client, run.worker)
    assert (row["processed"], row["active"], row["load_average"]) == (1, 1, "NA")


async def test_a_process_that_is_removed_while_it_is_listed_has_no_step(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await run_all(client, await register(client, "a"))
    find = reads.find_task_names

    async def remove_first(of: Database, ids: Collection[str]) -> dict[str, str]:
        await replica(database).run(
            remove_processes, process_ids=[run.process], abandoned_before=None
        )
        return await find(of, ids)

    monkeypatch.setattr(reads, "find_task_names", remove_first)
    assert (await process_row(client, run.worker, run.process))["step"] is None
    assert await rows(client, f"/dashboard_process/{run.worker}") == []
