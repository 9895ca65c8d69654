"""MariaDB stands still under load: nobody waits for longer than promised, and no ghost is left."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from db import models
from db.session import Database
from tests.client import Client
from tests.conftest import TOKEN
from tests.factories import register
from tests.monitor.reports import PROMISED_SECONDS, until_somebody_waits_for_a_lock
from tests.servers import MariaDb, MonitorServer

WORKERS = 8
FROZEN_SECONDS = 15


@pytest.fixture(scope="module")
def own_mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    server = MariaDb(tmp_path_factory.mktemp("hanging"))
    server.install()
    server.start()
    yield server
    server.stop()


class Writers:
    """Workers that start processes as fast as they are answered, well or not."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.acknowledged: set[str] = set()
        self.refused = 0
        self.slowest = 0.0
        # Of an answer for which nothing is written: how long this machine makes everybody wait.
        self.slowest_of_others = 0.0
        self.enough = asyncio.Event()
        self._stopping = False

    async def start(self, worker_id: str) -> None:
        while not self._stopping:
            began = time.monotonic()
            response = await self._client.post("/newprocess", {"id": worker_id})
            self.slowest = max(self.slowest, time.monotonic() - began)
            if response.status_code == 200:
                self.acknowledged.add(response.json()["father"])
                if len(self.acknowledged) > 10 * WORKERS:
                    self.enough.set()
                await asyncio.sleep(0.01)
            else:
                assert response.status_code == 503
                assert int(response.headers["retry-after"]) > 0
                self.refused += 1
                await asyncio.sleep(0.1)

    async def ask_for_the_version(self) -> None:
        while not self._stopping:
            began = time.monotonic()
            await self._client.get("/version")
            self.slowest_of_others = max(self.slowest_of_others, time.monotonic() - began)
            await asyncio.sleep(0.02)

    def stop(self) -> None:
        self._stopping = True


async def running(database: Database) -> set[str]:
    async with database.reading() as connection:
        table = models.processes.c
        found = await connection.execute(select(table.id).where(table.status == "RUNNING"))
        return set(found.scalars())


async def test_while_mariadb_stands_still_nobody_waits_and_afterwards_there_is_no_ghost(
    own_mariadb: MariaDb, tmp_path: Path
) -> None:
    url = own_mariadb.create_database()
    server = MonitorServer(tmp_path, {"DATABASE_URL": url, "TOKEN": TOKEN})
    await asyncio.to_thread(server.start)
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
            client = Client(http, TOKEN)
            writers = Writers(client)
            workers = [await register(client, "a") for _ in range(WORKERS)]
            async with asyncio.TaskGroup() as group:
                for worker_id in workers:
                    group.create_task(writers.start(worker_id))
                group.create_task(writers.ask_for_the_version())
                await writers.enough.wait()
                own_mariadb.freeze()
                await asyncio.sleep(FROZEN_SECONDS)
                before = len(writers.acknowledged)
                assert (await client.get("/health")).json()["status"] == "down"
                own_mariadb.thaw()
                async with asyncio.timeout(20):
                    while len(writers.acknowledged) < before + WORKERS:  # noqa: ASYNC110 — of a server
                        await asyncio.sleep(0.05)
                writers.stop()
            assert writers.refused > WORKERS
            assert writers.slowest < PROMISED_SECONDS + writers.slowest_of_others
            database = Database(url)
            async with asyncio.timeout(20):
                while await running(database) != writers.acknowledged:  # noqa: ASYNC110 — of a server
                    await asyncio.sleep(0.2)
            await database.close()
    finally:
        server.stop()


async def test_a_client_that_hung_up_while_its_report_waited_starts_nothing(
    own_mariadb: MariaDb, tmp_path: Path
) -> None:
    url = own_mariadb.create_database()
    server = MonitorServer(tmp_path, {"DATABASE_URL": url, "TOKEN": TOKEN})
    await asyncio.to_thread(server.start)
    database = Database(url)
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
            client = Client(http, TOKEN)
            worker_id = await register(client, "a")
            async with database.reading() as watching, database.writing() as connection:
                # Whoever reports on the worker waits for this, and what comes then in the queue.
                row = models.workers.c.id == worker_id
                await connection.execute(select(models.workers.c.id).where(row).with_for_update())
                first = asyncio.create_task(client.post("/newprocess", {"id": worker_id}))
                await until_somebody_waits_for_a_lock(watching)
                with pytest.raises(httpx.ReadTimeout):
                    await http.post(
                        "/newprocess",
                        json={"id": worker_id},
                        headers={"Authorization": f"Bearer {TOKEN}"},
                        timeout=0.3,
                    )
            answer = await first
            assert answer.status_code == 200
            # Comes after the one whose client is gone.
            assert (await client.post("/healthchecker", {"id": worker_id})).status_code == 200
        assert await running(database) == {answer.json()["father"]}
    finally:
        await database.close()
        server.stop()
