"""A list of failures of a status has those that have it at this moment, told or not."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from db import models
from db.session import Database
from monitor.entities import Failure, FailureStatus, Process, ProcessStatus, Worker
from monitor.events import ChangeKind
from monitor.failures import mute_failure, reopen_failure, resolve_failure
from monitor.processes import end_process, remove_processes, start_process
from monitor.reading.failures import FAILURES as LISTING
from monitor.reading.failures import FailureFilter, find_failures, list_failures
from monitor.reading.filters import told_as
from monitor.reading.pages import Direction, Order, PageRequest
from monitor.upkeep.counters import check_counters
from monitor.upkeep.failure_telling import FAILURES
from monitor.upkeep.forgetting import forget_failures
from monitor.upkeep.telling import Telling
from monitor.writing.transactions import Transactions
from tests.monitor.reports import events_of, register, replica

SECOND = timedelta(seconds=1)
LATEST_FIRST = Order("LAST_SEEN_AT", Direction.DESC)
OPEN, RESOLVED, REGRESSED, MUTED = (
    *(FailureStatus.OPEN, FailureStatus.RESOLVED),
    *(FailureStatus.REGRESSED, FailureStatus.MUTED),
)


@pytest.fixture
async def replicas(database: Database) -> AsyncIterator[tuple[Transactions, Transactions]]:
    """One whose processes fail, and one that people ask."""
    pair = (replica(database), replica(database))
    yield pair
    for transactions in pair:
        await transactions.close()


@pytest.fixture
async def worker(replicas: tuple[Transactions, Transactions]) -> Worker:
    return await register(replicas[0])


class Teller:
    """Two replicas that tell in turn, each time some seconds later."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tellings = [Telling(database, on_told=lambda: None, kind=FAILURES) for _ in range(2)]
        self._now = datetime.now(UTC)

    async def tell(self) -> int:
        self._now += 10 * SECOND
        self._tellings.reverse()
        first, second = self._tellings
        told = await first.tell(self._now)
        assert await second.tell(self._now) == 0
        return told


@pytest.fixture
def teller(database: Database) -> Teller:
    return Teller(database)


async def fail(transactions: Transactions, worker: Worker, error: str = "broken") -> Process:
    process, _ = await transactions.run(start_process, worker_id=worker.id)
    return await transactions.run(
        end_process, process_id=process.id, status=ProcessStatus.ERROR, details=error
    )


async def listed(database: Database, *wanted: FailureStatus) -> list[Failure]:
    matching = FailureFilter(status=wanted)
    return list((await list_failures(database, matching, LATEST_FIRST, PageRequest())).items)


async def in_rows(database: Database) -> dict[str, str]:
    row = models.failures.c
    async with database.reading() as connection:
        found = await connection.execute(select(row.id, row.status))
        return {each.id: each.status for each in found}


async def assert_only(database: Database, id_: str, expected: FailureStatus) -> None:
    """That the failure is this, in the list of this only, and once in that of all."""
    assert (await find_failures(database, [id_]))[id_].status is expected
    for status in FailureStatus:
        found = [(failure.id, failure.status) for failure in await listed(database, status)]
        assert found == ([(id_, expected)] if status is expected else []), status
    assert [failure.id for failure in await listed(database, *FailureStatus)] == [id_]


async def let_time_pass(database: Database, ids: Sequence[str]) -> None:
    """Until these are muted no more."""
    past = datetime.now(UTC) - SECOND
    row = models.failures.c
    async with database.writing() as connection:
        await connection.execute(
            update(models.failures).where(row.id.in_(ids)).values(muted_until=past)
        )


