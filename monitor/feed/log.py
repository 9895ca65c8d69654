"""The live feed: one append-only, ordered log of what happened, and cursors into it.

The log is a Redis stream shared by all server processes, or lies in memory when there is only one.
An entry holds the events of one commit. A log has an epoch: when it does not continue what the
database noted of it (Redis came back empty or older, the database from a backup), the epoch
changes, and cursors of the old one are answered with CursorExpired, never with a silent gap.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from monitor.errors import InvalidInput

_CURSOR = re.compile(r"([0-9a-f]{8,32})\.(\d{1,20})\.(\d{1,20})\.(\d{1,9}|end)", re.ASCII)
# What a turn of the relay moves at most, but one row in any case.
TURN_ROWS = 100
TURN_BYTES = 8 * 1024 * 1024
# How long `follow` waits for news before it returns empty-handed.
FOLLOW_SECONDS = 2.0
# What one read returns at most; one entry in any case.
READ_LIMIT = 200
READ_BYTES = 128 * 1024
# What it holds at most, whatever its length: details can have 1 MiB per event.
FEED_BYTES = 256 * 1024 * 1024
# Redis knows no greater part of an entry's id.
_ID_PART_LIMIT = 2**64


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the log, behind the entry (`major`, `minor`); comparable within one epoch."""

    epoch: str
    major: int
    minor: int

    def just_before(self) -> "Position":
        """The place behind which this entry is the next."""
        if self.minor:
            return Position(self.epoch, self.major, self.minor - 1)
        return Position(self.epoch, max(self.major - 1, 0), 2**64 - 1 if self.major else 0)


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in the feed: behind the event `index` of the entry, None: behind all its events."""

    position: Position
    index: int | None = None

    def __str__(self) -> str:
        at = self.position
        index = "end" if self.index is None else self.index
        return f"{at.epoch}.{at.major}.{at.minor}.{index}"

    @classmethod
    def parse(cls, argument: str, text: str) -> "Cursor":
        """Raises InvalidInput for a text that no feed has given out."""
        match = _CURSOR.fullmatch(text)
        if match is None:
            raise InvalidInput(argument, "is not a cursor that the feed has given out")
        epoch, major, minor, index = match.groups()
        position = Position(epoch, int(major), int(minor))
        if max(position.major, position.minor) >= _ID_PART_LIMIT:
            raise InvalidInput(argument, "is not a cursor that the feed has given out")
        return cls(position, None if index == "end" else int(index))


# Where a database stands that noted nothing yet.
NOWHERE = Position("", 0, 0)


@dataclass(frozen=True, slots=True)
class Entry:
    """The encoded events of one commit, and where the log continues behind them."""

    position: Position
    payload: bytes


class FeedLost(Exception):
    """The log is not the one that `known` was taken from, or does not reach so far."""


class Feed(Protocol):
    """An ordered log. All methods but `close` raise Unavailable when it cannot be reached."""

    @property
    def shared(self) -> bool:
        """Whether several server processes may append to it."""

    async def open(self, known: Position = NOWHERE) -> Position:
        """The newest position; begins an epoch when there is none, instead of `known`."""

    async def append(self, payloads: Sequence[bytes], *, known: Position | None) -> Position:
        """Adds entries in order; the position behind them.

        Raises FeedLost, adding nothing, when the log does not end at `known`: of two that append
        behind the same place only one can. None: wherever it ends.
        """

    async def beyond(self, known: Position) -> Sequence[Entry]:
        """What the log has behind `known`, in one go. Raises FeedLost when it cannot tell."""

    async def begin(self, known: Position) -> Position:
        """Begins a new epoch instead of `known`, which it continues; its start."""

    async def restart(self, lost: Position) -> Position:
        """Begins a new epoch if the log lost `lost`, unless that was done meanwhile; its end.

        For those who read: only a new epoch keeps those who stand before what is gone from reading
        on across it.
        """

    async def read(self, after: Position, limit: int = READ_LIMIT) -> Sequence[Entry]:
        """What follows, oldest first. Raises CursorExpired when the log cannot tell."""

    async def follow(self, after: Position) -> Sequence[Entry]:
        """Like `read`, but waits for a while when nothing follows yet."""

    async def close(self) -> None:
        """Ends connections; what waits in `follow` is cancelled by its owner."""
