"""What happens by itself in a history of years: a look that finds nothing, and steps with work."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert

from bench.report import Figure, say
from bench.years import HOURS
from db import models
from db.session import Database
from monitor.entities import TaskDefinition, TaskStatus
from monitor.processes import start_process
from monitor.reading.usual import Usual
from monitor.tasks import update_task
from monitor.upkeep import overtime, presence
from monitor.upkeep.failure_telling import FAILURES
from monitor.upkeep.grouping import Grouping
from monitor.upkeep.overtime import Overtime
from monitor.upkeep.presence import Presence
from monitor.upkeep.purging import STEP_PROCESSES, Policy, count_purgeable, purge
from monitor.upkeep.retention import INTERVAL_SECONDS, Retention
from monitor.upkeep.telling import Telling
from monitor.workers import register_worker
from monitor.writing.transactions import Transactions

ROUNDS = 25
STEPS = 5
# So much of the time between two looks may the looking take.
SHARE = 0.1
SILENT = timedelta(seconds=30)
# Older than all that there is.
KEPT_DAYS = HOURS / 24 + 30
KEPT_PROCESSES = 1_000
HALF_DAYS = HOURS / 24 / 2


class _Upkeep:
    """The parts of one server process, on one of the databases."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.transactions = Transactions(self.database, on_commit=lambda: None)
        usual = Usual(self.database)
        self.presence = Presence(
            self.database,
            self.transactions,
            usual,
            offline_after=SILENT,
            silent_step=SILENT,
        )
        self.overtime = Overtime(self.database, self.transactions, usual)
        self.tellings = [
            Telling(self.database, on_told=lambda: None, kind=kind) for kind in (None, FAILURES)
        ]
        self.retention = Retention(
            self.database,
            self.transactions,
            Policy(KEPT_DAYS, KEPT_PROCESSES),
            archive_after=timedelta(days=KEPT_DAYS),
            audit_for=timedelta(days=90),
            failures_for=timedelta(days=90),
        )
        self.grouping = Grouping(self.database, self.transactions)

    async def close(self) -> None:
        await self.transactions.close()
        await self.database.close()

    async def look_who_is_silent(self, now: datetime) -> None:
        """As if somebody had been looking all day."""
        async with self.database.writing() as connection:
            await connection.execute(delete(models.watch))
            values = {"id": 1, "watching_since": now - timedelta(days=1), "last_look_at": now}
            await connection.execute(insert(models.watch), [values])
        await self.presence.look(now)

    async def tell(self, now: datetime) -> None:
        for telling in self.tellings:
            while await telling.tell(now):
                pass

    async def look_after_what_is_old(self, now: datetime) -> None:
        """All that retention does in a look."""
        old = self.retention
        await old.forget_keys(now - timedelta(days=2))
        await old.forget_writers(now - timedelta(days=2))
        await old.forget_acts(now)
        await old.archive(now)
        await old.purge(now)
        await old.forget_failures(now)
        await old.roll_up(now)

    async def begin_runs(self) -> None:
        """As many workers as presence judges in a step, half of which run a step of a process."""
        steps = (TaskDefinition("step", "v1"),)
        run = self.transactions.run
        workers = await asyncio.gather(
            *(
                run(register_worker, name="bench", version="v1", task_definitions=steps)
                for _ in range(presence.BATCH_WORKERS)
            )
        )
        busy = workers[: overtime.BATCH]
        started = await asyncio.gather(*(run(start_process, worker_id=w.id) for w in busy))
        await asyncio.gather(
            *(
                run(update_task, task_id=tasks[0].id, status=TaskStatus.RUNNING, details=None)
                for _, tasks in started
            )
        )


async def measure(urls: tuple[str, str], sizes: tuple[str, str]) -> list[Figure]:
    few, many = (_Upkeep(url) for url in urls)
    both = (few, many)
    try:
        figures = [*await _measure_starts(many, sizes[1])]
        figures += await _measure_retention(many, sizes[1])
        figures += await _measure_looks(both, sizes)
        return figures + await _measure_steps(both, sizes)
    finally:
        for one in both:
            await one.close()


