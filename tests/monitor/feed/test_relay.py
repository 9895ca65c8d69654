"""From the outbox into the feed: everything, in order, also when things go wrong."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import func, insert, select

from db import models
from db.session import Database
from monitor.entities import TaskDefinition, TaskStatus
from monitor.errors import Unavailable
from monitor.events import decode_events
from monitor.feed.log import Position
from monitor.feed.memory import MemoryFeed
from monitor.feed.relay import Doubt, Relay
from monitor.processes import start_process
from monitor.tasks import update_task
from monitor.workers import register_worker
from monitor.writing.transactions import Transactions
from tests.tasks import stop


class FlakyFeed(MemoryFeed):
    """A log that can be gone, and that can lose the answer to what it stored."""

    def __init__(self) -> None:
        super().__init__(length=10_000)
        self.gone = False
        self.loses_answers = False

    async def append(self, payloads: Sequence[bytes], *, known: Position | None) -> Position:
        if self.gone:
            raise Unavailable
        position = await super().append(payloads, known=known)
        if self.loses_answers:
            raise Unavailable
        return position


async def write(database: Database, reports: int = 5) -> None:
    """A worker, a process, and reports on its only task."""
    transactions = Transactions(database, on_commit=lambda: None)
    worker = await transactions.run(
        register_worker, name="w", version="1", task_definitions=[TaskDefinition("a", "1")]
    )
    _, tasks = await transactions.run(start_process, worker_id=worker.id)
    for number in range(reports):
        await transactions.run(
            update_task, task_id=tasks[0].id, status=TaskStatus.RUNNING, details=str(number)
        )


async def waiting(database: Database) -> int:
    """Rows in the outbox."""
    async with database.reading() as connection:
        count = await connection.execute(select(func.count()).select_from(models.outbox))
        return int(count.scalar_one())


async def told(feed: MemoryFeed, start: Position) -> dict[str, list[int]]:
    """The revisions of each entity, in the order of the log."""
    revisions: dict[str, list[int]] = {}
    for entry in await feed.read(start, 10_000):
        for event in decode_events(entry.payload):
            revisions.setdefault(event.entity.id, []).append(event.entity.revision)
    return revisions


async def drain(relay: Relay, database: Database) -> None:
    while await waiting(database):
        await relay.move()


async def test_relays_that_take_turns_move_everything_once_and_in_order(
    database: Database,
) -> None:
    feed = FlakyFeed()
    start = await feed.open()
    relays = [Relay(database, feed) for _ in range(3)]
    moving = [asyncio.create_task(relay.run()) for relay in relays]
    await asyncio.gather(*(write(database) for _ in range(4)))
    for relay in relays:
        relay.wake()
    await drain(relays[0], database)
    await stop(*moving)

    revisions = await told(feed, start)
    assert len(revisions) == 4 * 3
    for seen in revisions.values():
        assert seen == list(range(1, len(seen) + 1))


async def test_what_a_killed_replica_left_is_moved_without_a_wake(database: Database) -> None:
    await write(database)
    feed = FlakyFeed()
    start = await feed.open()
    moving = asyncio.create_task(Relay(database, feed).run())
    async with asyncio.timeout(10):
        entries = await feed.follow(start)
    assert entries
    await stop(moving)


async def test_while_the_feed_is_gone_the_outbox_waits(database: Database) -> None:
    feed = FlakyFeed()
    start = await feed.open()
    feed.gone = True
    relay = Relay(database, feed)
    moving = asyncio.create_task(relay.run())
    await write(database)
    relay.wake()
    async with asyncio.timeout(10):
        while relay.working:  # noqa: ASYNC110 — it says so in an attribute, for /health
            await asyncio.sleep(0.01)
    assert await waiting(database) == 7
    feed.gone = False
    async with asyncio.timeout(10):
        await feed.follow(start)
    await stop(moving)


async def test_after_a_crash_behind_the_append_nothing_is_lost_or_told_again(
    database: Database,
) -> None:
    await write(database)
    feed = FlakyFeed()
    start = await feed.open()
    feed.loses_answers = True
    with pytest.raises(Unavailable):
        await Relay(database, feed).move()
    feed.loses_answers = False
    assert await waiting(database) == 7
    await write(database)
    await drain(Relay(database, feed), database)
    revisions = await told(feed, start)
    assert len(revisions) == 2 * 3
    for seen in revisions.values():
        assert seen == list(range(1, len(seen) + 1))


class ElsewhereFeed(MemoryFeed):
    """A log to which the relay at another node adds in the midst of our turn."""

    shared = True

    def __init__(self) -> None:
        super().__init__(length=1_000)
        self.moved_elsewhere: list[bytes] = []

    async def append(self, payloads: Sequence[bytes], *, known: Position | None) -> Position:
        if self.moved_elsewhere:
            await super().append([self.moved_elsewhere.pop()], known=None)
        return await super().append(payloads, known=known)


async def test_what_was_moved_at_another_node_and_is_seen_here_a_little_later_is_no_loss(
    database: Database,
) -> None:
    feed = ElsewhereFeed()
    relay = Relay(database, feed)
    await relay.start()
    start = await feed.open()
    feed.moved_elsewhere = [b"[]"]
    with pytest.raises(Doubt):
        await relay.move()
    async with database.writing() as connection:
        await connection.execute(insert(models.outbox), [{"events": "[]"}])
    await drain(relay, database)
    entries = await feed.read(start)
    assert [entry.payload for entry in entries] == [b"[]"]


async def test_what_was_moved_but_is_not_seen_here_in_the_next_turn_either_is_a_loss(
    database: Database,
) -> None:
    feed = ElsewhereFeed()
    relay = Relay(database, feed)
    await relay.start()
    start = await feed.open()
    feed.moved_elsewhere = [b"[]"]
    with pytest.raises(Doubt):
        await relay.move()
    feed.moved_elsewhere = [b"[1]"]
    await relay.move()
    assert (await feed.open()).epoch != start.epoch
