"""What the writing half counts of itself."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Refusal(StrEnum):
    """Why a report was not stored, though nothing is wrong with it."""

    FULL = "full"  # too many wait
    LATE = "late"  # its time was up
    CLOSED = "closed"  # the database takes no writes
    GONE = "gone"  # nobody waits for the answer any more


@dataclass(slots=True)
class Statistics:
    """Counters that only grow; `refusals` by Refusal, or by the code of the error."""

    commits: int = 0
    operations: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
