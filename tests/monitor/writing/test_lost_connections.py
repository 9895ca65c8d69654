"""Connections to the database that break: once more where it is safe, never twice the same."""

import asyncio
import socket
from pathlib import Path

import pytest
from sqlalchemy import event

from db.session import Database
from monitor.entities import TaskStatus
from monitor.errors import Unavailable
from monitor.processes import start_process
from monitor.tasks import update_task
from monitor.workers import record_heartbeat
from tests.monitor.proxy import Proxy
from tests.monitor.reports import count_rows, in_time, register, replica
from tests.servers import free_port

pytestmark = pytest.mark.in_time

ON_MARIADB = pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)


def take_for_idle(database: Database) -> None:
    """Its connections for writing have been lying there for an hour."""
    assert database.spares.unused
    for spare in database.spares._spares:
        spare.used_at -= 3600


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
async def test_who_reports_again_at_once_takes_no_connection_from_the_pool(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long the machine stands still.
    monkeypatch.setattr("db.transactions.SPARE_SECONDS", 1000)
    transactions = replica(database)
    worker = await register(transactions)
    taken: list[object] = []

    def note(connection: object, *_: object) -> None:
        taken.append(connection)

    event.listen(database.write_engine.sync_engine, "checkout", note)
    await transactions.run(start_process, worker_id=worker.id)
    assert taken == []
    take_for_idle(database)
    await transactions.run(start_process, worker_id=worker.id)
    assert len(taken) == 1


@ON_MARIADB
async def test_connections_that_were_forgotten_on_the_way_while_idle_are_not_noticed_by_workers(
    proxy: Proxy, proxied: Database, database: Database
) -> None:
    transactions = replica(proxied)
    worker = await register(transactions)
    take_for_idle(proxied)
    proxy.forget_all()
    async with in_time():
        process, _ = await transactions.run(start_process, worker_id=worker.id)
    assert process.worker_id == worker.id
    assert (await count_rows(database))["processes"] == 1


@ON_MARIADB
async def test_the_kernel_looks_after_connections_that_nobody_uses(database: Database) -> None:
    for connect in (database.reading, database.writing):
        async with connect() as connection:
            raw = await connection.get_raw_connection()
            assert raw.driver_connection is not None
            found = raw.driver_connection._transport.get_extra_info("socket")
            assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) < 60
            assert 0 < found.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 10_000


async def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    urls = [
        f"mariadb://root@127.0.0.1:{free_port()}/monitor",
        f"sqlite:///{tmp_path / 'no folder' / 'monitor.db'}",
    ]
    for url in urls:
        database = Database(url)
        transactions = replica(database)
        with pytest.raises(Unavailable):
            await transactions.run(
                update_task, task_id="task_1", status=TaskStatus.RUNNING, details=None
            )
        # It goes on looking whether the database is there until it is closed.
        await transactions.close()
        await database.close()
