"""Reads at a million processes beside the same reads at a thousand."""

import asyncio
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

from sqlalchemy import func, select

from bench.parts import Parts
from bench.report import Figure, say
from bench.writes import Connection
from db import models
from db.migrate import migrate
from db.session import Database
from monitor.entities import ProcessStatus, TaskDefinition, TaskStatus
from monitor.processes import end_process, start_process
from monitor.tasks import update_task
from monitor.workers import register_worker
from monitor.writing.loading import Memory, Needs
from monitor.writing.transaction import Transaction
from tests.servers import MariaDb

FEW = 1_000
TIMES = 1_000
WORKERS = 5
ROUNDS = 25
PAGE = 10
NODES = {
    "workers": "id name status lastSeenAt counts { total }",
    "processes": "id status startedAt updatedAt progress",
    "tasks": "id name status createdAt position",
}


@dataclass(frozen=True)
class Read:
    """A GET, or with a body a POST."""

    path: str
    body: dict[str, Any] | None = None


async def measure(parts: Parts) -> list[Figure]:
    """Both in the same run, one request after the other, so that noise meets both."""
    say(f"history: {FEW:,} processes, and {TIMES:,} times as many")
    small, large = parts.new_database(), parts.new_database()
    # A whole hour, so that copies of its processes share no slot of activity with it.
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    workers = await fill(small, now)
    await fill(large, now)
    multiply(parts.mariadb, large.rsplit("/", 1)[1], TIMES)
    assert await _count(large) == FEW * TIMES
    with parts.monitor(small) as few, parts.monitor(large) as many:
        connections = [
            Connection(*await asyncio.open_connection("127.0.0.1", server.port))
            for server in (few, many)
        ]
        figures = []
        for name, reads in _reads(workers, now).items():
            seconds = [await _compare(connections, read) for read in reads]
            figures.append(_figure(name, seconds))
            if len(reads) > 1:
                worst = max(seconds, key=lambda pair: pair[1] / pair[0])
                figures.append(_figure(f"{name}, the one that grows most", [worst]))
    return figures


async def _count(url: str) -> int:
    database = Database(url)
    async with database.reading() as connection:
        count: int = (
            await connection.execute(select(func.count()).select_from(models.processes))
        ).scalar_one()
    await database.close()
    return count


def _figure(name: str, seconds: Sequence[tuple[float, float]]) -> Figure:
    few, many = (statistics.fmean(column) * 1e3 for column in zip(*seconds, strict=True))
    what = f"{name} at {FEW * TIMES:,} processes"
    return Figure(what, "ms", many, 1.5, f"at {FEW:,}", few, lower_is_better=True)


async def _compare(connections: Sequence[Connection], read: Read) -> tuple[float, float]:
    """Median seconds at few and at many."""
    seconds: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for connection, seen in zip(connections, seconds, strict=True):
            connection.seconds.clear()
            answer = await connection.request(read.path, read.body)
            assert "errors" not in answer, answer
            seen += connection.seconds
    few, many = (statistics.median(seen) for seen in seconds)
    return few, many


def _reads(workers: Sequence[str], now: datetime) -> dict[str, list[Read]]:
    since = now - timedelta(hours=24)
    activity = f'{{ activity(since: "{since.isoformat()}", slotSeconds: 3600) {{ at started }} }}'
    return {
        "/dashboard_workers": [Read("/dashboard_workers")],
        "summary": [_query("{ summary { workersOnline processes { total } } }")],
        "activity of a day": [_query(activity)],
        "first pages, every order and filter": list(_pages(workers, now)),
    }


def _query(query: str) -> Read:
    return Read("/graphql", {"query": query})


