"""A report is answered in time, well or not; what was not answered well is not stored later."""

import asyncio
from dataclasses import dataclass

import pytest

from db.session import Database
from monitor.errors import Unavailable
from monitor.processes import start_process
from monitor.tasks import update_task
from monitor.workers import record_heartbeat
from monitor.writing.job import IN_TIME, Caller, Job, caller, create_job
from monitor.writing.queue import QUEUE_BYTES, Queue
from monitor.writing.statistics import Refusal, Statistics
from tests.monitor.proxy import Proxy
from tests.monitor.reports import count_rows, in_time, register, replica, until_writable

pytestmark = pytest.mark.in_time

ON_MARIADB = pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
MEBIBYTE = 1024 * 1024


def hang(proxy: Proxy) -> None:
    proxy.forget_all()
    proxy.blocked = True


@ON_MARIADB
async def test_a_database_that_hangs_refuses_in_time_and_stores_nothing_of_it_later(
    proxy: Proxy, proxied: Database, database: Database
) -> None:
    transactions = replica(proxied)
    worker = await register(transactions)
    hang(proxy)
    async with in_time():
        answers = await asyncio.gather(
            *(transactions.run(start_process, worker_id=worker.id) for _ in range(5)),
            return_exceptions=True,
        )
    assert {type(answer) for answer in answers} == {Unavailable}
    proxy.blocked = False
    await until_writable(transactions, worker.id)
    assert (await count_rows(database))["processes"] == 0
    assert transactions.statistics.refusals.total() >= 5


@ON_MARIADB
async def test_who_comes_while_the_database_hangs_is_refused_at_once(
    proxy: Proxy, proxied: Database
) -> None:
    transactions = replica(proxied)
    worker = await register(transactions)
    hang(proxy)
    with pytest.raises(Unavailable):
        await transactions.run(record_heartbeat, worker_id=worker.id)
    while not transactions.statistics.refusals[Refusal.CLOSED]:
        with pytest.raises(Unavailable):
            await transactions.run(record_heartbeat, worker_id=worker.id)
    for _ in range(100):
        async with asyncio.timeout(0.1):
            with pytest.raises(Unavailable):
                await transactions.run(record_heartbeat, worker_id=worker.id)
    proxy.blocked = False
    await until_writable(transactions, worker.id)


@ON_MARIADB
async def test_a_database_that_is_gone_for_a_moment_is_not_noticed_by_workers(
    proxy: Proxy, proxied: Database
) -> None:
    transactions = replica(proxied)
    worker = await register(transactions)
    proxy.refusing = True
    proxy.cut_all()
    starting = asyncio.create_task(transactions.run(start_process, worker_id=worker.id))
    await proxy.refused.wait()
    proxy.refusing = False
    process, _ = await starting
    assert process.worker_id == worker.id


@ON_MARIADB
async def test_closing_takes_no_longer_than_it_may_when_the_database_hangs(
    proxy: Proxy, proxied: Database
) -> None:
    transactions = replica(proxied)
    worker = await register(transactions)
    hang(proxy)
    starting = asyncio.create_task(transactions.run(start_process, worker_id=worker.id))
    await asyncio.sleep(0)
    async with asyncio.timeout(2.5):
        await transactions.close()
    with pytest.raises(Unavailable):
        await starting


@ON_MARIADB
async def test_whether_the_database_works_is_known_from_commits(
    proxy: Proxy, proxied: Database
) -> None:
    transactions = replica(proxied)
    assert await transactions.works()
    assert transactions.commits == 1
    # It is known for a moment, and whoever asks meanwhile costs nothing.
    assert all(await asyncio.gather(*(transactions.works() for _ in range(100))))
    assert transactions.commits == 1
    hang(proxy)
    works = True
    while works:  # what was known grows old
        async with in_time():
            works = await transactions.works()
    proxy.blocked = False
    async with asyncio.timeout(10):
        while not await transactions.works():  # noqa: ASYNC110 — of the database
            await asyncio.sleep(0.05)


@dataclass
class Client:
    """Who sent a request, and may have closed the connection."""

    gone: bool = False


async def test_a_report_whose_client_is_gone_when_its_turn_comes_is_not_stored(
    database: Database,
) -> None:
    transactions = replica(database)
    worker = await register(transactions)
    clients = [Client(), Client(), Client()]

    async def start(client: Caller) -> None:
        caller.set(client)
        await transactions.run(start_process, worker_id=worker.id)

    starting = [asyncio.create_task(start(client)) for client in clients]
    await asyncio.sleep(0)
    clients[1].gone = True
    answers = await asyncio.gather(*starting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [type(None), Unavailable, type(None)]
    assert (await count_rows(database))["processes"] == 2
    assert transactions.statistics.refusals == {Refusal.GONE: 1}


async def test_a_process_whose_client_went_away_while_it_was_committed_is_removed(
    database: Database,
) -> None:
    transactions = replica(database)
    worker = await register(transactions)

    class Impatient:
        """Is there when its batch is formed, and gone when its answer comes."""

        looks = 0

        @property
        def gone(self) -> bool:
            self.looks += 1
            return self.looks > 1

    caller.set(Impatient())
    await transactions.run(start_process, worker_id=worker.id)
    caller.set(None)
    await transactions.close()
    assert (await count_rows(database))["processes"] == 0
    assert (await replica(database).run(record_heartbeat, worker_id=worker.id)).running == 0


async def test_the_queue_is_bounded_in_bytes() -> None:
    statistics = Statistics()
    queue = Queue(statistics.refusals)

    def report() -> Job:
        return create_job(update_task, {"task_id": "x", "details": "x" * MEBIBYTE}, IN_TIME)

    for _ in range(QUEUE_BYTES // MEBIBYTE - 1):
        queue.add(report())
    with pytest.raises(Unavailable):
        queue.add(report())
    assert statistics.refusals == {Refusal.FULL: 1}
    taken = queue.take()
    queue.add(report())
    queue.put_back(taken)
    assert len(queue) == QUEUE_BYTES // MEBIBYTE
    queue.refuse_all()


async def test_what_nobody_takes_from_the_queue_is_refused_in_time() -> None:
    queue = Queue(Statistics().refusals)
    jobs = [create_job(record_heartbeat, {"worker_id": "x"}, IN_TIME) for _ in range(3)]
    for job in jobs:
        queue.add(job)
    queue.take(1)
    async with in_time():
        answers = await asyncio.gather(*(job.answer for job in jobs), return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unavailable}
