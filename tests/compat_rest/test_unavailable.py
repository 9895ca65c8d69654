"""The database goes away and comes back: 503 meanwhile, and nothing half-written."""

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from app.factory import create_app
from app.settings import Settings
from db import models
from db.session import Database
from tests.client import Client
from tests.compat_rest.rows import process_row, task_rows, worker_row
from tests.conftest import READ_TOKEN, TOKEN, serving
from tests.factories import register, report, start
from tests.servers import MariaDb


@pytest.fixture(scope="module")
def own_mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """A server that may be killed, and that keeps what it committed."""
    server = MariaDb(tmp_path_factory.mktemp("own"), durable=True)
    server.install()
    server.start()
    yield server
    server.stop()


_numbers = count(1)


@pytest.fixture
def own_settings(own_mariadb: MariaDb, tmp_path: Path) -> Settings:
    name = f"own_{next(_numbers)}"
    own_mariadb.execute(f"CREATE DATABASE {name}")
    return Settings(
        _env_file=None,
        database_url=own_mariadb.url(name),
        token=[TOKEN],
        read_token=[READ_TOKEN],
        MONITOR_DATA_DIR=tmp_path,
    )


def assert_unavailable(response: httpx.Response) -> None:
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert response.json() == {"detail": "The service is unavailable right now; try again"}


async def test_every_route_says_503_while_the_database_is_gone_and_works_when_it_is_back(
    own_settings: Settings, own_mariadb: MariaDb
) -> None:
    async with serving(create_app(own_settings)) as client:
        run = await start(client, await register(client, "a", "b"))
        await report(client, run.tasks[0], "start")
        before = await task_rows(client, run.process)
        own_mariadb.kill()
        for path, body in (
            ("/matricula", {"name": "w", "version": "v1", "tasks": []}),
            ("/healthchecker", {"id": run.worker}),
            ("/newprocess", {"id": run.worker}),
            ("/actualizar_task", {"task_id": run.tasks[0], "status": "success"}),
            ("/endprocess", {"id": run.process, "details": ""}),
        ):
            assert_unavailable(await client.post(path, body))
        for path in (
            "/dashboard_workers",
            f"/dashboard_process/{run.worker}",
            f"/dashboard_tasks/{run.process}",
        ):
            assert_unavailable(await client.get(path))
        assert (await client.get("/version")).status_code == 200
        # Refusals that need no database are refusals still.
        assert (await client.with_token("wrong").post("/matricula", {})).status_code == 401
        assert (await client.post("/matricula", {})).status_code == 400

        own_mariadb.start()
        after = await task_rows(client, run.process)
        assert [row["state"] for row in after] == ["running", "pending"]
        assert [row["id"] for row in after] == [row["id"] for row in before]
        await report(client, run.tasks[0], "success")
        assert (await process_row(client, run.worker, run.process))["progress"] == "50%"
        assert (await worker_row(client, run.worker))["processed"] == 1


async def test_a_database_that_hangs_is_down_for_who_asks_for_health(
    own_settings: Settings, own_mariadb: MariaDb
) -> None:
    async with serving(create_app(own_settings)) as client:
        worker_id = await register(client)
        own_mariadb.freeze()
        try:
            async with asyncio.timeout(10):
                health = await client.get("/health")
        finally:
            own_mariadb.thaw()
        assert health.status_code == 503
        assert health.json()["database"] == "down"
        assert (await client.post("/healthchecker", {"id": worker_id})).json() == {"health": 1}
        assert (await client.get("/health")).status_code == 200


async def test_a_database_killed_amid_reports_keeps_each_one_whole_or_not_at_all(
    own_settings: Settings, own_mariadb: MariaDb
) -> None:
    async with serving(create_app(own_settings)) as client:
        worker_id = await register(client, "a", "b", "c")
        acknowledged: set[str] = set()
        enough = asyncio.Event()

        async def start_processes() -> None:
            while (response := await try_start(client, worker_id)) is not None:
                acknowledged.add(response)
                if len(acknowledged) >= 50:
                    enough.set()

        workers = [asyncio.create_task(start_processes()) for _ in range(8)]
        await enough.wait()
        own_mariadb.kill()
        await asyncio.gather(*workers)
        own_mariadb.start()

        database = Database(own_settings.resolved_database_url)
        async with database.reading() as connection:
            stored = set((await connection.execute(select(models.processes.c.id))).scalars())
            per_process = await connection.execute(
                select(func.count()).select_from(models.tasks).group_by(models.tasks.c.process_id)
            )
            task_counts = list(per_process.scalars())
        await database.close()
        assert acknowledged <= stored
        assert task_counts == [3] * len(stored)
        assert (await worker_row(client, worker_id))["processed"] == len(stored)


async def try_start(client: Client, worker_id: str) -> str | None:
    """The id of a new process; None once the database is gone."""
    response = await client.post("/newprocess", {"id": worker_id})
    if response.status_code == 200:
        process_id: str = response.json()["father"]
        return process_id
    assert_unavailable(response)
    return None
