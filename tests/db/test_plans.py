"""No list's first page sorts or scans history: every filter in every order, on both databases."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations, product
from random import Random
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.seeding import seed_history
from db import models
from db.migrate import migrate
from db.session import Database
from db.writes import write_rows
from monitor.entities import FailureStatus, Liveness, ProcessStatus, TaskStatus
from monitor.ids import new_id
from monitor.reading.audit import AuditFilter, acts_statement, newest_statement
from monitor.reading.failures import FAILURES, FailureFilter
from monitor.reading.filters import Filter, PipelineFilter, ProcessFilter, TaskFilter, WorkerFilter
from monitor.reading.pages import Direction, Listing, Order, PageRequest, split
from monitor.reading.pipelines import PIPELINES
from monitor.reading.reads import PROCESSES, TASKS, WORKERS, page_statement
from monitor.upkeep.grouping import FAILED
from monitor.upkeep.minutes import OLDEST_MINUTES
from monitor.upkeep.overtime import DUE_PROCESSES, DUE_TASKS
from monitor.upkeep.retention import OLD_ACTS
from tests.servers import MariaDb

SIZE = 5
WORKERS_SEEDED = 200
PROCESSES_SEEDED = 3_000

Case = tuple[Listing[Any], Filter, Order]


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
async def history(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Database]:
    """A database with more of everything than any page shows."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('plans') / 'monitor.db'}"
    else:
        server: MariaDb = request.getfixturevalue("mariadb")
        url = server.create_database()
    database = Database(url)
    await migrate(database)
    await seed_history(
        database, processes=PROCESSES_SEEDED, workers=WORKERS_SEEDED, random=Random(3)
    )
    yield database
    await database.close()


async def cases(database: Database) -> list[Case]:
    """Every set of filters that has no ids in it, in every order and direction."""
    async with database.reading() as connection:
        statement = select(models.workers.c.id).order_by(models.workers.c.id).limit(2)
        ids = tuple((await connection.execute(statement)).scalars())
        statement = select(models.pipelines.c.id).order_by(models.pipelines.c.id).limit(2)
        pipeline_ids = tuple((await connection.execute(statement)).scalars())
        statement = select(models.failures.c.id).order_by(models.failures.c.id).limit(2)
        failure_ids = tuple((await connection.execute(statement)).scalars())
    now = datetime.now(UTC)
    pipeline = {"name_contains": "e", "failing": True, "running": True, "lost": False}
    worker = {
        "pipeline_ids": pipeline_ids,
        "liveness": (Liveness.ALIVE, Liveness.FINISHED),
        "name_contains": "e",
    }
    process = {
        "pipeline_ids": pipeline_ids,
        "worker_ids": ids,
        "failure_ids": failure_ids,
        "versions": ("v1", "v2"),
        "status": (ProcessStatus.SUCCESS, ProcessStatus.ERROR),
        "stalled": False,
        "started_after": now - timedelta(days=20),
        "started_before": now - timedelta(days=1),
    }
    task = {
        "pipeline_ids": pipeline_ids,
        "worker_ids": ids,
        "status": (TaskStatus.SUCCESS,),
        "name_contains": "e",
    }
    failure = {
        "pipeline_ids": pipeline_ids,
        "status": (FailureStatus.OPEN, FailureStatus.REGRESSED),
        "title_contains": "e",
    }
    return [
        (listing, filter_(**given), Order(field, direction))
        for listing, filter_, fields in (
            (PIPELINES, PipelineFilter, pipeline),
            (WORKERS, WorkerFilter, worker),
            (PROCESSES, ProcessFilter, process),
            (TASKS, TaskFilter, task),
            (FAILURES, FailureFilter, failure),
        )
        for given in subsets(fields)
        for field in listing.orders
        for direction in Direction
    ]


