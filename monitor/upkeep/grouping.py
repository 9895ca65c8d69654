"""Groups what failed before there were groups, or under a server of the release before, and has it
found by what was said: at start.

From the oldest to the newest, in steps that hold nobody up, each of which stays when it is broken
off. Of the processes nobody is told, of their failures whoever follows these.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, or_, select

from db import models
from db.errors import is_unavailable
from db.searched import process_texts
from db.session import Database
from monitor.errors import Unavailable
from monitor.processes import group_failed
from monitor.reading.asking import reading
from monitor.slots import LONG_AGO
from monitor.upkeep.indexing import index_failures
from monitor.writing.transactions import Transactions

logger = logging.getLogger(__name__)

PAGE_ROWS = 1_000
STEP_PROCESSES = 20
MAX_REST_SECONDS = 1.0
AGAIN_SECONDS = 5.0

_process = models.processes.c
_at: Any = bindparam("at", type_=models.UtcDateTime())
# MariaDB is told the index, since it would look through all that is before a page again.
FAILED = (
    select(
        # What the index has. The text is written with the failure, or later.
        *(_process.id, _process.started_at, process_texts.c.subject_id.label("text_of")),
    )
    .join_from(
        models.processes,
        process_texts,
        process_texts.c.subject_id == _process.id,
        isouter=True,
    )
    .with_hint(models.processes, "FORCE INDEX (ix_processes_status_started_at_id)", "mariadb")
    .where(
        _process.status == "ERROR",
        # Implied by the next one: it is there for the index.
        _process.started_at >= _at,
        or_(_process.started_at > _at, _process.id > bindparam("last")),
    )
    .order_by(_process.started_at, _process.id)
    .limit(PAGE_ROWS)
)


class Grouping:
    """Several replicas may do so at once."""

    def __init__(self, database: Database, transactions: Transactions) -> None:
        self._database = database
        self._transactions = transactions

    async def run(self) -> None:
        """Goes through all that failed, once."""
        while True:
            try:
                await index_failures(self._database)
                grouped = await self.group()
            except Exception as error:
                if isinstance(error, Unavailable) or is_unavailable(error):
                    await asyncio.sleep(AGAIN_SECONDS)
                    continue
                logger.exception("grouping what failed before has failed")
                return
            if grouped:
                logger.info("%d processes that failed before were grouped", grouped)
            return

    async def group(self) -> int:
        """How many there were. Raises Unavailable."""
        grouped, at, id_ = 0, LONG_AGO, ""
        began = time.monotonic()
        while found := await self._page(at, id_):
            await asyncio.sleep(min(time.monotonic() - began, MAX_REST_SECONDS))
            ungrouped = [row.id for row in found if row.text_of is None]
            for start in range(0, len(ungrouped), STEP_PROCESSES):
                began = time.monotonic()
                grouped += await self._transactions.run(
                    group_failed, process_ids=ungrouped[start : start + STEP_PROCESSES]
                )
                await asyncio.sleep(min(time.monotonic() - began, MAX_REST_SECONDS))
            at, id_ = found[-1].started_at, found[-1].id
            began = time.monotonic()
        return grouped

    async def _page(self, at: datetime, id_: str) -> Sequence[Any]:
        async with reading(self._database) as connection:
            return (await connection.execute(FAILED, {"at": at, "last": id_})).all()
