"""Acts: what was done under a full-access token that the audit keeps, and on whose behalf.

What workers report over REST is no act, and neither is a heartbeat, whatever it comes by: it
changes nothing that anyone is told of, and one per second and worker would bury everything else.
"""

from dataclasses import dataclass
from datetime import datetime

from monitor.entities import ProcessStatus

ROLE_LENGTH = 64
ADDRESS_LENGTH = 64
SUMMARY_LENGTH = 600
# Of details that are a reason still.
REASON_LENGTH = 580
# Who says no more of themselves than a full-access token.
TOKEN = "token"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: in which role, and the address of whoever sits there."""

    role: str
    address: str


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that was done; `action` is the name of the mutation."""

    id: str
    at: datetime
    role: str
    address: str
    action: str
    summary: str


def summary_of_end(status: ProcessStatus, details: str | None) -> str:
    """How a process was ended; details that are no sentence but a program's output stay there."""
    if not details:
        return str(status)
    if len(details) > REASON_LENGTH:
        return f"{status}, with details of {len(details)} characters"
    return f"{status}: {details}"
