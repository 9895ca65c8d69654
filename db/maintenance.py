"""Work that takes as long as it takes: connections for it, and giving disk space back."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from db import models
from db.cluster import read_causally
from db.peers import connect_mariadb
from db.session import Database

# Of 4 KiB each; some 10 ms at a time.
_PAGES_PER_STEP = 500

# No max_statement_time. Waiting for a lock stays bounded: for rows, and (DDL) for a table that a
# forgotten transaction still uses. No warnings: the driver would log each name that is ignored and
# each table that is there already, which is as it should be.
_MARIADB_SESSION = (
    "SET SESSION time_zone='+00:00', max_statement_time=0, "
    "innodb_lock_wait_timeout=50, lock_wait_timeout=60, max_error_count=0"
)


class MaintenanceDatabase(Database):
    """The database of `database` again, its statements and answers without a time limit.

    Connections of its own, since those of the pool would keep what is set for one session. SQLite
    has no such limits.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database.url.render_as_string(hide_password=False))

    def _create_engine(self, isolation_level: Any) -> AsyncEngine:
        if self.is_sqlite:
            return super()._create_engine(isolation_level)
        engine = create_async_engine(
            self.url,
            isolation_level=isolation_level,
            hide_parameters=True,
            poolclass=NullPool,
            connect_args={
                "async_creator_fn": connect_mariadb,
                "init_command": _MARIADB_SESSION,
                "connect_timeout": 5,
            },
        )
        read_causally(engine)
        return engine


async def give_back_free_pages(database: Database) -> None:
    """Gives the space of removed rows back to the file system, without holding up writers.

    SQLite, for a file that was made so or compacted once; MariaDB uses the space again by itself.
    """
    if not database.is_sqlite:
        return
    async with database.reading() as connection:
        free = await _free_pages(connection)
        while free:
            raw = await connection.get_raw_connection()
            assert raw.driver_connection is not None
            # A script, since the sqlite3 module runs a lone statement without rows only so far.
            await raw.driver_connection.executescript(
                f"PRAGMA incremental_vacuum({_PAGES_PER_STEP})"
            )
            before, free = free, await _free_pages(connection)
            if free >= before:
                return


async def _free_pages(connection: AsyncConnection) -> int:
    pages: int = (await connection.execute(text("PRAGMA freelist_count"))).scalar_one()
    return pages


async def compact(database: Database) -> None:
    """Writes the tables anew without gaps; SQLite's writers wait meanwhile, MariaDB's do not.

    Needs as much free space as the database takes. Raises DatabaseUnavailable.
    """
    unhurried = MaintenanceDatabase(database)
    try:
        async with unhurried.reading() as connection:
            if database.is_sqlite:
                await connection.execute(text("PRAGMA auto_vacuum=INCREMENTAL"))
                await connection.execute(text("VACUUM"))
                await connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
            else:
                names = ", ".join(table.name for table in models.metadata.sorted_tables)
                (await connection.execute(text(f"OPTIMIZE TABLE {names}"))).all()
    finally:
        await unhurried.close()
