"""Failures: what people make of them. That they are seen is noted where processes end."""

from dataclasses import replace
from datetime import datetime

from monitor.entities import Failure, FailureStatus
from monitor.errors import InvalidInput
from monitor.reading.failures import FOR_EVER
from monitor.writing.loading import Needs
from monitor.writing.operation import operation
from monitor.writing.transaction import Transaction


def _needs(failure_id: str, **_: object) -> Needs:
    return Needs(failures=(failure_id,))


@operation(needs=_needs)
def resolve_failure(tx: Transaction, *, failure_id: str) -> Failure:
    """RESOLVED until it is seen again, muted or not. Raises FailureNotFound."""
    failure = tx.failures.failure(failure_id)
    if failure.status is FailureStatus.RESOLVED:
        return failure
    # Not before what was seen by a clock that is ahead.
    at = max(tx.now, failure.last_seen_at)
    return _change(tx, failure, "resolveFailure", FailureStatus.RESOLVED, resolved_at=at)


@operation(needs=_needs)
def mute_failure(tx: Transaction, *, failure_id: str, until: datetime | None) -> Failure:
    """MUTED until then (None: for ever), whatever it was, and OPEN after that.

    Raises FailureNotFound, InvalidInput for a time that is past.
    """
    failure = tx.failures.failure(failure_id)
    if until is not None and until <= tx.now:
        raise InvalidInput("until", "is past")
    until = FOR_EVER if until is None else min(until, FOR_EVER)
    if failure.muted_until == until:
        return failure
    said = "for ever" if until == FOR_EVER else f"until {until.isoformat()}"
    return _change(tx, failure, "muteFailure", FailureStatus.MUTED, said, muted_until=until)


@operation(needs=_needs)
def reopen_failure(tx: Transaction, *, failure_id: str) -> Failure:
    """OPEN, whatever was made of it. Raises FailureNotFound."""
    failure = tx.failures.failure(failure_id)
    if failure.status is FailureStatus.OPEN:
        return failure
    return _change(tx, failure, "reopenFailure", FailureStatus.OPEN)


def _change(
    tx: Transaction,
    failure: Failure,
    action: str,
    status: FailureStatus,
    said: str = "",
    *,
    resolved_at: datetime | None = None,
    muted_until: datetime | None = None,
) -> Failure:
    tx.audit.note(action, (failure.id, failure.pipeline_id), said)
    return tx.failures.change(
        failure,
        replace(
            failure,
            status=status,
            resolved_at=resolved_at,
            muted_until=muted_until,
            revision=failure.revision + 1,
        ),
    )
