"""Server processes with a log in memory each, on one database: none skips a change in silence."""

import logging

import pytest
from sqlalchemy import select

from db import models
from db.session import Database
from monitor.errors import CursorExpired
from monitor.feed import sole
from monitor.feed.log import Position
from monitor.feed.memory import MemoryFeed
from monitor.feed.relay import Relay
from tests.monitor.reports import register, replica


class Process:
    """The feed of one server process."""

    def __init__(self, database: Database) -> None:
        self.feed = MemoryFeed(length=100)
        self.relay = Relay(database, self.feed)

    async def knows(self, cursor: Position) -> bool:
        """False when who stands there is told to query again."""
        try:
            await self.feed.read(cursor)
        except CursorExpired:
            return False
        return True


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sole, "RESET_SECONDS", 0.0)


async def started(database: Database) -> Process:
    process = Process(database)
    await process.relay.start()
    return process


async def noted_epoch(database: Database) -> str:
    async with database.reading() as connection:
        return str((await connection.execute(select(models.feed_position.c.epoch))).scalar_one())


async def test_a_restart_is_quiet(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    before = await started(database)
    await register(replica(database))
    await before.relay.move()
    await register(replica(database))

    after = await started(database)
    cursor = await after.feed.open()
    assert await noted_epoch(database) == cursor.epoch
    for _ in range(3):
        await register(replica(database))
        await after.relay.move()
    assert len(await after.feed.read(cursor)) == 3
    assert after.relay.problem is None
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_of_two_each_finds_the_other_and_expires_what_it_gave_out(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    one = await started(database)
    first = await one.feed.open()
    other = await started(database)
    second = await other.feed.open()

    await register(replica(database))
    await other.relay.move()
    await one.relay.move()
    assert not await one.knows(first)
    await register(replica(database))
    await one.relay.move()
    await other.relay.move()
    assert not await other.knows(second)
    for process in (one, other):
        assert process.relay.problem is not None
        assert "REDIS_URL" in process.relay.problem
    assert caplog.text.count("ERROR") == 2


async def test_a_process_that_only_notes_its_log_is_found_too(database: Database) -> None:
    one = await started(database)
    await started(database)
    await one.relay.move()
    assert one.relay.problem is not None


async def test_of_three_each_notices_what_any_other_moved(database: Database) -> None:
    processes = [await started(database) for _ in range(3)]
    for process in processes:
        await process.relay.move()
    for mover in processes:
        for process in processes:
            await process.relay.move()
        cursors = [await process.feed.open() for process in processes]
        await register(replica(database))
        await mover.relay.move()
        for process, cursor in zip(processes, cursors, strict=True):
            await process.relay.move()
            if process is not mover:
                assert not await process.knows(cursor)


async def test_idle_processes_leave_each_other_alone(database: Database) -> None:
    one, other = await started(database), await started(database)
    await one.relay.move()
    await other.relay.move()
    cursors = [await process.feed.open() for process in (one, other)]
    for _ in range(3):
        await one.relay.move()
        await other.relay.move()
    assert [await process.feed.open() for process in (one, other)] == cursors


async def test_under_load_subscribers_are_told_once_in_a_while_but_always(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sole, "RESET_SECONDS", 60.0)
    one, other = await started(database), await started(database)
    await one.relay.move()
    epoch = (await one.feed.open()).epoch
    for _ in range(5):
        for process in (other, one):
            await register(replica(database))
            await process.relay.move()
    assert (await one.feed.open()).epoch == epoch
    cursor = await one.feed.open()
    monkeypatch.setattr(sole, "RESET_SECONDS", 0.0)
    await one.relay.move()
    assert not await one.knows(cursor)


async def test_when_the_other_is_gone_for_a_while_the_feed_can_be_relied_on_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await started(database)
    await started(database)
    await one.relay.move()
    assert one.relay.problem is not None
    monkeypatch.setattr(sole, "MEMORY_SECONDS", 0.0)
    assert one.relay.problem is None
