"""Who asks the same at the same moment is answered by one execution, which began later."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.factory import create_app
from app.settings import Settings
from graph.execution.coalescing import MAX_OVERLAPPING, MAX_WAIT_SECONDS, Coalescer
from tests.client import Client
from tests.conftest import READ_TOKEN, serving
from tests.factories import register
from tests.statements import counting, note_counted, noting_statements_to
from tests.tasks import stop

WORKERS = "query ($size: Int) { workers(first: $size) { edges { node { name } } } }"


class Work:
    """Something to execute: each time held up until it is let go, with the number of times."""

    def __init__(self) -> None:
        self.begun = 0
        self.running = 0
        self.held: asyncio.Queue[asyncio.Event] = asyncio.Queue()
        self.fails = False

    async def __call__(self) -> int:
        self.begun += 1
        number, gate = self.begun, asyncio.Event()
        self.held.put_nowait(gate)
        self.running += 1
        try:
            await gate.wait()
        finally:
            self.running -= 1
        if self.fails:
            raise ValueError(number)
        return number

    async def go_on(self) -> None:
        """Lets the execution that began first of those that are held go on."""
        (await self.held.get()).set()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody begins before an execution has ended."""
    monkeypatch.setattr("graph.execution.coalescing.MAX_WAIT_SECONDS", 60)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for an execution that began before."""
    monkeypatch.setattr("graph.execution.coalescing.MAX_WAIT_SECONDS", 0)


@pytest.fixture
async def together(settings: Settings) -> AsyncIterator[Client]:
    """A client of a monitor whose statements are counted."""
    app = create_app(settings)
    async with serving(app) as client:
        with noting_statements_to(app.state.monitor.database, note_counted, reads=True):
            yield client


async def asking(coalescer: Coalescer[int], work: Work, count: int) -> list[asyncio.Task[int]]:
    """So many who ask the same, and have asked."""
    tasks = [asyncio.create_task(coalescer.run("key", work)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


@pytest.mark.usefixtures("patient")
async def test_who_comes_meanwhile_shares_the_execution_that_begins_next() -> None:
    coalescer, work = Coalescer[int](), Work()
    (first,) = await asking(coalescer, work, 1)
    later = await asking(coalescer, work, 5)
    await work.go_on()
    assert await first == 1
    gate = await work.held.get()
    # It may have read already when these come.
    latest = await asking(coalescer, work, 3)
    gate.set()
    assert await asyncio.gather(*later) == [2] * 5
    await work.go_on()
    assert await asyncio.gather(*latest) == [3] * 3
    assert work.begun == 3
    assert (coalescer._running, coalescer._waiting) == ({}, {})


async def test_a_slow_execution_is_not_waited_for_to_its_end() -> None:
    coalescer, work = Coalescer[int](), Work()
    await asking(coalescer, work, 1)
    later = await asking(coalescer, work, 2)
    slow = await work.held.get()
    await work.go_on()
    assert await asyncio.gather(*later) == [2, 2]
    slow.set()


@pytest.mark.usefixtures("patient")
async def test_one_who_goes_away_takes_nobody_along() -> None:
    coalescer, work = Coalescer[int](), Work()
    (first,) = await asking(coalescer, work, 1)
    gone, staying = await asking(coalescer, work, 2)
    gone.cancel()
    first.cancel()
    (await work.held.get()).set()
    await work.go_on()
    assert await staying == 2
    assert gone.cancelled()
    assert first.cancelled()


@pytest.mark.usefixtures("impatient")
async def test_an_execution_ends_when_the_last_one_goes_away_who_waits_for_it() -> None:
    coalescer, work = Coalescer[int](), Work()
    (first,) = await asking(coalescer, work, 1)
    held = await work.held.get()
    for number in range(2, 42):
        askers = await asking(coalescer, work, 2)
        await work.held.get()
        assert (work.begun, work.running) == (number, 2)
        await stop(askers[0])
        assert work.running == 2
        await stop(askers[1])
        # The task of the execution hears of it after those who waited for it.
        await asyncio.sleep(0)
        assert work.running == 1
    held.set()
    assert await first == 1
    assert (coalescer._running, coalescer._waiting) == ({}, {})


@pytest.mark.usefixtures("patient")
async def test_an_execution_does_not_begin_when_nobody_waits_for_it_any_more() -> None:
    coalescer, work = Coalescer[int](), Work()
    (first,) = await asking(coalescer, work, 1)
    gone = await asking(coalescer, work, 2)
    for asker in gone:
        await stop(asker)
    assert coalescer._waiting == {}
    (later,) = await asking(coalescer, work, 1)
    await work.go_on()
    await work.go_on()
    assert await asyncio.gather(*[first, later]) == [1, 2]
    assert work.begun == 2
    assert (coalescer._running, coalescer._waiting) == ({}, {})


async def test_who_goes_away_as_the_execution_is_due_begins_none() -> None:
    coalescer, work = Coalescer[int](), Work()
    gone: list[asyncio.Task[int]] = []

    async def last_breath() -> int:
        gone.extend(await asking(coalescer, work, 1))
        await asyncio.sleep(0)
        # It hears of this before the execution hears that it is due.
        gone[0].cancel()
        return 0

    assert await coalescer.run("key", last_breath) == 0
    await asyncio.wait(gone)
    await asyncio.sleep(0)
    assert work.begun == 0
    assert (coalescer._running, coalescer._waiting) == ({}, {})


@pytest.mark.usefixtures("impatient")
async def test_slow_executions_are_few_at_a_time_and_who_asks_gets_the_one_after() -> None:
    coalescer, work = Coalescer[int](), Work()
    askers, gates = [], []
    for _ in range(MAX_OVERLAPPING):
        askers += await asking(coalescer, work, 1)
        gates.append(await work.held.get())
    later = await asking(coalescer, work, 5)
    await asyncio.sleep(MAX_WAIT_SECONDS)
    later += await asking(coalescer, work, 5)
    assert (work.begun, work.running) == (MAX_OVERLAPPING, MAX_OVERLAPPING)
    # Whichever ends, it makes room.
    gates.pop().set()
    await work.go_on()
    assert await asyncio.gather(*later) == [MAX_OVERLAPPING + 1] * 10
    for gate in gates:
        gate.set()
    assert await asyncio.gather(*askers) == list(range(1, MAX_OVERLAPPING + 1))
    assert (coalescer._running, coalescer._waiting) == ({}, {})


@pytest.mark.usefixtures("patient")
async def test_all_are_told_of_a_failure_and_the_next_ones_begin_anew() -> None:
    coalescer, work = Coalescer[int](), Work()
    (first,) = await asking(coalescer, work, 1)
    later = await asking(coalescer, work, 2)
    await work.go_on()
    assert await first == 1
    work.fails = True
    await work.go_on()
    told = await asyncio.gather(*later, return_exceptions=True)
    assert [repr(each) for each in told] == ["ValueError(2)"] * 2
    work.fails = False
    (anew,) = await asking(coalescer, work, 1)
    await work.go_on()
    assert await anew == 3


@pytest.mark.usefixtures("patient")
async def test_many_who_send_the_same_query_are_answered_by_two_executions(
    together: Client,
) -> None:
    await register(together, "a")
    with counting() as alone:
        await together.graphql(WORKERS, size=5)
    with counting() as statements:
        answers = await asyncio.gather(*(together.graphql(WORKERS, size=5) for _ in range(20)))
    assert len(statements) == 2 * len(alone)
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("size", [5, 6])
@pytest.mark.parametrize("token", [READ_TOKEN, None])
@pytest.mark.usefixtures("patient")
async def test_who_asks_for_something_else_or_may_see_something_else_shares_nothing(
    together: Client, size: int, token: str | None
) -> None:
    other = together.with_token(token) if token else together
    with counting() as alone:
        await together.graphql(WORKERS, size=5)
    with counting() as statements:
        await asyncio.gather(
            *(together.graphql(WORKERS, size=5) for _ in range(3)),
            *(other.graphql(WORKERS, size=size) for _ in range(3)),
        )
    is_same = size == 5 and token is None
    assert len(statements) == (2 if is_same else 4) * len(alone)


@pytest.mark.usefixtures("patient")
async def test_variables_that_are_nested_deeper_than_json_is_written_are_no_defect(
    together: Client,
) -> None:
    body = f'{{"query": "{{ __typename }}", "variables": {{"a": {"[" * 300}{"]" * 300}}}}}'
    headers = {**together.headers, "Content-Type": "application/json"}
    answer = await together.http.post("/graphql", content=body, headers=headers)
    assert answer.json() == {"data": {"__typename": "Query"}}
