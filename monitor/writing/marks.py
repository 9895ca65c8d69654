"""The mark that every transaction leaves: what became of a COMMIT without an answer is looked up.

COMMIT may be answered by an error, or never, whether it happened or not. But a transaction that
writes a number of its own is committed exactly when that number can be read afterwards.
"""

import secrets
from datetime import UTC, datetime

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.session import Database, Limits
from db.upserts import upsert
from db.writes import Write, write_rows

_SEQUENCE = select(models.writers.c.sequence).where(models.writers.c.id == bindparam("id"))


class Marks:
    """The row of this server process, which no other writes."""

    def __init__(self) -> None:
        self._id = f"writer_{secrets.token_hex(16)}"
        self._sequence = 0

    def leave(self, connection: AsyncConnection) -> tuple[int, Write]:
        """What marks this transaction, and with which number."""
        self._sequence += 1
        mark = upsert(models.writers, connection.dialect.name)
        return self._sequence, (mark, [self._row(self._sequence)])

    async def settle(self, database: Database, limits: Limits) -> int:
        """The number of the last transaction that is committed; 0 when there was none.

        What is not committed by now never will be: this waits for the lock of whoever still holds
        the row, and writes it. So where locks are of one node only (Galera), a transaction that is
        still on its way is the one that is not certified. And when it returns, the database has
        taken a write.

        Raises what `Database.writing` raises, and may then be called again.
        """
        async with database.writing(limits) as connection:
            await write_rows(connection, models.writers, [self._row(0)], add=("sequence",))
            found = await connection.execute(_SEQUENCE, {"id": self._id})
            sequence: int = found.scalar_one()
        return sequence

    def _row(self, sequence: int) -> dict[str, object]:
        return {"id": self._id, "sequence": sequence, "written_at": datetime.now(UTC)}
