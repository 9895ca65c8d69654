"""Two replicas on one MariaDB and one Redis: what each of them tells its subscribers."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
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

WORKERS = "subscription ($after: String) { workers(after: $after) { cursor worker { id status } } }"
PROCESSES = (
    "subscription ($after: String) { processes(after: $after) { process { id stalled status } } }"
)
PIPELINES = (
    "subscription ($after: String) { pipelines(after: $after) "
    "{ kind pipeline { name workerCounts { total } } } }"
)
TASKS = "subscription ($after: String) { tasks(after: $after) { cursor task { revision } } }"


@dataclass
class Replicas:
    """Two of them, and a client of the first."""

    servers: list[MonitorServer]
    redis: RedisServer
    client: Client

    async def cursor(self) -> str:
        cursor: str = (await self.client.graphql("{ feedCursor }"))["feedCursor"]
        return cursor


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def replicas(
    mariadb: MariaDb, own_redis: RedisServer, tmp_path: Path
) -> AsyncIterator[Replicas]:
    env = {
        "DATABASE_URL": mariadb.create_database(),
        "REDIS_URL": own_redis.url,
        "TOKEN": TOKEN,
        "MONITOR_OFFLINE_AFTER_SECONDS": "2",
    }
    servers = [MonitorServer(tmp_path / name, env) for name in ("one", "two")]
    with ExitStack() as stack:
        for server in servers:
            stack.callback(server.stop)
            server.start()
        async with httpx.AsyncClient(base_url=servers[0].url, timeout=30) as http:
            yield Replicas(servers, own_redis, Client(http, TOKEN))


@asynccontextmanager
async def following(server: MonitorServer, query: str, after: str) -> AsyncIterator[Socket]:
    """A socket that follows behind a cursor."""
    url = server.url.replace("http", "ws") + "/graphql"
    async with connect(url, subprotocols=[PROTOCOL]) as connection:
        socket = Socket(connection)
        payload = {"Authorization": f"Bearer {TOKEN}"}
        await socket.send({"type": "connection_init", "payload": payload})
        assert (await socket.receive())["type"] == "connection_ack"
        await socket.subscribe(query, after=after)
        yield socket


async def told_until(socket: Socket, *last: Any) -> list[Any]:
    """What a subscriber is told, as lists of values, up to the event with these."""
    told: list[Any] = []
    while not told or told[-1] != last:
        (event,) = (await socket.next_event()).values()
        entity = event.get("worker") or event.get("process")
        told.append(tuple(value for name, value in entity.items() if name != "id"))
    return told


async def test_falling_silent_and_coming_back_is_told_once_by_every_replica(
    replicas: Replicas,
) -> None:
    cursor = await replicas.cursor()
    worker = await register(replicas.client, "a")
    # So it is held to its signs of life, whatever it runs.
    await replicas.client.post("/healthchecker", {"id": worker})
    await start(replicas.client, worker)
    async with AsyncExitStack() as stack:
        workers, processes = [
            [
                await stack.enter_async_context(following(server, query, cursor))
                for server in replicas.servers
            ]
            for query in (WORKERS, PROCESSES)
        ]
        # The start of the process is a change of the worker, too.
        for socket in workers:
            assert await told_until(socket, "OFFLINE") == [("ONLINE",), ("ONLINE",), ("OFFLINE",)]
        for socket in processes:
            assert await told_until(socket, True, "RUNNING") == [
                (False, "RUNNING"),
                (True, "RUNNING"),
            ]
        response = await replicas.client.post("/healthchecker", {"id": worker})
        assert response.status_code == 200, response.text
        for socket in workers:
            assert await told_until(socket, "ONLINE") == [("ONLINE",)]
        for socket in processes:
            assert await told_until(socket, False, "RUNNING") == [(False, "RUNNING")]


async def test_a_redis_that_comes_back_older_ends_subscriptions_before_anything_new_happens(
    replicas: Replicas,
) -> None:
    before = await replicas.cursor()
    run = await start(replicas.client, await register(replicas.client, "a"))
    async with AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(following(server, TASKS, before))
            for server in replicas.servers
        ]
        for socket in sockets:
            assert (await socket.next_event())["tasks"]["task"]["revision"] == 1
        await asyncio.to_thread(replicas.redis.command, "SAVE")
        await report(replicas.client, run.tasks[0], "start")
        for socket in sockets:
            assert (await socket.next_event())["tasks"]["task"]["revision"] == 2

        await asyncio.to_thread(replicas.redis.kill)
        await asyncio.to_thread(replicas.redis.start)
        for socket in sockets:
            message = await socket.receive()
            assert message["payload"][0]["extensions"]["code"] == "CURSOR_EXPIRED"

    # Who resumes from before the loss would not be told of the report: it is told so instead.
    for server in replicas.servers:
        async with following(server, TASKS, before) as socket:
            message = await socket.receive()
            assert message["payload"][0]["extensions"]["code"] == "CURSOR_EXPIRED"
    async with following(replicas.servers[1], TASKS, await replicas.cursor()) as socket:
        await report(replicas.client, run.tasks[0], "success")
        assert (await socket.next_event())["tasks"]["task"]["revision"] == 3


async def test_a_new_name_that_both_see_at_once_is_one_pipeline_told_once(
    replicas: Replicas,
) -> None:
    cursor = await replicas.cursor()
    names = [f"pipeline {number}" for number in range(10)]
    async with AsyncExitStack() as stack:
        clients = [
            Client(
                await stack.enter_async_context(httpx.AsyncClient(base_url=each.url, timeout=30)),
                TOKEN,
            )
            for each in replicas.servers
        ]
        for name in names:
            await asyncio.gather(*(register(each, "a", name=name) for each in clients * 2))
        socket = await stack.enter_async_context(following(replicas.servers[1], PIPELINES, cursor))
        told: dict[str, list[tuple[str, int]]] = {name: [] for name in names}
        while not all(events and events[-1][1] == 4 for events in told.values()):
            event = (await socket.next_event())["pipelines"]
            pipeline = event["pipeline"]
            told[pipeline["name"]].append((event["kind"], pipeline["workerCounts"]["total"]))
    assert {events[0][0] for events in told.values()} == {"CREATED"}
    assert all(kind == "UPDATED" for events in told.values() for kind, _ in events[1:])
    summary = (await replicas.client.graphql("{ summary { pipelines } }"))["summary"]
    assert summary["pipelines"] == len(names)
