"""A search reads a bounded part of what was said, or what the index of words finds; never all."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from db.migrate import migrate
from db.searched import failure_texts, process_texts
from db.session import Database
from db.writes import write_all
from monitor.reading.pages import PageRequest, encode_cursor
from monitor.reading.searching import (
    FAILURES,
    NEWEST_FIRST,
    PROCESSES,
    RECENT,
    counting_statement,
    index_statement,
    oldest_statement,
    recent_statement,
)
from monitor.searchable.words import terms_of
from monitor.writing.texts import add_texts, text_row
from tests.servers import MariaDb
from tests.stored import THEN

MANY = 5_000
AFTER = encode_cursor(NEWEST_FIRST, THEN + timedelta(seconds=4_000), "process_4000")
PAGES = [PageRequest(50), PageRequest(50, AFTER)]
LISTINGS = [FAILURES, PROCESSES]


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
async def history(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Database]:
    """A database in which much was said."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('plans') / 'monitor.db'}"
    else:
        server: MariaDb = request.getfixturevalue("mariadb")
        url = server.create_database()
    database = Database(url)
    await migrate(database)
    rows = [
        text_row(f"process_{n}", THEN + timedelta(seconds=n), f"no rows in batch {n}")
        for n in range(MANY)
    ]
    async with database.writing() as connection:
        dialect = connection.dialect.name
        await write_all(
            connection,
            [(add_texts(texts, dialect), rows) for texts in (failure_texts, process_texts)],
        )
        names = "failure_texts, process_texts"
        await connection.exec_driver_sql(
            "ANALYZE" if database.is_sqlite else f"ANALYZE TABLE {names}"
        )
    yield database
    await database.close()


async def plan_of(connection: AsyncConnection, statement: Any) -> list[str]:
    sqlite = connection.dialect.name == "sqlite"
    compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
    explained = f"{'EXPLAIN QUERY PLAN' if sqlite else 'EXPLAIN'} {compiled}".replace("%%", "%")
    found = (await connection.exec_driver_sql(explained)).all()
    if sqlite:
        return [row.detail for row in found]
    return [f"{row.table} {row.type} {row.key} {row.Extra}" for row in found]


@pytest.mark.parametrize("listing", LISTINGS)
@pytest.mark.parametrize("page", PAGES)
async def test_what_was_said_lately_is_read_in_its_order(
    history: Database, listing: Any, page: PageRequest
) -> None:
    oldest = oldest_statement(listing, page, RECENT[0])
    async with history.reading() as connection:
        at = await connection.scalar(oldest)
        recent = recent_statement(listing, terms_of("batch rows"), page, at)
        plan = [*await plan_of(connection, oldest), *await plan_of(connection, recent)]
    assert len(plan) == 2
    for step in plan:
        assert f"ix_{listing.id.table.name}_at_subject_id" in step
        assert not re.search("filesort|TEMP B-TREE", step)


@pytest.mark.parametrize("listing", LISTINGS)
@pytest.mark.parametrize("page", PAGES)
async def test_rare_words_are_found_by_their_index(
    history: Database, listing: Any, page: PageRequest
) -> None:
    sqlite = history.is_sqlite
    statement = index_statement(listing, terms_of("17 batch"), page, sqlite=sqlite)
    name = listing.id.table.name
    async with history.reading() as connection:
        plan = await plan_of(connection, statement)
    if sqlite:
        assert any(step.startswith(f"SCAN {name}_index VIRTUAL TABLE") for step in plan), plan
        assert f"SEARCH {name} USING INTEGER PRIMARY KEY (rowid=?)" in plan
    else:
        (step,) = plan
        assert step.startswith(f"{name} fulltext ix_{name}_words")


async def _reads(connection: AsyncConnection) -> int:
    """Rows and entries of indexes that the session has read so far."""
    status = await connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")
    return sum(int(row.Value) for row in status)


# SQLite does not count what it reads.
@pytest.mark.parametrize("history", ["mariadb"], indirect=True)
@pytest.mark.parametrize("page", PAGES)
async def test_a_word_that_nothing_has_ends_what_is_looked_through(
    history: Database, page: PageRequest
) -> None:
    terms = terms_of("nothing has it")
    oldest = oldest_statement(PROCESSES, page, RECENT[0])
    async with history.reading() as connection:
        recent = recent_statement(PROCESSES, terms, page, await connection.scalar(oldest))
        for statement in (oldest, recent, counting_statement(PROCESSES, terms)):
            before = await _reads(connection)
            await connection.execute(statement)
            assert await _reads(connection) - before < 3 * RECENT[0]
