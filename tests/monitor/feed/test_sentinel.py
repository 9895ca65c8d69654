"""Redis behind Sentinel: found, and found again after a failover."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio.sentinel import SentinelConnectionPool

from monitor.errors import Unavailable
from monitor.feed.connecting import check_redis_url
from monitor.feed.log import Position
from monitor.feed.redis import RedisFeed
from tests.feeds import STREAM, redis_feed
from tests.servers import RedisSentinel, RedisServer, wait_for_redis


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[tuple[RedisServer, RedisServer]]:
    """A Redis and its replica."""
    first, second = (RedisServer(tmp_path / name) for name in ("first", "second"))
    first.start("--repl-diskless-sync-delay", "0")
    second.start("--replicaof", "127.0.0.1", str(first.port))
    yield first, second
    first.stop()
    second.stop()


@pytest.fixture
async def sentinel(
    servers: tuple[RedisServer, RedisServer], tmp_path: Path
) -> AsyncIterator[RedisSentinel]:
    """One that knows both."""
    sentinel = RedisSentinel(tmp_path / "sentinel", servers[0])
    sentinel.start()
    words = ("SENTINEL", "REPLICAS", "monitor")
    await asyncio.to_thread(wait_for_redis, sentinel.port, str(servers[1].port), *words)
    yield sentinel
    sentinel.stop()


async def appended(feed: RedisFeed, payload: bytes, known: Position) -> Position:
    """As the relay does it: tried until it is done."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await feed.append([payload], known=known)
            except Unavailable:
                await asyncio.sleep(0.1)


@pytest.fixture
async def feed(sentinel: RedisSentinel) -> AsyncIterator[RedisFeed]:
    feed = redis_feed(sentinel.url)
    yield feed
    await feed.close()


async def test_after_a_failover_the_feed_goes_on_where_the_replica_is(
    feed: RedisFeed, servers: tuple[RedisServer, RedisServer]
) -> None:
    start = await feed.open()
    middle = await feed.append([b"1"], known=start)
    await asyncio.to_thread(wait_for_redis, servers[1].port, "1", "XLEN", STREAM)
    await asyncio.to_thread(servers[0].kill)
    await appended(feed, b"2", middle)
    assert [entry.payload for entry in await feed.read(start)] == [b"1", b"2"]


async def test_a_service_that_sentinel_does_not_know_is_named(sentinel: RedisSentinel) -> None:
    feed = redis_feed(sentinel.url.replace("/monitor/", "/other/"))
    with pytest.raises(Unavailable) as refused:
        await feed.open()
    await feed.close()
    assert "'other'" in str(refused.value.__cause__)


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "rediss://user:password@host:6380/1",
        "unix:///run/redis.sock",
        "redis+sentinel://one,two:26380,[::1]:26381/monitor",
        "rediss+sentinel://user:p%40ss@one/monitor/2?sentinel_password=s&ssl_cert_reqs=none",
    ],
)
async def test_urls_that_redis_is_found_by(url: str) -> None:
    check_redis_url(url)
    await redis_feed(url).close()


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379",
        "http://localhost",
        "redis://host:port",
        "redis+sentinel://one",
        "redis+sentinel://one/",
        "redis+sentinel://one:x/monitor",
        "redis+sentinel://one/monitor/first",
    ],
)
def test_urls_that_cannot_be_used_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check_redis_url(url)


async def test_what_a_sentinel_url_says_reaches_sentinels_and_redis() -> None:
    feed = redis_feed(
        "rediss+sentinel://user:p%40ss@one/monitor/2"
        "?sentinel_password=secret&ssl_cert_reqs=none&client_name=monitor"
    )
    pool = feed._redis.connection_pool
    assert isinstance(pool, SentinelConnectionPool)
    given = pool.connection_kwargs
    assert (given["username"], given["password"], given["db"]) == ("user", "p@ss", 2)
    assert given["client_name"] == "monitor"
    (asked,) = pool.sentinel_manager.sentinels
    asking = asked.connection_pool.connection_kwargs
    assert (asking["host"], asking["port"], asking["password"]) == ("one", 26379, "secret")
    assert asking["ssl_cert_reqs"] == given["ssl_cert_reqs"] == "none"
    await feed.close()
