"""Connections for work that takes as long as it takes: migrations and recounts."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from db.session import Database

# No max_statement_time. Waiting for a lock stays bounded: for rows, and (DDL) for a table that a
# forgotten transaction still uses. No warnings: the driver would log each name that is ignored and
# each table that is there already, which is as it should be.
_MARIADB_SESSION = (
    "SET SESSION time_zone='+00:00', max_statement_time=0, "
    "innodb_lock_wait_timeout=50, lock_wait_timeout=60, max_error_count=0"
)


class MaintenanceDatabase(Database):
    """The database of `database` again, its statements and answers without a time limit.

    Connections of its own, since those of the pool would keep what is set for one session, and
    their read timeout cannot be changed afterwards. SQLite has no such limits.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database.url.render_as_string(hide_password=False))
        if not self.is_sqlite:
            self.read_engine = self._unhurried("AUTOCOMMIT")
            self.write_engine = self._unhurried("READ COMMITTED")

    def _unhurried(self, isolation_level: Any) -> AsyncEngine:
        return create_async_engine(
            self.url,
            isolation_level=isolation_level,
            poolclass=NullPool,
            connect_args={"init_command": _MARIADB_SESSION, "connect_timeout": 5},
        )
