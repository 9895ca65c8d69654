"""What goes past SQLAlchemy fails as it would have failed through it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asyncmy.cursors import Cursor
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from db import driver
from db.driver import literals, send
from db.errors import DatabaseUnavailable, is_conflict, is_unavailable
from db.session import Database, Limits

pytestmark = pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)

SECRET = "the patient's name"
TEXTS = (
    *("it's", '"quoted"', "back\\slash", "\\'", "'; DELETE FROM outbox; --", "100 %s", "%%", ""),
    *("a\nb\tc\r", "nul\0in", "\x1a", "Grüße", "日本語", "👋🏽", "' OR ''='", "\\"),
)
MARK = "INSERT INTO writers VALUES ('{}', 1, '2026-11-28 12:00:00')"


async def sequences(database: Database) -> list[str]:
    async with database.reading() as connection:
        return [*(await connection.execute(text("SELECT id FROM writers ORDER BY id"))).scalars()]


@pytest.mark.parametrize(
    "statement",
    [
        MARK.format("one") + ", ('one', 2, '2026-11-28')",
        MARK.format("one").replace("1,", "NULL,"),
        MARK.format("one").replace("1,", "'x',"),
        MARK.format("x" * 65),
        "INSERT INTO outbox VALUES (1)",
        "SELECT nothing FROM writers",
        "SELECT 1 FROM nowhere",
        "SELEKT 1",
        "CALL nowhere()",
        "KILL CONNECTION_ID()",
        "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO=1213",
        "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO=1205",
        "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO=1020",
        "SIGNAL SQLSTATE '08S01' SET MYSQL_ERRNO=1927",
        "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO=1021",
        "SET max_statement_time=0.01; SELECT SLEEP(1)",
    ],
)
async def test_an_error_is_what_sqlalchemy_makes_of_it(database: Database, statement: str) -> None:
    *before, statement = statement.split("; ")

    async def fail(*, through_the_driver: bool) -> None:
        async with database.writing() as connection:
            for each in before:
                await connection.exec_driver_sql(each)
            if through_the_driver:
                await send(connection, ["SELECT 1", statement])
            else:
                await connection.exec_driver_sql(statement)

    told = []
    for through_the_driver in (False, True):
        with pytest.raises(DBAPIError) as failed:
            await fail(through_the_driver=through_the_driver)
        error = failed.value
        judged = (error.connection_invalidated, is_conflict(error), is_unavailable(error))
        told.append((type(error), str(error.orig), *judged))
    assert told[0] == told[1]
    assert await sequences(database) == []


async def test_statements_run_until_one_fails_and_are_answered_in_order(
    database: Database,
) -> None:
    async with database.writing() as connection:
        answers = await send(
            connection, ["SELECT 1, 'a'", MARK.format("one"), "SELECT 2 UNION SELECT 3"]
        )
    assert [[*map(tuple, rows)] for rows in answers] == [[(1, "a")], [], [(2,), (3,)]]
    with pytest.raises(DBAPIError):
        async with database.writing() as connection:
            await send(connection, [MARK.format("two"), "SELEKT", MARK.format("three")])
    assert await sequences(database) == ["one"]


async def test_what_fails_leaves_a_connection_that_can_be_used(database: Database) -> None:
    async with database.writing() as connection:
        with pytest.raises(DBAPIError):
            await send(connection, ["SELECT 1", "SELECT 1 FROM nowhere", "SELECT 2"])
        assert await send(connection, ["SELECT 3"]) == [((3,),)]


async def test_an_error_does_not_say_what_was_sent(database: Database) -> None:
    async with database.writing() as connection:
        literal = literals(connection)
        with pytest.raises(DBAPIError) as failed:
            await send(connection, [f"UPDATE nowhere SET details = {literal(SECRET)}"])
    assert "nowhere" in str(failed.value)
    assert "patient" not in f"{failed.value}{failed.value!r}"


async def test_a_transaction_that_is_cancelled_leaves_no_connection_that_is_answered(
    database: Database,
) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with database.writing(Limits(loop.time() + 0.05)) as connection:
                await send(connection, ["SELECT 1", "SELECT SLEEP(0.3)", "SELECT 2"])
        async with database.writing() as connection:
            assert await send(connection, ["SELECT 4"]) == [((4,),)]


async def test_a_driver_that_does_not_know_on_is_an_unavailable_database(
    database: Database,
) -> None:
    class Confused(Cursor):
        async def execute(self, query: Any, args: Any = None) -> int:
            raise ValueError(f"unpack requires a buffer for {query} {args}")

    async with database.write_engine.connect() as connection:
        raw = await connection.get_raw_connection()
        raw.driver_connection._cursor_cls = Confused  # type: ignore[union-attr]
        with pytest.raises(DatabaseUnavailable, match="the driver failed"):
            await send(connection, ["SELECT 1"])
        assert connection.invalidated
        await connection.rollback()
    async with database.writing() as connection:
        assert await send(connection, ["SELECT 5"]) == [((5,),)]


@pytest.fixture(params=["", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES"])
async def connection(
    database: Database, request: pytest.FixtureRequest
) -> AsyncIterator[AsyncConnection]:
    async with database.write_engine.connect() as connection:
        await connection.exec_driver_sql(f"SET SESSION sql_mode='{request.param}'")
        yield connection
        await connection.invalidate()


async def test_texts_come_back_as_they_were_whatever_is_in_them(
    connection: AsyncConnection,
) -> None:
    literal = literals(connection)
    assert await send(connection, [f"SELECT {', '.join(map(literal, TEXTS))}"]) == [(TEXTS,)]
    answers = await send(connection, [f"SELECT {literal(each)}" for each in TEXTS])
    assert [row for (row,) in answers] == [(each,) for each in TEXTS]


async def test_what_is_more_than_a_message_goes_in_several(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "MESSAGE_CHARACTERS", 1000)
    async with database.writing() as connection:
        literal = literals(connection)
        sent = [str(number) * 300 for number in range(10)] + ["x" * 3000, "y"]
        answers = await send(connection, [f"SELECT {literal(each)}" for each in sent])
    assert [row[0] for (row,) in answers] == sent
