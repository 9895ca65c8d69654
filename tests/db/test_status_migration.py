"""Failures from before their status was kept get it, and those that a server of then writes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import inspect, select, text, update

from db import models
from db.migrate import migrate
from db.session import Database
from monitor.slots import LONG_AGO

SEEN_AT = datetime(2026, 11, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
LIVES: dict[str, dict[str, Any]] = {
    "OPEN": {},
    "RESOLVED": {"resolved_at": SEEN_AT},
    "REGRESSED": {"resolved_at": SEEN_AT - INSTANT},
    "MUTED": {"muted_until": SEEN_AT},
}


def row(status: str, **changed: Any) -> dict[str, Any]:
    """A failure as the release before writes it."""
    return {
        "id": f"failure_{status}",
        "fingerprint": status,
        "pipeline_id": "pipeline_1",
        "step": None,
        "title": status,
        "title_folded": status.lower(),
        "first_seen_at": SEEN_AT,
        "first_version": "v1",
        "last_seen_at": SEEN_AT,
        "occurrences": 1,
        "resolved_at": None,
        "muted_until": None,
        "told_at": LONG_AGO,
        "revision": 0,
        "told": None,
        "moments": "",
        **changed,
    }


async def statuses(database: Database) -> dict[str, str]:
    kept = models.failures.c
    async with database.reading() as connection:
        found = await connection.execute(select(kept.title, kept.status))
        return {each.title: each.status for each in found}


async def index_names(database: Database) -> set[str]:
    def names(connection: Any) -> set[str]:
        return {index["name"] for index in inspect(connection).get_indexes("failures")}

    async with database.reading() as connection:
        return await connection.run_sync(names)


@pytest.fixture
async def released(empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """With a failure in every state."""
    monkeypatch.setattr("db.migrate.HEAD", "0012")
    await migrate(empty_database)
    monkeypatch.undo()
    async with empty_database.writing() as connection:
        for status, life in LIVES.items():
            await connection.execute(models.failures.insert(), [row(status, **life)])
    return empty_database


async def test_what_is_there_gets_its_status(released: Database) -> None:
    await migrate(released)
    assert await statuses(released) == {status: status for status in LIVES}


async def test_what_a_server_of_the_release_before_writes_meanwhile_has_it_too(
    released: Database,
) -> None:
    await migrate(released)
    kept = models.failures.c
    async with released.writing() as connection:
        await connection.execute(models.failures.insert(), [row("another")])
        for status in LIVES:
            change = update(models.failures).where(kept.title == status)
            others = row(status, **LIVES["REGRESSED"])
            await connection.execute(change.values(**others))
    assert await statuses(released) == {**dict.fromkeys(LIVES, "REGRESSED"), "another": "OPEN"}


async def test_the_migration_may_be_killed_behind_each_of_its_steps(released: Database) -> None:
    before = await index_names(released)
    await migrate(released)
    whole = await index_names(released)
    on_table = "" if released.is_sqlite else " ON failures"
    added = sorted(whole - before)
    assert len(added) == 6
    for kept in range(len(added) + 1):
        async with released.writing() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '0012'"))
            for name in added[kept:]:
                await connection.execute(text(f"DROP INDEX {name}{on_table}"))
        await migrate(released)
        assert await index_names(released) == whole
        assert await statuses(released) == {status: status for status in LIVES}
