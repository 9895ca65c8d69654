"""Statements as text, many in one message, past SQLAlchemy: for the few that are sent all day.

What a statement costs a server process is mostly its way there and back, whatever is in it: through
SQLAlchemy twice as much as through the driver alone. So what a transaction reads goes in one
message, and what it writes in another.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

# Well below what MariaDB takes by default (16 MiB), also of characters of 4 bytes each.
MESSAGE_CHARACTERS = 1024 * 1024

# A value as SQL.
Literal = Callable[[Any], str]


def literals(connection: AsyncConnection) -> Literal:
    """How values are written for this connection to MariaDB, whose session decides on escapes.

    What there is most of is written here: the driver looks at a text character by character, which
    for the events of a transaction takes longer than all the rest of it.
    """
    escape: Literal = _driver(connection).literal
    # Doubled, or not where NO_BACKSLASH_ESCAPES is on.
    backslash = escape("\\")[1:-1]

    def literal(value: Any) -> str:
        kind = type(value)
        if kind is str and "\0" not in value:
            escaped: str = value.replace("\\", backslash).replace("'", "''")
            return f"'{escaped}'"
        if value is None:
            return "NULL"
        if kind is int or kind is bool:
            return str(int(value))
        if kind is datetime and value.tzinfo is None:
            return f"'{value.isoformat(' ')}'"
        return escape(value)

    return literal


async def send(connection: AsyncConnection, statements: Iterable[str]) -> list[Sequence[Any]]:
    """The rows of each statement; they run one after the other, until one fails.

    For connections to MariaDB inside a transaction. Whatever goes wrong comes out as SQLAlchemy
    raises it, also a cancellation, which leaves no connection that is still being answered; but
    without the statement, which has in it what people report.
    """
    answers: list[Sequence[Any]] = []
    async with _failing(connection):
        cursor = _driver(connection).cursor()
        for message in _messages(statements):
            await cursor.execute(message)
            answers.append(await cursor.fetchall())
            while await cursor.nextset():
                answers.append(await cursor.fetchall())
    return answers


async def commit(connection: AsyncConnection) -> None:
    """COMMIT, where SQLAlchemy knows of no transaction. Raises as `send`."""
    async with _failing(connection):
        await _driver(connection).commit()


async def rollback(connection: AsyncConnection) -> None:
    """ROLLBACK, likewise."""
    async with _failing(connection):
        await _driver(connection).rollback()


@asynccontextmanager
async def _failing(connection: AsyncConnection) -> AsyncIterator[None]:
    try:
        yield
    except BaseException as error:  # noqa: BLE001 — raised again, or what stands for it
        await connection.run_sync(_fail, error)


def _driver(connection: AsyncConnection) -> Any:
    assert connection.sync_connection is not None
    return connection.sync_connection.connection.driver_connection


def _messages(statements: Iterable[str]) -> Iterator[str]:
    """As many in each as fit; a large one by itself."""
    together: list[str] = []
    size = 0
    for statement in statements:
        if together and size + len(statement) > MESSAGE_CHARACTERS:
            yield ";".join(together)
            together, size = [], 0
        together.append(statement)
        size += len(statement)
    if together:
        yield ";".join(together)


def _fail(connection: Connection, error: BaseException) -> None:
    """Raises what SQLAlchemy makes of the driver's error, and drops the connection if it is to."""
    try:
        raise error
    except BaseException as raised:  # noqa: BLE001 — likewise
        # Not public, but what it knows of disconnects, pools and our own listeners is not said
        # twice. It is the same that its cursors' errors go through.
        connection._handle_dbapi_exception(raised, None, None, None, None)
