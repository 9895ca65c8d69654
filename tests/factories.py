"""Builders of what tests need, with the least said."""

from dataclasses import dataclass
from typing import Any

from tests.client import Client

REGISTER = """
mutation ($input: RegisterWorkerInput!) { registerWorker(input: $input) { id } }
"""


@dataclass(frozen=True)
class Run:
    """A started process, as the REST route answered it."""

    worker: str
    process: str
    tasks: list[str]


async def register(client: Client, *steps: str, name: str = "worker", version: str = "v1.0") -> str:
    """The id of a new worker with these steps."""
    body = {
        "name": name,
        "version": version,
        "tasks": [{"name": step, "version": "v1.0"} for step in steps],
    }
    response = await client.post("/matricula", body)
    assert response.status_code == 200, response.text
    worker_id: str = response.json()["id"]
    return worker_id


async def start(client: Client, worker_id: str) -> Run:
    """A new process of the worker."""
    response = await client.post("/newprocess", {"id": worker_id})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return Run(worker_id, body["father"], [son["id"] for son in body["sons"]])


async def report(client: Client, task_id: str, status: str, details: str | None = None) -> None:
    """A report on a task."""
    body = {"task_id": task_id, "status": status}
    if details is not None:
        body["details"] = details
    response = await client.post("/actualizar_task", body)
    assert response.status_code == 200, response.text


async def end(client: Client, process_id: str, details: str = "") -> None:
    """The end of a process: SUCCESS without details."""
    response = await client.post("/endprocess", {"id": process_id, "details": details})
    assert response.status_code == 200, response.text


async def run_all(client: Client, worker_id: str) -> Run:
    """A process from its start to its successful end."""
    run = await start(client, worker_id)
    for task_id in run.tasks:
        await report(client, task_id, "start")
        await report(client, task_id, "success")
    await end(client, run.process)
    return run
