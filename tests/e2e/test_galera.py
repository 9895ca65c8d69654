"""Replicas on the nodes of a Galera cluster: as on one database, also when a node dies."""

import asyncio
import itertools
import random
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import insert, select, text

from db import cluster, models
from db.cluster import turn
from db.maintenance import MaintenanceDatabase
from db.migrate import migrate
from db.searched import process_texts
from db.session import Database
from monitor.feed.relay import Relay
from monitor.reading.pages import PageRequest
from monitor.reading.searching import search
from monitor.slots import DAY_SECONDS
from monitor.upkeep.rollup import roll_up
from monitor.writing.texts import text_row
from tests.conftest import TOKEN
from tests.e2e.ledger import HEADERS, final_revisions, keep
from tests.feeds import redis_feed
from tests.galera import GaleraNode, galera_cluster
from tests.monitor.upkeep.test_rollup import BEFORE, assert_right, of_steps, rows_of
from tests.monitor.upkeep.test_rollup import keep as keep_durations
from tests.servers import MariaDb, MonitorServer, RedisServer
from tests.tasks import stop

SECONDS = 12.0
MIGRATE = """
import asyncio, logging, sys
from db.migrate import migrate
from db.session import Database

async def main():
    database = Database(sys.argv[1])
    await migrate(database)
    await database.close()

logging.basicConfig(level=logging.INFO)
asyncio.run(main())
"""
SYNC_WAIT = text("SELECT @@wsrep_sync_wait")


@pytest.fixture(scope="module")
def galera() -> Iterator[list[GaleraNode]]:
    with galera_cluster() as nodes:
        yield nodes


_numbers = itertools.count(1)


@pytest.fixture
def urls(galera: list[GaleraNode]) -> list[str]:
    """The URLs of an empty database, by each of the nodes."""
    name = f"empty_{next(_numbers)}"
    galera[0].execute(f"CREATE DATABASE {name}")
    for node in galera[1:]:  # which apply it a little later
        assert node.execute(f"SET SESSION wsrep_sync_wait = 8; SHOW DATABASES LIKE '{name}'")
    return [node.url(name) for node in galera]


@pytest.fixture
async def databases(urls: list[str]) -> AsyncIterator[list[Database]]:
    found = [Database(url) for url in urls]
    yield found
    for database in found:
        await database.close()


async def waits(database: Database) -> set[int]:
    """What sessions of every kind wait for."""
    async with AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(of.connect())
            for each in (database, MaintenanceDatabase(database))
            for of in (each.read_engine, each.write_engine)
        ]
        return {await connection.scalar(SYNC_WAIT) for connection in connections}


async def test_sessions_wait_for_the_other_nodes_only_when_there_are_any(
    databases: list[Database], mariadb: MariaDb
) -> None:
    assert await waits(databases[0]) == {7}
    alone = Database(mariadb.create_database())
    assert await waits(alone) == {0}
    await alone.close()


async def test_what_one_node_committed_is_seen_by_the_others(databases: list[Database]) -> None:
    await migrate(databases[0])
    chance = random.Random(1)
    last = 0
    for _ in range(300):
        async with chance.choice(databases).writing() as connection:
            ids = (await connection.scalars(select(models.outbox.c.id))).all()
            assert max(ids, default=0) == last
            result = await connection.execute(insert(models.outbox), [{"events": "[]"}])
            # Nor is it overtaken: the relay moves what follows from it in the order of these.
            assert result.lastrowid > last
            last = result.lastrowid


async def test_what_was_said_at_one_node_is_found_by_its_words_at_the_others(
    databases: list[Database],
) -> None:
    await migrate(databases[0])
    ids = [f"process_{number}" for number in range(9)]
    for number, id_ in enumerate(ids):
        at = datetime(2026, 3, 1, 12, number, tzinfo=UTC)
        async with databases[number % 3].writing() as connection:
            row = text_row(id_, at, f"no rows in batch {number}")
            await connection.execute(insert(process_texts), [row])
        # So few are on no full page: it is the index of words that finds them.
        found = await search(databases[(number + 1) % 3], "batch rows", PageRequest(50))
        assert [hit.id for hit in found.items] == ids[number::-1]


