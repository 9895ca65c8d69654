"""Connections: one engine for reading, one for writing, and what SQLite and MariaDB need."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncTransaction,
    create_async_engine,
)

from db.cluster import read_causally
from db.deadlines import SECONDS
from db.errors import CommitUnknown, DatabaseUnavailable, is_unavailable, reason
from db.peers import CONNECT_SECONDS, connect_mariadb, ping_after_idling
from db.transactions import Spares, Transaction

logger = logging.getLogger(__name__)

# Keeps a statement whose client went away, and a transaction whose process stands still (on a
# machine that is moved, say), from holding locks for ever; and a lock wait shorter than the time a
# client is made to wait.
_MARIADB_SESSION = (
    "SET SESSION time_zone='+00:00', max_statement_time=10, innodb_lock_wait_timeout=2, "
    "idle_transaction_timeout=5"
)
# Likewise on SQLite: who waits for longer for its one lock is answered that it is not there.
_SQLITE_BUSY_MILLISECONDS = 1500
# How long a connection may lie in the pool and still be taken for alive. For reads: no server
# restarts faster. Writes notice a closed connection by themselves and run again, so only one that
# was dropped on the way without a word has to be found, and nothing on the way is so impatient.
_READ_IDLE_SECONDS = 0.1
_WRITE_IDLE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Until when a transaction may take, in the time of the event loop; None is for ever."""

    statements: float | None = None
    commit: float | None = None


_UNLIMITED = Limits()
# Later than max_statement_time: cuts off only a server that does not answer at all.
ANSWER_SECONDS = 12


class Database:
    """The one door to the database of `url`.

    Reads run in autocommit (no BEGIN/ROLLBACK round trips). Writes run in READ COMMITTED on
    MariaDB, and in BEGIN IMMEDIATE on SQLite, where a later upgrade to a write lock would fail at
    once instead of waiting. No error says what a statement was given: people report that.
    """

    def __init__(self, url: str) -> None:
        self.url = normalise_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.read_engine = self._create_engine("AUTOCOMMIT")
        self.write_engine = self._create_engine(None if self.is_sqlite else "READ COMMITTED")
        for engine in (self.read_engine, self.write_engine):
            _distrust_what_the_driver_does_not_know(engine)
        self.spares = Spares(self.write_engine)

    def _create_engine(self, isolation_level: Any) -> AsyncEngine:
        create = _create_sqlite_engine if self.is_sqlite else _create_mariadb_engine
        return create(self.url, isolation_level)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection in autocommit. Raises DatabaseUnavailable."""
        with _translated(), _cancelled_first():
            async with self.read_engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self, limits: Limits = _UNLIMITED) -> AsyncIterator[AsyncConnection]:
        """A connection inside one transaction: committed at the end, rolled back by an error.

        Errors come out as SQLAlchemy raised them (`monitor.writing` decides what to retry), and
        TimeoutError when the limit for the statements is reached: then no COMMIT was sent, and the
        connection is gone, whatever the server still does. Raises CommitUnknown for all that can
        happen from COMMIT on.
        """
        sent = committed = False
        try:
            with _cancelled_first():
                async with (
                    asyncio.timeout_at(limits.statements) as clock,
                    self._connection() as connection,
                    self._transaction(connection) as transaction,
                ):
                    yield connection
                    if clock.expired():  # and who was cancelled went on
                        raise TimeoutError
                    clock.reschedule(limits.commit)
                    sent = True
                    try:
                        await transaction.commit()
                    except Exception:
                        # What its next answer belongs to, nobody knows.
                        await connection.invalidate()
                        raise
                    committed = True
        except Exception as error:
            if committed:
                logger.info("after a commit, its connection failed: %s", reason(error))
            elif sent:
                raise CommitUnknown(reason(error)) from error
            else:
                raise

    def _connection(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self.write_engine.connect() if self.is_sqlite else self.spares.connection()

    def _transaction(self, connection: AsyncConnection) -> Transaction | AsyncTransaction:
        return connection.begin() if self.is_sqlite else Transaction(connection)

    async def close(self) -> None:
        await self.spares.close()
        await self.read_engine.dispose()
        await self.write_engine.dispose()


@contextmanager
def _cancelled_first() -> Iterator[None]:
    """Cancelled in the midst of a statement, a driver may end with an error of its own, of a
    connection that it closed; who cancelled must not wait for ever for that reason.
    """
    try:
        yield
    except Exception as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from error
        raise


class _translated:
    """Turns what the driver raises for an unusable database into DatabaseUnavailable."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and is_unavailable(error):
            raise DatabaseUnavailable(str(error)) from error


