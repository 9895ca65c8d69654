"""The checker: proves every kept counter equal to a recount, and repairs those that are not.

It is right while writers run, and stops none of them. Each comparison is one statement and so sees
one moment, in which a counter and what it counts agree (`recount`): nothing is locked or looked at
twice. For the same reason a difference stays what it is however much is written meanwhile.

A repair compares once more, where no other checker can be doing the same:

- a process, or a worker with its activity, under the lock a report takes; it is stored like a
  report, with revision and event.
- sums that are spread over shards, under the lock of the checker's own shard, to which what is
  missing is added. Locking all shards instead would stop every writer during the count.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.errors import DatabaseUnavailable, is_conflict, is_unavailable
from db.maintenance import MaintenanceDatabase
from db.session import Database
from monitor.slots import SLOT_SECONDS, slot_start
from monitor.upkeep import failure_recount, pipeline_recount, recount, repairs, text_recount
from monitor.upkeep.recount import Mismatch

ATTEMPTS = 8
_WORKERS_PER_PAGE = 50
_PIPELINES_PER_PAGE = 20
_FAILURES_PER_PAGE = 20
_PROCESSES_PER_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Difference:
    """A counter that was not what a recount gave; `id` is empty for a sum over everything."""

    what: str
    id: str
    kept: int
    counted: int

    def __str__(self) -> str:
        of = f" of {self.id}" if self.id else ""
        return f"{self.what}{of}: kept {self.kept}, counted {self.counted}"


class Watcher(Protocol):
    """Is told how far a check is, and what it finds."""

    def begin(self, what: str, total: int | None) -> None:
        """So many of these are looked through next; None: nobody knows."""

    def add(self, count: int) -> None:
        """So many of them were."""

    def find(self, difference: Difference) -> None: ...


class _Collector:
    """Keeps what is found."""

    def __init__(self) -> None:
        self.differences: list[Difference] = []

    def begin(self, what: str, total: int | None) -> None: ...

    def add(self, count: int) -> None: ...

    def find(self, difference: Difference) -> None:
        self.differences.append(difference)


async def check_counters(database: Database, *, repair: bool) -> list[Difference]:
    """As `check_watched`; what differs."""
    collector = _Collector()
    await check_watched(database, collector, repair=repair)
    return collector.differences


async def check_watched(database: Database, watcher: Watcher, *, repair: bool) -> None:
    """Tells what differs; with `repair` it is set right, too.

    Goes through processes and workers by pages and through time by days, and keeps nothing: however
    long history is, and however much differs, it takes as much memory. Raises DatabaseUnavailable.
    """
    unhurried = MaintenanceDatabase(database)
    try:
        async with unhurried.reading() as connection:
            checker = _Checker(unhurried, connection, watcher, repair=repair)
            await checker.check_processes()
            await checker.check_workers()
            await checker.check_pipelines()
            await checker.check_failures()
            await checker.check_texts()
            await checker.check_slots()
            await checker.check_totals()
    finally:
        await unhurried.close()


class _Checker:
    def __init__(
        self, database: Database, connection: AsyncConnection, watcher: Watcher, *, repair: bool
    ) -> None:
        self._database = database
        self._connection = connection
        self._watcher = watcher
        self._repair = repair

    async def check_processes(self) -> None:
        async for ids in self._pages("processes", models.processes.c.id, _PROCESSES_PER_PAGE):
            found = await recount.compare_processes(self._connection, ids)
            self._note("process", found)
            for mismatch in found:
                await self._repair_with(repairs.repair_process, mismatch.key)

    async def check_workers(self) -> None:
        async for ids in self._pages("workers", models.workers.c.id, _WORKERS_PER_PAGE):
            found = await recount.compare_workers(self._connection, ids)
            self._note("worker", found)
            wrong = {mismatch.key for mismatch in found}
            for slot_seconds in SLOT_SECONDS:
                slots = await recount.compare_slots_of(self._connection, ids, slot_seconds)
                self._note("activity", slots)
                wrong.update(mismatch.key.subject_id for mismatch in slots)
            for worker_id in sorted(wrong):
                await self._repair_with(repairs.repair_worker, worker_id)

    async def check_pipelines(self) -> None:
        async for ids in self._pages("pipelines", models.pipelines.c.id, _PIPELINES_PER_PAGE):
            figures = await pipeline_recount.compare_pipelines(self._connection, ids)
            self._note("pipeline", figures)
            durations = await pipeline_recount.compare_durations(self._connection, ids)
            self._note("durations", durations)
            wrong = {mismatch.key for mismatch in figures}
            wrong.update(mismatch.key.pipeline_id for mismatch in durations)
            for slot_seconds in SLOT_SECONDS:
                slots = await recount.compare_slots_of(self._connection, ids, slot_seconds)
                self._note("activity", slots)
                wrong.update(mismatch.key.subject_id for mismatch in slots)
            for pipeline_id in sorted(wrong):
                await self._repair_with(repairs.repair_pipeline, pipeline_id)

    async def check_slots(self) -> None:
        self._watcher.begin("days", None)
        at = await self._next_instant(datetime.fromtimestamp(0, UTC))
        while at is not None:
            since = slot_start(at, max(SLOT_SECONDS))
            found = await repairs.compare_days(self._connection, since)
            self._note("activity", found)
            if found:
                await self._repair_with(repairs.repair_slots, since)
            self._watcher.add(1)
            at = await self._next_instant(since + repairs.WINDOW)

    async def check_failures(self) -> None:
        async for ids in self._pages("failures", models.failures.c.id, _FAILURES_PER_PAGE):
            found = await failure_recount.compare_failures(self._connection, ids)
            self._note("failure", found)
            for failure_id in sorted({mismatch.key.failure_id for mismatch in found}):
                await self._repair_with(repairs.repair_failure, failure_id)
            listed = await failure_recount.compare_listed(self._connection, ids)
            self._note("failure", listed)
            for mismatch in listed:
                await self._repair_with(failure_recount.repair_listed, mismatch.key)

    async def check_texts(self) -> None:
        """What is searched: the texts of failures and of processes, and no others."""
        async for ids in self._pages("texts of failures", models.failures.c.id, _FAILURES_PER_PAGE):
            untold = await text_recount.compare_failures(self._connection, ids)
            self._note("failure", untold)
            for mismatch in untold:
                await self._repair_with(text_recount.repair_failure, mismatch.key)
            silent = await text_recount.compare_processes(self._connection, ids)
            self._note("processes of failure", silent)
            for mismatch in silent:
                await self._repair_texts(mismatch.key)
        for texts, subjects in text_recount.SUBJECTS:
            async for ids in self._pages(texts.name, texts.c.subject_id, _PROCESSES_PER_PAGE):
                arguments = (texts, subjects)
                found = await text_recount.compare_subjects(self._connection, *arguments, ids)
                self._note("removed", found)
                for mismatch in found:
                    await self._repair_with(text_recount.repair_subject, *arguments, mismatch.key)

    async def _repair_texts(self, failure_id: str) -> None:
        if not self._repair:
            return
        ids = await text_recount.find_without_text(self._connection, failure_id)
        for start in range(0, len(ids), text_recount.STEP_PROCESSES):
            some = ids[start : start + text_recount.STEP_PROCESSES]
            await self._repair_with(text_recount.repair_processes, some)

    async def check_totals(self) -> None:
        self._watcher.begin("totals", None)
        found = await recount.compare_totals(self._connection)
        self._note("totals", found)
        if found:
            await self._repair_with(repairs.repair_totals)

    def _note(self, what: str, found: Iterable[Mismatch[Any]]) -> None:
        for mismatch in found:
            for name, counted in mismatch.counted.items():
                if (kept := mismatch.kept[name]) != counted:
                    difference = Difference(f"{what}.{name}", str(mismatch.key), kept, counted)
                    self._watcher.find(difference)

    async def _pages(
        self, what: str, id_: ColumnElement[str], size: int
    ) -> AsyncIterator[Sequence[str]]:
        self._watcher.begin(what, await self._connection.scalar(select(func.count(id_))))
        statement = select(id_).order_by(id_).limit(size)
        ids = (await self._connection.execute(statement)).scalars().all()
        while ids:
            yield ids
            self._watcher.add(len(ids))
            following = statement.where(id_ > ids[-1])
            ids = (await self._connection.execute(following)).scalars().all()

    async def _next_instant(self, after: datetime) -> datetime | None:
        """The first start, end or slot from `after` on."""
        process, slot = models.processes.c, models.activity.c
        everybody = slot.subject_id == ""
        candidates: list[tuple[ColumnElement[Any], list[ColumnElement[bool]]]] = [
            (process.started_at, []),
            *((process.ended_at, [process.status == s]) for s in ("SUCCESS", "ERROR")),
            *((slot.slot_at, [everybody, slot.slot_seconds == s]) for s in SLOT_SECONDS),
        ]
        first = [
            select(func.min(column)).where(column >= after, *conditions).scalar_subquery()
            for column, conditions in candidates
        ]
        row = (await self._connection.execute(select(*first))).one()
        return min((at for at in row if at is not None), default=None)

    async def _repair_with(
        self, repair: Callable[..., Awaitable[None]], *arguments: object
    ) -> None:
        """One transaction for each repair: locks are short, and its event fits into a row."""
        if not self._repair:
            return
        for attempt in range(ATTEMPTS):
            try:
                async with self._database.writing() as connection:
                    await repair(connection, *arguments)
                return
            except Exception as error:
                if is_conflict(error) and attempt < ATTEMPTS - 1:
                    await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))
                elif is_unavailable(error):
                    raise DatabaseUnavailable(str(error)) from error
                else:
                    raise
