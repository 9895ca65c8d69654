"""Slots of time, in which activity is kept: minutes and hours, counted from the Unix epoch."""

from datetime import UTC, datetime, timedelta

SLOT_SECONDS = (60, 3600)
# Before everything.
LONG_AGO = datetime.fromtimestamp(0, UTC)
# What was noted further ahead than this is of no replica's clock that is a little fast, but of one
# that was set back.
MOST_AHEAD = timedelta(minutes=1)
# Where activity notes what was removed, as negative numbers: the chart, which shows what happened,
# leaves it out; a recount, which counts what is kept, adds it.
REMOVED_SHARD = -1
# Durations are kept by the hour, and by the day when they are older.
HOUR_SECONDS = 3600
DAY_SECONDS = 86400
# In place of a length: no slot, but all the time.
EVER_SECONDS = 0
# For a week, in whichever time zone that is looked at.
HOURS_KEPT = timedelta(days=8)


def slot_start(at: datetime, slot_seconds: int) -> datetime:
    """The start of the slot that `at` lies in."""
    since = at - LONG_AGO
    return LONG_AGO + (since - since % timedelta(seconds=slot_seconds))


def oldest_hours(now: datetime) -> datetime:
    """Durations in hours from before this instant become those of days: whole ones."""
    return slot_start(now - HOURS_KEPT, DAY_SECONDS)
