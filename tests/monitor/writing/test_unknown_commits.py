"""What COMMIT is answered by is one thing, whether it happened another: it is found out."""

import asyncio
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from db import models
from db.session import Database
from monitor.entities import Process
from monitor.errors import Unavailable
from monitor.events import ChangeKind
from monitor.processes import start_process
from monitor.workers import record_heartbeat
from monitor.writing.transactions import Transactions
from tests.monitor.proxy import Fault, Proxy, packet, refusal
from tests.monitor.reports import (
    count_rows,
    events_of,
    in_time,
    register,
    replica,
    until_writable,
)

ON_MARIADB = pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)

pytestmark = [ON_MARIADB, pytest.mark.in_time]

REFUSALS = {
    "deadlock": 1213,
    "lock wait": 1205,
    "changed": 1020,
    "error during commit": 1180,
    "interrupted": 1317,
    "not prepared": 1047,
    "error writing file": 1026,
    "no such number": 9999,
}
GARBLED = {
    "of another statement": packet(b"\x00\x00\x00\x02\x00\x00\x00", 7),
    "cut off": packet(b"\x00", 1),
    "nonsense": packet(b"\x05\xfe\xfe", 1),
}
FAULTS = {
    **{name: Fault(refusal(number)) for name, number in REFUSALS.items()},
    **{name: Fault(answer) for name, answer in GARBLED.items()},
    "cut": Fault(),
}


@dataclass
class Setup:
    """A writer behind the proxy that has written already, with a worker."""

    proxy: Proxy
    transactions: Transactions
    worker_id: str

    async def start(self, count: int = 5) -> list[object]:
        """The ids of processes started at once, or why they were not."""
        started = await asyncio.gather(
            *(self.transactions.run(start_process, worker_id=self.worker_id) for _ in range(count)),
            return_exceptions=True,
        )
        return [answer if isinstance(answer, BaseException) else answer[0].id for answer in started]


@pytest.fixture
async def setup(proxy: Proxy, proxied: Database) -> Setup:
    transactions = replica(proxied)
    return Setup(proxy, transactions, (await register(transactions)).id)


async def running(database: Database) -> set[str]:
    async with database.reading() as connection:
        table = models.processes.c
        found = await connection.execute(select(table.id).where(table.status == "RUNNING"))
        return set(found.scalars())


@pytest.mark.parametrize("committed", [True, False], ids=["committed", "rolled back"])
@pytest.mark.parametrize("name", FAULTS)
async def test_whatever_commit_is_answered_by_everything_happens_once_and_is_answered(
    setup: Setup, database: Database, name: str, committed: bool
) -> None:
    before = await events_of(database)
    setup.proxy.commits.append(Fault(FAULTS[name].answer, committed=committed))
    started = await setup.start()
    assert await running(database) == set(started)
    assert len(set(started)) == 5
    created = (await events_of(database))[len(before) :]
    assert len(created) == 5 * (1 + 2 + 1)
    worker = await setup.transactions.run(record_heartbeat, worker_id=setup.worker_id)
    assert worker.running == 5


async def test_the_first_commit_of_a_writer_is_found_out_too(
    proxy: Proxy, proxied: Database, database: Database
) -> None:
    proxy.commits += [Fault(), Fault(committed=False)]
    transactions = replica(proxied)
    await asyncio.gather(register(transactions), register(transactions))
    await register(transactions)
    assert (await count_rows(database))["workers"] == 3


async def test_finding_out_is_tried_again_until_it_succeeds(
    setup: Setup, database: Database
) -> None:
    setup.proxy.commits += [Fault(refusal(1317)), Fault(), Fault(refusal(1180), committed=False)]
    started = await setup.start()
    assert await running(database) == set(started)
    assert not setup.proxy.commits


async def test_with_a_key_as_well(setup: Setup, database: Database) -> None:
    setup.proxy.commits.append(Fault(refusal(1047)))
    first, _ = await setup.transactions.run_once("key", start_process, worker_id=setup.worker_id)
    second, _ = await setup.transactions.run_once("key", start_process, worker_id=setup.worker_id)
    assert first == second
    assert await running(database) == {first.id}


async def test_a_commit_that_never_arrived_is_refused_in_time_and_does_not_happen_later(
    setup: Setup, database: Database
) -> None:
    """The transaction that holds the locks is there still, until its server gives it up."""
    setup.proxy.commits.append(Fault(swallowed=True))
    async with in_time():
        answers = await setup.start()
    assert {type(answer) for answer in answers} == {Unavailable}
    # Newcomers are refused at once, until it is known.
    async with asyncio.timeout(0.5):
        with pytest.raises(Unavailable):
            await setup.transactions.run(record_heartbeat, worker_id=setup.worker_id)
    worker = await until_writable(setup.transactions, setup.worker_id)
    assert worker.running == 0
    assert await running(database) == set()
    started = await setup.start()
    assert await running(database) == set(started)


async def test_a_process_whose_start_was_refused_but_committed_is_removed_when_it_is_known(
    setup: Setup, database: Database
) -> None:
    setup.proxy.commits.append(Fault(b""))
    setup.proxy.blocked = True
    async with in_time():
        keeping = asyncio.ensure_future(
            setup.transactions.run_once("key", start_process, worker_id=setup.worker_id)
        )
        refused = await setup.start()
        with pytest.raises(Unavailable):
            await keeping
    assert {type(answer) for answer in refused} == {Unavailable}
    assert len(await running(database)) == 6
    setup.proxy.blocked = False
    await until_writable(setup.transactions, setup.worker_id)
    process, _ = await setup.transactions.run_once("key", start_process, worker_id=setup.worker_id)
    await setup.transactions.close()
    assert await running(database) == {process.id}
    removed = [e for e in await events_of(database) if e.kind is ChangeKind.REMOVED]
    assert len({e.entity.id for e in removed if isinstance(e.entity, Process)}) == 5
    async with database.reading() as connection:
        counted = await connection.execute(select(models.workers.c.running))
        assert counted.scalar_one() == 1
