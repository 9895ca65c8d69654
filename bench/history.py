"""Reads at a million processes beside the same reads at a thousand."""

import asyncio
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

from sqlalchemy import Table, func, select

from bench.parts import Parts
from bench.report import Figure, say
from bench.search import TEXTS, error_of, multiply_texts
from bench.writes import Connection
from db import models
from db.migrate import migrate
from db.session import Database
from monitor.entities import ProcessStatus, TaskDefinition, TaskStatus
from monitor.ids import pipeline_id
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
FEW_WORKERS = 50
MANY_WORKERS = 50_000
NAME = "bench"
ORDERS = {
    "workers": ("REGISTERED_AT", "LAST_SEEN_AT", "NAME"),
    "processes": ("STARTED_AT", "UPDATED_AT"),
    "tasks": ("CREATED_AT", "UPDATED_AT", "POSITION"),
}
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
    multiply_texts(parts.mariadb, large.rsplit("/", 1)[1], TIMES)
    assert await _count(large) == FEW * TIMES
    sizes = (f"{FEW:,}", f"{FEW * TIMES:,} processes")
    figures = await _compare_all(parts, (small, large), sizes, _reads(workers, now))
    return figures + await _measure_workers(parts, now)


async def _measure_workers(parts: Parts, now: datetime) -> list[Figure]:
    few, many = parts.new_database(), parts.new_database()
    for url, times in ((few, FEW_WORKERS // WORKERS), (many, MANY_WORKERS // WORKERS)):
        await fill(url, now)
        multiply_workers(parts.mariadb, url.rsplit("/", 1)[1], times)
    sizes = (f"{FEW_WORKERS:,}", f"{MANY_WORKERS:,} workers of one name")
    reads = {"pipelines, every list of one": list(_pipelines(now))}
    return await _compare_all(parts, (few, many), sizes, reads)


async def _compare_all(
    parts: Parts, urls: tuple[str, str], sizes: tuple[str, str], reads: Mapping[str, Sequence[Read]]
) -> list[Figure]:
    with parts.monitor(urls[0]) as few, parts.monitor(urls[1]) as many:
        connections = [
            Connection(*await asyncio.open_connection("127.0.0.1", server.port))
            for server in (few, many)
        ]
        figures = []
        for name, some in reads.items():
            seconds = [await _compare(connections, read) for read in some]
            figures.append(_figure(name, sizes, seconds))
            if len(some) > 1:
                worst = max(seconds, key=lambda pair: pair[1] / pair[0])
                figures.append(_figure(f"{name}, the one that grows most", sizes, [worst]))
    return figures


async def _count(url: str) -> int:
    database = Database(url)
    async with database.reading() as connection:
        count: int = (
            await connection.execute(select(func.count()).select_from(models.processes))
        ).scalar_one()
    await database.close()
    return count


def _figure(name: str, sizes: tuple[str, str], seconds: Sequence[tuple[float, float]]) -> Figure:
    few, many = (statistics.fmean(column) * 1e3 for column in zip(*seconds, strict=True))
    what = f"{name} at {sizes[1]}"
    return Figure(what, "ms", many, 1.5, f"at {sizes[0]}", few, lower_is_better=True)


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
        "pipelines, every list of one": list(_pipelines(now)),
        "search": [_query(_search(text)) for text in TEXTS],
    }


def _search(text: str) -> str:
    found = "line node { ... on Failure { id title count } ... on Process { id status } }"
    return f"{{ search(text: {json.dumps(text)}, first: {PAGE}) {{ edges {{ {found} }} }} }}"


def _pipelines(now: datetime) -> Iterator[Read]:
    """What is shown of pipelines, and of one: its figures, its workers and runs in every order."""
    day = json.dumps((now - timedelta(days=1)).isoformat())
    shown = (
        "name failing counts { total } workerCounts { total } latestProcess { status } "
        f"recentProcesses {{ status }} outcomes(since: {day}) {{ successRate }} "
        f"runtime(since: {day}) {{ p50Seconds p95Seconds }}"
    )
    for filter_ in ("", "failing: true", "running: false", "lost: false"):
        yield _query(f"{{ pipelines(filter: {{{filter_}}}) {{ edges {{ node {{ {shown} }} }} }} }}")
    figures = "runtime { p50Seconds } steps { failed } versions { counts { total } }"
    yield _query(f"{{ pipeline(name: {json.dumps(NAME)}) {{ {figures} }} }}")
    one = f"pipelineIds: {json.dumps([pipeline_id(NAME)])}"
    for kind, fields in ORDERS.items():
        for field, direction in product(fields, ("ASC", "DESC")):
            yield _query(_page(kind, one, field, direction))


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
    return [
        _query(_page(kind, filter_, field, direction))
        for kind in NODES
        for filter_, field, direction in product(filters[kind], ORDERS[kind], ("ASC", "DESC"))
    ]


def _page(kind: str, filter_: str, field: str, direction: str) -> str:
    return (
        f"{{ {kind}(first: {PAGE}, filter: {{{filter_}}}, "
        f"orderBy: {{field: {field}, direction: {direction}}}) "
        f"{{ edges {{ node {{ {NODES[kind]} }} }} }} }}"
    )


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
            register_worker.body(tx, name=NAME, version="v1", task_definitions=steps).id
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
            said = error_of(number) if failed else None
            update_task.body(tx, task_id=tasks[0].id, status=end, details=said)
            outcome = ProcessStatus.ERROR if failed else ProcessStatus.SUCCESS
            end_process.body(tx, process_id=process.id, status=outcome, details=None)
        await tx.store(silently=True)
    await database.close()
    return workers


def multiply(server: MariaDb, database: str, times: int) -> None:
    """Copies all processes into each of so many hours before; what is counted of them, too."""
    copies = f"seq_1_to_{times - 1}"

    def new_id(column: str, kept: int) -> str:
        # The last group of the UUID becomes the number of the copy.
        return f"CONCAT(LEFT({column}, {kept}), LPAD(LOWER(HEX(seq)), 12, '0'))"

    def copied(table: Table, order: str, **changed: str) -> str:
        earlier = {c.name: f"{c.name} - INTERVAL seq HOUR" for c in table.c if c.name[-3:] == "_at"}
        columns = {c.name: c.name for c in table.c} | earlier | changed
        return (
            f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {', '.join(columns.values())} "
            f"FROM {table.name} JOIN {copies} ORDER BY seq DESC, {order};"
        )

    def multiplied(table: Table, *names: str) -> str:
        sums = ", ".join(f"{name} = {name} * {times}" for name in names)
        return f"UPDATE {table.name} SET {sums};"

    ended, runtime = ("succeeded", "failed"), "runtime_microseconds"
    process_id, current_task_id = new_id("id", 32), new_id("current_task_id", 29)
    task_id, of_process = new_id("id", 29), new_id("process_id", 32)
    statements = (
        copied(models.processes, "started_at", id=process_id, current_task_id=current_task_id),
        copied(models.tasks, "created_at", id=task_id, process_id=of_process),
        copied(models.activity, "slot_at"),
        copied(models.durations, "slot_at"),
        multiplied(models.workers, *ended, runtime),
        multiplied(models.pipeline_figures, *ended, runtime),
        multiplied(models.totals, *ended),
    )
    say(f"writing {FEW * times:,} processes and as many tasks")
    server.execute(
        f"USE {database}; SET unique_checks = 0, foreign_key_checks = 0; {' '.join(statements)} "
        "ANALYZE TABLE processes, tasks, activity, durations;"
    )


def multiply_workers(server: MariaDb, database: str, times: int) -> None:
    """Copies all workers, without their processes: scripts that registered and ended."""
    columns = {column.name: column.name for column in models.workers.c}
    columns |= dict.fromkeys(("running", "succeeded", "failed", "runtime_microseconds"), "0")
    columns["id"] = "CONCAT(LEFT(id, 31), LPAD(LOWER(HEX(seq)), 12, '0'))"
    columns["liveness"] = "'FINISHED'"
    columns["registered_at"] = "registered_at - INTERVAL seq MINUTE"
    say(f"writing {WORKERS * times:,} workers of one name")
    server.execute(
        f"USE {database}; INSERT INTO workers ({', '.join(columns)}) "
        f"SELECT {', '.join(columns.values())} FROM workers JOIN seq_1_to_{times - 1}; "
        f"UPDATE pipeline_figures SET workers_finished = {WORKERS * (times - 1)}; "
        f"UPDATE totals SET workers_finished = {WORKERS * (times - 1)}; ANALYZE TABLE workers;"
    )
