"""Transactions on MariaDB without SQLAlchemy's own, on connections that need no pool.

Taking a connection from the pool, beginning, committing and giving it back costs a server process
four times as much as the messages to the database themselves.
"""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Self

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db.driver import commit, rollback

# Who reports, and who moves what was committed.
SPARES = 2
# One that lies here for longer goes back to the pool, which asks whether it still lives.
SPARE_SECONDS = 1.0


class Spares:
    """Connections that were used a moment ago, and are used again."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # Each with what gives it back to the pool, and when it was used.
        self._spares: list[tuple[AsyncConnection, AsyncExitStack, float]] = []

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """One to be used alone; after an error the pool sees to it."""
        connection, back = await self._take()
        async with AsyncExitStack() as stack:
            stack.push_async_exit(back)
            yield connection
            if len(self._spares) < SPARES and not connection.invalidated:
                stack.pop_all()
                self._spares.append((connection, back, time.monotonic()))

    def __iter__(self) -> Iterator[AsyncConnection]:
        return iter([connection for connection, *_ in self._spares])

    async def close(self) -> None:
        """Gives all of them back."""
        while self._spares:
            _, back, _ = self._spares.pop()
            await back.aclose()

    async def _take(self) -> tuple[AsyncConnection, AsyncExitStack]:
        while self._spares:
            connection, back, used_at = self._spares.pop()
            if time.monotonic() - used_at < SPARE_SECONDS:
                return connection, back
            await back.aclose()
        back = AsyncExitStack()
        return await back.enter_async_context(self._engine.connect()), back


class Transaction:
    """What is sent in the block: committed by `commit`, rolled back by an error.

    The server begins it by itself with the first statement, in a session without autocommit; what
    SQLAlchemy executes, it knows of as well.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def commit(self) -> None:
        """Raises what SQLAlchemy's would."""
        if self._connection.in_transaction():
            await self._connection.commit()
        else:
            await commit(self._connection)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: object, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or self._connection.invalidated:
            return
        try:
            if self._connection.in_transaction():
                await self._connection.rollback()
            else:
                await rollback(self._connection)
        except Exception:  # noqa: BLE001 — the error that led here says more
            await self._connection.invalidate()
