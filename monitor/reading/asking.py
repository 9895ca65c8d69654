"""Asking the database: what a document asks for at the same moment goes there as one message.

What a statement costs a server process is mostly its way there and back. Only what is bounded asks
here (pages, rows by their ids, sums that are kept): what may take long takes a connection of its
own, and holds nothing up.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.errors import DatabaseUnavailable
from db.lookups import Lookup, fetch_each
from db.session import Database
from monitor.errors import Unavailable

_Rows = Sequence[Any]
_Asked: TypeAlias = tuple[Lookup, asyncio.Future[_Rows]]


@asynccontextmanager
async def reading(database: Database) -> AsyncIterator[AsyncConnection]:
    """A connection to read with. Raises Unavailable."""
    try:
        async with database.reading() as connection:
            yield connection
    except DatabaseUnavailable as error:
        raise Unavailable from error


async def ask(
    database: Database,
    statement: Select[Any],
    values: Mapping[str, Any] | None = None,
    *,
    alone: bool = False,
) -> _Rows:
    """The statement's rows. Raises Unavailable.

    Args:
        values: of its parameters; None when it was made with them
        alone: it may take long, so nobody is to wait for it
    """
    together = None if alone else _together.get()
    if together is None:
        (rows,) = await _find(database, [(statement, values)])
        return rows
    return await together.add(database, (statement, values))


@contextmanager
def asking_together() -> Iterator[None]:
    """Whoever asks within, in tasks that begin here as well, asks together."""
    token = _together.set(_Together())
    try:
        yield
    finally:
        _together.reset(token)


class _Together:
    """What was asked for since the last message, by the database that is asked."""

    def __init__(self) -> None:
        self._asked: dict[Database, list[_Asked]] = {}
        self._answering: set[asyncio.Task[None]] = set()

    def add(self, database: Database, lookup: Lookup) -> asyncio.Future[_Rows]:
        loop = asyncio.get_running_loop()
        if database not in self._asked:
            self._asked[database] = []
            # A turn of the loop later: what loaders gather they ask for at the end of this one.
            loop.call_soon(loop.call_soon, self._send, database)
        answer: asyncio.Future[_Rows] = loop.create_future()
        self._asked[database].append((lookup, answer))
        return answer

    def _send(self, database: Database) -> None:
        asked = self._asked.pop(database)
        task = asyncio.create_task(_answer(database, asked), name="what is asked together")
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)
        unanswered = len(asked)

        def note(_: object) -> None:
            nonlocal unanswered
            unanswered -= 1
            if not unanswered:  # or nobody waits any more
                task.cancel()

        for _, answer in asked:
            answer.add_done_callback(note)


_together: ContextVar[_Together | None] = ContextVar("what is asked together", default=None)


async def _answer(database: Database, asked: Sequence[_Asked]) -> None:
    try:
        found = await _find(database, [lookup for lookup, _ in asked])
    except Exception as error:  # noqa: BLE001 — who asked is told, whatever it is
        if len(asked) > 1 and not isinstance(error, Unavailable):
            # Alone, what fails harms nothing else.
            await asyncio.gather(*(_answer(database, [one]) for one in asked))
            return
        for _, answer in asked:
            if not answer.done():
                answer.set_exception(error)
        return
    for (_, answer), rows in zip(asked, found, strict=True):
        if not answer.done():
            answer.set_result(rows)


async def _find(database: Database, lookups: Sequence[Lookup]) -> list[_Rows]:
    async with reading(database) as connection:
        return await fetch_each(connection, *lookups)
