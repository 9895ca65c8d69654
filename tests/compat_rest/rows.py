"""The dashboard routes' rows, as consumers read them."""

from typing import Any

from tests.client import Client

Row = dict[str, Any]


async def worker_row(client: Client, worker_id: str) -> Row:
    return next(row for row in await rows(client, "/dashboard_workers") if row["id"] == worker_id)


async def process_row(client: Client, worker_id: str, process_id: str) -> Row:
    listed = await rows(client, f"/dashboard_process/{worker_id}")
    return next(row for row in listed if row["id"] == process_id)


async def task_rows(client: Client, process_id: str) -> list[Row]:
    return await rows(client, f"/dashboard_tasks/{process_id}")


async def rows(client: Client, path: str) -> list[Row]:
    response = await client.get(path)
    assert response.status_code == 200, response.text
    listed: list[Row] = response.json()
    return listed
