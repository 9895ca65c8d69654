"""Acts are written by the transaction that did them: exactly those that happened, each once."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import select

from db import models
from db.session import Database
from monitor.acts import Actor
from monitor.entities import ProcessStatus, TaskStatus
from monitor.errors import Unavailable, WorkerNotFound
from monitor.ids import new_id
from monitor.processes import end_process, start_process
from monitor.tasks import update_task
from monitor.workers import record_heartbeat
from monitor.writing.job import on_behalf_of
from monitor.writing.loading import Needs
from monitor.writing.operation import operation
from monitor.writing.transaction import Transaction
from monitor.writing.transactions import Transactions
from tests.monitor.proxy import Fault, Proxy
from tests.monitor.reports import register, replica
from tests.statements import statements_to

ON_MARIADB = pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
SOMEBODY = Actor("dashboard admin", "10.0.0.7")


@pytest.fixture
def transactions(database: Database) -> Transactions:
    return replica(database)


@pytest.fixture
def on_behalf() -> Iterator[None]:
    """What the test runs is asked for by somebody."""
    with on_behalf_of(SOMEBODY):
        yield


async def acts_in(database: Database) -> list[tuple[str, str]]:
    """What was done, and what to, of the subjects with the first id."""
    act, subject = models.audit.c, models.audit_subjects.c
    statement = (
        select(act.action, subject.subject_id)
        .join(models.audit_subjects, subject.audit_id == act.id)
        .order_by(act.id, subject.subject_id)
    )
    async with database.reading() as connection:
        return [(row.action, row.subject_id) for row in await connection.execute(statement)]


async def start_many(transactions: Transactions, worker_id: str, number: int) -> list[str]:
    started = await asyncio.gather(
        *(transactions.run(start_process, worker_id=worker_id) for _ in range(number))
    )
    return [process.id for process, _ in started]


async def test_reports_on_nobodys_behalf_cost_no_statement(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    with statements_to(database) as statements:
        process, tasks = await transactions.run(start_process, worker_id=worker.id)
        await transactions.run(
            update_task, task_id=tasks[0].id, status=TaskStatus.RUNNING, details=None
        )
        await transactions.run(
            end_process, process_id=process.id, status=ProcessStatus.ERROR, details="reason"
        )
    assert not [statement for statement in statements if "audit" in statement]
    assert await acts_in(database) == []


@pytest.mark.usefixtures("on_behalf")
async def test_all_acts_of_a_batch_are_a_statement_for_each_of_two_tables(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    await start_many(transactions, worker.id, 1)
    commits = transactions.commits
    with statements_to(database) as statements:
        started = await start_many(transactions, worker.id, 50)
    about = [statement.split("(")[0] for statement in statements if "audit" in statement]
    assert transactions.commits - commits <= 2
    assert Counter(about).total() == 2 * (transactions.commits - commits)
    assert len(started) == 50
    assert len(await acts_in(database)) == 2 + 2 * 51


@pytest.mark.usefixtures("on_behalf")
async def test_what_was_refused_in_a_batch_is_not_in_it(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    done, refused = await asyncio.gather(
        transactions.run(start_process, worker_id=worker.id),
        transactions.run(start_process, worker_id=new_id("worker")),
        return_exceptions=True,
    )
    assert isinstance(refused, WorkerNotFound)
    assert not isinstance(done, BaseException)
    ids = sorted((done[0].id, worker.id))
    assert (await acts_in(database))[2:] == [("startProcess", id_) for id_ in ids]


@operation(needs=lambda worker_id: Needs(workers=(worker_id,)))
def fail_after_all(tx: Transaction, *, worker_id: str) -> None:
    """Notes what it did, and has a defect."""
    tx.update(replace(tx.worker(worker_id), version="v2"))
    tx.audit.note("failAfterAll", (worker_id,))
    raise RuntimeError("a defect")


@pytest.mark.usefixtures("on_behalf")
async def test_a_batch_that_runs_again_for_a_defect_is_in_it_once(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)
    failing = asyncio.create_task(transactions.run(fail_after_all, worker_id=worker.id))
    started = await start_many(transactions, worker.id, 3)
    with pytest.raises(RuntimeError):
        await failing
    found = Counter(action for action, id_ in await acts_in(database) if id_ == worker.id)
    assert found == {"registerWorker": 1, "startProcess": len(started)}


async def test_two_that_share_a_commit_are_told_apart(
    database: Database, transactions: Transactions
) -> None:
    worker = await register(transactions)

    async def act(actor: Actor | None) -> str:
        with on_behalf_of(actor):
            process, _ = await transactions.run(start_process, worker_id=worker.id)
        return process.id

    actors = [SOMEBODY, None, Actor("token", "::1"), None]
    ids = await asyncio.gather(*(asyncio.create_task(act(actor)) for actor in actors))
    async with database.reading() as connection:
        act_, subject = models.audit.c, models.audit_subjects.c
        found = await connection.execute(
            select(subject.subject_id, act_.role, act_.address)
            .join(models.audit, subject.audit_id == act_.id)
            .where(subject.subject_id != worker.id)
        )
        assert {row[0]: Actor(row[1], row[2]) for row in found} == {
            id_: actor for id_, actor in zip(ids, actors, strict=True) if actor is not None
        }
    # Nor is what comes later on anybody's behalf because the first one was.
    await transactions.run(start_process, worker_id=worker.id)
    assert len(await acts_in(database)) == 4


@pytest.fixture
def behind_proxy(proxied: Database) -> Transactions:
    return replica(proxied)


@ON_MARIADB
@pytest.mark.in_time
@pytest.mark.parametrize("committed", [True, False], ids=["committed", "rolled back"])
@pytest.mark.usefixtures("on_behalf")
async def test_a_commit_of_which_the_answer_is_lost_is_in_it_once(
    database: Database, proxy: Proxy, behind_proxy: Transactions, committed: bool
) -> None:
    worker = await register(behind_proxy)
    proxy.commits.append(Fault(committed=committed))
    started = await start_many(behind_proxy, worker.id, 5)
    found = Counter(id_ for _, id_ in await acts_in(database))
    assert [found[id_] for id_ in started] == [1] * 5
    assert found[worker.id] == 1 + 5


@ON_MARIADB
@pytest.mark.in_time
@pytest.mark.usefixtures("on_behalf")
async def test_what_could_not_be_done_in_time_is_not_in_it(
    database: Database, proxy: Proxy, behind_proxy: Transactions
) -> None:
    worker = await register(behind_proxy)
    await behind_proxy.run(record_heartbeat, worker_id=worker.id)
    before = await acts_in(database)
    proxy.commits += [Fault(committed=False) for _ in range(100)]
    with pytest.raises(Unavailable):
        await behind_proxy.run(start_process, worker_id=worker.id)
    proxy.commits.clear()
    assert await acts_in(database) == before
