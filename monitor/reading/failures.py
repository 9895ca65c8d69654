"""Failures: read by id and by page; what they are by now is told from figures and what people did.

Figures are of the moment. Lists are in the order that followers were told last, at most a second or
so behind: replicas would queue for the row that each failed process changed.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import BindParameter, Select, and_, bindparam, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.lookups import fetch_rows
from db.session import Database
from monitor.entities import Entity, Failure, FailureStatus
from monitor.reading.asking import reading
from monitor.reading.conditions import Condition, all_of, contains, in_ids, is_part
from monitor.reading.pages import Listing, Order, Page, PageRequest
from monitor.reading.reads import page_parts, united
from monitor.reading.statuses import has_still, those_that_became
from monitor.slots import EVER_SECONDS, LONG_AGO

# In place of an instant: for ever.
FOR_EVER = datetime(9999, 12, 31, tzinfo=UTC)

_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_failure = models.failures.c
_figures = models.failure_figures.c
_process = models.processes.c


def _sum_of(column: Any) -> Any:
    """Over the shards of one failure."""
    return (
        select(column)
        .where(_figures.failure_id == _failure.id, _figures.slot_seconds == EVER_SECONDS)
        .scalar_subquery()
    )


LAST_SEEN_AT = _sum_of(func.max(_figures.last_seen_at))
_LATEST_PROCESS = (
    select(_process.id)
    # As of pipelines (`reading.pipelines`).
    .with_hint(models.processes, "FORCE INDEX (ix_processes_failure_id_started_at_id)", "mariadb")
    .where(_process.failure_id == _failure.id)
    .order_by(_process.started_at.desc(), _process.id.desc())
    .limit(1)
    .scalar_subquery()
)
STATES = select(
    *(_failure.id, _failure.fingerprint, _failure.pipeline_id, _failure.step, _failure.title),
    *(_failure.first_seen_at, _failure.first_version, _failure.resolved_at, _failure.muted_until),
    _failure.revision,
    # What was removed is in a shard below.
    _sum_of(func.sum(case((_figures.shard >= 0, _figures.occurrences), else_=0))).label("count"),
    LAST_SEEN_AT.label("last_seen_at"),
    _sum_of(func.max(_figures.last_end)).label("last_end"),
    _LATEST_PROCESS.label("latest_process_id"),
).where(_failure.id.in_(_IDS))


async def read_failures(
    connection: AsyncConnection, ids: Collection[str], now: datetime
) -> dict[str, Failure]:
    """Those of the failures that exist, in one statement."""
    found = await fetch_rows(connection, STATES, ids)
    return {row[0]: _failure_of(row, now) for row in found}


def _failure_of(row: Any, now: datetime) -> Failure:
    muted_until = row.muted_until if _is_muted(row.muted_until, now) else None
    return Failure(
        id=row.id,
        fingerprint=row.fingerprint,
        pipeline_id=row.pipeline_id,
        step=row.step,
        title=row.title,
        status=status_of(row.resolved_at, muted_until, row.last_seen_at or LONG_AGO),
        count=int(row[10] or 0),
        first_seen_at=row.first_seen_at,
        last_seen_at=row.last_seen_at or LONG_AGO,
        first_version=row.first_version,
        last_version=(row.last_end or "").partition(" ")[2],
        latest_process_id=row.latest_process_id,
        resolved_at=row.resolved_at,
        muted_until=muted_until,
        revision=row.revision,
    )


def _is_muted(until: datetime | None, now: datetime) -> bool:
    return until is not None and until > now


def status_of(
    resolved_at: datetime | None, muted_until: datetime | None, last_seen_at: datetime
) -> FailureStatus:
    """What it is by now; a time that is over is to be given as None."""
    if muted_until is not None:
        return FailureStatus.MUTED
    if resolved_at is None:
        return FailureStatus.OPEN
    return FailureStatus.REGRESSED if last_seen_at > resolved_at else FailureStatus.RESOLVED


@dataclass(frozen=True, slots=True)
class FailureFilter:
    """Which failures; `title_contains` ignores case.

    First seen from one instant on (`first_seen_since`), or before another.
    """

    EVERY: ClassVar[Mapping[str, Sequence[Any]]] = {}

    ids: tuple[str, ...] | None = None
    pipeline_ids: tuple[str, ...] | None = None
    status: tuple[FailureStatus, ...] | None = None
    title_contains: str | None = None
    first_seen_since: datetime | None = None
    first_seen_before: datetime | None = None
    # As of when a list is read: of that moment are all of its parts.
    now: datetime | None = field(default=None, compare=False)

    @property
    def is_bounded(self) -> bool:
        return self.ids is not None

    def values(self) -> dict[str, Sequence[Any]]:
        lists = {"pipeline_ids": self.pipeline_ids, "status": self.status}
        return {
            name: tuple(dict.fromkeys(values))
            for name, values in lists.items()
            if values is not None
        }

    def where(self) -> Condition:
        """Without those that have one of these statuses only since their row was written."""
        if self.status is None:
            return self._besides(_failure)
        return and_(self._besides(_failure), has_still(self.status, self._now()))

    def became(self) -> Iterator[tuple[Any, Condition]]:
        """Columns of those others, and which of them match (see `monitor.reading.statuses`)."""
        for few, condition in those_that_became(self.status or (), self._now()):
            yield few.c, and_(self._besides(few.c), condition)

    def _now(self) -> datetime:
        return self.now or datetime.now(UTC)

    def _besides(self, of: Any) -> Condition:
        """All but the status."""
        return all_of(
            in_ids(of.id, self.ids),
            in_ids(of.pipeline_id, self.pipeline_ids),
            contains(of.title_folded, self.title_contains),
            *self._first_seen(of.first_seen_at),
        )

    def _first_seen(self, at: Any) -> Iterator[Any]:
        """What is to hold of an instant, or of the column that has it."""
        if self.first_seen_since is not None:
            yield at >= self.first_seen_since
        if self.first_seen_before is not None:
            yield at < self.first_seen_before

    @property
    def is_steady(self) -> bool:
        return self.status is None

    def matches(self, entity: Entity) -> bool:
        return (
            isinstance(entity, Failure)
            and (self.ids is None or entity.id in self.ids)
            and (self.pipeline_ids is None or entity.pipeline_id in self.pipeline_ids)
            and (self.status is None or entity.status in self.status)
            and is_part(self.title_contains, entity.title)
            and all(self._first_seen(entity.first_seen_at))
        )


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of the list; what is shown of it is read with `read_failures`."""

    id: str
    first_seen_at: datetime
    last_seen_at: datetime
    occurrences: int


