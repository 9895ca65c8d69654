"""What is looked for all the time among many failures is found by an index, on both databases."""

import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.migrate import migrate
from db.session import Database
from db.writes import write_rows
from monitor.entities import FailureStatus
from monitor.ids import failure_id, pipeline_id
from monitor.reading.failures import FAILURES as FAILURES_LISTED
from monitor.reading.failures import FailureFilter, failures_statement
from monitor.reading.occurrences import occurrences_statement
from monitor.reading.pages import Direction, Order, PageRequest, encode_cursor
from monitor.reading.reads import page_statement
from monitor.slots import EVER_SECONDS, LONG_AGO
from monitor.upkeep.failure_telling import FAILURES
from monitor.upkeep.forgetting import SILENT
from tests.servers import MariaDb

MANY = 3_000
NOW = datetime.now(UTC)


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
async def history(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Database]:
    """A database with many failures, of which few are silent, muted, regressed or untold."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('plans') / 'monitor.db'}"
    else:
        server: MariaDb = request.getfixturevalue("mariadb")
        url = server.create_database()
    database = Database(url)
    await migrate(database)
    async with database.writing() as connection:
        await write_rows(connection, models.failures, [_failure(n) for n in range(MANY)])
        await write_rows(connection, models.failure_figures, [_figures(n) for n in range(MANY)])
        analyze = "ANALYZE" if database.is_sqlite else "ANALYZE TABLE failures, failure_figures"
        await connection.exec_driver_sql(analyze)
    yield database
    await database.close()


def _failure(number: int) -> dict[str, Any]:
    at = NOW - timedelta(hours=number)
    return {
        "id": failure_id(f"v1:{number}"),
        "fingerprint": f"v1:{number}",
        "pipeline_id": pipeline_id(f"{number % 50}"),
        "step": "load",
        "title": "no rows",
        "title_folded": "no rows",
        "first_seen_at": at,
        "first_version": "v1",
        "last_seen_at": at,
        "occurrences": number,
        # Every other one is resolved. Few of these have regressed, and few since they were told.
        "resolved_at": _resolved_at(number, at),
        "muted_until": NOW + timedelta(hours=number) if number % 100 == 0 else None,
        "told_at": at,
        "revision": 1,
        "told": None,
        "moments": "",
    }


def _resolved_at(number: int, at: datetime) -> datetime | None:
    if number % 2 == 0:
        return None
    return at - timedelta(minutes=1) if number % 100 == 1 else at + timedelta(minutes=1)


def _figures(number: int) -> dict[str, Any]:
    return {
        "failure_id": failure_id(f"v1:{number}"),
        "slot_seconds": EVER_SECONDS,
        "slot_at": LONG_AGO,
        "shard": 0,
        "occurrences": number,
        "last_seen_at": NOW - timedelta(hours=0 if number % 500 == 3 else number),
        "last_end": "",
        "untold": number % 500 in (0, 3),
    }


@pytest.mark.parametrize("what", ["due", "any untold", "silent"])
async def test_no_look_reads_all_failures(history: Database, what: str) -> None:
    before, ahead = NOW - timedelta(hours=MANY - 20), NOW + timedelta(minutes=1)
    statement: Any = {"due": FAILURES.due, "any untold": FAILURES.is_any_untold, "silent": SILENT}[
        what
    ]
    given = {
        "due": {"before": before, "ahead": ahead},
        "silent": {"before": before, "at": LONG_AGO, "last": ""},
    }
    async with history.reading() as connection:
        assert await _whole_tables(connection, statement.params(given.get(what, {}))) == []


@pytest.mark.parametrize("slot_seconds", [3600, 86_400])
async def test_when_failures_were_seen_is_read_by_their_ids(
    history: Database, slot_seconds: int
) -> None:
    statement = occurrences_statement(
        NOW - timedelta(days=7), NOW, slot_seconds, sqlite=history.is_sqlite
    )
    ids = [failure_id(f"v1:{number}") for number in range(100)]
    async with history.reading() as connection:
        assert await _whole_tables(connection, statement.params(ids=ids)) == []


@pytest.mark.parametrize("of", [None, (pipeline_id("7"),)])
async def test_new_failures_are_found_by_when_they_were_first_seen(
    history: Database, of: tuple[str, ...] | None
) -> None:
    new = FailureFilter(pipeline_ids=of, first_seen_since=NOW - timedelta(hours=24))
    order = Order("FIRST_SEEN_AT", Direction.DESC)
    statement = page_statement(FAILURES_LISTED, new, order, PageRequest(100))
    async with history.reading() as connection:
        found = await _explained(connection, statement)
        if history.is_sqlite:
            assert all("SEARCH failures USING INDEX" in row.detail for row in found)
        else:
            [row] = found
            assert row.type == "range"
            assert int(row.rows) < MANY / 10


# What holds for each: an index of its status, and one of what it became since it was told.
ENDED_MUTES = "ix_failures_muted_until"
UNTOLD = "ix_failure_figures_untold_failure_id"
BECAME = {FailureStatus.OPEN: ENDED_MUTES, FailureStatus.REGRESSED: UNTOLD}
ORDERS = [Order(field, way) for field in FAILURES_LISTED.orders for way in Direction]


@pytest.mark.parametrize("status", FailureStatus)
@pytest.mark.parametrize("of", [None, (pipeline_id("7"),)], ids=["all", "one pipeline"])
@pytest.mark.parametrize("beyond", [False, True], ids=["first", "next"])
async def test_failures_of_a_status_are_found_by_an_index_in_their_order(
    history: Database, status: FailureStatus, of: tuple[str, ...] | None, beyond: bool
) -> None:
    given = {"of pipeline": of, "status": status}
    for order in ORDERS:
        after = _cursor(order) if beyond else None
        matching = FailureFilter(pipeline_ids=of, status=(status,))
        statement = failures_statement(matching, order, PageRequest(20, after=after))
        prefix = ("status",) if of is None else ("pipeline_ids", "status")
        expected = {FAILURES_LISTED.index(prefix, order), BECAME.get(status)} - {None}
        async with history.reading() as connection:
            used, faults = await _lookups(connection, statement)
        assert faults == [], f"{given} {order}"
        assert used == expected, f"{given} {order}"


def _cursor(order: Order) -> str:
    value = 1_500 if order.field == "COUNT" else NOW - timedelta(hours=1_500)
    return encode_cursor(order, value, failure_id("v1:1500"))


async def _lookups(connection: AsyncConnection, statement: Any) -> tuple[set[str], list[str]]:
    """The indexes that are followed, but for lookups by key, and steps that read or sort more than
    the first rows of these.
    """
    found = await _explained(connection, statement)
    if connection.dialect.name == "sqlite":
        few = {row.parent for row in found if row.detail.startswith("SCAN anon_")}
        names = {name for row in found for name in re.findall(r"INDEX (ix_\w+)", row.detail)}
        return names, [
            row.detail
            for row in found
            if re.match("SCAN (?!anon_)|USE TEMP", row.detail) and row.parent not in few
        ]
    names = {row.key for row in found if row.key and row.key.startswith("ix_")}
    return names, [
        str(row)
        for row in found
        if not str(row.table).startswith("<")
        and (row.type in ("ALL", "index") or "filesort" in (row.Extra or ""))
    ]


# Only MariaDB counts what it reads.
@pytest.mark.parametrize("history", ["mariadb"], indirect=True)
@pytest.mark.parametrize("backwards", [False, True], ids=["first", "last"])
async def test_a_page_of_a_status_reads_few_rows_of_many(
    history: Database, backwards: bool
) -> None:
    request = PageRequest(last=20) if backwards else PageRequest(first=20)
    async with history.reading() as connection:
        for order, status in product(ORDERS, FailureStatus):
            matching = FailureFilter(status=(status,))
            await connection.exec_driver_sql("FLUSH STATUS")
            await connection.execute(failures_statement(matching, order, request))
            counts: Any = await connection.exec_driver_sql(
                "SHOW SESSION STATUS LIKE 'Handler_read%%'"
            )
            assert sum(int(count) for _, count in counts) < 300, f"{status} {order}"


async def _whole_tables(connection: AsyncConnection, statement: Any) -> list[str]:
    """Steps that read a whole table, or a whole index."""
    found = await _explained(connection, statement)
    if connection.dialect.name == "sqlite":
        return [
            row.detail
            for row in found
            if row.detail.startswith("SCAN") and "CONSTANT" not in row.detail
        ]
    return [
        str(row)
        for row in found
        if row.type in ("ALL", "index") and not str(row.table).startswith("<")
    ]


async def _explained(connection: AsyncConnection, statement: Any) -> Sequence[Any]:
    """The steps of a statement."""
    explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
    return (await connection.exec_driver_sql(f"{explain} {compiled}")).all()