async def test_a_failure_is_listed_as_what_it_is_through_all_its_life(
    database: Database,
    replicas: tuple[Transactions, Transactions],
    worker: Worker,
    teller: Teller,
) -> None:
    reporting, asked = replicas
    process = await fail(reporting, worker)
    id_ = process.failure_id
    assert id_ is not None

    async def is_(status: FailureStatus) -> None:
        """Before followers are told, and after."""
        await assert_only(database, id_, status)
        assert await teller.tell() == 1
        await assert_only(database, id_, status)
        assert await in_rows(database) == {id_: status}
        assert await check_counters(database, repair=False) == []

    await is_(OPEN)
    await asked.run(resolve_failure, failure_id=id_)
    await is_(RESOLVED)
    again = await fail(reporting, worker)
    assert await in_rows(database) == {id_: RESOLVED}
    await is_(REGRESSED)
    await asked.run(mute_failure, failure_id=id_, until=datetime.now(UTC) + 3600 * SECOND)
    await is_(MUTED)
    await let_time_pass(database, [id_])
    assert await in_rows(database) == {id_: MUTED}
    await is_(OPEN)
    await asked.run(mute_failure, failure_id=id_, until=None)
    await asked.run(reopen_failure, failure_id=id_)
    await is_(OPEN)
    await reporting.run(remove_processes, process_ids=[process.id, again.id], abandoned_before=None)
    later = datetime.now(UTC) + timedelta(days=1)
    assert [removed async for removed in forget_failures(database, later, SECOND)] == [1]
    assert await listed(database, *FailureStatus) == []


async def test_who_follows_a_status_is_told_of_what_its_list_has(
    database: Database,
    replicas: tuple[Transactions, Transactions],
    worker: Worker,
    teller: Teller,
) -> None:
    reporting, asked = replicas
    id_ = (await fail(reporting, worker)).failure_id
    assert id_ is not None
    for change in ("", "resolve", "fail", "mute", "wait", "resolve", "fail mute", "wait"):
        for step in change.split():
            match step:
                case "resolve":
                    await asked.run(resolve_failure, failure_id=id_)
                case "fail":
                    await fail(reporting, worker)
                case "mute":
                    await asked.run(mute_failure, failure_id=id_, until=None)
                case "wait":
                    await let_time_pass(database, [id_])
        assert await teller.tell() == 1
        for status in FailureStatus:
            seen = [failure.id for failure in await listed(database, status)]
            assert await followed(database, status) == seen, f"{status} after {change}"


async def followed(database: Database, status: FailureStatus) -> list[str]:
    """What a follower of the status has by now, who was there from the first event on."""
    shown: dict[str, None] = {}
    for event in await events_of(database):
        if not isinstance(event.entity, Failure):
            continue
        match told_as(FailureFilter(status=(status,)), event):
            case ChangeKind.CREATED | ChangeKind.UPDATED:
                shown[event.entity.id] = None
            case ChangeKind.LEFT | ChangeKind.REMOVED:
                shown.pop(event.entity.id, None)
    return list(shown)


@pytest.mark.parametrize("is_told", [False, True], ids=["untold", "told"])
async def test_what_is_resolved_once_more_is_no_longer_listed_as_regressed(
    database: Database,
    replicas: tuple[Transactions, Transactions],
    worker: Worker,
    teller: Teller,
    is_told: bool,
) -> None:
    reporting, asked = replicas
    id_ = (await fail(reporting, worker)).failure_id
    assert id_ is not None
    for _ in range(2):
        await asked.run(resolve_failure, failure_id=id_)
        await assert_only(database, id_, RESOLVED)
        await fail(reporting, worker)
        if is_told:
            await teller.tell()
            await fail(reporting, worker)
        await assert_only(database, id_, REGRESSED)


