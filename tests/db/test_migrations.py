"""Any number of server processes may start on any database there can be."""

import asyncio
import logging
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, select, text

from db import models
from db.errors import DatabaseUnavailable
from db.migrate import MigrationFailed, migrate
from db.session import Database

ROOT = Path(__file__).parents[2]
MIGRATE = """
import asyncio, sys
from db.migrate import migrate
from db.session import Database

async def main():
    database = Database(sys.argv[1])
    await migrate(database)
    await database.close()

asyncio.run(main())
"""


async def table_names(database: Database) -> set[str]:
    async with database.reading() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


def differences(connection: Connection) -> list[Any]:
    """What Alembic would have to change for the tables to be those of the models.

    It knows nothing of what each database searches words with.
    """
    of_fts5 = re.compile(r"\w+_texts_index(_\w+)?")

    def is_known(name: str | None, type_: str, _: Any) -> bool:
        return type_ != "table" or of_fts5.fullmatch(name or "") is None

    def is_of_this_database(_: Any, name: str | None, type_: str, *__: Any) -> bool:
        fulltext = type_ == "index" and str(name).endswith("_texts_words")
        return not (fulltext and connection.dialect.name == "sqlite")

    options = {"include_name": is_known, "include_object": is_of_this_database}
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, models.metadata))


async def migrate_with_a_database_of_its_own(url: str) -> None:
    database = Database(url)
    await migrate(database)
    await database.close()


async def migrate_in_a_process_of_its_own(url: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", MIGRATE, url),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


async def test_the_migrations_make_what_the_models_say(database: Database) -> None:
    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []


async def test_the_migrations_also_agree_in_what_alembic_does_not_compare(
    empty_database: Database,
) -> None:
    """Character sets, collations, names of constraints, order within indexes."""

    def definitions(connection: Connection) -> dict[str, list[str]]:
        found = {}
        for table in models.metadata.tables:
            if empty_database.is_sqlite:
                statement = text(
                    "SELECT sql FROM sqlite_master WHERE sql <> '' AND tbl_name = :table"
                )
                lines = "\n".join(connection.scalars(statement, {"table": table}).all())
            else:
                lines = connection.execute(text(f"SHOW CREATE TABLE `{table}`")).one()[1]
            # Without IF NOT EXISTS; SQLite keeps the statements as they were given, and writes a
            # column that is added later behind the last one, on its line.
            plain = re.sub(r", (?=\w+ [A-Z])", ",\n", lines.replace("IF NOT EXISTS ", ""))
            found[table] = sorted(filter(None, (line.strip(" \t,") for line in plain.splitlines())))
        return found

    async with empty_database.writing() as connection:
        await connection.run_sync(models.metadata.create_all)
    async with empty_database.reading() as connection:
        by_models = await connection.run_sync(definitions)
    async with empty_database.writing() as connection:
        await connection.run_sync(models.metadata.drop_all)
    await migrate(empty_database)
    async with empty_database.reading() as connection:
        assert await connection.run_sync(definitions) == by_models


async def test_migrating_again_changes_nothing(database: Database) -> None:
    before = await table_names(database)
    await migrate(database)
    assert await table_names(database) == before


async def test_eight_may_migrate_an_empty_database_at_once(
    empty_database: Database, empty_database_url: str
) -> None:
    await asyncio.gather(
        *(migrate_with_a_database_of_its_own(empty_database_url) for _ in range(8))
    )
    assert set(models.metadata.tables) <= await table_names(empty_database)


async def test_four_programs_may_migrate_an_empty_database_at_once(
    empty_database: Database, empty_database_url: str
) -> None:
    await asyncio.gather(*(migrate_in_a_process_of_its_own(empty_database_url) for _ in range(4)))
    assert set(models.metadata.tables) <= await table_names(empty_database)


async def test_different_databases_may_be_migrated_at_once(tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path}/{number}.db" for number in range(4)]
    await asyncio.gather(*map(migrate_with_a_database_of_its_own, urls))
    for url in urls:
        database = Database(url)
        assert set(models.metadata.tables) <= await table_names(database)
        await database.close()


@pytest.mark.parametrize(
    ("revision", "table", "on", "index"),
    [
        ("0001", "tasks", "processes", "ix_processes_status_ended_at"),
        ("0006", "durations", "processes", "ix_processes_pipeline_id_started_at_id"),
        ("0007", "audit_subjects", "audit", "ix_audit_at_id"),
        ("0010", "failure_figures", "processes", "ix_processes_failure_id_started_at_id"),
        ("0012", "process_texts", "failure_texts", "ix_failure_texts_at_subject_id"),
    ],
)
async def test_a_migration_that_was_killed_half_way_runs_again(
    empty_database: Database,
    monkeypatch: pytest.MonkeyPatch,
    revision: str,
    table: str,
    on: str,
    index: str,
) -> None:
    monkeypatch.setattr("db.migrate.HEAD", revision)
    await migrate(empty_database)
    before = f"{int(revision) - 1:04}"
    async with empty_database.writing() as connection:
        await connection.execute(text(f"UPDATE alembic_version SET version_num='{before}'"))
        await connection.execute(text("DELETE FROM alembic_version WHERE version_num='0000'"))
        await connection.execute(text(f"DROP TABLE {table}"))
        on_table = "" if empty_database.is_sqlite else f" ON {on}"
        await connection.execute(text(f"DROP INDEX {index}{on_table}"))
    monkeypatch.undo()
    await migrate(empty_database)
    async with empty_database.reading() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_database_of_a_newer_release_is_left_alone(empty_database: Database) -> None:
    await migrate(empty_database)
    async with empty_database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = 'ffff'"))
    with pytest.raises(MigrationFailed, match=r"ffff.*newer release"):
        await migrate(empty_database)
    async with empty_database.reading() as connection:
        version = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    assert version == "ffff"


async def test_a_server_that_cannot_be_reached_is_said_to_be_unavailable() -> None:
    database = Database("mariadb://root@127.0.0.1:1/monitor")
    with pytest.raises(DatabaseUnavailable, match="cannot be migrated"):
        await migrate(database)
    await database.close()


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "monitor.db"
    path.write_text("Dear diary, " * 100)
    database = Database(f"sqlite:///{path}")
    with pytest.raises(MigrationFailed, match="not a database"):
        await migrate(database)
    await database.close()


async def test_a_folder_that_is_missing_is_made(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/a 100%/b/monitor.db")
    await migrate(database)
    async with database.reading() as connection:
        assert (await connection.execute(select(models.workers))).all() == []
    await database.close()


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    database = Database(f"sqlite:///{tmp_path}/file/monitor.db")
    with pytest.raises(MigrationFailed, match="file"):
        await migrate(database)
    await database.close()


async def test_migrating_leaves_logging_as_it_was(empty_database: Database) -> None:
    logger = logging.getLogger("some.library")
    handlers = list(logging.getLogger().handlers)
    await migrate(empty_database)
    assert not logger.disabled
    assert logging.getLogger().handlers == handlers
