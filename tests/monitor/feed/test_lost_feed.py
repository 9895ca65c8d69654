"""A Redis that came back older is found out before anything new happens, by whoever can know."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from db.session import Database
from monitor.errors import CursorExpired, InvalidInput
from monitor.feed.live import Batch, Live
from monitor.feed.log import Cursor, Feed, Position
from monitor.feed.memory import MemoryFeed
from monitor.feed.redis import RedisFeed
from monitor.feed.relay import Relay
from tests.feeds import STREAM, redis_feed
from tests.monitor.reports import register, replica
from tests.servers import RedisServer
from tests.tasks import stop


@pytest.fixture
async def feed(redis_server: RedisServer) -> AsyncIterator[RedisFeed]:
    await asyncio.to_thread(redis_server.command, "FLUSHALL")
    feed = redis_feed(redis_server.url)
    yield feed
    await feed.close()


async def remember(server: RedisServer) -> None:
    await asyncio.to_thread(server.command, "COPY", STREAM, "snapshot")


async def fall_back(server: RedisServer) -> None:
    """The log is what it was when it was remembered, as after a restart from a snapshot."""
    await asyncio.to_thread(server.command, "RENAME", "snapshot", STREAM)


@asynccontextmanager
async def running(work: Live | Relay) -> AsyncIterator[None]:
    task = asyncio.create_task(work.run())
    yield
    await stop(task)


async def another_epoch(feed: Feed, than: Position) -> None:
    """Returns once the log has begun another epoch."""
    async with asyncio.timeout(10):
        while (await feed.open()).epoch == than.epoch:  # noqa: ASYNC110 — Redis does not say so
            await asyncio.sleep(0.01)


class Listener:
    """Who is told."""

    listens = True

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.told = asyncio.Event()
        self.reset = asyncio.Event()

    def on_batches(self, batches: Sequence[Batch]) -> None:
        self.batches.extend(batches)
        self.told.set()

    def on_reset(self) -> None:
        self.reset.set()


async def test_a_server_process_that_read_further_begins_another_epoch(
    feed: RedisFeed, redis_server: RedisServer
) -> None:
    live, listener = Live(feed), Listener()
    live.listeners.append(listener)
    before = await feed.append([b"[]"], known=None)
    await remember(redis_server)
    async with running(live), asyncio.timeout(10):
        await live.wait()
        lost = await feed.append([b"[]"], known=before)
        await listener.told.wait()
        await fall_back(redis_server)
        await listener.reset.wait()
        await another_epoch(feed, than=lost)
    # Who resumed here would have been told of nothing, as if there had been nothing.
    with pytest.raises(CursorExpired):
        await feed.read(before)


async def test_servers_that_start_anew_begin_another_epoch(
    database: Database, feed: RedisFeed, redis_server: RedisServer
) -> None:
    async def moved() -> Position:
        await register(replica(database))
        await Relay(database, feed).move()
        return await feed.open()

    before = await moved()
    await remember(redis_server)
    lost = await moved()
    await fall_back(redis_server)
    async with running(Relay(database, feed)):
        await another_epoch(feed, than=lost)
    with pytest.raises(CursorExpired):
        await feed.read(before)


async def test_servers_that_start_anew_on_a_whole_log_go_on_with_it(
    database: Database, feed: RedisFeed
) -> None:
    await register(replica(database))
    await Relay(database, feed).move()
    before = await feed.open()
    async with running(Relay(database, feed)):
        await register(replica(database))
        async with asyncio.timeout(10):
            entries = await feed.follow(before)
    assert [entry.position.epoch for entry in entries] == [before.epoch]


async def test_a_long_backlog_is_read_in_parts_and_a_great_entry_alone(feed: RedisFeed) -> None:
    start = await feed.open()
    great = b"x" * 1_000_000
    await feed.append([b"small", b"y" * 100_000, b"z" * 100_000, great, great], known=None)
    for log in (feed, await in_memory([b"small", b"y" * 100_000, b"z" * 100_000, great, great])):
        after = start if log is feed else Position((await log.open()).epoch, 0, 0)
        parts = []
        while entries := await log.read(after):
            parts.append([len(entry.payload) for entry in entries])
            after = entries[-1].position
        assert parts == [[5, 100_000, 100_000], [1_000_000], [1_000_000]]


async def in_memory(payloads: list[bytes]) -> MemoryFeed:
    feed = MemoryFeed(length=100)
    await feed.append(payloads, known=None)
    return feed


async def test_a_log_in_memory_is_bounded_in_bytes_as_well() -> None:
    feed = MemoryFeed(length=100, max_bytes=1_000)
    start = await feed.open()
    position = await feed.append([b"x" * 300] * 5, known=start)
    with pytest.raises(CursorExpired):
        await feed.read(start)
    kept = await feed.read(Position(position.epoch, 0, position.minor - 3))
    assert len(kept) == 3


@pytest.mark.parametrize("text", [f"abcdef01.{2**64}.0.end", f"abcdef01.0.{2**64}.0"])
def test_a_place_that_redis_cannot_have_is_no_cursor(text: str) -> None:
    with pytest.raises(InvalidInput, match="after"):
        Cursor.parse("after", text)


async def test_a_log_that_is_lost_while_its_end_is_awaited_is_missed_at_the_next_look(
    feed: RedisFeed, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.feed.redis.FOLLOW_SECONDS", 0.05)
    start = await feed.open()
    end = await feed.append([b"[]"], known=start)
    assert [entry.position for entry in await feed.follow(start)] == [end]
    await asyncio.to_thread(redis_server.command, "FLUSHALL")
    assert await feed.follow(end) == []
    with pytest.raises(CursorExpired):
        await feed.follow(end)