@pytest.mark.parametrize("field", LISTING.orders)
@pytest.mark.parametrize("direction", Direction)
async def test_pages_have_what_was_told_and_what_was_not_in_one_order(
    database: Database,
    replicas: tuple[Transactions, Transactions],
    worker: Worker,
    teller: Teller,
    field: str,
    direction: Direction,
) -> None:
    """Regressed ones and open ones, of which each other one became so since it was told."""
    errors = [f"{letter} is broken" for letter in "abcdefgh"]
    ids = [(await fail(replicas[0], worker, error)).failure_id or "" for error in errors]
    for id_ in ids[:4]:
        await replicas[1].run(resolve_failure, failure_id=id_)
    for times, error in enumerate(errors[:4:2], 1):
        for _ in range(times):
            await fail(replicas[0], worker, error)
    until = datetime.now(UTC) + 3600 * SECOND
    for id_ in ids[5::2]:
        await replicas[1].run(mute_failure, failure_id=id_, until=until)
    await teller.tell()
    for error in errors[1:4:2]:
        await fail(replicas[0], worker, error)
    await let_time_pass(database, ids[5::2])
    assert set((await in_rows(database)).values()) == set(FailureStatus)
    order = Order(field, direction)
    seen: list[Failure] = []
    matching = FailureFilter(status=(REGRESSED, OPEN), pipeline_ids=(worker.pipeline_id,))
    whole = await list_failures(database, matching, order, PageRequest())
    page = await list_failures(database, matching, order, PageRequest(first=3))
    while True:
        seen += page.items
        if not page.has_next:
            break
        page = await list_failures(
            database, matching, order, PageRequest(first=3, after=page.cursors[-1])
        )
    everything = await list_failures(database, FailureFilter(), order, PageRequest())
    assert [f.id for f in seen] == [f.id for f in whole.items] == [f.id for f in everything.items]
    assert {f.id for f in seen if f.status is REGRESSED} == set(ids[:4])
    assert {f.id for f in seen if f.status is OPEN} == set(ids[4:])


@pytest.mark.parametrize("wanted", list(FailureStatus))
async def test_a_status_matches_together_with_the_other_filters(
    database: Database,
    replicas: tuple[Transactions, Transactions],
    worker: Worker,
    wanted: FailureStatus,
) -> None:
    other = await register(replicas[0], name="another")
    for of in (worker, other):
        for error in ("a lock", "a door"):
            await make(database, replicas, of, error, wanted)
    (found,) = await matching(
        database, status=(wanted,), pipeline_ids=(other.pipeline_id,), title_contains="LOCK"
    )
    assert (found.pipeline_id, found.title, found.status) == (other.pipeline_id, "a lock", wanted)
    assert await matching(database, status=(wanted,), ids=(found.id,)) == [found]
    assert await matching(database, status=(), ids=(found.id,)) == []
    assert len(await matching(database, status=(wanted, wanted))) == 4
    since = found.first_seen_at
    assert found in await matching(database, status=(wanted,), first_seen_since=since)
    assert found not in await matching(database, status=(wanted,), first_seen_before=since)


async def matching(database: Database, **given: object) -> list[Failure]:
    filter_ = FailureFilter(**given)  # type: ignore[arg-type]  # each test gives what it filters by
    return list((await list_failures(database, filter_, LATEST_FIRST, PageRequest())).items)


async def make(
    database: Database,
    replicas: tuple[Transactions, Transactions],
    worker: Worker,
    error: str,
    wanted: FailureStatus,
) -> None:
    """A failure that is this, of which nobody is told: an open one was muted before."""
    id_ = (await fail(replicas[0], worker, error)).failure_id
    assert id_ is not None
    if wanted in (MUTED, OPEN):
        await replicas[1].run(mute_failure, failure_id=id_, until=None)
    else:
        await replicas[1].run(resolve_failure, failure_id=id_)
    if wanted is REGRESSED:
        await fail(replicas[0], worker, error)
    if wanted is OPEN:
        await let_time_pass(database, [id_])


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"occurrences": 7}, ["failure.listed_occurrences"]),
        ({"last_seen_at": datetime(2026, 1, 1, tzinfo=UTC)}, ["failure.listed_last_seen_at"]),
    ],
)
async def test_what_rows_have_of_figures_is_proved_and_set_right(
    database: Database,
    replicas: tuple[Transactions, Transactions],
    worker: Worker,
    teller: Teller,
    wrong: dict[str, object],
    what: list[str],
) -> None:
    id_ = (await fail(replicas[0], worker)).failure_id
    assert id_ is not None
    await replicas[1].run(resolve_failure, failure_id=id_)
    await fail(replicas[0], worker)
    await teller.tell()
    async with database.writing() as connection:
        await connection.execute(update(models.failures).values(**wrong))
    for repair in (False, True):
        assert [d.what for d in await check_counters(database, repair=repair)] == what
    assert await check_counters(database, repair=False) == []
    assert await in_rows(database) == {id_: REGRESSED}
    await assert_only(database, id_, REGRESSED)
