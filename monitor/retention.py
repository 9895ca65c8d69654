"""What is old: idempotency keys are forgotten after two days (they are promised for one)."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from sqlalchemy import bindparam, delete, select

from db import models
from db.session import Database
from monitor.errors import Unavailable
from monitor.reading import reading

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 600.0
KEPT = timedelta(hours=48)
# Small steps hold locks for a moment only.
STEP_ROWS = 500

_OLD_KEYS = (
    select(models.idempotency_keys.c.key)
    .where(models.idempotency_keys.c.created_at < bindparam("before"))
    .order_by(models.idempotency_keys.c.created_at)
    .limit(STEP_ROWS)
)
_REMOVE_KEYS = delete(models.idempotency_keys).where(
    models.idempotency_keys.c.key.in_(bindparam("keys", expanding=True))
)


class Retention:
    """Removes what is old, now and then; several replicas may do so at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Removes until cancelled."""
        while True:
            try:
                await self.forget_keys(datetime.now(UTC) - KEPT)
            except Unavailable as error:
                logger.warning("old keys could not be removed: %s", error)
            except Exception:
                logger.exception("removing old keys failed")
            await asyncio.sleep(INTERVAL_SECONDS)

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
