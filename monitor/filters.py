"""Filters, each twice side by side: as SQL for queries and as a test for the live feed.

All given fields must match; a list matches any of its values; an empty list matches nothing.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Integer, and_, func, literal, true

from db.models import processes, tasks, workers
from monitor.entities import (
    Entity,
    Process,
    ProcessStatus,
    Task,
    TaskStatus,
    Worker,
    WorkerStatus,
    fold,
)
from monitor.ids import kind_of

Condition = ColumnElement[bool]

# Filters that one is split into at most; SQLite takes 500 parts in a statement.
MAX_PARTS = 100


class Filter(Protocol):
    """What all filters have in common."""

    def where(self) -> Condition:
        """The filter as SQL."""

    def matches(self, entity: Entity) -> bool:
        """The same decision on an entity at hand."""


@dataclass(frozen=True, slots=True)
class WorkerFilter:
    """Which workers; `name_contains` ignores case."""

    ids: Sequence[str] | None = None
    status: Sequence[WorkerStatus] | None = None
    name_contains: str | None = None

    def where(self) -> Condition:
        return _all(
            _in_ids(workers.c.id, self.ids),
            _in(workers.c.status, self.status),
            _contains(workers.c.name_folded, self.name_contains),
        )

    def matches(self, entity: Entity) -> bool:
        return (
            isinstance(entity, Worker)
            and (self.ids is None or entity.id in self.ids)
            and (self.status is None or entity.status in self.status)
            and _is_part(self.name_contains, entity.name)
        )


@dataclass(frozen=True, slots=True)
class ProcessFilter:
    """Which processes; `started_after` and `started_before` exclude the instant itself."""

    ids: Sequence[str] | None = None
    worker_ids: Sequence[str] | None = None
    status: Sequence[ProcessStatus] | None = None
    stalled: bool | None = None
    started_after: datetime | None = None
    started_before: datetime | None = None

    def where(self) -> Condition:
        return _all(
            _in_ids(processes.c.id, self.ids),
            _in_ids(processes.c.worker_id, self.worker_ids),
            _in(processes.c.status, self.status),
            None if self.stalled is None else processes.c.stalled.is_(self.stalled),
            # Only running processes stall: the index on status finds them.
            processes.c.status == "RUNNING" if self.stalled else None,
            None if self.started_after is None else processes.c.started_at > self.started_after,
            None if self.started_before is None else processes.c.started_at < self.started_before,
        )

    def matches(self, entity: Entity) -> bool:
        return (
            isinstance(entity, Process)
            and (self.ids is None or entity.id in self.ids)
            and (self.worker_ids is None or entity.worker_id in self.worker_ids)
            and (self.status is None or entity.status in self.status)
            and (self.stalled is None or entity.stalled is self.stalled)
            and (self.started_after is None or entity.started_at > self.started_after)
            and (self.started_before is None or entity.started_at < self.started_before)
        )


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks; `name_contains` ignores case."""

    ids: Sequence[str] | None = None
    worker_ids: Sequence[str] | None = None
    process_ids: Sequence[str] | None = None
    status: Sequence[TaskStatus] | None = None
    name_contains: str | None = None

    def where(self) -> Condition:
        return _all(
            _in_ids(tasks.c.id, self.ids),
            _in_ids(tasks.c.worker_id, self.worker_ids),
            _in_ids(tasks.c.process_id, self.process_ids),
            _in(tasks.c.status, self.status),
            _contains(tasks.c.name_folded, self.name_contains),
        )

    def matches(self, entity: Entity) -> bool:
        return (
            isinstance(entity, Task)
            and (self.ids is None or entity.id in self.ids)
            and (self.worker_ids is None or entity.worker_id in self.worker_ids)
            and (self.process_ids is None or entity.process_id in self.process_ids)
            and (self.status is None or entity.status in self.status)
            and _is_part(self.name_contains, entity.name)
        )


def split(matching: Any, lists: Collection[str]) -> list[Any]:
    """Filters with one value in each of these lists, which together match the same, nothing twice.

    The filter itself where ids bound what can match, or more than MAX_PARTS would come of it.
    """
    if matching.ids is not None or getattr(matching, "process_ids", None) is not None:
        return [matching]
    values = {name: dict.fromkeys(given) for name in lists if (given := getattr(matching, name))}
    if math.prod(map(len, values.values())) > MAX_PARTS:
        return [matching]
    return [
        replace(matching, **{name: (value,) for name, value in zip(values, chosen, strict=True)})
        for chosen in product(*values.values())
    ]


def _all(*conditions: Condition | None) -> Condition:
    return and_(true(), *(condition for condition in conditions if condition is not None))


def _in(column: ColumnElement[str], values: Sequence[str] | None) -> Condition | None:
    return None if values is None else column.in_([str(value) for value in values])


def _in_ids(column: ColumnElement[str], ids: Sequence[str] | None) -> Condition | None:
    # What can be no id is left out: MariaDB refuses to compare it with an ASCII column.
    return None if ids is None else column.in_([id_ for id_ in ids if kind_of(id_)])


def _contains(folded: ColumnElement[str], part: str | None) -> Condition | None:
    if part is None:
        return None
    # INSTR knows no wildcards, so % and _ in a name mean themselves; both databases have it.
    return func.instr(folded, literal(fold(part)), type_=Integer()) > 0


def _is_part(part: str | None, name: str) -> bool:
    return part is None or fold(part) in fold(name)
