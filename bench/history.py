"""Reads at a million processes beside the same reads at a thousand."""

import asyncio
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

from sqlalchemy import func, select

from bench import failures
from bench.filling import FEW, NAME, VERSIONS, WORKERS, fill, multiply, multiply_workers
from bench.parts import Parts
from bench.report import Figure, say
from bench.search import FAILURES, TEXTS, multiply_texts
from bench.writes import Connection
from db import models
from db.session import Database
from monitor.ids import pipeline_id

TIMES = 1_000
ROUNDS = 25
# Of the reads that grow most, how many are measured once more.
AGAIN = 10
PAGE = 10
# Workers that are silent for long stay in the lists.
KEEP = {"MONITOR_ARCHIVE_AFTER_DAYS": "0"}
FEW_WORKERS = 50
MANY_WORKERS = 50_000
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
OF_ONE = (
    "runtime { p50Seconds }",
    "steps { failed runtime { p50Seconds } }",
    "versions { counts { total } runtime { p50Seconds } }",
    f'compareVersions(version: "{VERSIONS[1]}", against: "{VERSIONS[0]}") {{ verdict }}',
    "flakySteps { name failed }",
)


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
    reads = [reads_of(await fill(url, now), now) for url in (small, large)]
    multiply(parts.mariadb, large.rsplit("/", 1)[1], TIMES)
    multiply_texts(parts.mariadb, large.rsplit("/", 1)[1], TIMES)
    assert await _count(large) == FEW * TIMES
    sizes = (f"{FEW:,}", f"{FEW * TIMES:,} processes")
    figures = await compare_all(parts, (small, large), sizes, reads)
    figures += await _measure_workers(parts, now)
    return figures + await _measure_failures(parts, now)


async def _measure_workers(parts: Parts, now: datetime) -> list[Figure]:
    few, many = parts.new_database(), parts.new_database()
    for url, times in ((few, FEW_WORKERS // WORKERS), (many, MANY_WORKERS // WORKERS)):
        await fill(url, now)
        multiply_workers(parts.mariadb, url.rsplit("/", 1)[1], times)
    sizes = (f"{FEW_WORKERS:,}", f"{MANY_WORKERS:,} workers of one name")
    reads = {"pipelines, every list of one": list(_pipelines(now))}
    return await compare_all(parts, (few, many), sizes, [reads, reads])


async def _measure_failures(parts: Parts, now: datetime) -> list[Figure]:
    few, many = parts.new_database(), parts.new_database()
    for url, count in ((few, failures.FEW), (many, failures.MANY)):
        await fill(url, now)
        database = url.rsplit("/", 1)[1]
        failures.multiply_failures(parts.mariadb, database, count // FAILURES)
    sizes = (f"{failures.FEW:,}", f"{failures.MANY:,} failures")
    reads = {"failures, every list": [query(q) for q in failures.list_queries(NAME, PAGE)]}
    return await compare_all(parts, (few, many), sizes, [reads, reads])


async def compare_all(
    parts: Parts,
    urls: tuple[str, str],
    sizes: tuple[str, str],
    reads: Sequence[Mapping[str, Sequence[Read]]],
) -> list[Figure]:
    """The reads of each of the two databases, by what they are called."""
    with parts.monitor(urls[0], env=KEEP) as few, parts.monitor(urls[1], env=KEEP) as many:
        connections = [
            Connection(*await asyncio.open_connection("127.0.0.1", server.port))
            for server in (few, many)
        ]
        figures = []
        for name in reads[0]:
            pairs = list(zip(*(of[name] for of in reads), strict=True))
            seconds = [await _compare(connections, pair) for pair in pairs]
            figures.append(_figure(name, sizes, seconds))
            if len(pairs) > 1:
                # Once more: of a hundred, the greatest is mostly the one that met most noise.
                most = _most_grown(seconds)
                again = {n: await _compare(connections, pairs[n]) for n in most}
                worst = max(again, key=lambda n: _growth(again[n]))
                say(f"{name}, the one that grows most: {pairs[worst][1]}")
                figures.append(_figure(f"{name}, the one that grows most", sizes, [again[worst]]))
    return figures


def _growth(seconds: tuple[float, float]) -> float:
    few, many = seconds
    return many / few


def _most_grown(seconds: Sequence[tuple[float, float]]) -> list[int]:
    """Which they are; enough of them that noise hides none that really grows."""
    places = sorted(range(len(seconds)), key=lambda n: _growth(seconds[n]), reverse=True)
    return places[:AGAIN]


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


async def _compare(connections: Sequence[Connection], reads: Sequence[Read]) -> tuple[float, float]:
    """Median seconds at few and at many."""
    seconds: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for connection, read, seen in zip(connections, reads, seconds, strict=True):
            connection.seconds.clear()
            answer = await connection.request(read.path, read.body)
            assert "errors" not in answer, answer
            seen += connection.seconds
    few, many = (statistics.median(seen) for seen in seconds)
    return few, many


def reads_of(workers: Sequence[str], now: datetime) -> dict[str, list[Read]]:
    """What is read of a history until `now`, with these workers in it."""
    since = now - timedelta(hours=24)
    activity = f'{{ activity(since: "{since.isoformat()}", slotSeconds: 3600) {{ at started }} }}'
    return {
        "/dashboard_workers": [Read(f"/dashboard_workers?limit={PAGE}")],
        "summary": [query("{ summary { workersOnline processes { total } } }")],
        "activity of a day": [query(activity)],
        "first pages, every order and filter": list(_pages(workers, now)),
        "pipelines, every list of one": list(_pipelines(now)),
        "search": [query(_search(text)) for text in TEXTS],
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
        given = f"first: {PAGE}, filter: {{{filter_}}}"
        yield query(f"{{ pipelines({given}) {{ edges {{ node {{ {shown} }} }} }} }}")
    for figures in OF_ONE:
        yield query(f"{{ pipeline(name: {json.dumps(NAME)}) {{ {figures} }} }}")
    one = f"pipelineIds: {json.dumps([pipeline_id(NAME)])}"
    for kind, fields in ORDERS.items():
        for field, direction in product(fields, ("ASC", "DESC")):
            yield query(_page(kind, one, field, direction))


def query(text: str) -> Read:
    """A document without variables."""
    return Read("/graphql", {"query": text})


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
        query(_page(kind, filter_, field, direction))
        for kind in NODES
        for filter_, field, direction in product(filters[kind], ORDERS[kind], ("ASC", "DESC"))
    ]


def _page(kind: str, filter_: str, field: str, direction: str) -> str:
    return (
        f"{{ {kind}(first: {PAGE}, filter: {{{filter_}}}, "
        f"orderBy: {{field: {field}, direction: {direction}}}) "
        f"{{ edges {{ node {{ {NODES[kind]} }} }} }} }}"
    )
