"""Redis gone and back, MariaDB gone and back: reports are kept, subscribers catch up."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.client import Client
from tests.conftest import TOKEN
from tests.factories import register, report, start
from tests.graph.live import PROTOCOL, Socket
from tests.servers import MariaDb, MonitorServer, RedisServer

TASKS = "subscription { tasks { cursor task { id revision } } }"


@dataclass
class Setup:
    """One server on a MariaDB and a Redis of its own, and a subscriber."""

    mariadb: MariaDb
    redis: RedisServer
    server: MonitorServer
    client: Client
    socket: Socket
    last: int = 0

    async def health(self) -> tuple[int, str]:
        response = await self.client.get("/health")
        return response.status_code, response.json()["status"]

    async def until_health(self, status: int, word: str) -> None:
        async with asyncio.timeout(30):
            while await self.health() != (status, word):  # noqa: ASYNC110 — of another process
                await asyncio.sleep(0.1)

    async def revisions(self, count: int) -> list[int]:
        """The revisions that the subscriber is told of next; faults may repeat what was told."""
        told: list[int] = []
        while len(told) < count:
            revision = (await self.socket.next_event())["tasks"]["task"]["revision"]
            if revision > self.last:
                told.append(revision)
                self.last = revision
        return told


@pytest.fixture(scope="module")
def own_mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    server = MariaDb(tmp_path_factory.mktemp("faulty"))
    server.install()
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def setup(own_mariadb: MariaDb, tmp_path: Path) -> AsyncIterator[Setup]:
    redis = RedisServer(tmp_path / "redis")
    redis.start("--appendonly", "yes", "--appendfsync", "always")
    url = own_mariadb.create_database()
    env = {"DATABASE_URL": url, "REDIS_URL": redis.url, "TOKEN": TOKEN}
    server = MonitorServer(tmp_path, env)
    server.start()
    socket_url = server.url.replace("http", "ws") + "/graphql"
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=30) as http,
        connect(socket_url, subprotocols=[PROTOCOL]) as connection,
    ):
        socket = Socket(connection)
        token: Any = {"Authorization": f"Bearer {TOKEN}"}
        await socket.send({"type": "connection_init", "payload": token})
        assert (await socket.receive())["type"] == "connection_ack"
        yield Setup(own_mariadb, redis, server, Client(http, TOKEN), socket)
    server.stop()
    redis.stop()


async def test_without_redis_reports_are_kept_and_told_when_it_is_back(setup: Setup) -> None:
    assert await setup.health() == (200, "ok")
    await setup.socket.subscribe(TASKS)
    run = await start(setup.client, await register(setup.client, "a"))
    assert await setup.revisions(1) == [1]

    await asyncio.to_thread(setup.redis.stop)
    for status in ("start", "success", "start"):
        await report(setup.client, run.tasks[0], status)
    await setup.until_health(200, "degraded")
    await asyncio.to_thread(setup.redis.start, "--appendonly", "yes", "--appendfsync", "always")

    assert await setup.revisions(3) == [2, 3, 4]
    await setup.until_health(200, "ok")


async def test_a_redis_that_comes_back_empty_ends_subscriptions_instead_of_skipping(
    setup: Setup,
) -> None:
    await setup.socket.subscribe(TASKS)
    run = await start(setup.client, await register(setup.client, "a"))
    cursor = (await setup.socket.next_event())["tasks"]["cursor"]

    await asyncio.to_thread(setup.redis.stop)
    await report(setup.client, run.tasks[0], "start")
    await asyncio.to_thread(setup.redis.start, "--appendonly", "no", "--dbfilename", "none.rdb")

    message = await setup.socket.receive()
    assert message["type"] == "error"
    assert message["payload"][0]["extensions"]["code"] == "CURSOR_EXPIRED"
    await setup.until_health(200, "ok")
    resume = TASKS.replace("tasks", "tasks(after: $after)", 1)
    await setup.socket.subscribe(f"subscription ($after: String!) {resume[13:]}", "2", after=cursor)
    assert (await setup.socket.receive())["payload"][0]["extensions"]["code"] == "CURSOR_EXPIRED"
    # As the error says: query again, then subscribe.
    data = await setup.client.graphql("{ feedCursor tasks { edges { node { revision } } } }")
    assert data["tasks"]["edges"][0]["node"]["revision"] == 2
    after = data["feedCursor"]
    await setup.socket.subscribe(f"subscription ($after: String!) {resume[13:]}", "3", after=after)
    await report(setup.client, run.tasks[0], "success")
    while setup.last != 3:
        await setup.revisions(1)


async def test_without_mariadb_nothing_is_acknowledged_and_all_goes_on_when_it_is_back(
    setup: Setup,
) -> None:
    await setup.socket.subscribe(TASKS)
    run = await start(setup.client, await register(setup.client, "a"))
    assert await setup.revisions(1) == [1]

    await asyncio.to_thread(setup.mariadb.stop)
    await setup.until_health(503, "down")
    body = {"task_id": run.tasks[0], "status": "start"}
    refused = await setup.client.post("/actualizar_task", body)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    await asyncio.to_thread(setup.mariadb.start)

    await setup.until_health(200, "ok")
    await report(setup.client, run.tasks[0], "start")
    assert await setup.revisions(1) == [2]
