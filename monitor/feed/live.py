"""What happens, as it happens: the one reader of the feed in a server process."""

import asyncio
import logging
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Protocol

from monitor.errors import CursorExpired, Unavailable
from monitor.events import Event, decode_events
from monitor.feed.condition import Condition, cause
from monitor.feed.log import Cursor, Entry, Feed, Position

logger = logging.getLogger(__name__)

_BACKOFF_SECONDS = 0.25
# What nobody listens to is read a little later, and more of it at a time.
UNHEARD_SECONDS = 0.02
# What is kept decoded, so that those who lag a little, or poll, do not all read the log.
RECENT_BATCHES = 1_000
RECENT_BYTES = 8 * 1024 * 1024
READ_BATCHES = 100
# What is told at once, one batch in any case: less work than one by one, but everybody else has to
# wait for the end of it.
TOLD_BATCHES = 16
TOLD_BYTES = 64 * 1024
# So many subscribers read the log at a time: when all resume at once, the relay gets its turn, too.
CONCURRENT_READS = 8


class Batch:
    """The events of one commit; `previous` is where the log stood before."""

    def __init__(self, previous: Position, entry: Entry) -> None:
        self.previous = previous
        self.position = entry.position
        self._payload = entry.payload

    @property
    def size(self) -> int:
        """Bytes of the entry."""
        return len(self._payload)

    @cached_property
    def events(self) -> Sequence[Event]:
        """Decoded once for all, and only when somebody wants to know."""
        return decode_events(self._payload)


class Listener(Protocol):
    """Who wants to know; called in the reader's turn, so it must not block."""

    @property
    def listens(self) -> bool:
        """Whether it wants to know right now."""

    def on_batches(self, batches: Sequence[Batch]) -> None:
        """Something happened, the oldest first."""

    def on_reset(self) -> None:
        """What happened meanwhile cannot be told: the feed lost it, or nobody can read it."""


class Live:
    """Reads the feed once and tells its listeners; knows how far it has read."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._recent: deque[Batch] = deque()
        self._recent_bytes = 0
        self._news = asyncio.Event()
        self._reads = asyncio.Semaphore(CONCURRENT_READS)
        self.position: Position | None = None
        self.listeners: list[Listener] = []
        self._condition = Condition(logger, "the live feed", problem="was not reached yet")
        self._losses = Condition(logger, "the live feed")

    @property
    def problem(self) -> str | None:
        """Why nobody is told anything; None while the feed is followed."""
        return self._condition.problem

    def now(self) -> Position:
        """Where the feed stands, at most a little behind: what follows it will be told.

        Raises Unavailable while the feed was never reached.
        """
        if self.position is None:
            raise Unavailable("The live feed is unavailable right now; try again")
        return self.position

    async def read(self, cursor: Cursor) -> Sequence[Batch]:
        """Some of what follows, oldest first; the first batch may begin with events before it.

        Empty when nothing follows yet. Raises CursorExpired when the log cannot tell what follows,
        Unavailable when it must be asked and cannot be reached.
        """
        after = cursor.position
        if cursor.index is not None:
            after = after.just_before()
        if self.position is not None and after.epoch == self.position.epoch:
            if after == self.position:
                return ()
            if self._recent and self._recent[0].previous <= after < self.position:
                start = bisect_right(self._recent, after, key=lambda batch: batch.position)
                return list(islice(self._recent, start, start + READ_BATCHES))
        async with self._reads:
            entries = await self._feed.read(after, READ_BATCHES)
        batches = []
        for entry in entries:
            batches.append(Batch(after, entry))
            after = entry.position
        return batches

    async def wait(self) -> None:
        """Returns when the feed stands somewhere else than it does now."""
        await self._news.wait()

    async def run(self) -> None:
        """Reads until cancelled; rides out a feed that is gone for a while."""
        while True:
            try:
                await self._advance()
                self._condition.recover()
            except Unavailable as error:
                self._condition.fail(cause(error))
                await asyncio.sleep(_BACKOFF_SECONDS)
            except Exception as error:  # noqa: BLE001 — the reader outlives every fault
                self._condition.fail(cause(error), level=logging.ERROR, trace=error)
                await asyncio.sleep(_BACKOFF_SECONDS)

    async def _advance(self) -> None:
        """Tells what follows, waiting for it for a while."""
        if self.position is None:
            self._move(await self._feed.open())
            return
        try:
            entries = await self._feed.follow(self.position)
        except CursorExpired:
            position = await self._feed.restart(self.position)
            self._losses.fail("it does not hold what follows; subscriptions must start anew")
            self._reset(position)
            return
        for some in _parts(entries):
            self._take(some)
            await asyncio.sleep(0)  # a long backlog must not hold up everybody else
        if entries and not self._is_heard:
            await asyncio.sleep(UNHEARD_SECONDS)

    @property
    def _is_heard(self) -> bool:
        return any(listener.listens for listener in self.listeners)

    def _take(self, entries: Sequence[Entry]) -> None:
        batches: list[Batch] = []
        previous = self.now()
        for entry in entries:
            batch = Batch(previous, entry)
            previous = entry.position
            try:
                if self._is_heard:
                    _ = batch.events
            except Exception:
                # Of a version to come, say. To stop here would end the feed for all, and to go on
                # would be a silent gap.
                logger.exception("an entry of the live feed cannot be read: %s", entry.position)
                self._tell(batches)
                self._reset(entry.position)
                batches = []
            else:
                batches.append(batch)
        self._tell(batches)

    def _tell(self, batches: Sequence[Batch]) -> None:
        if not batches:
            return
        self._recent.extend(batches)
        self._recent_bytes += sum(batch.size for batch in batches)
        while len(self._recent) > RECENT_BATCHES or self._recent_bytes > RECENT_BYTES:
            self._recent_bytes -= self._recent.popleft().size
        # First those who listen, then those who wait: whoever joins the listeners at this position
        # has not been told of these batches, and need not be.
        for listener in self.listeners:
            if listener.listens:
                listener.on_batches(batches)
        self._move(batches[-1].position)

    def _reset(self, position: Position) -> None:
        self._recent.clear()
        self._recent_bytes = 0
        for listener in self.listeners:
            listener.on_reset()
        self._move(position)

    def _move(self, position: Position) -> None:
        self.position = position
        self._news.set()
        self._news = asyncio.Event()


def _parts(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Those that are told together."""
    part: list[Entry] = []
    size = 0
    for entry in entries:
        part.append(entry)
        size += len(entry.payload)
        if len(part) >= TOLD_BATCHES or size >= TOLD_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
