"""Filters, each twice side by side: as SQL for queries and as a test for the live feed.

All given fields must match; a list matches any of its values; an empty list matches nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Protocol

from sqlalchemy import (
    false,
    not_,
)

from db.models import pipelines, processes, tasks, workers
from monitor.entities import (
    Entity,
    Liveness,
    Pipeline,
    Process,
    ProcessStatus,
    Task,
    TaskStatus,
    Worker,
)
from monitor.events import ChangeKind, Event
from monitor.reading.conditions import (
    FAILING,
    LOST,
    RUNNING,
    Condition,
    all_of,
    contains,
    in_ids,
    in_values,
    is_part,
    of_one_name,
)

# The lists of a filter that an index begins with.
Prefix = tuple[str, ...]


class ListFilter(Protocol):
    """What the filters of all lists have in common."""

    @property
    def ids(self) -> Sequence[str] | None:
        """The only ones that can match; None: all can."""

    @property
    def is_bounded(self) -> bool:
        """Whether it names ids, so that little can match however long history is."""

    def values(self) -> Mapping[str, Sequence[Any]]:
        """Those of its lists that indexes begin with, each value once; without those not given."""

    def where(self) -> Condition:
        """The filter as SQL."""

    def __hash__(self) -> int:
        """Of equal filters the same: statements are kept by them."""


class Filter(ListFilter, Protocol):
    """The same for what can be followed."""

    @property
    def is_steady(self) -> bool:
        """Whether what matches once matches for ever: it looks at nothing that changes."""

    def matches(self, entity: Entity) -> bool:
        """The same decision on an entity at hand."""


def told_as(matching: Filter, event: Event) -> ChangeKind | None:
    """How a follower with this filter is told of the event; None: not at all."""
    if matching.matches(event.entity):
        return event.kind
    if matching.is_steady:
        return None
    return ChangeKind.LEFT if any(map(matching.matches, event.were)) else None


@dataclass(frozen=True, slots=True)
class PipelineFilter:
    """Which pipelines; `name_contains` ignores case.

    Each of the three conditions is one look into an index per pipeline: kept in a column of theirs,
    replicas would queue for it.
    """

    EVERY: ClassVar[Mapping[str, Sequence[Any]]] = {}

    ids: tuple[str, ...] | None = None
    name_contains: str | None = None
    failing: bool | None = None
    running: bool | None = None
    lost: bool | None = None

    @property
    def is_bounded(self) -> bool:
        return self.ids is not None

    def values(self) -> dict[str, Sequence[Any]]:
        return {}

    def where(self) -> Condition:
        conditions = ((self.failing, FAILING), (self.running, RUNNING), (self.lost, LOST))
        return all_of(
            in_ids(pipelines.c.id, self.ids),
            contains(pipelines.c.name_folded, self.name_contains),
            *(
                holds if wanted else not_(holds)
                for wanted, holds in conditions
                if wanted is not None
            ),
        )

    @property
    def is_steady(self) -> bool:
        return self.failing is None and self.running is None and self.lost is None

    def matches(self, entity: Entity) -> bool:
        return (
            isinstance(entity, Pipeline)
            and (self.ids is None or entity.id in self.ids)
            and (self.failing is None or entity.failing is self.failing)
            and (self.running is None or (entity.running > 0) is self.running)
            and (self.lost is None or (entity.workers_lost > 0) is self.lost)
            and is_part(self.name_contains, entity.name)
        )


@dataclass(frozen=True, slots=True)
class WorkerFilter:
    """Which workers, archived ones left out; `name_contains` ignores case."""

    EVERY: ClassVar = {"liveness": tuple(Liveness)}

    ids: tuple[str, ...] | None = None
    pipeline_ids: tuple[str, ...] | None = None
    liveness: tuple[Liveness, ...] | None = None
    name_contains: str | None = None

    @property
    def is_bounded(self) -> bool:
        return self.ids is not None

    def values(self) -> dict[str, Sequence[Any]]:
        return _given(pipeline_ids=self.pipeline_ids, liveness=self.liveness)

    def where(self) -> Condition:
        return all_of(
            workers.c.archived == false(),
            in_ids(workers.c.id, self.ids),
            in_ids(workers.c.pipeline_id, self.pipeline_ids),
            of_one_name(self.pipeline_ids),
            in_values(workers.c.liveness, self.liveness),
            contains(workers.c.name_folded, self.name_contains),
        )

    @property
    def is_steady(self) -> bool:
        return self.liveness is None

    def matches(self, entity: Entity) -> bool:
        return (
            isinstance(entity, Worker)
            and (self.ids is None or entity.id in self.ids)
            and (self.pipeline_ids is None or entity.pipeline_id in self.pipeline_ids)
            and (self.liveness is None or entity.liveness in self.liveness)
            and is_part(self.name_contains, entity.name)
        )


@dataclass(frozen=True, slots=True)
class ProcessFilter:
    """Which processes; `started_after` and `started_before` exclude the instant itself.

    Versions are those of a pipeline: no index finds them among all.
    """

    EVERY: ClassVar = {"status": tuple(ProcessStatus)}

    ids: tuple[str, ...] | None = None
    pipeline_ids: tuple[str, ...] | None = None
    worker_ids: tuple[str, ...] | None = None
    failure_ids: tuple[str, ...] | None = None
    versions: tuple[str, ...] | None = None
    status: tuple[ProcessStatus, ...] | None = None
    stalled: bool | None = None
    started_after: datetime | None = None
    started_before: datetime | None = None

    @property
    def is_bounded(self) -> bool:
        return self.ids is not None

    def values(self) -> dict[str, Sequence[Any]]:
        # Only running processes stall, and of these there are few.
        running = (ProcessStatus.RUNNING,) if self.stalled and self.status is None else None
        return _given(
            pipeline_ids=self.pipeline_ids,
            worker_ids=self.worker_ids,
            failure_ids=self.failure_ids,
            versions=self.versions,
            status=running or self.status,
        )

    def where(self) -> Condition:
        return all_of(
            in_ids(processes.c.id, self.ids),
            in_ids(processes.c.pipeline_id, self.pipeline_ids),
            in_ids(processes.c.worker_id, self.worker_ids),
            in_ids(processes.c.failure_id, self.failure_ids),
            in_values(processes.c.version, self.versions),
            in_values(processes.c.status, self.status),
            None if self.stalled is None else processes.c.stalled.is_(self.stalled),
            None if self.started_after is None else processes.c.started_at > self.started_after,
            # Implied: where an index on updated_at is followed, it begins or ends there.
            None if self.started_after is None else processes.c.updated_at > self.started_after,
            None if self.started_before is None else processes.c.started_at < self.started_before,
        )

    @property
    def is_steady(self) -> bool:
        return self.status is None and self.stalled is None

    def matches(self, entity: Entity) -> bool:
        return (
            isinstance(entity, Process)
            and (self.ids is None or entity.id in self.ids)
            and (self.pipeline_ids is None or entity.pipeline_id in self.pipeline_ids)
            and (self.worker_ids is None or entity.worker_id in self.worker_ids)
            and (self.failure_ids is None or entity.failure_id in self.failure_ids)
            and (self.versions is None or entity.version in self.versions)
            and (self.status is None or entity.status in self.status)
            and (self.stalled is None or entity.stalled is self.stalled)
            and (self.started_after is None or entity.started_at > self.started_after)
            and (self.started_before is None or entity.started_at < self.started_before)
        )


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks; `name_contains` ignores case."""

    EVERY: ClassVar = {"status": tuple(TaskStatus)}

    ids: tuple[str, ...] | None = None
    pipeline_ids: tuple[str, ...] | None = None
    worker_ids: tuple[str, ...] | None = None
    process_ids: tuple[str, ...] | None = None
    status: tuple[TaskStatus, ...] | None = None
    name_contains: str | None = None

    @property
    def is_bounded(self) -> bool:
        return self.ids is not None or self.process_ids is not None

    def values(self) -> dict[str, Sequence[Any]]:
        return _given(
            pipeline_ids=self.pipeline_ids, worker_ids=self.worker_ids, status=self.status
        )

    def where(self) -> Condition:
        return all_of(
            in_ids(tasks.c.id, self.ids),
            in_ids(tasks.c.pipeline_id, self.pipeline_ids),
            in_ids(tasks.c.worker_id, self.worker_ids),
            in_ids(tasks.c.process_id, self.process_ids),
            in_values(tasks.c.status, self.status),
            contains(tasks.c.name_folded, self.name_contains),
        )

    @property
    def is_steady(self) -> bool:
        return self.status is None

    def matches(self, entity: Entity) -> bool:
        return (
            isinstance(entity, Task)
            and (self.ids is None or entity.id in self.ids)
            and (self.pipeline_ids is None or entity.pipeline_id in self.pipeline_ids)
            and (self.worker_ids is None or entity.worker_id in self.worker_ids)
            and (self.process_ids is None or entity.process_id in self.process_ids)
            and (self.status is None or entity.status in self.status)
            and is_part(self.name_contains, entity.name)
        )


def _given(**lists: Sequence[Any] | None) -> dict[str, Sequence[Any]]:
    return {name: tuple(dict.fromkeys(given)) for name, given in lists.items() if given is not None}
