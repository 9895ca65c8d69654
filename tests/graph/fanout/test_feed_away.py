"""Redis that is not there yet, or does not answer: reports are taken, and told later."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.factory import create_app
from app.settings import Settings
from tests.client import Client, GraphQLErrors
from tests.factories import register, report, start
from tests.graph.live import LiveServer, Socket, serving_live
from tests.servers import RedisServer

TASKS = "subscription { tasks { task { revision } } }"


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """One that is not started yet."""
    server = RedisServer(tmp_path / "redis")
    yield server
    server.stop()


@pytest.fixture
async def server(settings: Settings, redis: RedisServer) -> AsyncIterator[LiveServer]:
    app = create_app(settings.model_copy(update={"redis_url": redis.url}))
    async with serving_live(app) as server:
        yield server


async def until_feed(client: Client, word: str) -> None:
    async with asyncio.timeout(20):
        while (await client.get("/health")).json()["feed"] != word:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_server_may_start_before_redis(server: LiveServer, redis: RedisServer) -> None:
    async with server.client() as client, Socket.open(server) as socket:
        health = await client.get("/health")
        assert (health.status_code, health.json()["status"]) == (200, "degraded")
        with pytest.raises(GraphQLErrors) as refused:
            await client.graphql("{ feedCursor }")
        assert refused.value.codes == ["UNAVAILABLE"]
        await socket.subscribe(TASKS)
        await socket.settle(server, 1)
        run = await start(client, await register(client, "a"))

        await asyncio.to_thread(redis.start)
        await until_feed(client, "ok")
        await report(client, run.tasks[0], "start")
        revision = 0
        while revision != 2:
            revision = (await socket.next_event())["tasks"]["task"]["revision"]
        assert await client.graphql("{ feedCursor }")


@pytest.mark.in_time
async def test_a_redis_that_does_not_answer_holds_up_no_report(
    server: LiveServer, redis: RedisServer
) -> None:
    await asyncio.to_thread(redis.start)
    async with server.client() as client, Socket.open(server) as socket:
        await until_feed(client, "ok")
        run = await start(client, await register(client, "a"))
        await socket.subscribe(TASKS.replace("tasks", "tasks(filter: {status: RUNNING})", 1))
        await socket.settle(server, 1)

        redis.freeze()
        for number in range(5):
            async with asyncio.timeout(4):
                await report(client, run.tasks[0], "start", str(number))
        await until_feed(client, "down")
        assert "TimeoutError: Timeout reading from" in await reasons(client)
        redis.thaw()
        # At least once: what Redis took without an answer comes again.
        told: dict[int, None] = {}
        while 6 not in told:
            told[(await socket.next_event())["tasks"]["task"]["revision"]] = None
        assert list(told) == [2, 3, 4, 5, 6]
        await until_feed(client, "ok")


async def reasons(client: Client) -> str:
    return str((await client.get("/health")).json()["reasons"])


async def until_reason(client: Client, word: str) -> None:
    async with asyncio.timeout(20):
        while word not in await reasons(client):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_why_redis_refuses_is_in_the_log_and_in_health(
    server: LiveServer, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with server.client() as client:
        assert "Connect call failed" in await reasons(client)
        await asyncio.to_thread(redis.start, "--requirepass", "password")
        await until_reason(client, "NOAUTH")
        for _ in range(3):
            await register(client, "a")
        config = ("--no-auth-warning", "-a", "password", "CONFIG", "SET", "requirepass", "")
        await asyncio.to_thread(redis.command, *config)
        await until_feed(client, "ok")
        assert await reasons(client) == "[]"
        # Redis becomes the replica of one that is not there.
        await asyncio.to_thread(redis.command, "REPLICAOF", "127.0.0.1", "1")
        await register(client, "a")
        await until_reason(client, "READONLY")
    for cause in ("NOAUTH", "READONLY"):
        lines = [line for line in caplog.messages if cause in line]
        assert 1 <= len(lines) <= 2  # of who reads, and of who writes
    assert "password" not in caplog.text