def normalise_url(url: str) -> URL:
    """The URL with the async driver filled in. Raises ValueError for other databases."""
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            if parsed.database in (None, "", ":memory:"):
                raise ValueError("SQLite needs a file: sqlite:////folder/monitor.db")
            return parsed.set(drivername="sqlite+aiosqlite")
        case "mysql" | "mariadb":
            return parsed.set(drivername="mariadb+asyncmy").update_query_dict(
                {"charset": "utf8mb4"}
            )
        case other:
            raise ValueError(f"{other} is not supported: use mariadb:// or sqlite://")


def _create_mariadb_engine(url: URL, isolation_level: Any) -> AsyncEngine:
    reads = isolation_level == "AUTOCOMMIT"
    engine = create_async_engine(
        url,
        isolation_level=isolation_level,
        hide_parameters=True,
        skip_autocommit_rollback=reads,
        # Writes find a lost connection out by themselves and run again, and end their transactions:
        # resetting is not worth a round trip.
        pool_reset_on_return="rollback" if reads else None,
        pool_recycle=1800,
        pool_timeout=5,
        pool_size=16,
        max_overflow=0,
        pool_use_lifo=True,
        connect_args={
            "async_creator_fn": connect_mariadb,
            "init_command": _MARIADB_SESSION,
            "connect_timeout": CONNECT_SECONDS,
            "answer_seconds": ANSWER_SECONDS,
        },
    )
    read_causally(engine)
    ping_after_idling(engine, _READ_IDLE_SECONDS if reads else _WRITE_IDLE_SECONDS)
    if reads:
        _limit_single_statements(engine)
    return engine


def _limit_single_statements(engine: AsyncEngine) -> None:
    """Those that have a time of their own (`db.deadlines`)."""

    @event.listens_for(engine.sync_engine, "before_cursor_execute", retval=True)
    def limit(
        connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> tuple[str, Any]:
        del connection, cursor, many
        seconds = context.execution_options.get(SECONDS) if context is not None else None
        if seconds is not None:
            statement = f"SET STATEMENT max_statement_time={seconds} FOR {statement}"
        return statement, parameters


def _distrust_what_the_driver_does_not_know(engine: AsyncEngine) -> None:
    """An error that is not of the driver's own kind, in the midst of its work, is of an answer that
    it did not expect: the connection is not to be used again.
    """

    @event.listens_for(engine.sync_engine, "handle_error")
    def handle(context: Any) -> DatabaseUnavailable | None:
        error = context.original_exception
        if (
            context.sqlalchemy_exception is not None
            or not isinstance(error, Exception)
            or isinstance(error, SQLAlchemyError)
        ):
            return None
        context.is_disconnect = True
        return DatabaseUnavailable(f"the driver failed: {error!r}")


def _create_sqlite_engine(url: URL, isolation_level: Any) -> AsyncEngine:
    engine = create_async_engine(
        url, isolation_level=isolation_level, hide_parameters=True, pool_timeout=5
    )

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, record: object) -> None:
        del record
        connection.isolation_level = None  # BEGIN is ours, not the sqlite3 module's
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        # FULL: an acknowledged report survives a power cut; NORMAL would lose the last commits.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute(f"PRAGMA busy_timeout={_SQLITE_BUSY_MILLISECONDS}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "invalidate")
    def roll_back(connection: Any, *_: object) -> None:
        """SQLite keeps a closed connection open, with its locks, while one of its statements is
        referred to, as by the traceback of who was cancelled in it.

        The driver's thread does it, behind the statement, which is ended, and before it closes.
        """
        driver = connection.driver_connection
        if driver._connection is not None:
            driver._connection.interrupt()
            driver._tx.put_nowait((None, driver._connection.rollback))

    if isolation_level != "AUTOCOMMIT":

        @event.listens_for(engine.sync_engine, "begin")
        def begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
