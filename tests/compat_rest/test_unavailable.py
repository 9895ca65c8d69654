"""The database goes away and comes back: 503 meanwhile, and nothing half-written."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path

import asyncmy
import httpx
import pytest
from sqlalchemy import func, make_url, select

from app.factory import create_app
from app.settings import Settings
from db import models
from db.session import Database
from tests.client import Client
from tests.compat_rest.rows import process_row, task_rows, worker_row
from tests.conftest import READ_TOKEN, TOKEN, serving
from tests.factories import Run, register, report, start
from tests.monitor.reports import in_time
from tests.servers import MariaDb

pytestmark = pytest.mark.in_time


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
        await assert_nothing_is_reported(client, run)
        await assert_nothing_is_read(client, run)
        assert (await client.get("/version")).status_code == 200
        # Refusals that need no database are refusals still.
        assert (await client.with_token("wrong").post("/matricula", {})).status_code == 401
        assert (await client.post("/matricula", {})).status_code == 400

        own_mariadb.start()
        after = await task_rows(client, run.process)
        assert [row["state"] for row in after] == ["running", "pending"]
        assert [row["id"] for row in after] == [row["id"] for row in before]
        await until_ready(client)
        await report(client, run.tasks[0], "success")
        assert (await process_row(client, run.worker, run.process))["progress"] == "50%"
        assert (await worker_row(client, run.worker))["processed"] == 1


async def assert_nothing_is_reported(client: Client, run: Run) -> None:
    for path, body in (
        ("/matricula", {"name": "w", "version": "v1", "tasks": []}),
        ("/healthchecker", {"id": run.worker}),
        ("/newprocess", {"id": run.worker}),
        ("/actualizar_task", {"task_id": run.tasks[0], "status": "success"}),
        ("/endprocess", {"id": run.process, "details": ""}),
    ):
        async with in_time():
            assert_unavailable(await client.post(path, body))


async def assert_nothing_is_read(client: Client, run: Run) -> None:
    for path in (
        "/dashboard_workers",
        f"/dashboard_process/{run.worker}",
        f"/dashboard_tasks/{run.process}",
    ):
        async with in_time():
            assert_unavailable(await client.get(path))


async def assert_down(client: Client) -> None:
    health = await client.get("/health")
    assert health.status_code == 503
    assert (health.json()["status"], health.json()["database"]) == ("down", "down")
    assert (await client.get("/health/ready")).status_code == 503
    assert (await client.get("/health/live")).status_code == 200


async def until_ready(client: Client) -> None:
    async with asyncio.timeout(20):
        while (await client.get("/health/ready")).status_code != 200:  # noqa: ASYNC110 — of a server
            await asyncio.sleep(0.1)


async def test_a_database_that_hangs_is_answered_in_time_by_every_route(
    own_settings: Settings, own_mariadb: MariaDb
) -> None:
    async with serving(create_app(own_settings)) as client:
        run = await start(client, await register(client, "a"))
        own_mariadb.freeze()
        try:
            await assert_nothing_is_reported(client, run)
            await assert_nothing_is_read(client, run)
            async with in_time():
                await assert_down(client)
        finally:
            own_mariadb.thaw()
        await until_ready(client)
        assert (await client.get("/health")).json()["status"] == "ok"
        await report(client, run.tasks[0], "success")
        assert (await process_row(client, run.worker, run.process))["progress"] == "100%"
        assert (await worker_row(client, run.worker))["processed"] == 1


async def test_a_database_that_can_only_be_read_is_down_and_nothing_is_reported(
    own_settings: Settings, own_mariadb: MariaDb
) -> None:
    # Root may write whatever is set.
    own_mariadb.execute(
        "CREATE OR REPLACE USER app@'%' IDENTIFIED BY 'app'; GRANT ALL ON *.* TO app@'%'; "
        "REVOKE READ_ONLY ADMIN, SUPER ON *.* FROM app@'%'"
    )
    url = own_settings.resolved_database_url.replace("root@", "app:app@")
    settings = own_settings.model_copy(update={"database_url": url})
    async with serving(create_app(settings)) as client:
        run = await start(client, await register(client, "a"))
        own_mariadb.execute("SET GLOBAL read_only = 1")
        try:
            await assert_nothing_is_reported(client, run)
            await assert_down(client)
            assert (await process_row(client, run.worker, run.process))["id"] == run.process
        finally:
            own_mariadb.execute("SET GLOBAL read_only = 0")
        await until_ready(client)
        await report(client, run.tasks[0], "success")


async def test_a_database_without_a_connection_left_is_unavailable_and_no_defect(
    own_settings: Settings, own_mariadb: MariaDb, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(own_settings)
    async with serving(app) as client, AsyncExitStack() as stack:
        run = await start(client, await register(client, "a"))
        own_mariadb.execute("SET GLOBAL max_connections = 10")
        try:
            async with asyncio.timeout(20):
                while (await client.get("/health/ready")).status_code == 200:
                    # Those that it has are left to others, unless its own loops are faster.
                    await app.state.monitor.database.close()
                    await stack.enter_async_context(all_connections(own_settings))
            await assert_nothing_is_reported(client, run)
            await assert_nothing_is_read(client, run)
            await assert_down(client)
            graphql = await client.post(
                "/graphql", {"query": "{ workers { edges { node { id } } } }"}
            )
            assert graphql.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
        finally:
            await stack.aclose()
            own_mariadb.execute("SET GLOBAL max_connections = 300")
        await until_ready(client)
        await report(client, run.tasks[0], "success")
    assert "Traceback" not in caplog.text


@asynccontextmanager
async def all_connections(settings: Settings) -> AsyncIterator[None]:
    """Takes every connection that the server has to give."""
    url = make_url(settings.resolved_database_url)
    async with AsyncExitStack() as stack:
        with contextlib.suppress(Exception):
            while True:
                connection = await asyncmy.connect(host="127.0.0.1", port=url.port, user="root")
                stack.push_async_callback(connection.ensure_closed)
        yield


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
