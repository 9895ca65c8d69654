"""From when on figures are asked for, and the slots that a window of time is cut into."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement

from db.instants import unix_seconds
from monitor.errors import InvalidInput
from monitor.slots import (
    DAY_SECONDS,
    HOUR_SECONDS,
    LONG_AGO,
    oldest_hours,
    slot_start,
)

MAX_SLOTS = 1_000
# What is asked for where nobody says since when.
WINDOW = timedelta(days=7)
# Minutes of activity are kept for a day at least.
MINUTES_KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Slots:
    """As many slots of equal length, one after the other."""

    first: datetime
    seconds: int
    count: int

    @property
    def starts(self) -> Iterator[datetime]:
        for index in range(self.count):
            yield self.first + timedelta(seconds=self.seconds * index)

    @property
    def end(self) -> datetime:
        return self.first + timedelta(seconds=self.seconds * self.count)


def slots_between(
    since: datetime, until: datetime | None, slot_seconds: int, most: int = MAX_SLOTS
) -> Slots:
    """From the slot that `since` lies in to the last that begins before `until` (now).

    They begin at multiples of their length since the Unix epoch. Raises InvalidInput for more of
    them than `most`, or an end before `since`.
    """
    if until is not None and until < since:
        raise InvalidInput("until", "lies before since")
    until = until or datetime.now(UTC)
    if until < since:
        raise InvalidInput("since", "lies in the future")
    try:
        first = slot_start(since, slot_seconds)
        count = -((first - until) // timedelta(seconds=slot_seconds))
        first + timedelta(seconds=slot_seconds * count)
    except (OverflowError, ValueError, OSError) as error:
        raise InvalidInput("since", "is out of range, or until is") from error
    if count > most:
        raise InvalidInput("slotSeconds", f"makes {count} slots, at most {most}")
    return Slots(first, slot_seconds, count)


def start_of_durations(since: datetime | None, now: datetime) -> datetime:
    """From when on durations count that are asked for since then: the start of its hour.

    The start of its day where hours become days, whether or not they have by now.
    """
    since = max(since or now - WINDOW, LONG_AGO)
    return slot_start(since, HOUR_SECONDS if since >= oldest_hours(now) else DAY_SECONDS)


def start_of_slot(
    column: ColumnElement[Any], slot_seconds: int, *, sqlite: bool
) -> ColumnElement[int]:
    """The start of the slot that an instant lies in, in seconds since the Unix epoch."""
    seconds = unix_seconds(column, sqlite=sqlite)
    return seconds - seconds % slot_seconds
