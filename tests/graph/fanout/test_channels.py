"""The fan-out by itself: on a feed and a database that do what a test wants."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from db.errors import DatabaseUnavailable
from db.session import Database
from graph.execution.engine import Engine
from graph.fanout.channels import Channels
from graph.fanout.sink import Errors, Told
from graph.fanout.subscriber import Subscriber
from graph.schema import create_schema
from monitor.auth import WRITER
from monitor.entities import Process, ProcessStatus, TaskDefinition
from monitor.events import ChangeKind, Event, encode_events
from monitor.feed.live import Live
from monitor.feed.log import READ_LIMIT, Cursor, Entry, Position
from monitor.feed.memory import MemoryFeed
from monitor.monitor import Monitor
from monitor.processes import start_process
from monitor.reading.filters import ProcessFilter
from monitor.reading.usual import Usual
from monitor.workers import register_worker
from monitor.writing.transactions import Transactions
from tests.tasks import stop

REVISIONS = "subscription ($after: String) { processes(after: $after) { process { revision } } }"
WITH_WORKER = "subscription { processes { process { revision worker { name } } } }"
AT = datetime(2026, 11, 23, tzinfo=UTC)
PROCESS = Process(
    *(
        "process_1",
        "worker_1",
        "pipeline_1",
        "v1",
        ProcessStatus.RUNNING,
        False,
        0,
        0,
        None,
        AT,
        AT,
        None,
        None,
        1,
    )
)


class GatedFeed(MemoryFeed):
    """A log whose next answers can be held back, each by a gate."""

    def __init__(self) -> None:
        super().__init__(length=10_000)
        self.gates: deque[asyncio.Event] = deque()
        self.held: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def read(self, after: Position, limit: int = READ_LIMIT) -> Sequence[Entry]:
        entries = await super().read(after, limit)
        if self.gates:
            gate = self.gates.popleft()
            self.held.put_nowait(gate)
            await gate.wait()
        return entries


class FlakyDatabase(Database):
    """A database that can be gone for those who read."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.gone = False
        self.refused = asyncio.Event()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        if self.gone:
            self.refused.set()
            raise DatabaseUnavailable
        async with super().reading() as connection:
            yield connection


