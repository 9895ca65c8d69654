"""Who fell silent, and what that means: judged once, whichever replica notices.

A worker is ALIVE as long as it is silent for no longer than the limit. One that sends heartbeats is
held to them. One that does not may be silent for as long as is usual for the step it is in; when it
runs nothing, it is FINISHED, and nobody is alarmed.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, case, insert, select, update
from sqlalchemy.exc import IntegrityError

from db import models
from db.session import Database
from monitor.errors import Unavailable
from monitor.feed.condition import Condition, cause
from monitor.reading.asking import reading
from monitor.reading.histograms import Step
from monitor.reading.statistics import Runtimes
from monitor.reading.usual import Usual
from monitor.silence import NOTHING_RUNS
from monitor.slots import MOST_AHEAD
from monitor.words import in_words
from monitor.workers import Silence, judge_silence
from monitor.writing.transactions import Transactions

logger = logging.getLogger(__name__)

LOOK_INTERVAL = timedelta(seconds=1)
# Without a look for this long, the monitor was down or blind: nobody's silence counts from before.
BLIND_AFTER = timedelta(seconds=5)
# A step locks so many of them; a report waits for it for some 30 ms at most.
BATCH_WORKERS = 200
# A step may take so many times what nearly all of its runs took.
PATIENCE = 3

_worker = models.workers.c
_task = models.tasks.c
_QUIET = (
    select(
        *(_worker.id, _worker.last_seen_at, _worker.sends_heartbeats, _worker.running),
        *(_worker.pipeline_id, _worker.quiet_since),
    )
    .where(_worker.liveness == "ALIVE", _worker.quiet_since < bindparam("quiet_since"))
    .order_by(_worker.quiet_since, _worker.id)
    .limit(BATCH_WORKERS)
)
# Who was heard from, or put off, by a clock that was ahead: heard now, as far as anybody knows, and
# to be judged anew. Who is put off since its step takes long was not heard.
_NOW = bindparam("now", type_=models.UtcDateTime())
_AHEAD = bindparam("ahead", type_=models.UtcDateTime())
_SET_BACK = (
    update(models.workers)
    .where(_worker.liveness == "ALIVE", _worker.quiet_since > _AHEAD)
    .values(
        last_seen_at=case((_worker.last_seen_at > _AHEAD, _NOW), else_=_worker.last_seen_at),
        quiet_since=_NOW,
    )
)
# The steps that these workers are in.
_IN_HAND = (
    select(_task.worker_id, _task.pipeline_id, _task.name)
    .join(models.processes, models.processes.c.id == _task.process_id)
    .where(
        _task.worker_id.in_(bindparam("ids", expanding=True)),
        _task.status == "RUNNING",
        models.processes.c.status == "RUNNING",
    )
)


class Presence:
    """Looks once a second; several replicas share the looking through the row of `watch`.

    Args:
        offline_after: how long everybody may be silent
        silent_step: how long a step may, of which it is not known how long it usually takes
    """

    def __init__(
        self,
        database: Database,
        transactions: Transactions,
        usual: Usual,
        *,
        offline_after: timedelta,
        silent_step: timedelta,
    ) -> None:
        self._database = database
        self._transactions = transactions
        self._usual = usual
        self._limit = offline_after
        self._silent_step = silent_step
        # A look that lies ahead, and since when it was the last one.
        self._ahead: tuple[datetime, datetime] | None = None

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
        """Judges who was silent for longer than the limit, of the time that was watched."""
        watching_since = await self._watch(now)
        quiet_since = now - self._limit
        if watching_since >= quiet_since:
            return
        while True:
            async with reading(self._database) as connection:
                found = await connection.execute(_QUIET, {"quiet_since": quiet_since})
                quiet = found.all()
            if not quiet:
                return
            silences = await self._explain(quiet, watching_since)
            judged = await self._transactions.run(
                judge_silence, silences=silences, now=now, limit=self._limit
            )
            if not judged:
                return  # they reported meanwhile, or another replica was first

    async def _explain(self, quiet: Sequence[Any], watching_since: datetime) -> Sequence[Silence]:
        steps = await self._find_steps_in_hand(
            [row.id for row in quiet if row.running and not row.sends_heartbeats]
        )
        known = await self._usual.find(step for of in steps.values() for step in of)
        silences = []
        for row in quiet:
            if row.sends_heartbeats:
                allowed, reason = self._limit, "it used to send heartbeats"
            elif not row.running:
                allowed, reason = self._limit, NOTHING_RUNS
            else:
                allowed, reason = self._allow(steps.get(row.id, []), known)
            since = max(row.last_seen_at, watching_since)
            silences.append(Silence(row.id, row.last_seen_at, since, allowed, reason))
        return silences

    async def _find_steps_in_hand(self, worker_ids: Sequence[str]) -> Mapping[str, list[Step]]:
        steps: dict[str, list[Step]] = {}
        if worker_ids:
            async with reading(self._database) as connection:
                for worker_id, *step in await connection.execute(_IN_HAND, {"ids": worker_ids}):
                    steps.setdefault(worker_id, []).append(Step(*step))
        return steps

    def _allow(
        self, in_hand: Sequence[Step], known: Mapping[Step, Runtimes]
    ) -> tuple[timedelta, str]:
        """For how long a worker in these steps may be silent, and why."""
        if not in_hand:
            allowed = max(self._limit, self._silent_step)
            return allowed, f"between two steps it may be for up to {in_words(allowed)}"
        return max(self._allow_step(step, known.get(step)) for step in in_hand)

    def _allow_step(self, step: Step, usual: Runtimes | None) -> tuple[timedelta, str]:
        if usual is None or usual.p99 is None:
            allowed = max(self._limit, self._silent_step)
            reason = f"how long step {step.name} usually takes is not known yet"
            return allowed, f"{reason}, so it may be for up to {in_words(allowed)}"
        nearly_all = timedelta(seconds=usual.p99)
        reason = f"step {step.name} usually takes up to {in_words(nearly_all)}"
        return max(self._limit, PATIENCE * nearly_all), reason

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
            was_set_back = self._was_set_back(row.last_look_at, now)
            if was_set_back:
                await connection.execute(_SET_BACK, {"ahead": now + MOST_AHEAD, "now": now})
            if was_set_back or now - row.last_look_at > BLIND_AFTER:
                watching_since = now
            if was_set_back or now - row.last_look_at >= LOOK_INTERVAL / 2:
                # Compare and set: a replica that was slower must not undo what is newer.
                await connection.execute(
                    update(table)
                    .where(table.c.last_look_at == row.last_look_at)
                    .values(watching_since=watching_since, last_look_at=now)
                )
            return watching_since

    def _was_set_back(self, last_look_at: datetime, now: datetime) -> bool:
        """Whether that look lies ahead, and is of no replica whose clock is fast: that would have
        looked again by now.
        """
        if last_look_at <= now:
            self._ahead = None
        elif self._ahead is None or self._ahead[0] != last_look_at or now < self._ahead[1]:
            self._ahead = last_look_at, now
        return self._ahead is not None and now - self._ahead[1] > BLIND_AFTER
