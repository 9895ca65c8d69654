"""The log in memory, of a single server process."""

import asyncio
import secrets
from collections import deque
from collections.abc import Sequence
from itertools import islice

from monitor.errors import CursorExpired
from monitor.feed.log import (
    FEED_BYTES,
    FOLLOW_SECONDS,
    NOWHERE,
    READ_BYTES,
    READ_LIMIT,
    Entry,
    FeedLost,
    Position,
)


class MemoryFeed:
    """The log of a single server process, gone with it."""

    shared = False

    def __init__(self, *, length: int, max_bytes: int = FEED_BYTES) -> None:
        self._length = length
        self._max_bytes = max_bytes
        self._entries: deque[Entry] = deque()
        self._news = asyncio.Event()
        self._begin(NOWHERE)

    async def open(self, known: Position = NOWHERE) -> Position:  # noqa: ARG002 — it has an epoch
        return self._end

    async def append(self, payloads: Sequence[bytes], *, known: Position | None) -> Position:
        if known is not None and self._place(known) != self._last:
            raise FeedLost
        for payload in payloads:
            self._last += 1
            self._entries.append(Entry(self._end, payload))
            self._bytes += len(payload)
        while len(self._entries) > self._length or self._bytes > self._max_bytes:
            self._bytes -= len(self._entries.popleft().payload)
        self._tell()
        return self._end

    async def beyond(self, known: Position) -> Sequence[Entry]:
        place, oldest = self._place(known), self._last - len(self._entries)
        if place is None or not oldest <= place <= self._last:
            raise FeedLost
        return list(islice(self._entries, place - oldest, None))

    async def begin(self, known: Position) -> Position:
        self._begin(known)
        self._tell()
        return self._end

    async def restart(self, lost: Position) -> Position:  # noqa: ARG002 — it loses nothing by itself
        return self._end

    async def read(self, after: Position, limit: int = READ_LIMIT) -> Sequence[Entry]:
        oldest = self._last - len(self._entries)
        is_ours = (after.epoch, after.major) == (self._epoch, self._end.major)
        if not is_ours or not oldest <= after.minor <= self._last:
            raise CursorExpired
        start = after.minor - oldest
        found: list[Entry] = []
        size = 0
        for entry in islice(self._entries, start, start + limit):
            found.append(entry)
            size += len(entry.payload)
            if size >= READ_BYTES:
                break
        return found

    async def follow(self, after: Position) -> Sequence[Entry]:
        news = self._news
        entries = await self.read(after)
        if entries:
            return entries
        try:
            async with asyncio.timeout(FOLLOW_SECONDS):
                await news.wait()
        except TimeoutError:
            return []
        return await self.read(after)

    async def close(self) -> None:
        return None

    @property
    def _end(self) -> Position:
        return Position(self._epoch, 0, self._last)

    def _begin(self, known: Position) -> None:
        self._epoch = secrets.token_hex(8)
        self._instead_of = known
        self._entries.clear()
        self._bytes = 0
        self._last = 0

    def _place(self, known: Position) -> int | None:
        """The number of the entry at `known`; None for a place that this log does not continue."""
        if known.epoch == self._epoch:
            return known.minor
        return 0 if known == self._instead_of else None

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
