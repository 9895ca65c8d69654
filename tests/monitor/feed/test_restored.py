"""A database that lost its tail under a log that is ahead: its revisions come again."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import delete, insert, select, update

from db import models
from db.session import Database
from monitor.errors import CursorExpired
from monitor.feed.live import Live
from monitor.feed.log import Feed, Position
from monitor.feed.redis import RedisFeed
from monitor.feed.relay import Relay
from tests.feeds import redis_feed
from tests.monitor.feed.test_lost_feed import Listener, another_epoch, running
from tests.monitor.reports import register, replica
from tests.servers import RedisServer


@pytest.fixture
async def feed(redis_server: RedisServer) -> AsyncIterator[RedisFeed]:
    await asyncio.to_thread(redis_server.command, "FLUSHALL")
    feed = redis_feed(redis_server.url)
    yield feed
    await feed.close()


async def moved(database: Database, relay: Relay, feed: Feed) -> Position:
    """Where the log ends with one more report in it."""
    await register(replica(database))
    await relay.move()
    return await feed.open()


async def noted(database: Database) -> dict[str, str]:
    async with database.reading() as connection:
        table = models.feed_position
        row = (await connection.execute(select(table.c.epoch, table.c.position))).one()
        return {"epoch": row.epoch, "position": row.position}


async def restore(database: Database, backup: dict[str, str]) -> None:
    """As the feed sees it: what was noted since is not known any more."""
    async with database.writing() as connection:
        await connection.execute(update(models.feed_position).values(**backup))
        await connection.execute(delete(models.outbox))


async def test_servers_that_start_on_a_backup_begin_another_epoch(
    database: Database, feed: RedisFeed
) -> None:
    relay = Relay(database, feed)
    before = await moved(database, relay, feed)
    backup = await noted(database)
    lost = await moved(database, relay, feed)
    await restore(database, backup)
    async with running(Relay(database, feed)):
        await another_epoch(feed, than=lost)
    for cursor in (before, lost):
        with pytest.raises(CursorExpired):
            await feed.read(cursor)


async def test_servers_that_run_while_a_backup_is_restored_notice_without_a_report(
    database: Database, feed: RedisFeed
) -> None:
    relay, live, listener = Relay(database, feed), Live(feed), Listener()
    live.listeners.append(listener)
    await moved(database, relay, feed)
    backup = await noted(database)
    await moved(database, relay, feed)
    async with running(relay), running(live), asyncio.timeout(10):
        await live.wait()
        await restore(database, backup)
        await listener.reset.wait()


async def test_a_backup_of_another_epoch_begins_another_one(
    database: Database, feed: RedisFeed, redis_server: RedisServer
) -> None:
    relay = Relay(database, feed)
    await moved(database, relay, feed)
    backup = await noted(database)
    await asyncio.to_thread(redis_server.command, "FLUSHALL")
    async with running(relay), asyncio.timeout(10):
        await another_epoch(feed, than=Position(backup["epoch"], 0, 0))
        await register(replica(database))
        while (await noted(database))["epoch"] == backup["epoch"]:  # noqa: ASYNC110 — of a database
            await asyncio.sleep(0.01)
        lost = await feed.open()
        await restore(database, backup)
        await another_epoch(feed, than=lost)


async def test_a_backup_with_reports_in_its_outbox_is_told_from_a_crash(
    database: Database, feed: RedisFeed
) -> None:
    relay = Relay(database, feed)
    await moved(database, relay, feed)
    backup = await noted(database)
    lost = await moved(database, relay, feed)
    await restore(database, backup)
    await register(replica(database))
    async with running(Relay(database, feed)):
        await another_epoch(feed, than=lost)


async def test_what_a_crash_left_unnoted_is_noted_and_not_told_again(
    database: Database, feed: RedisFeed
) -> None:
    relay = Relay(database, feed)
    before = await moved(database, relay, feed)
    backup = await noted(database)
    transactions = replica(database)
    await register(transactions)
    async with database.reading() as connection:
        waiting = (await connection.execute(select(models.outbox.c.events))).scalar_one()
    end = await moved(database, relay, feed)
    # The transaction that would have noted it never came.
    await restore(database, backup)
    entries = await feed.read(before)
    async with database.writing() as connection:
        rows = [{"events": entry.payload.decode()} for entry in entries]
        await connection.execute(insert(models.outbox), rows)
    assert rows[0]["events"] == waiting

    await Relay(database, feed).move()
    assert await feed.open() == end
    after = await moved(database, relay, feed)
    assert after.epoch == before.epoch
    assert len(await feed.read(end)) == 1
