"""The one reader of the feed in a server process."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from monitor.feed.live import Batch, Live
from monitor.feed.log import Entry, Position
from monitor.feed.memory import MemoryFeed
from tests.tasks import stop


class Looks(MemoryFeed):
    """Notes how many entries each look found."""

    def __init__(self) -> None:
        super().__init__(length=100)
        self.found: list[int] = []

    async def follow(self, after: Position) -> Sequence[Entry]:
        entries = await super().follow(after)
        self.found.append(len(entries))
        return entries


class Listener:
    """Counts what it is told, when it listens."""

    def __init__(self, *, listens: bool) -> None:
        self.listens = listens
        self.told = 0

    def on_batches(self, batches: Sequence[Batch]) -> None:
        assert [batch.events for batch in batches] == [[]] * len(batches)
        self.told += len(batches)

    def on_reset(self) -> None:
        raise AssertionError


@pytest.fixture
def rest(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Whoever rests does so until this is set."""
    rested = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await (rested.wait() if seconds else turn(0))

    turn = asyncio.sleep
    monkeypatch.setattr(
        "monitor.feed.live.asyncio",
        SimpleNamespace(sleep=sleep, Event=asyncio.Event, Semaphore=asyncio.Semaphore),
    )
    return rested


@asynccontextmanager
async def following(listener: Listener) -> AsyncIterator[tuple[Live, Looks]]:
    feed = Looks()
    live = Live(feed)
    live.listeners.append(listener)
    await live._advance()
    reading = asyncio.create_task(live.run())
    yield live, feed
    await stop(reading)


async def add(feed: Looks, count: int = 1) -> Position:
    return await feed.append([b"[]"] * count, known=await feed.open())


async def until_told(live: Live, position: Position) -> None:
    async with asyncio.timeout(20):
        while live.now() < position:
            await live.wait()


async def test_what_somebody_listens_to_is_read_at_once(rest: asyncio.Event) -> None:
    listener = Listener(listens=True)
    async with following(listener) as (live, feed):
        for _ in range(3):
            await until_told(live, await add(feed))
    assert not rest.is_set()
    assert listener.told == 3


async def test_what_nobody_listens_to_is_read_more_at_a_time(rest: asyncio.Event) -> None:
    listener = Listener(listens=False)
    async with following(listener) as (live, feed):
        first = await add(feed)
        await until_told(live, first)
        last = await add(feed, 3)
        for _ in range(10):
            await asyncio.sleep(0)
        assert live.now() == first
        rest.set()
        await until_told(live, last)
        assert [number for number in feed.found if number] == [1, 3]
    assert listener.told == 0
