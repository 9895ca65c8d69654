"""A server process that stands still while it has the turn: the others wait for a few seconds."""

import asyncio
from collections.abc import Sequence

import pytest

from db.session import Database
from monitor.events import decode_events
from monitor.feed.log import NOWHERE, Entry, Feed, Position
from monitor.feed.memory import MemoryFeed
from monitor.feed.relay import Relay
from tests.monitor.reports import register, replica
from tests.tasks import stop


class SharedLog(MemoryFeed):
    """A log that stands for one in Redis."""

    shared = True


class FrozenFeed(SharedLog):
    """The same log, seen by a process that stands still in the midst of an append."""

    def __init__(self, log: Feed) -> None:
        super().__init__(length=1)
        self._log = log
        self.frozen = asyncio.Event()
        self.thawed = asyncio.Event()

    async def open(self, known: Position = NOWHERE) -> Position:
        return await self._log.open(known)

    async def append(self, payloads: Sequence[bytes], *, known: Position | None) -> Position:
        if payloads:
            self.frozen.set()
            await self.thawed.wait()
        return await self._log.append(payloads, known=known)

    async def beyond(self, known: Position) -> Sequence[Entry]:
        return await self._log.beyond(known)

    async def begin(self, known: Position) -> Position:
        return await self._log.begin(known)


async def what_follows(log: Feed, after: Position, count: int) -> list[Entry]:
    """The next so many entries."""
    entries: list[Entry] = []
    async with asyncio.timeout(20):
        while len(entries) < count:
            entries += await log.follow(entries[-1].position if entries else after)
    return entries


# On SQLite there is only one server process.
@pytest.mark.in_time
@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
async def test_the_others_go_on_without_it_and_nothing_is_lost(database: Database) -> None:
    log = SharedLog(length=1_000)
    start = await log.open()
    feed = FrozenFeed(log)
    frozen = asyncio.create_task(Relay(database, feed).run())
    one = await register(replica(database))
    await feed.frozen.wait()

    working = asyncio.create_task(Relay(database, log).run())
    other = await register(replica(database))
    entries = await what_follows(log, start, 2)
    told = [event.entity.id for entry in entries for event in decode_events(entry.payload)]
    assert told == [one.id, other.id]

    # When it goes on, the log has moved on, and does not take again what it was about to append.
    feed.thawed.set()
    third = await register(replica(database))
    (entry,) = await what_follows(log, entries[-1].position, 1)
    assert [event.entity for event in decode_events(entry.payload)] == [third]
    await stop(frozen, working)
    assert await log.open() == entry.position
