"""What runs for longer than it usually does: told when it begins, whichever replica notices.

Each process and each started task says when it is due to be looked at: OVERTIME_AT_LEAST after its
start at first, so what is short costs nothing, and then when it would be in overtime. What is usual
may become another meanwhile, so it is looked at in between, the more seldom the longer it runs.
It is its own time that counts, also while the monitor was down: overtime that began then is told by
the first look.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import uniform
from typing import Any

from sqlalchemy import bindparam, literal, null, select

from db import models
from db.session import Database
from monitor.entities import MICROSECOND
from monitor.errors import InvalidInput, Unavailable
from monitor.feed.condition import Condition, cause
from monitor.overtime import Look, judge_overtime
from monitor.reading.asking import reading
from monitor.reading.histograms import Step
from monitor.reading.statistics import Runtimes
from monitor.reading.usual import Usual, overtime_after
from monitor.writing.transactions import Transactions

logger = logging.getLogger(__name__)

# What is in overtime is told within a second.
LOOK_INTERVAL = timedelta(seconds=0.5)
# A step locks the processes of so many, and of as many tasks; a report waits for it for some 30 ms
# at most.
BATCH = 100
# It is looked at again after this, and after so large a share of the time that it has run.
AGAIN_AFTER = timedelta(minutes=1)
AGAIN_SHARE = 0.1

_process, _task = models.processes.c, models.tasks.c
_NOW: Any = bindparam("now", type_=models.UtcDateTime())
DUE_PROCESSES = (
    select(
        *(_process.id.label("process_id"), null().label("task_id"), _process.pipeline_id),
        *(null().label("name"), _process.started_at, _process.overtime_due_at),
        literal(value=False).label("overtime"),
    )
    .where(_process.overtime_due_at <= _NOW)
    .order_by(_process.overtime_due_at, _process.id)
    .limit(BATCH)
)
DUE_TASKS = (
    select(
        *(_task.process_id, _task.id.label("task_id"), _task.pipeline_id),
        *(_task.name, _task.started_at, _task.overtime_due_at),
        _task.overtime,
    )
    .where(_task.overtime_due_at <= _NOW)
    .order_by(_task.overtime_due_at, _task.id)
    .limit(BATCH)
)


class Overtime:
    """Looks twice a second; several replicas share the looking by what is due."""

    def __init__(self, database: Database, transactions: Transactions, usual: Usual) -> None:
        self._database = database
        self._transactions = transactions
        self._usual = usual

    async def run(self) -> None:
        """Looks until cancelled."""
        condition = Condition(logger, "looking what is in overtime")
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
        """Looks at all that is due."""
        while True:
            async with reading(self._database) as connection:
                due = [*await connection.execute(DUE_PROCESSES, {"now": now})]
                due += await connection.execute(DUE_TASKS, {"now": now})
            if not due:
                return
            known = await self._usual.find({_step(row) for row in due})
            if not await self._judge([_look_at(row, known, now) for row in due]):
                return  # they ended meanwhile, or another replica was first

    async def _judge(self, looks: Sequence[Look]) -> int:
        try:
            return await self._transactions.run(judge_overtime, looks=looks)
        except InvalidInput:  # they have more details than one transaction carries
            if len(looks) == 1:
                raise
            half = len(looks) // 2
            return await self._judge(looks[:half]) + await self._judge(looks[half:])


def _step(row: Any) -> Step:
    return Step(row.pipeline_id, row.name)


def _look_at(row: Any, known: Mapping[Step, Runtimes], now: datetime) -> Look:
    runtime = now - row.started_at
    # What started together need not be looked at together.
    again_at = now + max(AGAIN_AFTER, AGAIN_SHARE * runtime) * uniform(1, 1.5)
    usual = known.get(_step(row))
    overtime = False
    if usual is not None and not row.overtime:
        allowed = overtime_after(usual)
        overtime = runtime > allowed
        if not overtime:
            again_at = min(again_at, row.started_at + allowed + MICROSECOND)
    # A task is asked for again: its process may end without it.
    never = overtime and row.task_id is None
    of = (row.process_id, row.task_id, row.overtime_due_at)
    return Look(*of, overtime, None if never else again_at)