class Recorder:
    """A client that takes everything, and keeps it."""

    can_push = True
    has_room = True

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.pushes: list[int] = []
        self.news = asyncio.Event()

    def turn(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    def push(self, told: Sequence[Told], frames: dict[Any, Any]) -> bool:
        del frames
        for each in told:
            self._take(orjson.loads(each.payload))
        self.pushes.append(len(told))
        return True

    async def send(self, payload: bytes, cursor: Cursor) -> None:
        del cursor
        self._take(orjson.loads(payload))

    def fail(self, errors: Errors) -> None:
        self._take([error["extensions"]["code"] for error in errors])

    def _take(self, told: Any) -> None:
        self.told.append(told)
        self.news.set()

    async def until(self, count: int) -> list[Any]:
        """The first so many things it is told."""
        async with asyncio.timeout(20):
            while len(self.told) < count:
                self.news.clear()
                await self.news.wait()
        return self.told[:count]

    async def revisions(self, count: int) -> list[int]:
        told = await self.until(count)
        return [event["data"]["processes"]["process"]["revision"] for event in told]


class Full(Recorder):
    """A client that takes but one event at a time that is pushed."""

    def push(self, told: Sequence[Told], frames: dict[Any, Any]) -> bool:
        return len(told) == 1 and super().push(told, frames)


class Broken(Recorder):
    """A client that raises whatever it is pushed, and when it is ended if it `is_deaf`."""

    def __init__(self, *, is_deaf: bool = False) -> None:
        super().__init__()
        self.is_deaf = is_deaf

    def push(self, told: Sequence[Told], frames: dict[Any, Any]) -> bool:
        del told, frames
        raise RuntimeError("a defect")

    def fail(self, errors: Errors) -> None:
        super().fail(errors)
        if self.is_deaf:
            raise RuntimeError("another defect")


class Parts:
    """A feed, what reads it, and channels."""

    def __init__(self, database: Database) -> None:
        self.feed = GatedFeed()
        self.database = database
        self.transactions = Transactions(database, on_commit=lambda: None)
        self.live = Live(self.feed)
        self.engine = Engine(create_schema(), timeout_seconds=5)
        self.channels = Channels(
            self.engine, Monitor(database, self.transactions, self.live, Usual(database))
        )

    async def follow(self, query: str, **variables: Any) -> Recorder:
        recorder = Recorder()
        await self.subscribe(recorder, query, **variables)
        return recorder

    async def subscribe(self, recorder: Recorder, query: str, **variables: Any) -> Subscriber:
        started = await self.channels.subscribe(
            recorder,
            self.engine.prepare(query),
            WRITER,
            variables=variables,
            operation_name=None,
        )
        assert isinstance(started, Subscriber), started
        return started

    async def tell(self, *revisions: int, process: Process = PROCESS) -> Position:
        changes = [replace(process, revision=revision) for revision in revisions]
        payload = encode_events(Event(ChangeKind.UPDATED, AT, change) for change in changes)
        return await self.feed.append([payload], known=None)

    async def stored_process(self) -> Process:
        """One whose worker has to be read from the database."""
        worker = await self.transactions.run(
            register_worker, name="w", version="1", task_definitions=[TaskDefinition("a", "1")]
        )
        process, _ = await self.transactions.run(start_process, worker_id=worker.id)
        return process


@pytest.fixture
async def parts(database_url: str) -> AsyncIterator[Parts]:
    database = FlakyDatabase(database_url)
    parts = Parts(database)
    parts.live.position = await parts.feed.open()
    reading = asyncio.create_task(parts.live.run())
    yield parts
    await stop(reading)
    await database.close()


async def test_who_was_told_more_elsewhere_is_told_all_that_comes_meanwhile(parts: Parts) -> None:
    everything = await parts.follow(REVISIONS)
    parts.feed.gates.extend([asyncio.Event(), asyncio.Event()])
    # This server process has not read yet what the client was told of by another one.
    known = await parts.tell(1)
    of_the_process = await parts.feed.held.get()
    recorder = await parts.follow(REVISIONS, after=str(Cursor(known)))
    # The log answers it that nothing follows; until this is heard, something does.
    of_the_client = await parts.feed.held.get()
    of_the_process.set()
    await parts.tell(2)
    assert await everything.revisions(2) == [1, 2]
    of_the_client.set()
    assert await recorder.revisions(1) == [2]


async def test_an_event_waits_for_the_database_rather_than_being_told_without_it(
    parts: Parts,
) -> None:
    assert isinstance(parts.database, FlakyDatabase)
    process = await parts.stored_process()
    one, other = [await parts.follow(WITH_WORKER) for _ in range(2)]
    parts.database.gone = True
    await parts.tell(1, process=process)
    await parts.tell(2, 3, process=process)
    await parts.database.refused.wait()
    parts.database.gone = False
    assert await one.revisions(3) == await other.revisions(3) == [1, 2, 3]


async def test_without_the_database_what_waits_is_bounded_and_nothing_is_lost(
    parts: Parts,
) -> None:
    assert isinstance(parts.database, FlakyDatabase)
    process = await parts.stored_process()
    recorder = await parts.follow(WITH_WORKER)
    plain = await parts.follow(REVISIONS)
    parts.database.gone = True
    for first in range(1, 600, 3):
        await parts.tell(first, first + 1, first + 2, process=process)
    assert await plain.revisions(600) == list(range(1, 601))
    assert parts.channels.statistics.lags == 1
    parts.database.gone = False
    assert await recorder.revisions(600) == list(range(1, 601))


async def test_what_nobody_can_read_ends_subscriptions_instead_of_being_skipped(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = await parts.follow(REVISIONS)
    before = await parts.tell(1)
    await parts.feed.append([b'[["ABOLISHED"]]'], known=None)
    after = await parts.tell(2)
    assert (await recorder.until(2))[1] == ["CURSOR_EXPIRED"]
    assert "cannot be read" in caplog.text
    # The feed goes on behind it, and who resumes before it is told, too.
    assert (await (await parts.follow(REVISIONS, after=str(Cursor(before)))).until(1))[0] != []
    await parts.tell(3)
    assert await (await parts.follow(REVISIONS, after=str(Cursor(after)))).revisions(1) == [3]


async def test_the_second_end_of_a_subscription_leaves_a_later_one_alone(parts: Parts) -> None:
    failed = await parts.subscribe(Recorder(), REVISIONS)
    parts.channels.on_reset()
    later = await parts.subscribe(Recorder(), REVISIONS)
    # What a transport does with every subscription in the end.
    failed.stop()
    assert (parts.channels.open_channels, parts.channels.open_subscriptions) == (1, 1)
    later.stop()
    assert (parts.channels.open_channels, parts.channels.open_subscriptions) == (0, 0)


async def test_a_resumed_commit_goes_on_behind_the_event_of_the_cursor(parts: Parts) -> None:
    position = await parts.tell(1, 2, 3, 4)
    recorder = await parts.follow(REVISIONS, after=str(Cursor(position, 1)))
    assert await recorder.revisions(2) == [3, 4]
    await parts.tell(5)
    assert await recorder.revisions(3) == [3, 4, 5]


async def tell_at_once(parts: Parts) -> None:
    """The reader of the feed reads the first revision, and then three more, of two commits."""
    parts.feed.gates.append(asyncio.Event())
    await parts.tell(1)
    held = await parts.feed.held.get()
    await parts.tell(2, 3)
    await parts.tell(4)
    held.set()


async def test_what_is_read_at_once_is_pushed_at_once(parts: Parts) -> None:
    recorder = await parts.follow(REVISIONS)
    await tell_at_once(parts)
    assert await recorder.revisions(4) == [1, 2, 3, 4]
    assert recorder.pushes == [1, 3]


async def test_of_much_that_is_read_at_once_a_part_is_pushed_at_a_time(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graph.fanout.channel._PUSHED_BYTES", 90)
    recorder = await parts.follow(REVISIONS)
    await tell_at_once(parts)
    assert await recorder.revisions(4) == [1, 2, 3, 4]
    assert recorder.pushes == [1, 2, 1]


async def test_who_takes_nothing_of_what_is_pushed_goes_on_before_all_of_it(parts: Parts) -> None:
    full = Full()
    await parts.subscribe(full, REVISIONS)
    await tell_at_once(parts)
    assert await full.revisions(4) == [1, 2, 3, 4]
    assert parts.channels.statistics.lags == 1


@pytest.mark.parametrize("is_deaf", [False, True])
async def test_defects_of_a_client_and_of_an_event_end_one_channel_and_no_other(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, is_deaf: bool
) -> None:
    matches = ProcessFilter.matches

    def fail_at_the_second(self: ProcessFilter, entity: Any) -> bool:
        if self.ids and entity.revision == 2:
            raise RuntimeError("a defect")
        return matches(self, entity)

    monkeypatch.setattr(ProcessFilter, "matches", fail_at_the_second)
    query = "subscription ($f: ProcessFilter) { processes(filter: $f) { process { revision } } }"
    before = await parts.follow(query, f={"versions": [PROCESS.version]})
    broken, beside = Broken(is_deaf=is_deaf), Recorder()
    for sink in (broken, beside):
        await parts.subscribe(sink, query, f={"ids": [PROCESS.id]})
    behind = await parts.follow(query, f=None)
    # The first one is still to be pushed when the second one fails.
    await parts.tell(1, 2)
    await parts.tell(3)
    assert await before.revisions(3) == await behind.revisions(3) == [1, 2, 3]
    assert broken.told == beside.told == [["INTERNAL"]]
    assert (parts.channels.open_channels, parts.channels.open_subscriptions) == (2, 2)


async def test_a_client_that_cannot_be_told_of_its_end_keeps_nobody_from_theirs(
    parts: Parts,
) -> None:
    broken, beside, other = Broken(is_deaf=True), Recorder(), Recorder()
    for sink in (broken, beside):
        await parts.subscribe(sink, REVISIONS)
    await parts.subscribe(other, WITH_WORKER)
    parts.channels.on_reset()
    assert broken.told == beside.told == other.told == [["CURSOR_EXPIRED"]]
    assert (parts.channels.open_channels, parts.channels.open_subscriptions) == (0, 0)


async def test_an_event_touches_only_the_channels_that_name_it(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    matches = ProcessFilter.matches

    def note(self: ProcessFilter, entity: Any) -> bool:
        asked.append(self)
        return matches(self, entity)

    monkeypatch.setattr(ProcessFilter, "matches", note)
    query = "subscription ($f: ProcessFilter) { processes(filter: $f) { process { revision } } }"
    for number in range(200):
        await parts.follow(query, f={"ids": [f"process_{number}"]})
        await parts.follow(query, f={"workerIds": [f"worker_{number}", f"worker_{number + 1}"]})
    everything = await parts.follow(query, f=None)
    await parts.tell(1)
    assert await everything.revisions(1) == [1]
    assert len(asked) == 1 + 2 + 1
