"""Transactions on MariaDB without SQLAlchemy's own, on connections that need no pool.

Taking a connection from the pool, beginning, committing and giving it back costs a server process
more than the messages to the database themselves.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db.driver import commit, rollback
from db.peers import LAY_SINCE

# Who reports, and who moves what was committed.
SPARES = 2
# One that lies here for longer goes back to the pool, which asks whether it still lives; one that
# was taken from there so long ago, too, since it gets too old at some time.
SPARE_SECONDS = 1.0
TAKEN_SECONDS = 60.0


@dataclass(slots=True)
class _Spare:
    """A connection, what gives it back to the pool, and when that gave it, and it was used."""

    connection: AsyncConnection
    back: AsyncExitStack
    taken_at: float
    used_at: float

    @property
    def is_fresh(self) -> bool:
        now = time.monotonic()
        return now - self.used_at < SPARE_SECONDS and now - self.taken_at < TAKEN_SECONDS

    async def give_back(self) -> None:
        if not self.connection.invalidated:
            assert self.connection.sync_connection is not None
            self.connection.sync_connection.info[LAY_SINCE] = self.used_at
        await self.back.aclose()


class Spares:
    """Connections that were used a moment ago, and are used again."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._spares: list[_Spare] = []

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """One to be used alone; after an error the pool sees to it."""
        spare = await self._take()
        async with AsyncExitStack() as stack:
            stack.push_async_exit(spare.back)
            yield spare.connection
            if len(self._spares) < SPARES and not spare.connection.invalidated:
                stack.pop_all()
                spare.used_at = time.monotonic()
                self._spares.append(spare)

    @property
    def unused(self) -> Sequence[AsyncConnection]:
        """Those that nobody uses now."""
        return [spare.connection for spare in self._spares]

    async def close(self) -> None:
        """Gives all of them back."""
        while self._spares:
            await self._spares.pop().give_back()

    async def _take(self) -> _Spare:
        while self._spares:
            spare = self._spares.pop()
            if spare.is_fresh:
                return spare
            await spare.give_back()
        back = AsyncExitStack()
        connection = await back.enter_async_context(self._engine.connect())
        now = time.monotonic()
        return _Spare(connection, back, now, now)


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
