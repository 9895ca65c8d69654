"""What statistics read: entries of an index within the window, however many runs there were."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import event, select, text

from app.seeding import seed_history
from db import models
from db.migrate import migrate
from db.session import Database
from monitor.reading.comparison import compare_versions
from monitor.reading.flaky import find_flaky_steps
from monitor.reading.parts import Steps
from monitor.reading.statistics import (
    find_outcomes,
    find_runtimes,
    find_runtimes_by_slot,
    find_steps,
)
from monitor.reading.versions import find_versions
from tests.servers import MariaDb
from tests.stored import THEN, a_process, a_worker, store

SINCE = datetime.now(UTC) - timedelta(days=2, minutes=5)
HOUR = timedelta(hours=1)
Read = Callable[[Database, Sequence[str]], Awaitable[object]]
STATISTICS: dict[str, Read] = {
    "runtime": lambda database, ids: find_runtimes(database, ids, SINCE, None),
    "runtime of a version": lambda database, ids: find_runtimes(database, ids, SINCE, "v1.0"),
    "runtimes": lambda database, ids: find_runtimes_by_slot(database, ids, SINCE, None, 3600),
    "steps": lambda database, ids: find_steps(
        database, [Steps(id_, ("extract", "load")) for id_ in ids], SINCE, None
    ),
    "outcomes": lambda database, ids: find_outcomes(database, ids, SINCE),
    "outcomes by the minute": lambda database, ids: find_outcomes(
        database, ids, datetime.now(UTC) - HOUR
    ),
    "versions": lambda database, ids: find_versions(database, ids, SINCE),
    "versions against each other": lambda database, ids: compare_versions(
        database, ids, "v1.0", "v2", SINCE
    ),
    "flaky steps": lambda database, ids: find_flaky_steps(
        database, [Steps(id_, ("extract", "load")) for id_ in ids]
    ),
}
STATEMENTS = {"versions": 3, "versions against each other": 4, "flaky steps": 2}
# Of MariaDB's steps the parts of an index that is followed: to the start of the window, that is.
BYTES = {"durations": 66 + 18 + 1022 + 4 + 8, "activity": 66 + 4 + 8}


async def seeded(url: str) -> Database:
    database = Database(url)
    await migrate(database)
    await seed_history(database, processes=3_000, workers=100, random=Random(5))
    return database


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
async def history(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Database]:
    """A database with a month of history of many pipelines."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('statistics') / 'monitor.db'}"
    else:
        server: MariaDb = request.getfixturevalue("mariadb")
        url = server.create_database()
    database = await seeded(url)
    if not database.is_sqlite:
        async with database.writing() as connection:
            await connection.execute(text("ANALYZE TABLE durations, activity, workers, processes"))
    yield database
    await database.close()


async def plans_of(database: Database, read: Read) -> list[list[Any]]:
    """How the database goes about each of the statements that are sent."""
    async with database.reading() as connection:
        ids = (await connection.scalars(select(models.pipelines.c.id).limit(20))).all()
    sent: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        sent.append((statement, parameters))

    engine = database.read_engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    await read(database, ids)
    event.remove(engine, "before_cursor_execute", note)
    how = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    async with database.reading() as connection:
        return [
            list(await connection.exec_driver_sql(f"{how} {statement}", parameters))
            for statement, parameters in sent
        ]


@pytest.mark.parametrize("name", STATISTICS)
async def test_each_statement_follows_an_index_to_its_window(history: Database, name: str) -> None:
    plans = await plans_of(history, STATISTICS[name])
    assert len(plans) == STATEMENTS.get(name, 1)
    for plan in plans:
        faults = _faults_on_sqlite(plan) if history.is_sqlite else _faults_on_mariadb(plan)
        assert faults == [], name


def _faults_on_mariadb(plan: list[Any]) -> list[Any]:
    return [
        row
        for row in plan
        # Without a table: what cannot match.
        # Most of the pipelines that there are, by their ids: MariaDB may as well look at all.
        if row.table not in (None, "pipelines")
        and not row.table.startswith("<")
        and (
            row.type not in ("range", "ref")
            or (
                row.table in BYTES and (row.key != "PRIMARY" or int(row.key_len) < BYTES[row.table])
            )
        )
    ]


def _faults_on_sqlite(plan: list[Any]) -> list[Any]:
    """A scan of what was found already, or of the versions, is none."""
    steps = [row.detail for row in plan if row.detail.startswith(("SCAN", "SEARCH"))]
    return [
        step
        for step in steps
        if step not in ("SCAN anon_1", "SCAN seen")
        and (
            not step.startswith("SEARCH")
            or (step.split()[1] in BYTES and "slot_seconds=? AND slot_at>" not in step)
        )
    ]


async def test_versions_are_found_without_reading_all_workers_of_a_pipeline(
    mariadb: MariaDb,
) -> None:
    database = Database(mariadb.create_database())
    await migrate(database)
    workers = [
        a_worker(name=name, version=f"v{number % 3}", registered_at=THEN + number * HOUR)
        for number in range(3_000)
        for name in ("nightly", "hourly")
    ]
    await store(database, *workers)
    await store(database, a_process(workers[0]))
    ids = sorted({worker.pipeline_id for worker in workers})
    async with database.writing() as connection:
        await connection.execute(text("ANALYZE TABLE workers"))

    async def reads(which: Sequence[str]) -> int:
        async with database.reading() as connection:
            await connection.execute(text("FLUSH STATUS"))
        found = await find_versions(database, which, None)
        assert {len(versions) for versions in found.values()} == {3}
        async with database.reading() as connection:
            counts = await connection.execute(text("SHOW SESSION STATUS LIKE 'Handler_read%'"))
            return sum(int(count) for _, count in counts)

    for which in (ids[:1], ids):
        assert 3 * len(which) <= await reads(which) < 100
    await database.close()
