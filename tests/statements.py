"""What is sent to a database."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from asyncmy.cursors import Cursor
from sqlalchemy import event

from db.session import Database

# Between the statements of one message.
_NEXT = re.compile(r";(?=SELECT |INSERT |UPDATE |DELETE )")


# Set in the test's own context: what loops of the application send meanwhile is not counted.
_counted: ContextVar[list[str] | None] = ContextVar("_counted", default=None)


@contextmanager
def counting() -> Iterator[list[str]]:
    """The statements that the requests inside the block send, where `note_counted` notes them."""
    statements: list[str] = []
    token = _counted.set(statements)
    yield statements
    _counted.reset(token)


def note_counted(statement: str) -> None:
    if (statements := _counted.get()) is not None:
        statements.append(statement)


@contextmanager
def statements_to(database: Database, *, reads: bool = False) -> Iterator[list[str]]:
    """Everything that is sent to it inside the block, or only what reads, with its values."""
    sent: list[str] = []
    with noting_statements_to(database, sent.append, reads=reads):
        yield sent


@contextmanager
def noting_statements_to(
    database: Database, note: Callable[[str], None], *, reads: bool = False
) -> Iterator[None]:
    """Each is told, with its values, where it is sent."""
    name, listener = _listener(database, note)
    sending = [database.read_engine, *([] if reads else [database.write_engine])]
    engines = [engine.sync_engine for engine in sending]
    for engine in engines:
        event.listen(engine, name, listener)
    if not (reads or database.is_sqlite):
        for connection in database.spares.unused:
            assert connection.sync_connection is not None
            listener(connection.sync_connection.connection)
    yield
    for engine in engines:
        event.remove(engine, name, listener)


def _listener(database: Database, note: Callable[[str], None]) -> tuple[str, Callable[..., None]]:
    """On MariaDB what the driver is given, since not all of it goes through SQLAlchemy."""

    class Noting(Cursor):
        async def execute(self, query: Any, args: Any = None) -> int:
            for part in _NEXT.split(query):
                note(f"{part} {args!r}")
            return await super().execute(query, args)

    def note_it(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        note(f"{statement} {parameters!r}")

    def have_it_noted(connection: Any, *_: Any) -> None:
        connection.driver_connection._cursor_cls = Noting

    return ("before_cursor_execute", note_it) if database.is_sqlite else ("checkout", have_it_noted)
