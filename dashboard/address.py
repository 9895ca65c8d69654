"""What a tab shows, as its URL says it: the query string has every filter and selection."""

import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self
from urllib.parse import parse_qs

MAX_ID_CHARACTERS = 128
MAX_NAME_CHARACTERS = 256
MAX_TITLE_CHARACTERS = 256
MAX_START_CHARACTERS = 1024

# Where one begins: everything by pipelines, all workers, all runs, or what failed alike.
VIEWS = ("overview", "workers", "runs", "failures")
# Length of the chart, and of its slots, by the word in the URL.
RANGES = {
    "1h": (timedelta(hours=1), timedelta(minutes=1)),
    "6h": (timedelta(hours=6), timedelta(minutes=5)),
    "24h": (timedelta(hours=24), timedelta(minutes=20)),
    "7d": (timedelta(days=7), timedelta(hours=2)),
    "30d": (timedelta(days=30), timedelta(hours=12)),
}
# Of a span that somebody chose: the shortest slots of which there are not too many.
SLOTS = tuple(timedelta(minutes=n) for n in (1, 5, 20, 60, 120, 720, 1440, 10080))
MAX_SLOTS = 120
MAX_SPAN = timedelta(days=800)
PERIODS = {
    "any": None,
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
# What is asked of the API, by the word in the URL.
STATUSES: dict[str, dict[str, object]] = {
    "all": {},
    "running": {"status": ["RUNNING"]},
    "stalled": {"stalled": True},
    "failed": {"status": ["ERROR"]},
    "succeeded": {"status": ["SUCCESS"]},
}
CONDITIONS: dict[str, dict[str, object]] = {
    "all": {},
    "running": {"running": True},
    "failing": {"failing": True},
    "lost": {"lost": True},
}
PRESENCES: dict[str, dict[str, object]] = {
    "all": {},
    "alive": {"liveness": ["ALIVE"]},
    "finished": {"liveness": ["FINISHED"]},
    "lost": {"liveness": ["LOST"]},
}
# Of failures; what is new is told from the others by the clock.
STATES: dict[str, dict[str, object]] = {
    "all": {},
    "new": {"status": ["OPEN"]},
    "regressed": {"status": ["REGRESSED"]},
    "open": {"status": ["OPEN"]},
    "muted": {"status": ["MUTED"]},
    "resolved": {"status": ["RESOLVED"]},
}
ORDERS = ("newest", "errors")
# Of failures: what needs a look first, what was seen last, or what was seen most often.
FAILURE_ORDERS = ("attention", "latest", "count")


@dataclass(frozen=True)
class Start:
    """Where a page of a list begins: behind a row of one of the parts that the list consists of."""

    part: int = 0
    cursor: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """What cannot be read is the beginning."""
        try:
            part, _, cursor = base64.urlsafe_b64decode(text + "==").decode().partition(":")
            return cls(int(part), cursor or None)
        except (binascii.Error, ValueError):
            return cls()

    def __str__(self) -> str:
        """The word for it in the URL."""
        text = f"{self.part}:{self.cursor or ''}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@dataclass(frozen=True)
class Span:
    """From one instant until before another: what the chart shows, and when processes started."""

    since: datetime
    until: datetime

    @classmethod
    def parse(cls, since: str | None, until: str | None) -> Self | None:
        """In UTC; None for what is no span: not two instants with their offsets, or too far apart,
        or so near to an end of the calendar that there is no slot before or after.
        """
        try:
            instants = [datetime.fromisoformat(each or "") for each in (since, until)]
            if not all(at.tzinfo for at in instants):
                return None
            span = cls(*(at.astimezone(UTC) for at in instants))
            _ = span.since - SLOTS[-1], span.until + SLOTS[-1]
        except (ValueError, OverflowError):
            return None
        return span if timedelta() < span.until - span.since <= MAX_SPAN else None

    @property
    def slot(self) -> timedelta:
        """The length of the slots that it is shown in."""
        length = self.until - self.since
        return next((slot for slot in SLOTS if length / slot <= MAX_SLOTS), SLOTS[-1])


@dataclass(frozen=True)
class PipelineList:
    """Which pipelines, and from where on; what needs a person first, then by name."""

    name: str = ""
    condition: str = "all"
    start: str = ""


@dataclass(frozen=True)
class WorkerList:
    """Which workers, newest first, and from where on."""

    pipeline: str | None = None
    name: str = ""
    presence: str = "all"
    start: str = ""


@dataclass(frozen=True)
class ProcessList:
    """Which processes, in which order, and from where on: of a worker, a pipeline, a failure, or
    all.
    """

    worker: str | None = None
    pipeline: str | None = None
    status: str = "all"
    period: str = "any"
    version: str = ""
    order: str = "newest"
    start: str = ""
    span: Span | None = None
    failure: str | None = None


@dataclass(frozen=True)
class FailureList:
    """Which failures, in which order, and from where on: of a pipeline, or all."""

    pipeline: str | None = None
    text: str = ""
    state: str = "all"
    order: str = "attention"
    start: str = ""


@dataclass(frozen=True)
class Address:
    """The view of a tab.

    A worker is shown among all workers, a pipeline and a failure each on a page of its own; a
    process beside the list that it was found in, or else those of its pipeline.
    """

    view: str = "overview"
    pipeline: str | None = None
    worker: str | None = None
    process: str | None = None
    failure: str | None = None
    range: str = "1h"
    span: Span | None = None
    pipelines: PipelineList = PipelineList()
    workers: WorkerList = WorkerList()
    processes: ProcessList = ProcessList()
    failures: FailureList = FailureList()
    # Two versions of the pipeline, side by side.
    compare: str = ""
    against: str = ""
    # As it was written, for the browser to know it again.
    search: str = field(default="", compare=False)

    @classmethod
    def parse(cls, search: str) -> "Address":
        """Reads a query string; what is not known in it counts as not given."""
        given = _Given(search)
        pipeline, worker = given.text("pipeline"), given.text("worker")
        failure = None if worker else given.text("failure")
        name = given.text("name", MAX_NAME_CHARACTERS) or ""
        # Of the list that one begins with; `start` is of the processes.
        start = given.text("from", MAX_START_CHARACTERS) or ""
        span = Span.parse(given.text("since"), given.text("until"))
        return cls(
            given.view(worker, failure),
            pipeline,
            worker,
            given.text("process"),
            failure,
            given.word("range", RANGES),
            span,
            PipelineList(name, given.word("show", CONDITIONS), start),
            WorkerList(pipeline, name, given.word("presence", PRESENCES), start),
            ProcessList(
                worker,
                None if worker or failure else pipeline,
                given.word("status", STATUSES),
                given.word("period", PERIODS),
                given.text("version", MAX_NAME_CHARACTERS) or "",
                given.word("order", ORDERS),
                given.text("start", MAX_START_CHARACTERS) or "",
                span,
                failure,
            ),
            FailureList(
                pipeline,
                given.text("text", MAX_TITLE_CHARACTERS) or "",
                given.word("state", STATES),
                given.word("sort", FAILURE_ORDERS),
                start,
            ),
            given.text("compare", MAX_NAME_CHARACTERS) or "",
            given.text("against", MAX_NAME_CHARACTERS) or "",
            search,
        )


class _Given:
    """The parameters of a query string, each as it was given last."""

    def __init__(self, search: str) -> None:
        self._values = {key: values[-1] for key, values in parse_qs(search.lstrip("?")).items()}

    def text(self, name: str, most: int = MAX_ID_CHARACTERS) -> str | None:
        return self._values.get(name, "")[:most] or None

    def view(self, worker: str | None, failure: str | None) -> str:
        """That of what is named, else the one that is."""
        if worker:
            return "workers"
        return "failures" if failure else self.word("view", VIEWS)

    def word(self, name: str, known: Collection[str]) -> str:
        """One of the known words, else the first of them."""
        value = self._values.get(name, "")
        return value if value in known else next(iter(known))


def instant(at: datetime) -> str:
    """As GraphQL takes it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
