"""Slots of time, in which activity is kept: minutes and hours, counted from the Unix epoch."""

from datetime import UTC, datetime

SLOT_SECONDS = (60, 3600)
# Where activity notes what was removed, as negative numbers: the chart, which shows what happened,
# leaves it out; a recount, which counts what is kept, adds it.
REMOVED_SHARD = -1


def slot_start(at: datetime, slot_seconds: int) -> datetime:
    """The start of the slot that `at` lies in."""
    seconds = int(at.timestamp())
    return datetime.fromtimestamp(seconds - seconds % slot_seconds, UTC)
