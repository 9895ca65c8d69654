"""One subscription of one client: where it stands in the feed, and how it catches up.

A subscriber is live while its sink takes what it is given at once. One whose sink is full is not
queued for: it catches up from the log, reading on from its cursor, and joins again where the feed
stands. Resuming behind a cursor is the same path. So memory per subscriber is bounded, and nothing
is ever skipped; when the log no longer holds what follows, the subscriber is told (CursorExpired).
"""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from graph.execution.responses import error_of
from graph.fanout.sink import Sink
from monitor.errors import Unavailable
from monitor.events import ChangeKind
from monitor.feed.live import Batch, Live
from monitor.feed.log import Cursor, Position
from monitor.reading.filters import Filter, told_as

_RETRY_SECONDS = 0.5


class Followed(Protocol):
    """What a subscriber needs of its channel."""

    live: Live
    matching: Filter

    def join(self, subscriber: "Subscriber") -> None:
        """From now on it is given what happens."""

    def leave(self, subscriber: "Subscriber") -> None:
        """It is over."""

    async def payload(self, batch: Batch, index: int, kind: ChangeKind) -> bytes:
        """The encoded event."""


class Subscriber:
    """One subscription of one client."""

    def __init__(self, channel: Followed, sink: Sink, cursor: Cursor | None) -> None:
        self._channel = channel
        self._cursor = cursor
        self._catching_up: asyncio.Task[None] | None = None
        self.sink = sink

    def start(self) -> None:
        """Joins the live ones if it stands where they do, else catches up first."""
        position = self._channel.live.position
        if self._cursor is None and position is not None:
            self._cursor = Cursor(position)
        if position is not None and self._cursor == Cursor(position) and self.sink.can_push:
            self._channel.join(self)
        else:
            self._catching_up = asyncio.create_task(self._catch_up(), name="catch up")

    def lag(self, cursor: Cursor, *, unless_it_has: Cursor | None = None) -> None:
        """It goes on by itself from here: behind `cursor`, or where it joined if that is later."""
        if unless_it_has is None or not self.has(unless_it_has):
            self._cursor = cursor
        self._catching_up = asyncio.create_task(self._catch_up(), name="catch up")

    def has(self, cursor: Cursor) -> bool:
        """Whether it was given this event before it joined the live ones."""
        mine = self._cursor
        if mine is None or mine.position.epoch != cursor.position.epoch:
            return False
        if mine.position != cursor.position:
            return cursor.position < mine.position
        return mine.index is None or (cursor.index is not None and cursor.index <= mine.index)

    def stop(self) -> None:
        """Ends it, from outside."""
        self._channel.leave(self)
        if self._catching_up is not None:
            self._catching_up.cancel()

    def fail(self, error: Exception) -> None:
        """Ends it with an error that its client sees."""
        self._channel.leave(self)
        self.sink.fail([error_of(error)])

    async def _catch_up(self) -> None:
        try:
            while not await self._advance():
                pass
        except ConnectionError:
            self._channel.leave(self)
        except Exception as error:  # noqa: BLE001 — whatever it is, the client is told
            self.fail(error)

    async def _advance(self) -> bool:
        """Delivers some of what follows; True once it has joined the live ones."""
        live = self._channel.live
        if self._cursor is None:
            if live.position is None:
                await live.wait()
                return False
            self._cursor = Cursor(live.position)
        try:
            async with self.sink.turn():
                batches = await live.read(self._cursor)
                if batches:
                    await self._deliver(batches)
                    return False
        except Unavailable:
            await asyncio.sleep(_RETRY_SECONDS)
            return False
        # No await between this comparison and joining, or waiting: nothing can come in between.
        if live.position is not None and self._cursor == Cursor(live.position):
            if self.sink.can_push:
                self._channel.join(self)
                return True
            await live.wait()
        elif live.position is None or not self._is_behind(live.position):
            await live.wait()  # it was told more elsewhere than this process has read yet
        return False

    def _is_behind(self, position: Position) -> bool:
        assert self._cursor is not None
        mine = self._cursor.position
        return mine.epoch == position.epoch and mine < position

    async def _deliver(self, batches: Iterable[Batch]) -> None:
        """Sends what there is room for, one event at least."""
        for batch in batches:
            for index in range(self._first_of(batch), len(batch.events)):
                kind = told_as(self._channel.matching, batch.events[index])
                if kind is not None:
                    cursor = Cursor(batch.position, index)
                    payload = await self._channel.payload(batch, index, kind)
                    await self.sink.send(payload, cursor)
                    self._cursor = cursor
                    if not self.sink.has_room:
                        return
            self._cursor = Cursor(batch.position)
            await asyncio.sleep(0)  # a long backlog must not hold up everybody else

    def _first_of(self, batch: Batch) -> int:
        """The first event of the batch that it was not given yet."""
        assert self._cursor is not None
        if self._cursor.position != batch.position or self._cursor.index is None:
            return 0
        return self._cursor.index + 1
