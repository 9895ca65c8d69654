"""What is sent to a database."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from asyncmy.cursors import Cursor
from sqlalchemy import event

from db.session import Database

# Between the statements of one message.
_NEXT = re.compile(r";(?=SELECT |INSERT |UPDATE |DELETE )")


@contextmanager
def statements_to(database: Database) -> Iterator[list[str]]:
    """Everything that is sent to it inside the block, with its values."""
    sent: list[str] = []
    name, listener = _listener(database, sent)
    engines = [engine.sync_engine for engine in (database.read_engine, database.write_engine)]
    for engine in engines:
        event.listen(engine, name, listener)
    yield sent
    for engine in engines:
        event.remove(engine, name, listener)


def _listener(database: Database, sent: list[str]) -> tuple[str, Callable[..., None]]:
    """On MariaDB what the driver is given, since not all of it goes through SQLAlchemy."""

    class Noting(Cursor):
        async def execute(self, query: Any, args: Any = None) -> int:
            sent.extend(f"{part} {args!r}" for part in _NEXT.split(query))
            return await super().execute(query, args)

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        sent.append(f"{statement} {parameters!r}")

    def have_it_noted(connection: Any, *_: Any) -> None:
        connection.driver_connection._cursor_cls = Noting

    return ("before_cursor_execute", note) if database.is_sqlite else ("checkout", have_it_noted)