def _pages(workers: Sequence[str], now: datetime) -> list[Read]:
    one, two = (json.dumps(workers[:count]) for count in (1, 2))
    started = f'"{(now - timedelta(minutes=50)).isoformat()}"'
    filters = {
        "workers": ["", "status: [ONLINE]", 'nameContains: "b"'],
        "processes": [
            *("", f"workerIds: {one}", f"workerIds: {two}", "status: [ERROR]"),
            *("status: [SUCCESS, ERROR]", f"workerIds: {one}, status: [ERROR]"),
            *("stalled: false", f"startedAfter: {started}"),
        ],
        "tasks": [
            *("", f"workerIds: {one}", f"workerIds: {two}", "status: [ERROR]"),
            *(f"workerIds: {one}, status: [ERROR]", 'nameContains: "ste"'),
        ],
    }
    orders = {
        "workers": ("REGISTERED_AT", "LAST_SEEN_AT", "NAME"),
        "processes": ("STARTED_AT", "UPDATED_AT"),
        "tasks": ("CREATED_AT", "UPDATED_AT", "POSITION"),
    }
    return [
        _query(
            f"{{ {kind}(first: {PAGE}, filter: {{{filter_}}}, "
            f"orderBy: {{field: {field}, direction: {direction}}}) "
            f"{{ edges {{ node {{ {NODES[kind]} }} }} }} }}"
        )
        for kind in NODES
        for filter_, field, direction in product(filters[kind], orders[kind], ("ASC", "DESC"))
    ]


async def fill(url: str, now: datetime) -> list[str]:
    """FEW processes with one task each in the hour before `now`; the ids of their workers."""
    database = Database(url)
    await migrate(database)
    memory = Memory()
    start = now - timedelta(hours=1)
    async with database.writing() as connection:
        tx = Transaction(connection, memory=memory, shard=0, now=start)
        steps = [TaskDefinition("step", "v1")]
        workers = [
            register_worker.body(tx, name="bench", version="v1", task_definitions=steps).id
            for _ in range(WORKERS)
        ]
        await tx.store(silently=True)
    async with database.writing() as connection:
        tx = Transaction(connection, memory=memory, shard=0, now=start)
        await tx.load([Needs(workers=workers)])
        for number in range(FEW):
            failed = number % 10 == 3
            tx.now = start + timedelta(minutes=59) * (number / FEW)
            process, tasks = start_process.body(tx, worker_id=workers[number % WORKERS])
            end = TaskStatus.ERROR if failed else TaskStatus.SUCCESS
            tx.now += timedelta(seconds=2)
            update_task.body(tx, task_id=tasks[0].id, status=end, details=None)
            outcome = ProcessStatus.ERROR if failed else ProcessStatus.SUCCESS
            end_process.body(tx, process_id=process.id, status=outcome, details=None)
        await tx.store(silently=True)
    await database.close()
    return workers


def multiply(server: MariaDb, database: str, times: int) -> None:
    """Copies all processes into each of so many hours before; counts and totals with them."""
    copies = f"seq_1_to_{times - 1}"
    back = "- INTERVAL seq HOUR"

    def new_id(column: str, kept: int) -> str:
        # The last group of the UUID becomes the number of the copy.
        return f"CONCAT(LEFT({column}, {kept}), LPAD(LOWER(HEX(seq)), 12, '0'))"

    process_id, task_id = new_id("{0}", 32), new_id("{0}", 29)
    say(f"writing {FEW * times:,} processes and as many tasks")
    server.execute(
        f"""USE {database}; SET unique_checks = 0, foreign_key_checks = 0;
        INSERT INTO processes SELECT {process_id.format("id")}, worker_id, status, stalled,
            task_count, ended_task_count, {task_id.format("current_task_id")},
            started_at {back}, updated_at {back}, ended_at {back}, details, revision
            FROM processes JOIN {copies} ORDER BY seq DESC, started_at;
        INSERT INTO tasks SELECT {task_id.format("id")}, {process_id.format("process_id")},
            worker_id, name, name_folded, version, position, status, created_at {back},
            started_at {back}, updated_at {back}, ended_at {back}, details, revision
            FROM tasks JOIN {copies} ORDER BY seq DESC, created_at;
        INSERT INTO activity SELECT worker_id, slot_seconds, slot_at {back}, shard, started,
            succeeded, failed, runtime_microseconds FROM activity JOIN {copies};
        UPDATE workers SET succeeded = succeeded * {times}, failed = failed * {times},
            runtime_microseconds = runtime_microseconds * {times};
        UPDATE totals SET succeeded = succeeded * {times}, failed = failed * {times};
        ANALYZE TABLE processes, tasks, activity;"""
    )
