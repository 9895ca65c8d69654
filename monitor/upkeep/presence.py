"""Who fell silent: workers not heard from within the limit go OFFLINE, once, whoever notices."""

import asyncio
import contextlib
import logging
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from db import models
from db.session import Database
from monitor.errors import Unavailable
from monitor.feed.condition import Condition, cause
from monitor.reading.reads import reading
from monitor.workers import mark_workers_offline
from monitor.writing.transactions import Transactions

logger = logging.getLogger(__name__)

LOOK_INTERVAL = timedelta(seconds=1)
# Without a look for this long, the monitor was down or blind: nobody's silence counts from before.
BLIND_AFTER = timedelta(seconds=5)
BATCH_WORKERS = 500


class Presence:
    """Looks once a second; several replicas share the looking through the row of `watch`."""

    def __init__(
        self, database: Database, transactions: Transactions, *, offline_after: timedelta
    ) -> None:
        self._database = database
        self._transactions = transactions
        self._offline_after = offline_after

    async def run(self) -> None:
        """Looks until cancelled. While the database is gone, nobody falls silent."""
        condition = Condition(logger, "looking who fell silent")
        while True:
            try:
                await self.look(datetime.now(UTC))
                condition.recover()
            except Unavailable as error:
                condition.fail(cause(error))
            except Exception as error:  # noqa: BLE001 — it is looked again, whatever it was
                condition.fail(cause(error), level=logging.ERROR, trace=error)
            await asyncio.sleep(LOOK_INTERVAL.total_seconds())

    async def look(self, now: datetime) -> None:
        """Marks as OFFLINE who was silent for too long, of the time that was watched."""
        watching_since = await self._watch(now)
        silent_since = now - self._offline_after
        if watching_since >= silent_since:
            return
        table = models.workers
        statement = (
            select(table.c.id)
            .where(table.c.status == "ONLINE", table.c.last_seen_at < silent_since)
            .order_by(table.c.last_seen_at)
            .limit(BATCH_WORKERS)
        )
        while True:
            async with reading(self._database) as connection:
                silent = (await connection.execute(statement)).scalars().all()
            if not silent:
                return
            marked = await self._transactions.run(
                mark_workers_offline, worker_ids=silent, silent_since=silent_since
            )
            if not marked:
                return  # they reported meanwhile, or another replica was first

    async def _watch(self, now: datetime) -> datetime:
        """Notes this look; since when there has been one without a break."""
        table = models.watch
        async with reading(self._database) as connection:
            row = (
                await connection.execute(select(table.c.watching_since, table.c.last_look_at))
            ).first()
            if row is None:
                values = {"id": 1, "watching_since": now, "last_look_at": now}
                with contextlib.suppress(IntegrityError):  # another replica looked first
                    await connection.execute(insert(table), [values])
                return now
            watching_since: datetime = row.watching_since
            if now - row.last_look_at > BLIND_AFTER:
                watching_since = now
            if now - row.last_look_at >= LOOK_INTERVAL / 2:
                # Compare and set: a replica that was slower must not undo what is newer.
                await connection.execute(
                    update(table)
                    .where(table.c.last_look_at == row.last_look_at)
                    .values(watching_since=watching_since, last_look_at=now)
                )
            return watching_since
