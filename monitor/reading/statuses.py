"""Failures by their status, as SQL: what rows say is found by an index, and is a little behind.

A row is written when people make something of a failure and when followers are told, not when a
process ends or a time is over. So what has become something else since is left out, and looked for
by itself: it is what is still to be told, few rows.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Subquery, and_, exists, false, not_, or_, select, true

from db import models
from monitor.entities import FailureStatus
from monitor.reading.conditions import Condition
from monitor.slots import EVER_SECONDS

# That there is a limit has SQLite find the few first, whatever else is asked of them.
FEW = 10_000
_failure = models.failures.c
_figures = models.failure_figures.c


def has_still(wanted: Sequence[FailureStatus], now: datetime) -> Condition:
    """That a failure is, by its row and as of now, one of these."""
    return or_(false(), *(_is_still(status, now) for status in dict.fromkeys(wanted)))


def _is_still(status: FailureStatus, now: datetime) -> Condition:
    kept: Condition = _failure.status == status.value
    if status is FailureStatus.RESOLVED:
        return and_(kept, not_(_again()))
    if status is FailureStatus.MUTED:
        return and_(kept, _failure.muted_until > now)
    return kept


def those_that_became(
    wanted: Sequence[FailureStatus], now: datetime
) -> Iterator[tuple[Subquery, Condition]]:
    """Rows of failures, and which of them have become one of these and do not say so."""
    if FailureStatus.REGRESSED in wanted:
        untold = select(_figures.failure_id).where(_figures.untold == true())
        again = _few(_failure.id.in_(untold), _again())
        yield again, again.c.status == FailureStatus.RESOLVED.value
    if FailureStatus.OPEN in wanted:
        # Who mutes a failure takes its resolution away.
        yield _few(_failure.muted_until <= now), true()


def _again() -> Condition:
    """That it was seen since it was resolved: one look into its figures."""
    return exists().where(
        _figures.failure_id == _failure.id,
        _figures.slot_seconds == EVER_SECONDS,
        _figures.last_seen_at > _failure.resolved_at,
    )


def _few(*conditions: Condition) -> Subquery:
    return select(models.failures).where(*conditions).limit(FEW).subquery()
