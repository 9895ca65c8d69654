"""Who follows pipelines with a filter is told when one does not match any more, and only then."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from db.session import Database
from monitor.entities import Pipeline, ProcessStatus, Worker
from monitor.events import ChangeKind, Event
from monitor.processes import end_process, start_process
from monitor.reading.filters import PipelineFilter, told_as
from monitor.reading.pages import Direction, Order, PageRequest
from monitor.reading.pipelines import list_pipelines
from monitor.upkeep.telling import Telling
from monitor.workers import record_heartbeat
from monitor.writing.transactions import Transactions
from tests.monitor.reports import events_of, register, replica
from tests.monitor.silence import judge_silent

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
LEFT, UPDATED, CREATED = ChangeKind.LEFT, ChangeKind.UPDATED, ChangeKind.CREATED
BY_NAME = Order("NAME", Direction.ASC)
EITHER = (None, False, True)
FILTERS = [
    PipelineFilter(failing=failing, running=running, lost=lost)
    for failing, running, lost in product(EITHER, EITHER, EITHER)
]


class Watched:
    """A pipeline of one worker, what is reported of it, and what is told."""

    def __init__(self, database: Database, transactions: Transactions, worker: Worker) -> None:
        self.database = database
        self._transactions = transactions
        self._worker = worker
        self._telling = Telling(database, on_told=lambda: None)
        self._now = NOW
        self._told = 0
        self._running: list[str] = []

    async def register(self) -> None:
        await register(self._transactions)

    async def start(self) -> None:
        process, _ = await self._transactions.run(start_process, worker_id=self._worker.id)
        self._running.append(process.id)

    async def end(self, status: ProcessStatus) -> None:
        await self._transactions.run(
            end_process, process_id=self._running.pop(), status=status, details=None
        )

    async def succeed(self) -> None:
        await self.end(ProcessStatus.SUCCESS)

    async def fail(self) -> None:
        await self.end(ProcessStatus.ERROR)

    async def lose(self) -> None:
        await judge_silent(self.database, self._transactions, self._worker.id)

    async def hear(self) -> None:
        await self._transactions.run(record_heartbeat, worker_id=self._worker.id)

    async def tell(self) -> Event:
        """The next event."""
        self._now += timedelta(seconds=1)
        assert await self._telling.tell(self._now) == 1
        events = [e for e in await events_of(self.database) if isinstance(e.entity, Pipeline)]
        self._told += 1
        assert len(events) == self._told
        return events[-1]

    async def matching(self) -> list[bool]:
        """Which of FILTERS a query finds it by."""
        pages = [
            await list_pipelines(self.database, each, BY_NAME, PageRequest()) for each in FILTERS
        ]
        return [bool(page.items) for page in pages]


@pytest.fixture
async def watched(database: Database) -> AsyncIterator[Watched]:
    transactions = replica(database)
    yield Watched(database, transactions, await register(transactions))
    await transactions.close()


SEQUENCES = [
    "start",
    "start fail",
    "start succeed",
    "start fail | start succeed | start fail",
    "start | fail",
    "start | succeed start",
    "start | fail start succeed",
    "start fail | start succeed start fail",
    "start start | fail | fail",
    "start start | fail succeed",
    "start | lose | register | hear | start | succeed succeed",
    "start | lose hear | lose | hear lose",
    "start lose hear fail",
]


@pytest.mark.parametrize("sequence", SEQUENCES)
async def test_whoever_found_it_in_between_is_told_and_nobody_is_told_twice(
    watched: Watched, sequence: str
) -> None:
    # By filter: whether its followers have it, from the last event or a query since.
    has = await watched.matching()
    for part in ["", *sequence.split("|")]:
        for step in part.split():
            await getattr(watched, step)()
            has = [had or found for had, found in zip(has, await watched.matching(), strict=True)]
        event = await watched.tell()
        now = await watched.matching()
        kinds = [told_as(each, event) for each in FILTERS]
        for each, had, matches, kind in zip(FILTERS, has, now, kinds, strict=True):
            if matches:
                assert kind is event.kind, each
            elif had:
                assert kind is LEFT, each
            else:
                assert kind is None or may_have_matched(each, part), each
        has = now


def may_have_matched(matching: PipelineFilter, steps: str) -> bool:
    """In an order of these steps that is not the one in which they came: two or more of them."""
    return len(steps.split()) > 1 and not matching.is_steady


async def test_what_was_told_is_told_as_left_no_more(watched: Watched) -> None:
    await watched.tell()
    await watched.start()
    await watched.lose()
    await watched.tell()
    found = PipelineFilter(lost=False)
    for _ in range(3):
        await watched.register()
        assert told_as(found, await watched.tell()) is None


@pytest.mark.parametrize(
    "told",
    [
        lambda id_: PipelineFilter(ids=(id_,)),
        lambda _: PipelineFilter(name_contains="WORK"),
        lambda _: PipelineFilter(),
    ],
)
async def test_of_who_looks_at_nothing_that_changes_it_never_leaves(
    watched: Watched, told: Callable[[str], PipelineFilter]
) -> None:
    await watched.start()
    event = await watched.tell()
    assert told_as(told(event.entity.id), event) is CREATED
    await watched.fail()
    event = await watched.tell()
    assert told_as(told(event.entity.id), event) is UPDATED
    assert told_as(PipelineFilter(ids=("pipeline_x",), running=True), event) is None
    assert told_as(PipelineFilter(name_contains="x", running=True), event) is None
