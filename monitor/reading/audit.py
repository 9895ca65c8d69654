"""The audit, as it is read: pages of it, newest first, and what was done to each of many things."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Select, bindparam, select, union, union_all

from db import models
from db.session import Database
from monitor.acts import Act
from monitor.reading.asking import reading
from monitor.reading.conditions import Condition, all_of, in_ids, in_values
from monitor.reading.pages import Direction, Listing, Order, Page, PageRequest
from monitor.reading.reads import page_parts, page_statement

NEWEST_FIRST = Order("ACTED_AT", Direction.DESC)
# SQLite takes 500 parts in a statement.
_PARTS = 250

_act, _subject = models.audit.c, models.audit_subjects.c
_COLUMNS = (_act.id, _act.at, _act.role, _act.address, _act.action, _act.summary)
_SUBJECTS_OF = (
    select(_subject.audit_id, _subject.subject_id)
    .where(_subject.audit_id.in_(bindparam("ids", expanding=True)))
    .order_by(_subject.audit_id, _subject.subject_id)
)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which acts: on any of these subjects, of any of these actions, not before, and before."""

    EVERY: ClassVar[Mapping[str, Sequence[Any]]] = {}

    subject_ids: tuple[str, ...] | None = None
    actions: tuple[str, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None
    # No list of acts is asked for by their ids.
    ids: None = None
    is_bounded: ClassVar[bool] = False

    def values(self) -> dict[str, Sequence[Any]]:
        given = {"actions": self.actions} if self.subject_ids is None else {}
        lists = {"subject_ids": self.subject_ids, **given}
        return {name: tuple(dict.fromkeys(v)) for name, v in lists.items() if v is not None}

    def where(self) -> Condition:
        of = _act if self.subject_ids is None else _subject
        return all_of(
            None if self.subject_ids is None else in_ids(of.subject_id, self.subject_ids),
            in_values(of.action, self.actions),
            None if self.since is None else of.at >= self.since,
            None if self.until is None else of.at < self.until,
        )


ACTS: Listing[Act] = Listing(
    _COLUMNS,
    lambda row: Act(row.id, row.at, row.role, row.address, row.action, row.summary),
    _act.id,
    {"ACTED_AT": (_act.at, lambda act: act.at)},
    {"ACTED_AT": (("actions",), ())},
)
# Ids of acts, by what they were done to.
ACTS_ON: Listing[Any] = Listing(
    (_subject.audit_id,),
    lambda row: row.audit_id,
    _subject.audit_id,
    {"ACTED_AT": (_subject.at, lambda _: None)},
    {"ACTED_AT": (("subject_ids",), ())},
)


async def list_acts(database: Database, matching: AuditFilter, request: PageRequest) -> Page[Act]:
    """One page of what matches. Raises InvalidInput for a size or cursor that cannot be."""
    statement = acts_statement(matching, request)
    async with reading(database) as connection:
        found = (await connection.execute(statement)).all()
    return ACTS.page(found, NEWEST_FIRST, request)


def acts_statement(matching: AuditFilter, request: PageRequest) -> Select[Any]:
    """One page; of several subjects, the first acts of each, then the first of these, each once."""
    if matching.subject_ids is None:
        return page_statement(ACTS, matching, NEWEST_FIRST, request)
    parts = page_parts(ACTS_ON, matching, NEWEST_FIRST, request)
    found = union(*(select(part.subquery()) for part in parts)).subquery()
    statement = select(*_COLUMNS).join(found, found.c.audit_id == _act.id)
    ordered = statement.order_by(*ACTS.order_by(NEWEST_FIRST, backwards=request.backwards))
    return ordered.limit(request.size + 1)


async def list_acts_on(
    database: Database, subject_ids: Sequence[str], actions: tuple[str, ...] | None, first: int
) -> dict[str, list[Act]]:
    """The newest acts on each of the subjects; one statement for up to 250 of them."""
    acts: dict[str, list[Act]] = {subject_id: [] for subject_id in subject_ids}
    async with reading(database) as connection:
        for start in range(0, len(subject_ids), _PARTS):
            some = subject_ids[start : start + _PARTS]
            for row in await connection.execute(newest_statement(some, actions, first)):
                acts[row.subject_id].append(ACTS.convert(row))
    return {
        subject_id: sorted(found, key=lambda act: (act.at, act.id), reverse=True)[:first]
        for subject_id, found in acts.items()
    }


def newest_statement(
    subject_ids: Sequence[str], actions: tuple[str, ...] | None, first: int
) -> Select[Any]:
    """The newest acts on each of the subjects, and one more."""
    parts = [
        part.add_columns(_subject.subject_id)
        for subject_id in subject_ids
        for part in page_parts(
            ACTS_ON, AuditFilter((subject_id,), actions), NEWEST_FIRST, PageRequest(first)
        )
    ]
    found = union_all(*(select(part.subquery()) for part in parts)).subquery()
    return select(found.c.subject_id, *_COLUMNS).join(_act.id.table, found.c.audit_id == _act.id)


async def list_subjects(database: Database, act_ids: Collection[str]) -> dict[str, list[str]]:
    """What each of the acts was done to."""
    subjects: dict[str, list[str]] = {act_id: [] for act_id in act_ids}
    async with reading(database) as connection:
        for act_id, subject_id in await connection.execute(_SUBJECTS_OF, {"ids": sorted(act_ids)}):
            subjects[act_id].append(subject_id)
    return subjects
