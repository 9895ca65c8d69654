"""Whatever happens to servers and connections: every subscriber is told of every change, in order.

10 seconds in the suite; `make soak` runs it for longer (SOAK_SECONDS).
"""

import asyncio
import os
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from sqlalchemy import select

from db import models
from db.session import Database
from monitor.upkeep.counters import check_counters
from tests.conftest import TOKEN
from tests.e2e.followers import Follower
from tests.servers import MariaDb, MonitorServer, RedisServer

SECONDS = float(os.environ.get("SOAK_SECONDS", "10"))
WRITERS = 6
FOLLOWERS = 18
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
# Redis keeps every entry it acknowledged.
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis")
    server.start(*DURABLE)
    yield server
    server.stop()


class Final(NamedTuple):
    """An entity as the database has it in the end."""

    root: str
    id: str
    worker: str
    revision: int


async def write(urls: list[str], worker: str, chance: random.Random, end: float) -> None:
    """Runs processes of a worker until the end; a server that is gone costs the process at hand."""
    async with httpx.AsyncClient(headers=HEADERS, timeout=20) as http:
        while time.monotonic() < end:
            url = chance.choice(urls)
            try:
                started = (await http.post(f"{url}/newprocess", json={"id": worker})).json()
                for son in started["sons"]:
                    for status in ("start", chance.choice(["success", "error"])):
                        body = {"task_id": son["id"], "status": status}
                        await http.post(f"{url}/actualizar_task", json=body)
                await http.post(f"{url}/endprocess", json={"id": started["father"]})
            except (httpx.TransportError, KeyError):
                await asyncio.sleep(0.1)  # a worker tries again later


async def disturb(servers: list[MonitorServer], redis: RedisServer, end: float) -> None:
    """Kills a replica and starts it again, stops Redis and starts it again, in turn."""
    pause = min(3.0, SECONDS / 6)
    while time.monotonic() < end - 2 * pause:
        await asyncio.sleep(pause)  # how long they run, and are gone, is what is tested
        servers[1].kill()
        await asyncio.sleep(pause / 2)
        servers[1].launch()
        await asyncio.to_thread(servers[1].wait_until_healthy)
        await asyncio.sleep(pause)
        await asyncio.to_thread(redis.stop)
        await asyncio.sleep(pause / 2)
        await asyncio.to_thread(redis.start, *DURABLE)


async def final_revisions(url: str) -> list[Final]:
    """Everything there is, with its last revision."""
    database = Database(url)
    workers, processes, tasks = models.workers.c, models.processes.c, models.tasks.c
    found = []
    async with database.reading() as connection:
        for name, columns in (
            ("workers", (workers.id, workers.id, workers.revision)),
            ("processes", (processes.id, processes.worker_id, processes.revision)),
            ("tasks", (tasks.id, tasks.worker_id, tasks.revision)),
        ):
            found += [Final(name, *row) for row in await connection.execute(select(*columns))]
    assert await check_counters(database, repair=False) == []
    await database.close()
    return found


async def test_every_subscriber_is_told_of_every_change(
    mariadb: MariaDb, own_redis: RedisServer, tmp_path: Path
) -> None:
    url = mariadb.create_database()
    env = {"DATABASE_URL": url, "REDIS_URL": own_redis.url, "TOKEN": TOKEN}
    # No worker falls silent while a server is away: presence has its own tests.
    env["MONITOR_OFFLINE_AFTER_SECONDS"] = "3600"
    servers = [MonitorServer(tmp_path / name, env) for name in ("one", "two")]
    with ExitStack() as stack:
        for server in servers:
            server.start()
            stack.callback(server.stop)
        urls = [server.url for server in servers]
        async with httpx.AsyncClient(base_url=urls[0], headers=HEADERS) as http:
            answer = await http.post("/graphql", json={"query": "{ feedCursor }"})
            cursor = answer.json()["data"]["feedCursor"]
            steps = [{"name": name, "version": "1"} for name in "abc"]
            body = {"name": "writer", "version": "1", "tasks": steps}
            workers = [
                (await http.post("/matricula", json=body)).json()["id"] for _ in range(WRITERS)
            ]
        followers = [
            Follower(
                ("workers", "processes", "tasks")[number % 3],
                None if number < FOLLOWERS / 2 else _only(number, workers),
                cursor,
            )
            for number in range(FOLLOWERS)
        ]
        following = [
            asyncio.create_task(follower.follow(urls, TOKEN, random.Random(number)))
            for number, follower in enumerate(followers)
        ]
        end = time.monotonic() + SECONDS
        await asyncio.gather(
            disturb(servers, own_redis, end),
            *(write(urls, worker, random.Random(worker), end) for worker in workers),
        )
        revisions = await final_revisions(url)
        for follower in followers:
            await _complete(follower, expected(follower, revisions))
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)

    assert len(revisions) > 100
    assert all(follower.errors == [] for follower in followers)
    assert min(follower.connections for follower in followers) > 2


def _only(number: int, workers: list[str]) -> dict[str, list[str]]:
    """A filter on one worker."""
    return {"ids" if number % 3 == 0 else "workerIds": [workers[number % len(workers)]]}


def expected(follower: Follower, revisions: list[Final]) -> dict[str, int]:
    """What a follower must have seen; it must have seen nothing else."""
    only = next(iter((follower.filter or {}).values()), None)
    matching = {
        final.id: final.revision
        for final in revisions
        if final.root == follower.root and (only is None or final.worker in only)
    }
    assert follower.seen.keys() <= matching.keys()
    return matching


async def _complete(follower: Follower, revisions: dict[str, int]) -> None:
    """Waits for what is still on its way; fails when it does not come."""
    async with asyncio.timeout(30):
        while lacking := follower.lacks(revisions):
            follower.news.clear()
            try:
                async with asyncio.timeout(10):
                    await follower.news.wait()
            except TimeoutError:
                id_ = lacking[0]
                raise AssertionError(
                    f"{follower.root} {follower.filter}: {len(lacking)} of {len(revisions)}; "
                    f"{id_} is at {revisions[id_]}, told: {follower.seen.get(id_)}"
                ) from None