async def _measure_starts(many: _Upkeep, size: str) -> list[Figure]:
    """What is looked through after each start."""
    say("upkeep: what is looked through after a start")
    seconds = await _seconds(many.grouping.run)
    name = f"failures and failed processes looked through after a start at {size}"
    return [Figure(name, "s", seconds, INTERVAL_SECONDS, lower_is_better=True)]


async def _measure_retention(many: _Upkeep, size: str) -> list[Figure]:
    say("upkeep: what is old")
    now = datetime.now(UTC)
    looks = [await _seconds(many.look_after_what_is_old, now) for _ in range(STEPS)]
    count = await _seconds(count_purgeable, many.database, Policy(HALF_DAYS), now)
    aim = SHARE * INTERVAL_SECONDS
    return [
        Figure(f"{name} at {size}", "s", seconds, limit, lower_is_better=True)
        for name, seconds, limit in (
            ("first look at what is old", looks[0], INTERVAL_SECONDS),
            ("next look at what is old", statistics.median(looks[1:]), aim),
            ("counting the older half (purge --dry-run)", count, INTERVAL_SECONDS),
        )
    ]


async def _measure_looks(both: Sequence[_Upkeep], sizes: tuple[str, str]) -> list[Figure]:
    """Those that find nothing, one database after the other, so that noise meets both."""
    say("upkeep: looks that find nothing")
    turns: dict[str, Callable[[_Upkeep, datetime], Awaitable[None]]] = {
        "who fell silent": lambda one, now: one.presence.look(now),
        "overtime": lambda one, now: one.overtime.look(now),
        "what followers are told": lambda one, now: one.tell(now),
    }
    figures = []
    now = datetime.now(UTC)
    for one in both:
        await one.tell(now)
        await one.look_who_is_silent(now)
        await one.tell(now + timedelta(seconds=2))
    for name, turn in turns.items():
        seconds: list[list[float]] = [[], []]
        for _ in range(ROUNDS):
            for one, seen in zip(both, seconds, strict=True):
                now += timedelta(milliseconds=1)
                seen.append(await _seconds(turn, one, now))
        figures.append(_compared(f"look at {name} that finds nothing", seconds, sizes))
    return figures


async def _measure_steps(both: Sequence[_Upkeep], sizes: tuple[str, str]) -> list[Figure]:
    say("upkeep: steps")
    seconds: dict[str, list[list[float]]] = {
        f"{overtime.BATCH} processes and tasks looked at for overtime": [[], []],
        f"{presence.BATCH_WORKERS} workers fall silent": [[], []],
        f"{STEP_PROCESSES} old processes removed": [[], []],
    }
    for _ in range(STEPS):
        for number, one in enumerate(both):
            await one.begin_runs()
            now = datetime.now(UTC)
            turns: Sequence[tuple[Callable[..., Awaitable[object]], *tuple[object, ...]]] = (
                (one.overtime.look, now + SILENT),
                (one.look_who_is_silent, now + 2 * SILENT),
                (_remove_some, one, now),
            )
            for turn, seen in zip(turns, seconds.values(), strict=True):
                seen[number].append(await _seconds(*turn))
            await one.tell(now + timedelta(seconds=2))
    return [_compared(name, seen, sizes) for name, seen in seconds.items()]


async def _remove_some(one: _Upkeep, now: datetime) -> None:
    """The first step of a purge."""
    steps = purge(one.database, one.transactions, Policy(days=0.001), now + timedelta(days=1))
    assert await anext(steps) == STEP_PROCESSES
    await steps.aclose()  # type: ignore[attr-defined]


def _compared(name: str, seconds: Sequence[Sequence[float]], sizes: tuple[str, str]) -> Figure:
    few, many = (statistics.median(seen) * 1e3 for seen in seconds)
    return Figure(
        f"{name} at {sizes[1]}", "ms", many, 1.5, f"at {sizes[0]}", few, lower_is_better=True
    )


async def _seconds(turn: Callable[..., Awaitable[object]], *given: object) -> float:
    began = time.perf_counter()
    await turn(*given)
    return time.perf_counter() - began
