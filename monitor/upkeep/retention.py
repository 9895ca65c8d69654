"""What is old, looked after now and then: keys, acts, processes and failures go, silent workers are
archived.

Idempotency keys are forgotten after two days (they are promised for one), and so are server
processes that have written nothing since: their last commit was found out long ago.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta

from sqlalchemy import bindparam, delete, select

from db import models
from db.maintenance import give_back_free_pages
from db.session import Database
from monitor.archiving import archive_idle
from monitor.errors import Unavailable
from monitor.reading.asking import reading
from monitor.slots import HOUR_SECONDS, oldest_hours, slot_start
from monitor.upkeep.forgetting import forget_failures
from monitor.upkeep.minutes import forget_minutes
from monitor.upkeep.purging import SLOT_MARGIN, Policy, purge
from monitor.upkeep.rollup import roll_up
from monitor.writing.transactions import Transactions

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 60.0
KEPT = timedelta(hours=48)
# Small steps hold locks for a moment only.
STEP_ROWS = 500
# One may have been done to hundreds of workers.
STEP_ACTS = 100

_OLD_KEYS = (
    select(models.idempotency_keys.c.key)
    .where(models.idempotency_keys.c.created_at < bindparam("before"))
    .order_by(models.idempotency_keys.c.created_at)
    .limit(STEP_ROWS)
)
_REMOVE_KEYS = delete(models.idempotency_keys).where(
    models.idempotency_keys.c.key.in_(bindparam("keys", expanding=True))
)
OLD_ACTS = (
    select(models.audit.c.id)
    .where(models.audit.c.at < bindparam("before"))
    .order_by(models.audit.c.at, models.audit.c.id)
    .limit(STEP_ACTS)
)
# What they were done to goes first: a crash in between leaves nothing behind.
_REMOVE_ACTS = (
    delete(models.audit_subjects).where(
        models.audit_subjects.c.audit_id.in_(bindparam("ids", expanding=True))
    ),
    delete(models.audit).where(models.audit.c.id.in_(bindparam("ids", expanding=True))),
)
_REMOVE_WRITERS = delete(models.writers).where(models.writers.c.written_at < bindparam("before"))


class Retention:
    """Looks after what is old; several replicas may do so at once."""

    def __init__(
        self,
        database: Database,
        transactions: Transactions,
        policy: Policy,
        *,
        archive_after: timedelta | None,
        audit_for: timedelta | None = None,
        failures_for: timedelta | None = None,
    ) -> None:
        self._database = database
        self._transactions = transactions
        self._policy = policy
        self._archive_after = archive_after
        self._audit_for = audit_for
        self._failures_for = failures_for
        # Hours from before that are days already.
        self._rolled_up: datetime | None = None
        # Minutes from before that are gone already.
        self._minutes_forgotten: datetime | None = None
        # The hour in which failures were looked through.
        self._failures_forgotten: datetime | None = None

    async def run(self) -> None:
        """Looks until cancelled; what fails is tried again with the next look."""
        while True:
            now = datetime.now(UTC)
            await _attempt("forgetting old keys", self.forget_keys(now - KEPT))
            await _attempt("forgetting old server processes", self.forget_writers(now - KEPT))
            await _attempt("forgetting old acts", self.forget_acts(now))
            await _attempt("archiving workers", self.archive(now))
            await _attempt("removing old processes", self.purge(now))
            await _attempt("forgetting failures", self.forget_failures(now))
            await _attempt("adding up old durations", self.roll_up(now))
            # Replicas that started together shall not look together.
            await asyncio.sleep(INTERVAL_SECONDS * random.uniform(0.8, 1.2))

    async def forget_keys(self, before: datetime) -> int:
        """Removes the idempotency keys from before this instant; how many there were."""
        removed = 0
        async with reading(self._database) as connection:
            while True:
                found = await connection.execute(_OLD_KEYS, {"before": before})
                keys = found.scalars().all()
                if not keys:
                    return removed
                await connection.execute(_REMOVE_KEYS, {"keys": keys})
                removed += len(keys)

    async def forget_acts(self, now: datetime) -> None:
        """Removes the acts that the audit does not keep any longer."""
        if self._audit_for is None:
            return
        async with reading(self._database) as connection:
            old = {"before": now - self._audit_for}
            while ids := (await connection.scalars(OLD_ACTS, old)).all():
                for statement in _REMOVE_ACTS:
                    await connection.execute(statement, {"ids": ids})

    async def forget_failures(self, now: datetime) -> None:
        """Removes the failures that are silent for long and have no process left; once an hour,
        since all that are silent for long are looked through.
        """
        hour = slot_start(now, HOUR_SECONDS)
        if self._failures_for is None or hour == self._failures_forgotten:
            return
        removed = 0
        async for count in forget_failures(self._database, now, self._failures_for):
            removed += count
        self._failures_forgotten = hour
        if removed:
            logger.info("%d failures without processes were removed", removed)

    async def forget_writers(self, before: datetime) -> None:
        """Removes the marks of server processes that wrote nothing since this instant."""
        async with reading(self._database) as connection:
            await connection.execute(_REMOVE_WRITERS, {"before": before})

    async def archive(self, now: datetime) -> None:
        """Archives the workers that have been silent for so long."""
        if self._archive_after is not None:
            await archive_idle(self._database, self._transactions, now - self._archive_after)

    async def purge(self, now: datetime) -> None:
        """Removes the processes that are not kept any longer, and the minutes of their days."""
        removed = 0
        async for count in purge(self._database, self._transactions, self._policy, now):
            removed += count
        if removed:
            logger.info("%d old processes were removed", removed)
            await give_back_free_pages(self._database)
        await self._forget_minutes(now)

    async def _forget_minutes(self, now: datetime) -> None:
        """Once an hour, since all workers are looked through."""
        if (oldest := self._policy.before(now)) is None:
            return
        before = slot_start(oldest - SLOT_MARGIN, HOUR_SECONDS)
        if before != self._minutes_forgotten:
            await forget_minutes(self._database, before)
            self._minutes_forgotten = before

    async def roll_up(self, now: datetime) -> None:
        """Makes days of the hours that are old, once a day: all that is kept is looked through."""
        before = oldest_hours(now)
        if before != self._rolled_up and await roll_up(self._database, before):
            self._rolled_up = before


async def _attempt(what: str, work: Awaitable[object]) -> None:
    try:
        await work
    except Unavailable as error:
        logger.warning("%s failed: %s", what, error)
    except Exception:
        logger.exception("%s failed", what)
