"""What is monitored. Immutable: a change is a new object with a higher revision."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

MICROSECOND = timedelta(microseconds=1)
# What has run for no longer than this is not in overtime, however little is usual.
OVERTIME_AT_LEAST = timedelta(seconds=30)
_FOLDED_LENGTH = 750


def fold(name: str) -> str:
    """A name as it is sorted and searched: without case, cut to what the database can index."""
    return name.casefold()[:_FOLDED_LENGTH]


class Unread(Enum):
    """In place of details that were not read with their row: whoever needs them reads them."""

    # Nothing that JSON could have, so that it is stored and told nowhere.
    UNREAD = object()


UNREAD: Final[Literal[Unread.UNREAD]] = Unread.UNREAD
Details: TypeAlias = str | Unread | None


class WorkerStatus(StrEnum):
    ONLINE = "ONLINE"
    OFFLINE = "OFFLINE"


class Liveness(StrEnum):
    """What is made of a worker's silence (`monitor.upkeep.presence`).

    ALIVE: heard from, or silent no longer than is usual for the step it is in. FINISHED: silent,
    and nothing is expected of it. LOST: silent against expectation.
    """

    ALIVE = "ALIVE"
    FINISHED = "FINISHED"
    LOST = "LOST"


class ProcessStatus(StrEnum):
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    ERROR = "ERROR"


class TaskStatus(StrEnum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    ERROR = "ERROR"

    @property
    def ended(self) -> bool:
        return self in (TaskStatus.SUCCESS, TaskStatus.ERROR)


class FailureStatus(StrEnum):
    """RESOLVED and MUTED are said by people; REGRESSED: it was resolved, and came again."""

    OPEN = "OPEN"
    RESOLVED = "RESOLVED"
    REGRESSED = "REGRESSED"
    MUTED = "MUTED"


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """A step that a worker announced; every process of the worker gets one task of it."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Worker:
    """A pipeline that runs somewhere.

    `last_seen_at` moves with every sign of life and is not a change: it raises no revision. Nor do
    `quiet_since`, from when on its silence counts (it is later in a step that usually takes long),
    and what an ALIVE one's `liveness_reason` says of that.
    `archived`: silent for so long that lists and totals leave it out, until it reports again.
    """

    id: str
    name: str
    version: str
    pipeline_id: str
    liveness: Liveness
    liveness_reason: str | None
    sends_heartbeats: bool
    task_definitions: Sequence[TaskDefinition]
    registered_at: datetime
    last_seen_at: datetime
    quiet_since: datetime
    running: int
    succeeded: int
    failed: int
    runtime_microseconds: int
    revision: int
    # With a default, for events that a server of the release before wrote.
    archived: bool = False

    @property
    def status(self) -> WorkerStatus:
        return WorkerStatus.ONLINE if self.liveness is Liveness.ALIVE else WorkerStatus.OFFLINE

    @property
    def process_count(self) -> int:
        return self.running + self.succeeded + self.failed

    @property
    def average_runtime_seconds(self) -> float | None:
        """Mean over the ended processes; None while none has ended."""
        ended = self.succeeded + self.failed
        return self.runtime_microseconds / ended / 1e6 if ended else None


@dataclass(frozen=True, slots=True)
class Process:
    """One run of a worker's steps; `version` is the worker's.

    `stalled`: RUNNING while its worker is LOST. `recovered`: the report of its start was lost.
    `successor_id`: of an ended one, the process that reports under its ids mean (`monitor.starts`).
    `failure_id`: of one that failed, the failures that are alike.
    `overtime`: it runs for longer than is usual. `overtime_due_at` is when that is looked at again
    (`monitor.upkeep.overtime`), and no change for anybody.
    """

    id: str
    worker_id: str
    pipeline_id: str
    version: str
    status: ProcessStatus
    stalled: bool
    task_count: int
    ended_task_count: int
    current_task_id: str | None
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    details: Details
    revision: int
    # With defaults, for events that a server of the release before wrote.
    recovered: bool = False
    successor_id: str | None = None
    failure_id: str | None = None
    overtime: bool = False
    overtime_due_at: datetime | None = None

    @property
    def reported(self) -> bool:
        """Whether anything was reported on it since it was started."""
        return self.current_task_id is not None or self.ended_at is not None

    @property
    def progress(self) -> float:
        """Share of its tasks that ended, 0 to 1."""
        return self.ended_task_count / self.task_count if self.task_count else 0.0

    def runtime(self, now: datetime) -> timedelta:
        """From start to end, or up to `now` while it runs; never negative."""
        return max((self.ended_at or now) - self.started_at, timedelta())


@dataclass(frozen=True, slots=True)
class Task:
    """One step of one process. `position` counts from 1; `overtime` is as of a process."""

    id: str
    process_id: str
    worker_id: str
    pipeline_id: str
    name: str
    version: str
    position: int
    status: TaskStatus
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    ended_at: datetime | None
    details: Details
    revision: int
    overtime: bool = False
    overtime_due_at: datetime | None = None

    def runtime(self, now: datetime) -> timedelta:
        """From start to end, or up to `now` while it runs; zero before; never negative."""
        if self.started_at is None or self.status is TaskStatus.PENDING:
            return timedelta()
        return max((self.ended_at or now) - self.started_at, timedelta())


@dataclass(frozen=True, slots=True)
class Pipeline:
    """All workers of one name; `version` and `task_definitions` are of the newest of them.

    `failing`: its latest ended process failed. `last_seen_at` is not a change, as of a worker.
    """

    id: str
    name: str
    version: str
    task_definitions: Sequence[TaskDefinition]
    first_seen_at: datetime
    last_seen_at: datetime
    workers_alive: int
    workers_finished: int
    workers_lost: int
    running: int
    succeeded: int
    failed: int
    stalled: int
    runtime_microseconds: int
    failing: bool
    latest_process_id: str | None
    revision: int

    @property
    def average_runtime_seconds(self) -> float | None:
        """Mean over the ended processes; None while none has ended."""
        ended = self.succeeded + self.failed
        return self.runtime_microseconds / ended / 1e6 if ended else None


@dataclass(frozen=True, slots=True)
class Failure:
    """Failed processes that are alike; `step`: which of their steps failed, if it was one.

    `last_seen_at` and `count` change with each of them, `revision` with what followers are told.
    `resolved_at` and `muted_until` are what people made of it, `status` what that means by now.
    """

    id: str
    fingerprint: str
    pipeline_id: str
    step: str | None
    title: str
    status: FailureStatus
    count: int
    first_seen_at: datetime
    last_seen_at: datetime
    first_version: str
    last_version: str
    latest_process_id: str | None
    resolved_at: datetime | None
    muted_until: datetime | None
    revision: int


Entity = Pipeline | Worker | Process | Task | Failure


E = TypeVar("E")

if TYPE_CHECKING:
    evolve = replace
else:

    def evolve(entity: E, **changes: Any) -> E:
        """As `dataclasses.replace`, but faster: every report makes some of these."""
        get_all, setters = _slots(type(entity))
        new = object.__new__(type(entity))
        for set_, value in zip(setters.values(), get_all(entity), strict=True):
            set_(new, value)
        for name, value in changes.items():
            setters[name](new, value)
        return new


@cache
def _slots(type_: type[Any]) -> tuple[Callable[[Any], tuple[Any, ...]], Mapping[str, Any]]:
    names = [field.name for field in fields(type_)]
    return attrgetter(*names), {name: getattr(type_, name).__set__ for name in names}
