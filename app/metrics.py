"""What the product measures of itself, for Prometheus."""

import asyncio
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.figures import Figures, Histogram, Key, Numbers, Slot
from monitor.errors import Unavailable

PREFIX = "process_monitor_"
PUBLISH_SECONDS = 1.0
# A database that does not answer leaves its figure out.
BACKLOG_SECONDS = 1.0
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
METHODS = ("GET", "POST", "HEAD", "OPTIONS")

# What there is: its help text, and the names of its labels.
COUNTERS: dict[str, tuple[str, Sequence[str]]] = {
    "executions": ("Events executed", ()),
    "deliveries": ("Events delivered live", ()),
    "lags": ("Subscribers that fell behind", ()),
    "commits": ("Transactions committed", ()),
    "operations": ("Operations committed", ()),
    "refusals": ("What was refused, by reason", ("reason",)),
}
GAUGES: dict[str, tuple[str, Sequence[str]]] = {
    "open_connections": ("Connections open now, WebSockets among them", ()),
    "open_sockets": ("WebSockets open now", ()),
    "open_subscriptions": ("Subscriptions open now", ()),
    "channels": ("Distinct subscriptions", ()),
    "write_queue_length": ("Operations that wait for their transaction", ()),
    "write_queue_age_seconds": ("How long the oldest of them has waited", ()),
    "outbox_backlog": ("Commits that are not in the live feed yet", ()),
    "resident_memory_bytes": ("Resident memory of the server processes", ()),
    "server_processes": ("Server processes that these figures are of", ()),
}
HISTOGRAMS: dict[str, tuple[str, Sequence[str]]] = {
    "request_seconds": (
        "From the headers of a request to the beginning of its answer",
        ("route", "method", "status"),
    ),
    "commit_seconds": ("Transactions, from their first statement to the end of the commit", ()),
}


class Metrics:
    """The figures of this process, and of those that share its port.

    Everything is read on the event loop, where it changes: a thread would see it half changed.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._slot = None if folder is None else Slot(folder)
        self.requests = Histogram("request_seconds", BOUNDS)
        self.commits = Histogram("commit_seconds", BOUNDS)
        self._counters: dict[str, Callable[[], float]] = {}
        self._levels: dict[str, Callable[[], float]] = {
            "resident_memory_bytes": resident_memory_bytes,
            "server_processes": lambda: 1,
        }
        self._peaks: dict[str, Callable[[], float]] = {}
        self._refusals: list[Counter[str]] = []
        self._backlog: Callable[[], Awaitable[int]] | None = None

    def read(
        self,
        *,
        counters: dict[str, Callable[[], float]],
        levels: dict[str, Callable[[], float]],
        peaks: dict[str, Callable[[], float]],
        refusals: Iterable[Counter[str]],
        backlog: Callable[[], Awaitable[int]],
    ) -> None:
        """Says where the figures are, to be read when they are asked for."""
        self._counters |= counters
        self._levels |= levels
        self._peaks |= peaks
        self._refusals += refusals
        self._backlog = backlog

    async def run(self) -> None:
        """Publishes the figures for the other processes, until cancelled."""
        if self._slot is None:
            return
        while True:
            self._publish(self._slot)
            await asyncio.sleep(PUBLISH_SECONDS)

    def close(self) -> None:
        """Leaves the totals to whoever comes next."""
        if self._slot is not None:
            self._publish(self._slot)
            self._slot.close()

    async def text(self) -> bytes:
        """The figures of all processes, in Prometheus' format."""
        backlog = await self._outbox_backlog()
        figures = self._figures()
        if self._slot is not None:
            figures = self._slot.publish(figures)
            for others in self._slot.others():
                figures.add(others)
        if backlog is not None:
            figures.levels["outbox_backlog",] = [float(backlog)]
        registry = CollectorRegistry()
        registry.register(_Collected(figures))
        return generate_latest(registry)

    def _publish(self, slot: Slot) -> None:
        slot.publish(self._figures())

    def _figures(self) -> Figures:
        refusals: Counter[str] = sum(self._refusals, Counter())
        return Figures(
            totals={
                **{(name,): [read()] for name, read in self._counters.items()},
                **{("refusals", reason): [count] for reason, count in refusals.items()},
                **self.requests.numbers(),
                **self.commits.numbers(),
            },
            levels={(name,): [read()] for name, read in self._levels.items()},
            peaks={(name,): [read()] for name, read in self._peaks.items()},
        )

    async def _outbox_backlog(self) -> int | None:
        if self._backlog is None:
            return None
        try:
            async with asyncio.timeout(BACKLOG_SECONDS):
                return await self._backlog()
        except (Unavailable, TimeoutError):
            return None


class _Collected(Collector):
    """Figures as Prometheus' families."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        totals = self._figures.totals
        for name, (text, labels) in COUNTERS.items():
            counter = CounterMetricFamily(PREFIX + name, text, labels=labels)
            for key, (value,) in _of(name, totals):
                counter.add_metric(key, value)
            yield counter
        for name, (text, labels) in GAUGES.items():
            gauge = GaugeMetricFamily(PREFIX + name, text, labels=labels)
            for key, (value,) in _of(name, self._figures.levels | self._figures.peaks):
                gauge.add_metric(key, value)
            yield gauge
        for name, (text, labels) in HISTOGRAMS.items():
            histogram = HistogramMetricFamily(PREFIX + name, text, labels=labels)
            for key, (*counts, seconds) in _of(name, totals):
                histogram.add_metric(key, _buckets(counts), seconds)
            yield histogram


def _of(name: str, numbers: Numbers) -> Iterable[tuple[Key, list[float]]]:
    return [(key[1:], values) for key, values in sorted(numbers.items()) if key[0] == name]


def _buckets(counts: Sequence[float]) -> list[tuple[str, float]]:
    """Prometheus counts in each bucket also what is in those before it."""
    bounds = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
    return [(bound, sum(counts[: at + 1])) for at, bound in enumerate(bounds)]


class RequestMetricsMiddleware:
    """Notes how long each answer was waited for, by route, method and class of status."""

    def __init__(self, app: ASGIApp, *, requests: Histogram) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                # As routes are named in the code: clients cannot make up more of them.
                route = getattr(scope.get("route"), "path", "other")
                method = scope["method"] if scope["method"] in METHODS else "other"
                status = f"{message['status'] // 100}xx"
                self._requests.observe(time.perf_counter() - began, route, method, status)
            await send(message)

        await self._app(scope, receive, note)


def resident_memory_bytes() -> float:
    """Of this process; where the system does not say, the most it has had."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
    return float(pages * os.sysconf("SC_PAGE_SIZE"))
