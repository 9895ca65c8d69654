"""Tells followers of failures what became of them, as `monitor.upkeep.telling` does of pipelines.

What people make of a failure is told like this, too, and that a time is over until which one was
muted. Queries see every status that it has in between: so mutations note these in its row, and an
event has each way in which filters may have seen it since the one before, for LEFT.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, exists, insert, or_, select, true, union, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.lookups import fetch_each
from db.writes import write_all
from monitor.entities import Failure, FailureStatus
from monitor.events import ChangeKind, Event
from monitor.reading.failures import read_failures
from monitor.slots import LONG_AGO
from monitor.upkeep.telling import STEP_PIPELINES, Kind, is_due
from monitor.upkeep.untold import Marks
from monitor.writing.storing import encode_in_parts

_failure = models.failures.c
_figures = models.failure_figures.c
_IDS: Any = bindparam("ids", expanding=True)
_NOT_LATELY = or_(_failure.told_at <= bindparam("before"), _failure.told_at > bindparam("ahead"))
_DUE = union(
    select(_failure.id)
    .join(models.failure_figures, _figures.failure_id == _failure.id)
    .where(_figures.untold == true(), _NOT_LATELY),
    # Muted until a time that is over.
    select(_failure.id).where(_failure.muted_until <= bindparam("before"), _NOT_LATELY),
).limit(STEP_PIPELINES)
_ANY_UNTOLD = select(exists().where(_figures.untold == true()))
_LOCK = (
    select(*(_failure.id, _failure.told, _failure.told_at, _failure.moments, _failure.muted_until))
    .where(_failure.id.in_(_IDS))
    .order_by(_failure.id)
    .with_for_update()
)
_MARKS = Marks(models.failure_figures, _figures.failure_id)
_ADD_EVENTS = insert(models.outbox)
_NOTE = (
    update(models.failures)
    .where(_failure.id == bindparam("of"))
    .values(
        last_seen_at=bindparam("seen"),
        occurrences=bindparam("often"),
        muted_until=bindparam("muted"),
        told_at=bindparam("at"),
        told=bindparam("state"),
        revision=bindparam("number"),
        moments="",
    )
)


async def _tell(connection: AsyncConnection, ids: Sequence[str], now: datetime) -> int:
    locked, marks = await fetch_each(connection, (_LOCK, {"ids": ids}), _MARKS.find(ids))
    # Another replica may have been first.
    due = {row.id: row for row in locked if is_due(row.told_at, now)}
    states = await read_failures(connection, due, now) if due else {}
    notes, events = [], []
    for id_, failure in states.items():
        state = _told(failure)
        event = _event(due[id_].told, due[id_].moments, state, failure, now)
        if event is not None:
            events.append(event)
        notes.append(
            {
                "of": id_,
                "seen": failure.last_seen_at,
                "often": failure.count,
                "muted": failure.muted_until,
                # That it comes again shall not wait.
                "at": LONG_AGO if failure.status is FailureStatus.RESOLVED else now,
                "state": state,
                "number": failure.revision + (event is not None),
            }
        )
    told = [row for row in marks if row.failure_id in due]
    parts = [{"events": part} for part in encode_in_parts(events)] if events else []
    await write_all(connection, [(_NOTE, notes), (_ADD_EVENTS, parts), _MARKS.take(told)])
    return len(events)


def _told(failure: Failure) -> Mapping[str, Any]:
    """What changes of it."""
    return {
        "status": failure.status.value,
        "count": failure.count,
        "first_seen_at": failure.first_seen_at.isoformat(),
        "last_version": failure.last_version,
        "latest_process_id": failure.latest_process_id,
        "resolved_at": failure.resolved_at and failure.resolved_at.isoformat(),
        "muted_until": failure.muted_until and failure.muted_until.isoformat(),
    }


def _event(
    told: Mapping[str, Any] | None,
    moments: str,
    state: Mapping[str, Any],
    found: Failure,
    now: datetime,
) -> Event | None:
    """That the failure became this; None when it is as it was told, and was nothing else since."""
    were = _statuses(told, moments, found)
    if told == state and not were:
        return None
    kind = ChangeKind.CREATED if told is None else ChangeKind.UPDATED
    before = tuple({"status": status} for status in were)
    return Event(kind, now, replace(found, revision=found.revision + 1), before)


def _statuses(
    told: Mapping[str, Any] | None, moments: str, found: Failure
) -> Sequence[FailureStatus]:
    """Each that it may have had since it was told, but the one that it has now."""
    were = set(map(FailureStatus, moments.split()))
    seen_since = told is None or found.count > told["count"]
    if told is not None:
        were.add(FailureStatus(told["status"]))
    if FailureStatus.RESOLVED in were and seen_since:
        were.add(FailureStatus.REGRESSED)
    return sorted(were - {found.status})


FAILURES = Kind("failures", _DUE, _ANY_UNTOLD, _tell)
