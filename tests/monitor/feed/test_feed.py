"""The log, in memory and in Redis: the same promises."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from monitor.errors import CursorExpired, InvalidInput
from monitor.feed.log import Cursor, Feed, FeedLost, Position
from monitor.feed.memory import MemoryFeed
from tests.feeds import redis_feed
from tests.servers import RedisServer

LENGTH = 100


@pytest.fixture(params=["memory", "redis"])
async def feed(request: pytest.FixtureRequest) -> AsyncIterator[Feed]:
    """An empty log."""
    feed: Feed
    if request.param == "memory":
        feed = MemoryFeed(length=LENGTH)
    else:
        server: RedisServer = request.getfixturevalue("redis_server")
        feed = redis_feed(server.url, length=LENGTH)
        await empty(server)
    yield feed
    await feed.close()


async def empty(server: RedisServer) -> None:
    await asyncio.to_thread(server.command, "FLUSHALL")


def payloads(*numbers: int) -> list[bytes]:
    return [str(number).encode() for number in numbers]


async def read_all(feed: Feed, after: Position) -> list[bytes]:
    """Everything that follows, page by page."""
    found = []
    while entries := await feed.read(after, 7):
        found += [entry.payload for entry in entries]
        after = entries[-1].position
    return found


async def test_what_is_appended_is_read_in_order_from_any_place(feed: Feed) -> None:
    start = await feed.open()
    middle = await feed.append(payloads(*range(10)), known=start)
    end = await feed.append(payloads(*range(10, 20)), known=middle)

    assert await read_all(feed, start) == payloads(*range(20))
    assert await read_all(feed, middle) == payloads(*range(10, 20))
    assert await read_all(feed, end) == []
    assert await feed.open() == end
    assert start < middle < end


async def test_a_follower_is_told_at_once(feed: Feed) -> None:
    start = await feed.open()
    following = asyncio.create_task(feed.follow(start))
    await asyncio.sleep(0)
    await feed.append(payloads(1), known=None)
    async with asyncio.timeout(1):
        assert [entry.payload for entry in await following] == payloads(1)


async def test_a_cursor_of_another_log_or_of_the_future_has_expired(feed: Feed) -> None:
    end = await feed.append(payloads(1), known=None)
    for strange in (
        Position("0123456789abcdef", end.major, end.minor),
        Position(end.epoch, end.major + 10_000_000, end.minor + 10),
        Position(end.epoch, end.major + 10_000_000, 0),
    ):
        with pytest.raises(CursorExpired):
            await feed.read(strange)


async def test_what_was_trimmed_away_has_expired_and_the_rest_is_whole(feed: Feed) -> None:
    position = start = await feed.open()
    positions = []
    # Redis trims by whole nodes of about a hundred entries.
    for number in range(LENGTH * 4):
        position = await feed.append(payloads(number), known=position)
        positions.append(position)
    for lost in (start, positions[0]):
        with pytest.raises(CursorExpired):
            await feed.read(lost)
    kept = await read_all(feed, positions[-LENGTH])
    assert kept == payloads(*range(LENGTH * 3 + 1, LENGTH * 4))


async def test_nothing_is_appended_to_a_log_that_lost_what_is_known(feed: Feed) -> None:
    end = await feed.append(payloads(1), known=None)
    ahead = Position(end.epoch, end.major + 10_000_000, end.minor + 10)
    with pytest.raises(FeedLost):
        await feed.append(payloads(2), known=ahead)
    other = Position("0123456789abcdef", end.major, end.minor)
    with pytest.raises(FeedLost):
        await feed.append(payloads(2), known=other)
    assert await feed.open() == end


async def test_a_redis_that_lost_everything_begins_another_epoch(
    redis_server: RedisServer,
) -> None:
    await empty(redis_server)
    one, other = (redis_feed(redis_server.url, length=LENGTH) for _ in range(2))
    known = await one.append(payloads(1), known=None)
    await empty(redis_server)

    with pytest.raises(CursorExpired):
        await other.read(known)
    with pytest.raises(FeedLost):
        await one.append(payloads(2), known=known)
    # Two that notice at the same moment agree on one new epoch.
    epochs = {p.epoch for p in await asyncio.gather(one.restart(known), other.restart(known))}
    assert len(epochs) == 1
    assert known.epoch not in epochs
    for feed in (one, other):
        await feed.close()


async def test_a_redis_that_came_back_older_begins_another_epoch(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    feed = redis_feed(server.url, length=LENGTH)
    before = await feed.append(payloads(1), known=None)
    await asyncio.to_thread(server.command, "SAVE")
    known = await feed.append(payloads(2), known=before)
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    await feed.close()
    feed = redis_feed(server.url, length=LENGTH)

    with pytest.raises(CursorExpired):
        await feed.read(known)
    with pytest.raises(FeedLost):
        await feed.append(payloads(3), known=known)
    restarted = await feed.restart(known)
    assert restarted.epoch != known.epoch
    with pytest.raises(CursorExpired):
        await feed.read(before)
    await feed.append(payloads(3), known=restarted)
    assert await read_all(feed, restarted) == payloads(3)
    await feed.close()
    server.stop()


@pytest.mark.parametrize(
    "text", ["", "x", "abcdef01.1.2", "abcdef01.1.2.x", "abcdef01.-1.2.3", "ABCDEF01.1.2.3", "é"]
)
def test_what_no_feed_has_given_out_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="after"):
        Cursor.parse("after", text)


@pytest.mark.parametrize("index", [None, 0, 7])
def test_a_cursor_survives_its_text(index: int | None) -> None:
    cursor = Cursor(Position("0123456789abcdef", 1795472575417, 3), index)
    assert Cursor.parse("after", str(cursor)) == cursor