async def test_replicas_on_all_nodes_may_migrate_an_empty_database_at_once(urls: list[str]) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-c", MIGRATE, url), stderr=asyncio.subprocess.PIPE
        )
        for url in urls * 2
    ]
    said = [(await process.communicate())[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0] * 6, "\n".join(said)
    assert sum("Running upgrade  -> 0001" in text for text in said) == 1
    database = Database(urls[0])
    async with database.reading() as connection:
        assert (await connection.execute(select(models.workers))).all() == []
    await database.close()


async def test_the_turn_to_migrate_is_of_one_in_the_whole_cluster(
    databases: list[Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(cluster, "BEAT_SECONDS", 0.05)
    having = 0

    async def have(database: Database) -> None:
        nonlocal having
        async with turn(MaintenanceDatabase(database).read_engine, wait_seconds=60):
            having += 1
            assert having == 1
            # Longer than after which it would be taken from one that shows no sign of life.
            await asyncio.sleep(cluster.LOOK_SECONDS * cluster.STALE_LOOKS * 2)
            having -= 1

    await asyncio.gather(*map(have, databases * 2))


async def test_the_turn_is_taken_from_one_that_is_gone(
    databases: list[Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "LOOK_SECONDS", 0.02)
    await migrate(databases[0])
    async with databases[0].writing() as connection:
        await connection.execute(text("UPDATE migration_turn SET owner='gone'"))
    await migrate(databases[1])


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


async def write_in_turns(databases: list[Database], name: str, count: int) -> None:
    """Commits events on one thing, each behind the one before, by any node."""
    chance = random.Random(name)
    for number in range(count):
        async with chance.choice(databases).writing() as connection:
            row = {"events": f"{name}.{number}"}
            await connection.execute(insert(models.outbox), [row])


async def test_relays_at_different_nodes_move_everything_once_and_in_order(
    databases: list[Database], own_redis: RedisServer
) -> None:
    await migrate(databases[0])
    feed = redis_feed(own_redis.url)
    start = await feed.open()
    relays = [Relay(database, feed) for database in databases]
    moving = [asyncio.create_task(relay.run()) for relay in relays]
    writing = asyncio.gather(*(write_in_turns(databases, name, 100) for name in "abcd"))
    while not writing.done():
        for relay in relays:
            relay.wake()
        await asyncio.sleep(0.005)  # as often as there are commits
    told: list[str] = []
    after = start
    async with asyncio.timeout(30):
        while len(told) < 400:
            for entry in await feed.follow(after):
                assert entry.position.epoch == start.epoch
                told.append(entry.payload.decode())
                after = entry.position
    assert [relay.problem for relay in relays] == [None] * 3
    await stop(*moving)
    await feed.close()
    assert sorted(told) == sorted(f"{name}.{number}" for name in "abcd" for number in range(100))
    for name in "abcd":
        numbers = [int(text[2:]) for text in told if text[0] == name]
        assert numbers == sorted(numbers)


@pytest.fixture
def replicas(urls: list[str], own_redis: RedisServer, tmp_path: Path) -> Iterator[list[str]]:
    """The URLs of two replicas, on the first two nodes, that started at once."""
    env = {
        "REDIS_URL": own_redis.url,
        "TOKEN": TOKEN,
        "MONITOR_OFFLINE_AFTER_SECONDS": "3600",
    }
    servers = [
        MonitorServer(tmp_path / str(number), {**env, "DATABASE_URL": url})
        for number, url in enumerate(urls[:2])
    ]
    with ExitStack() as stack:
        for server in servers:
            stack.callback(server.stop)
            server.launch()
        for server in servers:
            server.wait_until_healthy()
        yield [server.url for server in servers]


async def run_in_turns(urls: list[str], runs: int) -> None:
    """Runs processes of a worker, each request by the next replica."""
    turns = itertools.cycle(urls)

    async with httpx.AsyncClient(headers=HEADERS, timeout=20) as http:

        async def post(path: str, body: dict[str, object]) -> dict[str, object]:
            answer = await http.post(f"{next(turns)}{path}", json=body)
            assert answer.status_code == 200, answer.text
            found: dict[str, object] = answer.json()
            return found

        steps = [{"name": name, "version": "1"} for name in "ab"]
        worker = await post("/matricula", {"name": "w", "version": "1", "tasks": steps})
        for _ in range(runs):
            run = await post("/newprocess", {"id": worker["id"]})
            assert isinstance(run["sons"], list)
            for son in run["sons"]:
                for status in ("start", "success"):
                    await post("/actualizar_task", {"task_id": son["id"], "status": status})
            await post("/endprocess", {"id": run["father"]})


async def test_replicas_on_all_nodes_add_up_old_durations_at_once(
    databases: list[Database],
) -> None:
    await migrate(databases[0])
    for number in range(5):
        await keep_durations(databases[0], of_steps(f"worker {number}"), range(1, 60))
    async with asyncio.timeout(30):  # who lost a race tries again
        while not all(await asyncio.gather(*(roll_up(each, BEFORE) for each in databases))):
            pass
    for database in databases:
        assert {row.slot_seconds for row in await rows_of(database)} == {DAY_SECONDS}
        await assert_right(database)


async def test_a_worker_may_report_by_another_replica_each_time(
    replicas: list[str], urls: list[str]
) -> None:
    workers, runs = 4, 25
    await asyncio.gather(*(run_in_turns(replicas, runs) for _ in range(workers)))
    # Its registration, and a start and an end of each run, are changes of a worker; a start, four
    # reports and an end are those of a process.
    last = {(final.root, final.revision) for final in await final_revisions(urls[2])}
    assert last == {("workers", 1 + 2 * runs), ("processes", 6), ("tasks", 3)}


async def test_every_subscriber_is_told_of_every_change_when_a_node_dies(
    galera: list[GaleraNode], replicas: list[str], urls: list[str]
) -> None:
    """The last one, since the cluster is then short of a node."""

    async def kill(_: float) -> None:
        await asyncio.sleep(SECONDS / 3)  # how long it is there, and gone, is what is tested
        await asyncio.to_thread(galera[1].kill)

    stored, followers = await keep(replicas, urls[0], kill, seconds=SECONDS)
    assert len(stored) > 30
    assert all(follower.errors == [] for follower in followers)
    async with httpx.AsyncClient() as http:
        health = (await http.get(f"{replicas[0]}/health")).json()
    assert health["status"] == "ok", health
    for follower in followers:
        for told in follower.seen.values():
            assert told == sorted(told)
