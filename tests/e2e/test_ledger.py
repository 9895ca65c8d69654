"""Whatever happens to servers and connections: every subscriber is told of every change, in order.

10 seconds in the suite; `make soak` runs it for longer (SOAK_SECONDS).
"""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import TOKEN
from tests.e2e.ledger import keep
from tests.servers import MariaDb, MonitorServer, RedisServer

SECONDS = float(os.environ.get("SOAK_SECONDS", "10"))
# Redis keeps every entry it acknowledged.
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis")
    server.start(*DURABLE)
    yield server
    server.stop()


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
        stored, followers = await keep(
            urls, url, lambda end: disturb(servers, own_redis, end), seconds=SECONDS
        )
    assert len(stored) > 100
    assert all(follower.errors == [] for follower in followers)
    assert min(follower.connections for follower in followers) > 2
