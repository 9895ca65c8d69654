"""Many workers, several server processes, and one that is killed: nothing acknowledged is lost."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import select

from db import models
from db.session import Database
from monitor.upkeep.counters import check_counters
from tests.conftest import TOKEN
from tests.e2e.load import Ledger, work_together
from tests.servers import MariaDb, MonitorServer, RedisServer

WORKERS = 32


@pytest.fixture(scope="module")
def durable_mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """As in production: every commit waits for the disk."""
    server = MariaDb(tmp_path_factory.mktemp("durable"), durable=True)
    server.install()
    server.start()
    yield server
    server.stop()


def replica(folder: Path, url: str, redis: RedisServer, *options: str) -> MonitorServer:
    env = {"DATABASE_URL": url, "REDIS_URL": redis.url, "TOKEN": TOKEN}
    return MonitorServer(folder, env, *options)


async def stored(database: Database) -> tuple[dict[str, str], dict[str, str]]:
    """Status by task and by process, as the tables have them."""
    async with database.reading() as connection:
        tasks = await connection.execute(select(models.tasks.c.id, models.tasks.c.status))
        processes = await connection.execute(
            select(models.processes.c.id, models.processes.c.status)
        )
        return dict(tasks.all()), dict(processes.all())


async def assert_nothing_is_lost(ledger: Ledger, database: Database) -> None:
    """Every acknowledged report is there, unless a later, unanswered one took its place."""
    tasks, processes = await stored(database)
    for known, found in ((ledger.tasks, tasks), (ledger.processes, processes)):
        assert known.keys() <= found.keys()
        for id_, status in known.items():
            assert found[id_] == status or id_ in ledger.unanswered
    assert await check_counters(database, repair=False) == []


async def test_32_workers_on_two_server_processes_lose_nothing(
    durable_mariadb: MariaDb, redis_server: RedisServer, tmp_path: Path
) -> None:
    url = durable_mariadb.create_database()
    server = replica(tmp_path, url, redis_server, "--workers", "2")
    server.start()
    end = time.monotonic() + 5
    ledger = Ledger()
    await work_together(server.url, TOKEN, WORKERS, ledger, lambda: time.monotonic() < end)
    server.stop()

    assert ledger.errors == []
    assert not ledger.unanswered
    assert len(ledger.workers) == WORKERS
    database = Database(url)
    await assert_nothing_is_lost(ledger, database)
    _, processes = await stored(database)
    assert len(processes) == sum(ledger.workers.values())
    await database.close()


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one process", "two processes"])
async def test_what_was_acknowledged_is_there_after_a_kill(
    options: tuple[str, ...],
    durable_mariadb: MariaDb,
    redis_server: RedisServer,
    tmp_path: Path,
) -> None:
    url = durable_mariadb.create_database()
    server = replica(tmp_path, url, redis_server, *options)
    server.start()
    ledger = Ledger()
    load = work_together(server.url, TOKEN, WORKERS, ledger, lambda: True)
    loading = asyncio.create_task(load)
    await asyncio.wait_for(ledger.well_under_way.wait(), 40)
    server.kill()
    await asyncio.wait_for(loading, 40)

    again = replica(tmp_path, url, redis_server, *options)
    again.start()
    assert ledger.errors == []
    database = Database(url)
    await assert_nothing_is_lost(ledger, database)
    again.stop()
    await database.close()


async def test_four_replicas_start_at_the_same_moment_on_an_empty_database(
    durable_mariadb: MariaDb, redis_server: RedisServer, tmp_path: Path
) -> None:
    url = durable_mariadb.create_database()
    servers = [replica(tmp_path / str(number), url, redis_server) for number in range(4)]
    with ExitStack() as stack:
        for server in servers:
            server.launch()
            stack.callback(server.stop)
        for server in servers:
            server.wait_until_healthy()
    for server in servers:
        assert server.process is not None
        assert "Traceback" not in server.log.read_text()
