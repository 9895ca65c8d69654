"""Several installations may use one Redis, and one that is too old says so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import delete

from db import models
from db.session import Database
from monitor.errors import CursorExpired, Unavailable
from monitor.feed.installation import read_installation
from monitor.feed.log import Position
from monitor.feed.relay import Relay
from tests.feeds import STREAM, redis_feed
from tests.monitor.reports import register, replica
from tests.servers import RedisServer, free_port, wait_for_redis


@pytest.fixture
async def redis(redis_server: RedisServer) -> RedisServer:
    await asyncio.to_thread(redis_server.command, "FLUSHALL")
    return redis_server


async def test_a_database_keeps_its_name(database: Database) -> None:
    names = await asyncio.gather(*(read_installation(database) for _ in range(4)))
    assert len({installation.name for installation in names}) == 1
    assert await read_installation(database) == names[0]


async def test_a_copy_of_a_database_gets_a_name_of_its_own_when_it_is_removed(
    database: Database,
) -> None:
    before = await read_installation(database)
    async with database.writing() as connection:
        await connection.execute(delete(models.installation))
    assert (await read_installation(database)).name != before.name


async def test_the_epoch_that_the_database_noted_comes_with_the_name(
    database: Database, redis: RedisServer
) -> None:
    assert (await read_installation(database)).epoch == ""
    feed = redis_feed(redis.url)
    await register(replica(database))
    await Relay(database, feed).move()
    assert (await read_installation(database)).epoch == (await feed.open()).epoch
    await feed.close()


async def test_two_installations_on_one_redis_do_not_see_each_other(redis: RedisServer) -> None:
    one, other = redis_feed(redis.url, name="one"), redis_feed(redis.url, name="other")
    starts = [await feed.open() for feed in (one, other)]
    end = await one.append([b"1"], known=starts[0])
    await other.append([b"2"], known=starts[1])
    assert [entry.payload for entry in await one.read(starts[0])] == [b"1"]
    assert [entry.payload for entry in await other.read(starts[1])] == [b"2"]
    with pytest.raises(CursorExpired):
        await other.read(end)
    for feed in (one, other):
        await feed.close()


async def test_the_stream_of_a_former_release_is_gone_on_with(redis: RedisServer) -> None:
    epoch = "0123456789abcdef"
    former, word = "process_monitor:feed", ("e", epoch, "p")
    await asyncio.to_thread(redis.command, "SET", f"{former}:epoch", epoch)
    for number in ("1", "2"):
        await asyncio.to_thread(redis.command, "XADD", former, f"{number}-0", *word, number)

    stranger = redis_feed(redis.url, name="stranger", epoch="fedcba9876543210")
    assert (await stranger.open()).epoch != epoch
    ours = redis_feed(redis.url, epoch=epoch)
    end = await ours.open()
    assert end == Position(epoch, 2, 0)
    await ours.append([b"3"], known=end)
    entries = await ours.read(Position(epoch, 1, 0))
    assert [entry.payload for entry in entries] == [b"2", b"3"]
    keys = (await asyncio.to_thread(redis.command, "KEYS", f"{former}*")).split()
    assert keys == []
    for feed in (stranger, ours):
        await feed.close()


async def test_what_a_former_release_left_counts_among_the_bytes(redis: RedisServer) -> None:
    epoch = "0123456789abcdef"
    await asyncio.to_thread(redis.command, "SET", "process_monitor:feed:epoch", epoch)
    fill = (
        "for i = 1, 100 do redis.call("
        "'XADD', KEYS[1], i .. '-0', 'e', ARGV[1], 'p', string.rep('x', 100000)) end"
    )
    await asyncio.to_thread(redis.command, "EVAL", fill, "1", "process_monitor:feed", epoch)
    feed = redis_feed(redis.url, epoch=epoch, max_bytes=1_000_000)
    await feed.append([b"new"], known=await feed.open())
    held = await asyncio.to_thread(redis.command, "MEMORY", "USAGE", STREAM, "SAMPLES", "0")
    assert int(held) < 1_000_000
    await feed.close()


async def test_a_node_of_a_cluster_takes_the_scripts(tmp_path: Path) -> None:
    node = RedisServer(tmp_path / "node")
    node.start("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    await asyncio.to_thread(node.command, "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
    await asyncio.to_thread(wait_for_redis, node.port, "cluster_state:ok", "CLUSTER", "INFO")
    feed = redis_feed(node.url, epoch="0123456789abcdef")
    start = await feed.open()
    end = await feed.append([b"1"], known=start)
    assert [entry.payload for entry in await feed.follow(start)] == [b"1"]
    assert await feed.beyond(end) == []
    await feed.begin(end)
    await feed.close()
    node.stop()


@asynccontextmanager
async def in_front_of(redis: RedisServer, old: bytes) -> AsyncIterator[str]:
    """The URL of this Redis, claiming to be of another version."""
    version = b"redis_version:"

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if version in data:
                before, _, after = data.partition(version)
                now, line, rest = after.partition(b"\r\n")
                data = before + version + old.ljust(len(now)) + line + rest
            writer.write(data)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, downstream = await asyncio.open_connection("127.0.0.1", redis.port)
        await asyncio.gather(forward(reader, downstream), forward(upstream, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"


async def test_a_redis_that_is_too_old_is_refused_in_words(redis: RedisServer) -> None:
    async with in_front_of(redis, b"6.2") as url:
        feed = redis_feed(url)
        for _ in range(2):
            with pytest.raises(Unavailable, match=r"Redis 6\.2.*too old.*7 or newer.*REDIS_URL"):
                await feed.append([b"1"], known=None)
        await feed.close()


async def test_a_user_who_may_not_ask_for_the_version_may_use_redis(redis: RedisServer) -> None:
    words = ("~*", "&*", "+@all", "-info", ">password", "on")
    await asyncio.to_thread(redis.command, "ACL", "SETUSER", "limited", *words)
    feed = redis_feed(redis.url.replace("redis://", "redis://limited:password@"))
    assert await feed.open() == await feed.open()
    await feed.close()
