"""POST /matricula: what a worker may call itself, and how long."""

import json
from typing import Any

import pytest

from tests.client import Client
from tests.compat_rest.rows import task_rows, worker_row
from tests.factories import register, start

ODD_NAMES = [
    "",
    " ",
    "trailing ",
    "Número 🚀 Ünïcödé",
    "日本語",
    "nul \0 inside",
    "'; DROP TABLE workers; --",
    "\u202eright to left",
    "e\u0301 and é",
]


def body(**changes: Any) -> dict[str, Any]:
    return {"name": "w", "version": "v1", "tasks": [{"name": "t", "version": "v1"}]} | changes


def task(**changes: Any) -> dict[str, Any]:
    return {"tasks": [{"name": "t", "version": "v1"} | changes]}


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_a_name_is_kept_to_the_letter(client: Client, name: str) -> None:
    worker_id = await register(client, name, name=name)
    run = await start(client, worker_id)
    assert [row["name"] for row in await task_rows(client, run.process)] == [name]
    [row] = (await client.get(f"/dashboard_process/{worker_id}")).json()
    assert row["worker"] == name
    assert row["step"] == name


@pytest.mark.parametrize(
    "fitting",
    [
        body(name="n" * 255),
        body(name="🚀" * 255),
        body(version="v" * 50),
        body(**task(name="ñ" * 255)),
        body(**task(version="ñ" * 50)),
    ],
)
async def test_texts_of_exactly_the_greatest_length_are_taken(
    client: Client, fitting: dict[str, Any]
) -> None:
    response = await client.post("/matricula", fitting)
    assert response.status_code == 200, response.text
    run = await start(client, response.json()["id"])
    [row] = await task_rows(client, run.process)
    assert [row["name"], row["version"]] == list(fitting["tasks"][0].values())


@pytest.mark.parametrize(
    ("misfit", "field"),
    [
        (body(name="n" * 256), "name"),
        (body(name="🚀" * 256), "name"),
        (body(version="v" * 51), "version"),
        (body(**task(name="n" * 256)), "tasks.0.name"),
        (body(**task(version="v" * 51)), "tasks.0.version"),
        (body(name="\ud800"), "name"),
        (body(version="\udfff"), "version"),
        (body(**task(name="half \ud83d")), "tasks.0.name"),
        (body(name=None), "name"),
        (body(name=1), "name"),
        (body(name=["w"]), "name"),
        (body(name={}), "name"),
        (body(name=True), "name"),
        (body(version=1.0), "version"),
        (body(tasks=None), "tasks"),
        (body(tasks="t"), "tasks"),
        (body(tasks={"name": "t", "version": "v1"}), "tasks"),
        (body(tasks=["t"]), "tasks.0"),
        (body(**task(name=None)), "tasks.0.name"),
        (body(tasks=[{"name": "t"}]), "tasks.0.version"),
        (body(tasks=[{"name": "t", "version": "v1"}] * 10_001), "tasks"),
    ],
)
async def test_what_does_not_fit_is_refused_naming_the_field_and_registers_nobody(
    client: Client, misfit: dict[str, Any], field: str
) -> None:
    headers = {**client.headers, "Content-Type": "application/json"}
    response = await client.http.post("/matricula", content=json.dumps(misfit), headers=headers)
    assert response.status_code == 400
    assert response.json()["detail"].startswith(f"{field}: ")
    assert (await client.get("/dashboard_workers")).json() == []


async def test_all_misfits_are_named_at_once(client: Client) -> None:
    response = await client.post("/matricula", {"name": 1, "tasks": [{"name": None}]})
    fields = {part.partition(":")[0] for part in response.json()["detail"].split("; ")}
    assert fields == {"name", "version", "tasks.0.name", "tasks.0.version"}


async def test_a_worker_may_have_as_many_steps_as_a_long_pipeline(client: Client) -> None:
    worker_id = await register(client, *(f"step {number}" for number in range(2_000)))
    run = await start(client, worker_id)
    response = await client.get(f"/dashboard_tasks/{run.process}?limit=10000")
    assert [row["id"] for row in response.json()] == run.tasks
    assert response.json()[-1]["step"] == "2000/2000"


async def test_a_new_worker_is_online_and_has_done_nothing(client: Client) -> None:
    worker_id = await register(client, "a")
    assert await worker_row(client, worker_id) == {
        "id": worker_id,
        "status": "online",
        "processed": 0,
        "active": 0,
        "successed": 0,
        "failed": 0,
        "load_average": "NA",
    }
