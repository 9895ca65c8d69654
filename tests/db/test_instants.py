"""SQL and Python agree on instants to the microsecond."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select

from db import models
from db.instants import instant_of, microseconds_between, unix_seconds
from db.session import Database

INSTANTS = [
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2026, 11, 23, 18, 33, 5, 1, tzinfo=UTC),
    # SQLite's own functions would round this into the next minute.
    datetime(2026, 11, 23, 18, 59, 59, 999_999, tzinfo=UTC),
    # After the end of 32-bit time.
    datetime(2041, 2, 3, 4, 5, 6, 500_000, tzinfo=UTC),
]
watch = models.watch.c


async def store(database: Database, first: datetime, second: datetime) -> None:
    row = {"id": 1, "watching_since": first, "last_look_at": second}
    async with database.writing() as connection:
        await connection.execute(insert(models.watch), [row])


@pytest.mark.parametrize("instant", INSTANTS, ids=str)
async def test_seconds_are_rounded_down_and_lead_back(
    database: Database, instant: datetime
) -> None:
    await store(database, instant, instant)
    seconds = unix_seconds(watch.watching_since, sqlite=database.is_sqlite)
    async with database.writing() as connection:
        assert await connection.scalar(select(seconds)) == int(instant.timestamp())
        whole = instant_of(seconds, sqlite=database.is_sqlite)
        await connection.execute(models.watch.update().values(watching_since=whole))
    async with database.reading() as connection:
        stored = await connection.scalar(select(watch.watching_since))
        assert stored == instant.replace(microsecond=0)
        equal = select(watch.id).where(watch.watching_since == instant.replace(microsecond=0))
        assert await connection.scalar(equal) == 1


@pytest.mark.parametrize("start", INSTANTS, ids=str)
@pytest.mark.parametrize("end", INSTANTS, ids=str)
async def test_what_lies_between_is_exact_and_never_negative(
    database: Database, start: datetime, end: datetime
) -> None:
    await store(database, start, end)
    between = microseconds_between(
        watch.watching_since, watch.last_look_at, sqlite=database.is_sqlite
    )
    async with database.reading() as connection:
        found = await connection.scalar(select(between))
    assert found == max(end - start, timedelta()) // timedelta(microseconds=1)
