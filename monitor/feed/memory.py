"""The log in memory, of a single server process."""

import asyncio
import secrets
from collections import deque
from collections.abc import Sequence
from itertools import islice

from monitor.errors import CursorExpired
from monitor.feed.log import FOLLOW_SECONDS, READ_BYTES, READ_LIMIT, Entry, FeedLost, Position

# What it holds at most, whatever its length: details can have 1 MiB per event.
MEMORY_BYTES = 256 * 1024 * 1024


class MemoryFeed:
    """The log of a single server process, gone with it."""

    def __init__(self, *, length: int, max_bytes: int = MEMORY_BYTES) -> None:
        self._epoch = secrets.token_hex(8)
        self._length = length
        self._max_bytes = max_bytes
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._last = 0
        self._news = asyncio.Event()

    async def open(self) -> Position:
        return Position(self._epoch, 0, self._last)

    async def append(self, payloads: Sequence[bytes], *, known: Position | None) -> Position:
        if known is not None and (known.epoch != self._epoch or known.minor > self._last):
            raise FeedLost
        for payload in payloads:
            self._last += 1
            self._entries.append(Entry(Position(self._epoch, 0, self._last), payload))
            self._bytes += len(payload)
        while len(self._entries) > self._length or self._bytes > self._max_bytes:
            self._bytes -= len(self._entries.popleft().payload)
        self._news.set()
        self._news = asyncio.Event()
        return Position(self._epoch, 0, self._last)

    async def restart(self, lost: Position) -> Position:  # noqa: ARG002 — a new process has a new epoch already
        return Position(self._epoch, 0, self._last)

    async def read(self, after: Position, limit: int = READ_LIMIT) -> Sequence[Entry]:
        oldest = self._last - len(self._entries)
        if after.epoch != self._epoch or not oldest <= after.minor <= self._last:
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
