"""Failures by their status, as SQL: what rows say is found by an index, and is a little behind.

A row is written when people make something of a failure and when followers are told, not when a
process ends or a time is over. So what has become something else since is left out, and looked for
by itself: it is what is still to be told, few rows.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import and_, exists, false, not_, or_, select, true

from db import models
from monitor.entities import FailureStatus
from monitor.reading.conditions import Condition
from monitor.slots import EVER_SECONDS

_failure = models.failures.c
_figures = models.failure_figures.c
_ENDED_MUTES = "ix_failures_muted_until"


def has_still(wanted: Sequence[FailureStatus], now: datetime) -> Condition:
    """That a failure is, by its row and as of now, one of these."""
    return or_(false(), *(_is_still(status, now) for status in dict.fromkeys(wanted)))


def has_become(
    wanted: Sequence[FailureStatus], now: datetime
) -> Iterator[tuple[Condition, str | None]]:
    """That a failure has become one of these, which its row does not say; each with the name of an
    index, if the database has to be told.
    """
    if FailureStatus.REGRESSED in wanted:
        untold = select(_figures.failure_id).where(_figures.untold == true())
        yield and_(_is(FailureStatus.RESOLVED), _failure.id.in_(untold), _again()), None
    if FailureStatus.OPEN in wanted:
        yield _failure.muted_until <= now, _ENDED_MUTES


def _is_still(status: FailureStatus, now: datetime) -> Condition:
    if status is FailureStatus.RESOLVED:
        return and_(_is(status), not_(_again()))
    if status is FailureStatus.MUTED:
        return and_(_is(status), _failure.muted_until > now)
    return _is(status)


def _is(status: FailureStatus) -> Condition:
    return _failure.status == status.value


def _again() -> Condition:
    """That it was seen since it was resolved: one look into its figures."""
    return exists().where(
        _figures.failure_id == _failure.id,
        _figures.slot_seconds == EVER_SECONDS,
        _figures.last_seen_at > _failure.resolved_at,
    )
