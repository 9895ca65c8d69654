"""Connections to the database that break: once more where it is safe, never twice the same."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from db.session import Database
from monitor.entities import TaskStatus
from monitor.errors import Unavailable
from monitor.processes import start_process
from monitor.tasks import update_task
from monitor.workers import record_heartbeat
from tests.monitor.proxy import Proxy
from tests.monitor.reports import count_rows, events_of, register, replica
from tests.servers import free_port

ON_MARIADB = pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    port = make_url(database_url).port
    assert port is not None
    async with Proxy(port).running() as proxy:
        yield proxy


@pytest.fixture
async def proxied(proxy: Proxy, database_url: str) -> AsyncIterator[Database]:
    """The database behind the proxy."""
    url = make_url(database_url).set(port=proxy.port)
    database = Database(url.render_as_string(hide_password=False))
    yield database
    await database.close()


@ON_MARIADB
async def test_a_connection_lost_before_the_commit_is_not_noticed_by_workers(
    proxy: Proxy, proxied: Database, database: Database
) -> None:
    transactions = replica(proxied)
    worker = await register(transactions)
    proxy.cut_at = b"INSERT INTO processes"
    started = await asyncio.gather(
        *(transactions.run(start_process, worker_id=worker.id) for _ in range(5))
    )
    assert len({process.id for process, _ in started}) == 5
    assert (await count_rows(database))["processes"] == 5
    assert proxy.cut_at is None


@ON_MARIADB
async def test_connections_that_the_server_closed_meanwhile_are_not_noticed_by_workers(
    proxy: Proxy, proxied: Database
) -> None:
    transactions = replica(proxied)
    worker = await register(transactions)
    proxy.cut_all()
    assert (await transactions.run(record_heartbeat, worker_id=worker.id)).id == worker.id


@ON_MARIADB
async def test_a_connection_lost_during_the_commit_makes_nothing_happen_twice(
    proxy: Proxy, proxied: Database, database: Database
) -> None:
    transactions = replica(proxied)
    worker = await register(transactions)
    before = await events_of(database)
    proxy.cut_at = b"COMMIT"
    answers = await asyncio.gather(
        *(transactions.run(start_process, worker_id=worker.id) for _ in range(5)),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [Unavailable] * 5
    # It was committed, but who sent it cannot know.
    assert (await count_rows(database))["processes"] == 5
    created = (await events_of(database))[len(before) :]
    assert len({event.entity.id for event in created}) == 5 + 10 + 1


@ON_MARIADB
async def test_with_a_key_a_report_whose_commit_is_unknown_can_be_sent_again(
    proxy: Proxy, proxied: Database, database: Database
) -> None:
    transactions = replica(proxied)
    worker = await register(transactions)
    proxy.cut_at = b"COMMIT"
    with pytest.raises(Unavailable):
        await transactions.run_once("key", start_process, worker_id=worker.id)
    process, _ = await transactions.run_once("key", start_process, worker_id=worker.id)
    assert process.worker_id == worker.id
    assert (await count_rows(database))["processes"] == 1


async def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    urls = [
        f"mariadb://root@127.0.0.1:{free_port()}/monitor",
        f"sqlite:///{tmp_path / 'no folder' / 'monitor.db'}",
    ]
    for url in urls:
        database = Database(url)
        with pytest.raises(Unavailable):
            await replica(database).run(
                update_task, task_id="task_1", status=TaskStatus.RUNNING, details=None
            )
        await database.close()
