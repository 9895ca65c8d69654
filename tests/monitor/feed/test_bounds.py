"""The log in Redis is bounded in bytes, and lives on in a Redis that is full."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import insert

from db import models
from db.session import Database
from monitor.errors import CursorExpired, Unavailable
from monitor.feed.condition import cause
from monitor.feed.log import Position
from monitor.feed.memory import MemoryFeed
from monitor.feed.redis import RedisFeed
from monitor.feed.relay import Relay
from tests.feeds import STREAM, redis_feed
from tests.servers import RedisServer

MEBIBYTE = 1024 * 1024


@pytest.fixture
async def small_redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """It refuses to hold more than 24 MiB."""
    server = RedisServer(tmp_path / "small")
    server.start("--maxmemory", "24mb", "--maxmemory-policy", "noeviction")
    yield server
    server.stop()


@pytest.fixture
async def feed(small_redis: RedisServer) -> AsyncIterator[RedisFeed]:
    feed = redis_feed(small_redis.url, length=100_000)
    yield feed
    await feed.close()


def numbered(number: int, size: int) -> bytes:
    return str(number).encode().ljust(size)


async def memory_of(server: RedisServer) -> int:
    """Bytes that the stream takes."""
    return int(await asyncio.to_thread(server.command, "MEMORY", "USAGE", STREAM, "SAMPLES", "0"))


async def numbers_after(feed: RedisFeed, position: Position) -> list[int]:
    found: list[int] = []
    while entries := await feed.read(position):
        found += [int(entry.payload) for entry in entries]
        position = entries[-1].position
    return found


# As small as most reports are, and as great as few.
@pytest.mark.parametrize("size", [100, 50_000])
async def test_a_log_in_redis_holds_no_more_bytes_than_it_may(
    redis_server: RedisServer, size: int
) -> None:
    await asyncio.to_thread(redis_server.command, "FLUSHALL")
    feed = redis_feed(redis_server.url, length=100_000, max_bytes=MEBIBYTE)
    start = position = await feed.open()
    count = 4 * MEBIBYTE // size
    positions = []
    for first in range(0, count, 20):
        payloads = [numbered(number, size) for number in range(first, min(first + 20, count))]
        position = await feed.append(payloads, known=position)
        positions.append(position)
    assert await memory_of(redis_server) < 1.3 * MEBIBYTE
    with pytest.raises(CursorExpired):
        await feed.read(start)
    # What is kept is the newest, without a gap, and not much less than there is room for.
    kept = await numbers_after(feed, positions[-2])
    assert kept == list(range(count - len(kept), count))
    length = int(await asyncio.to_thread(redis_server.command, "XLEN", STREAM))
    assert length * (size + 128) > 0.8 * MEBIBYTE
    await feed.close()


async def test_a_full_redis_takes_what_is_new_in_the_place_of_what_is_old(
    feed: RedisFeed, small_redis: RedisServer
) -> None:
    start = position = await feed.open()
    for number in range(100):
        position = await feed.append([numbered(number, MEBIBYTE)], known=position)
        newest = position
    with pytest.raises(CursorExpired):
        await feed.read(start)
    assert await feed.read(newest) == []
    assert 2 * MEBIBYTE < await memory_of(small_redis) < 24 * MEBIBYTE


async def test_a_redis_that_others_filled_still_takes_what_is_new(
    feed: RedisFeed, small_redis: RedisServer
) -> None:
    position = await feed.open()
    position = await feed.append([b"x" * MEBIBYTE] * 3, known=position)
    await fill(small_redis)
    before = await memory_of(small_redis)
    for _ in range(10):
        position = await feed.append([b"x" * MEBIBYTE], known=position)
    assert await memory_of(small_redis) < before + MEBIBYTE


async def test_a_log_that_has_nothing_to_give_waits_and_says_why(
    feed: RedisFeed, small_redis: RedisServer
) -> None:
    position = await feed.open()
    await fill(small_redis)
    with pytest.raises(Unavailable) as refused:
        await feed.append([b"x" * MEBIBYTE], known=position)
    assert cause(refused.value).startswith("OOM ")
    await asyncio.to_thread(small_redis.command, "DEL", "others")
    await feed.append([b"x" * MEBIBYTE], known=position)


async def fill(server: RedisServer) -> None:
    """Until it takes no more."""
    script = (
        "local part = string.rep('x', 500000) "
        "for i = 1, 100 do redis.call('RPUSH', KEYS[1], part) end"
    )
    await asyncio.to_thread(server.command, "EVAL", script, "1", "others")


async def test_a_turn_of_the_relay_moves_so_many_bytes_at_most(database: Database) -> None:
    # In SQLite a text has characters, of up to four bytes.
    rows = [{"events": "ü" * (MEBIBYTE // 2)} for _ in range(20)] + [
        {"events": "x" * (10 * MEBIBYTE)},
        {"events": "[]"},
    ]
    async with database.writing() as connection:
        for row in rows:
            await connection.execute(insert(models.outbox), [row])
    feed = MemoryFeed(length=100)
    relay = Relay(database, feed)
    turns, more, position = [], True, await feed.open()
    while more:
        more = await relay.move()
        moved: list[int] = []
        while entries := await feed.read(position):
            moved += [len(entry.payload) for entry in entries]
            position = entries[-1].position
        turns.append(moved)
    assert turns == [[MEBIBYTE] * 8, [MEBIBYTE] * 8, [*[MEBIBYTE] * 4, 10 * MEBIBYTE], [2]]