_OF = (("pipeline_ids", "status"), ("pipeline_ids",), ("status",), ())


def _listing(of: Any) -> Listing[Listed]:
    return Listing(
        (of.id, of.first_seen_at, of.last_seen_at, of.occurrences),
        lambda row: Listed(row.id, row.first_seen_at, row.last_seen_at, row.occurrences),
        of.id,
        {
            "LAST_SEEN_AT": (of.last_seen_at, lambda listed: listed.last_seen_at),
            "FIRST_SEEN_AT": (of.first_seen_at, lambda listed: listed.first_seen_at),
            "COUNT": (of.occurrences, lambda listed: listed.occurrences),
        },
        {"LAST_SEEN_AT": _OF, "FIRST_SEEN_AT": _OF, "COUNT": _OF},
    )


FAILURES = _listing(_failure)


def failures_statement(matching: FailureFilter, order: Order, request: PageRequest) -> Select[Any]:
    """One page of the list, as `page_statement`. Raises InvalidInput for a size or cursor that
    cannot be.
    """
    matching = replace(matching, now=datetime.now(UTC))
    parts = page_parts(FAILURES, matching, order, request)
    parts += [_listing(few).select(where, order, request) for few, where in matching.became()]
    return united(FAILURES, parts, order, request)


async def find_failures(database: Database, ids: Collection[str]) -> dict[str, Failure]:
    """Those of the failures that exist, as they stand now. Raises Unavailable."""
    async with reading(database) as connection:
        return await read_failures(connection, ids, datetime.now(UTC))


async def list_failures(
    database: Database, matching: FailureFilter, order: Order, request: PageRequest
) -> Page[Failure]:
    """One page of what matches. Raises InvalidInput for a size or cursor that cannot be."""
    statement = failures_statement(matching, order, request)
    async with reading(database) as connection:
        page = FAILURES.page((await connection.execute(statement)).all(), order, request)
        ids = [listed.id for listed in page.items]
        states = await read_failures(connection, ids, datetime.now(UTC))
    shown = [
        (states[id_], cursor)
        for id_, cursor in zip(ids, page.cursors, strict=True)
        if id_ in states
    ]
    return Page(
        [failure for failure, _ in shown],
        [cursor for _, cursor in shown],
        has_next=page.has_next,
        has_previous=page.has_previous,
    )