def subsets(fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for size in range(len(fields) + 1):
        for chosen in combinations(fields.items(), size):
            yield dict(chosen)


def is_excepted(matching: Filter, order: Order) -> bool:
    """No index has an order by update within a range of starts, or of a failure, or the names of a
    status: the database chooses.

    Versions are refused where no index finds them.
    """
    if getattr(matching, "versions", None) is not None:
        return order.field == "UPDATED_AT" or getattr(matching, "pipeline_ids", None) is None
    if isinstance(matching, WorkerFilter) and matching.liveness is not None:
        return order.field == "NAME"
    given = [getattr(matching, name, None) for name in ("started_before", "failure_ids")]
    return order.field == "UPDATED_AT" and given != [None, None]


def reads_on(matching: Filter) -> bool:
    """It follows the order until enough match: names, or workers that are of no such pipeline."""
    if isinstance(matching, PipelineFilter | FailureFilter):
        return True
    if getattr(matching, "failure_ids", None) is not None:
        return True
    if isinstance(matching, TaskFilter) and matching.name_contains is not None:
        return True
    both = (getattr(matching, "worker_ids", None), getattr(matching, "pipeline_ids", None))
    return None not in both


def test_versions_of_a_pipeline_are_found_whatever_became_of_their_runs() -> None:
    matching = ProcessFilter(pipeline_ids=("p",), versions=("v1", "v2"))
    prefix, parts = split(matching, PROCESSES.prefixes["STARTED_AT"])
    assert prefix == ("pipeline_ids", "versions", "status")
    assert len(parts) == 2 * len(ProcessStatus)


async def test_every_first_page_follows_an_index_without_sorting(history: Database) -> None:
    faults_of = _faults_on_sqlite if history.is_sqlite else _faults_on_mariadb
    async with history.reading() as connection:
        for listing, matching, order in await cases(history):
            if not is_excepted(matching, order):
                statement = page_statement(listing, matching, order, PageRequest(first=SIZE))
                assert await faults_of(connection, statement) == [], f"{matching} {order}"


def _explain(connection: AsyncConnection, how: str, statement: Any) -> str:
    compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
    return f"{how} {compiled}".replace("%%", "%")


async def _faults_on_mariadb(connection: AsyncConnection, statement: Any) -> list[str]:
    """Steps that read a whole table or sort one; a table in <> has the first rows of each part."""
    found = await connection.exec_driver_sql(_explain(connection, "EXPLAIN", statement))
    return [
        str(row)
        for row in found
        if (row.type == "ALL" and not str(row.table).startswith("<"))
        or ("filesort" in (row.Extra or "") and row.select_type != "PRIMARY")
    ]


async def _faults_on_sqlite(connection: AsyncConnection, statement: Any) -> list[str]:
    """The same; a sort beside a scan of such a table is one of its few rows."""
    explained = _explain(connection, "EXPLAIN QUERY PLAN", statement)
    found = (await connection.exec_driver_sql(explained)).all()
    derived = {row.parent for row in found if row.detail.startswith("SCAN anon_")}
    return [
        row.detail
        for row in found
        if ("TEMP B-TREE" in row.detail and row.parent not in derived)
        or (row.detail.startswith("SCAN") and not re.match("SCAN anon_|.*INDEX", row.detail))
    ]


async def test_pages_of_the_audit_follow_an_index_without_sorting(history: Database) -> None:
    subjects = tuple(new_id("process") for _ in range(40))
    await _fill_audit(history, subjects)
    faults_of = _faults_on_sqlite if history.is_sqlite else _faults_on_mariadb
    now = datetime.now(UTC)
    given = {
        "subject_ids": subjects[:2],
        "actions": ("endProcess", "startProcess"),
        "since": now - timedelta(days=1),
        "until": now,
    }
    requests = [PageRequest(first=SIZE), PageRequest(last=SIZE)]
    async with history.reading() as connection:
        for chosen, request in product(subsets(given), requests):
            statement = acts_statement(AuditFilter(**chosen), request)
            faults = await faults_of(connection, statement)
            assert [fault for fault in faults if "UNION" not in fault] == [], f"{chosen}"
        for actions in (None, ("endProcess",)):
            statement = newest_statement(subjects, actions, SIZE)
            assert await faults_of(connection, statement) == []
        old = await faults_of(connection, OLD_ACTS.params(before=now))
        assert old == []


async def test_what_is_due_for_overtime_is_found_by_an_index(history: Database) -> None:
    faults_of = _faults_on_sqlite if history.is_sqlite else _faults_on_mariadb
    async with history.reading() as connection:
        for statement in (DUE_PROCESSES, DUE_TASKS):
            due = statement.params(now=datetime.now(UTC))
            assert await faults_of(connection, due) == []


async def test_old_minutes_are_found_by_their_key(history: Database) -> None:
    faults_of = _faults_on_sqlite if history.is_sqlite else _faults_on_mariadb
    async with history.reading() as connection:
        ids = (await connection.scalars(select(models.workers.c.id).limit(100))).all()
        before = datetime.now(UTC) - timedelta(days=29)
        old = OLDEST_MINUTES.params(ids=ids, before=before)
        assert await faults_of(connection, old) == []


async def test_what_failed_before_is_found_from_where_a_page_begins(history: Database) -> None:
    statement = FAILED.params(at=datetime.now(UTC) - timedelta(days=29), last="")
    async with history.reading() as connection:
        if history.is_sqlite:
            assert await _faults_on_sqlite(connection, statement) == []
            return
        assert await _faults_on_mariadb(connection, statement) == []
        explained = _explain(connection, "EXPLAIN", statement)
        processes, _ = (await connection.exec_driver_sql(explained)).all()
        # Not "ref", which is all that failed.
        assert processes.type == "range"


async def _fill_audit(database: Database, subjects: Sequence[str]) -> None:
    """Acts over a month, each on two of these subjects, and on one of a thousand others."""
    now, random = datetime.now(UTC), Random(5)
    acts = [
        {
            "id": new_id("audit"),
            "at": now - timedelta(minutes=15 * number),
            "role": "token",
            "address": "10.0.0.1",
            "action": random.choice(("endProcess", "startProcess", "updateTask", "updateTasks")),
            "summary": "",
        }
        for number in range(3_000)
    ]
    others = [new_id("worker") for _ in range(1_000)]
    of = [
        {"audit_id": act["id"], "subject_id": id_, "at": act["at"], "action": act["action"]}
        for act in acts
        for id_ in (*random.sample(subjects, 2), random.choice(others))
    ]
    async with database.writing() as connection:
        await write_rows(connection, models.audit, acts)
        await write_rows(connection, models.audit_subjects, of)
        if not database.is_sqlite:
            await connection.exec_driver_sql("ANALYZE TABLE audit, audit_subjects")


async def test_every_first_page_reads_few_rows_of_many(mariadb: MariaDb) -> None:
    """Whatever is asked for: a page of each worker and status, by index and by id, at most."""
    database = Database(mariadb.create_database())
    await migrate(database)
    await seed_history(
        database, processes=PROCESSES_SEEDED, workers=WORKERS_SEEDED, random=Random(4)
    )
    async with database.reading() as connection:
        for listing, matching, order in await cases(database):
            if is_excepted(matching, order) or reads_on(matching):
                continue
            statement = page_statement(listing, matching, order, PageRequest(first=SIZE))
            await connection.execute(text("FLUSH STATUS"))
            await connection.execute(statement)
            counts = await connection.execute(text("SHOW SESSION STATUS LIKE 'Handler_read%'"))
            assert sum(int(count) for _, count in counts) < 400, f"{matching} {order}"
    await database.close()
