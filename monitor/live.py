"""What happens, as it happens: the one reader of the feed in a server process."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from monitor.errors import CursorExpired, Unavailable
from monitor.events import Event, decode_events
from monitor.feed import Cursor, Entry, Feed, Position

logger = logging.getLogger(__name__)

_BACKOFF_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Batch:
    """The events of one commit, decoded once for all who listen."""

    position: Position
    events: Sequence[Event]

    @classmethod
    def of(cls, entry: Entry) -> "Batch":
        return cls(entry.position, decode_events(entry.payload))


class Listener(Protocol):
    """Who wants to know; called in the reader's turn, so it must not block."""

    def on_batch(self, batch: Batch) -> None:
        """Something happened."""

    def on_reset(self) -> None:
        """The feed lost entries; what happened meanwhile cannot be told."""


class Live:
    """Reads the feed once and tells its listeners; knows how far it has read."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.position: Position | None = None
        self.listeners: list[Listener] = []
        self.working = False

    def cursor(self) -> str:
        """Where the feed stands, at most a little behind: what follows it will be told.

        Raises Unavailable while the feed was never reached.
        """
        if self.position is None:
            raise Unavailable("The live feed is unavailable right now; try again")
        return str(Cursor(self.position))

    async def run(self) -> None:
        """Reads until cancelled; rides out a feed that is gone for a while."""
        while True:
            try:
                if self.position is None:
                    self.position = await self.feed.open()
                for entry in await self.feed.follow(self.position):
                    self._tell(entry)
                self._report(working=True)
            except CursorExpired:
                logger.warning("the live feed lost entries; subscriptions must start anew")
                self.position = None
                for listener in self.listeners:
                    listener.on_reset()
            except Unavailable as error:
                self._report(working=False, error=error)
                await asyncio.sleep(_BACKOFF_SECONDS)

    def _tell(self, entry: Entry) -> None:
        batch = Batch.of(entry)
        self.position = entry.position
        for listener in self.listeners:
            listener.on_batch(batch)

    def _report(self, *, working: bool, error: Exception | None = None) -> None:
        if working != self.working:
            logger.info(
                "the live feed is followed" if working else "the live feed is gone: %s",
                *(() if working else (error,)),
            )
        self.working = working
