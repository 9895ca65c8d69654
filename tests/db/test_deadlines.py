"""A read that has a time of its own ends when that is over, and leaves the connection usable."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from db.deadlines import TooSlow, fetch_within
from db.driver import send
from db.errors import DatabaseUnavailable, is_unavailable
from db.maintenance import MaintenanceDatabase
from db.session import Database

ENDLESS = {
    True: "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT COUNT(*) FROM n",
    False: "SELECT COUNT(*) FROM seq_1_to_1000000 a JOIN seq_1_to_1000000 b ON a.seq <> b.seq",
}


async def test_what_takes_longer_is_ended(database: Database) -> None:
    async with database.reading() as connection:
        for _ in range(2):
            with pytest.raises(TooSlow):
                await fetch_within(connection, text(ENDLESS[database.is_sqlite]), 0.1)
            assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
@pytest.mark.parametrize("number", [188, 1969])
async def test_whatever_the_server_calls_it(database: Database, number: int) -> None:
    raised = text(f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO={number}")
    async with database.reading() as connection:
        with pytest.raises(TooSlow):
            await fetch_within(connection, raised, 5)


async def test_what_is_in_time_is_answered_and_nothing_else_is_limited(database: Database) -> None:
    async with database.reading() as connection:
        assert await fetch_within(connection, text("SELECT 7 AS n"), 5) == [(7,)]
        if not database.is_sqlite:
            limit = await connection.scalar(text("SELECT @@max_statement_time"))
            assert float(limit) == 10


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
async def test_a_server_that_does_not_answer_is_not_waited_for(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.session.ANSWER_SECONDS", 0.2)
    database = Database(database_url)
    with pytest.raises(DatabaseUnavailable):
        async with database.reading() as connection:
            await connection.execute(text("SELECT SLEEP(9)"))
    with pytest.raises(OperationalError) as raised:
        async with database.writing() as connection:
            await send(connection, ["SELECT SLEEP(9)"])
    assert is_unavailable(raised.value)
    async with database.reading() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1
    await database.close()


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
async def test_what_takes_as_long_as_it_takes_is_waited_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.session.ANSWER_SECONDS", 0.2)
    unhurried = MaintenanceDatabase(database)
    for connect in (unhurried.reading, unhurried.writing):
        async with connect() as connection:
            await connection.execute(text("SELECT SLEEP(0.5)"))
            limit = await connection.scalar(text("SELECT @@max_statement_time"))
            assert float(limit) == 0
    await unhurried.close()
