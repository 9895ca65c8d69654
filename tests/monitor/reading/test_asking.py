"""What is asked for at the same moment goes to the database as one message."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Select, bindparam, func, literal, select, text

from db import models
from db.session import Database
from monitor.entities import Worker
from monitor.errors import Unavailable
from monitor.reading import asking
from monitor.reading.asking import ask, asking_together
from monitor.reading.filters import TaskFilter, WorkerFilter
from monitor.reading.pages import Direction, Order, PageRequest
from monitor.reading.reads import TASKS, WORKERS, find_by_ids, list_page
from tests.statements import statements_to
from tests.stored import a_worker, store

COUNT = select(func.count(models.workers.c.id))
NAMES = select(models.workers.c.name).where(
    models.workers.c.id.in_(bindparam("ids", expanding=True))
)
BROKEN = select(text("no_such_column")).select_from(models.workers)
NEWEST = Order("REGISTERED_AT", Direction.DESC)


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many were asked in each message."""
    sizes: list[int] = []
    find = asking._find

    async def note(database: Database, lookups: Sequence[Any]) -> list[Sequence[Any]]:
        sizes.append(len(lookups))
        return await find(database, lookups)

    monkeypatch.setattr(asking, "_find", note)
    return sizes


@pytest.fixture
async def workers(database: Database) -> list[Worker]:
    workers = [a_worker(name=name) for name in ("a", "b'; \\ %s ü", "c")]
    await store(database, *workers)
    return workers


async def test_what_is_asked_at_once_is_one_message(
    database: Database, workers: list[Worker], messages: list[int]
) -> None:
    with asking_together():
        count, names, page = await asyncio.gather(
            ask(database, COUNT, {}),
            ask(database, NAMES, {"ids": [workers[1].id]}),
            list_page(database, WORKERS, WorkerFilter(), NEWEST, PageRequest(first=2)),
        )
        again = await ask(database, COUNT, {})
    assert [tuple(row) for row in count] == [tuple(row) for row in again] == [(3,)]
    assert [row.name for row in names] == [workers[1].name]
    assert len(page.items) == 2
    assert messages == [3, 1]


async def test_who_asks_outside_asks_alone(
    database: Database, workers: list[Worker], messages: list[int]
) -> None:
    await asyncio.gather(*(ask(database, COUNT, {}) for _ in workers))
    assert messages == [1, 1, 1]


async def test_nothing_waits_for_what_no_index_bounds(
    database: Database, messages: list[int]
) -> None:
    named = TaskFilter(name_contains="seldom")
    by_creation = Order("CREATED_AT", Direction.DESC)
    with asking_together():
        await asyncio.gather(
            ask(database, COUNT, {}),
            list_page(database, TASKS, named, by_creation, PageRequest(first=2)),
            list_page(database, TASKS, TaskFilter(), by_creation, PageRequest(first=2)),
        )
    assert sorted(messages) == [1, 2]


async def test_what_fails_harms_nothing_else(database: Database, workers: list[Worker]) -> None:
    with asking_together():
        broken = asyncio.ensure_future(ask(database, BROKEN, {}))
        count, found = await asyncio.gather(
            ask(database, COUNT, {}),
            find_by_ids(database, WORKERS, [worker.id for worker in workers]),
        )
        with pytest.raises(Exception, match="no_such_column"):
            await broken
    assert [tuple(row) for row in count] == [(3,)]
    assert found == {worker.id: worker for worker in workers}


async def test_an_unusable_database_is_unavailable_to_all(
    database: Database,
    workers: list[Worker],
    messages: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await database.close()
    monkeypatch.setattr(database, "read_engine", Database(_nowhere(database)).read_engine)
    with asking_together():
        told = await asyncio.gather(
            *(ask(database, COUNT, {}) for _ in workers), return_exceptions=True
        )
    assert [type(error) for error in told] == [Unavailable] * 3
    assert messages == [3]  # nobody tries once more


def _nowhere(database: Database) -> str:
    return "sqlite:////no/such/folder/m.db" if database.is_sqlite else "mariadb://a:b@127.0.0.1:9/x"


async def test_what_nobody_waits_for_is_given_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def wait(*_: object) -> list[Sequence[Any]]:
        begun.set()
        try:
            return await asyncio.Future()
        finally:
            ended.set()

    monkeypatch.setattr(asking, "_find", wait)
    with asking_together():
        asked = [asyncio.create_task(ask(database, COUNT, {})) for _ in range(2)]
        await begun.wait()
        asked[0].cancel()
        await asyncio.wait(asked[:1])
        assert not ended.is_set()  # the other one waits
        asked[1].cancel()
        async with asyncio.timeout(5):
            await ended.wait()


def _made(names: Sequence[str], limit: int) -> Select[Any]:
    registered = models.workers.c.registered_at
    name = models.workers.c.name
    after = a_worker().registered_at.replace(year=2000)
    found = select(name, registered, literal("%s %").label("mark"))
    return found.where(name.in_(names), registered > after).order_by(name).limit(limit)


@pytest.mark.parametrize(
    ("names", "limit", "found"),
    [
        (["a", "b'; \\ %s ü"], 5, ["a", "b'; \\ %s ü"]),
        (["c", "a"], 1, ["a"]),
        (["nobody"], 5, []),
        ([], 5, []),
    ],
)
async def test_statements_that_are_made_anew_have_their_own_values(
    database: Database, workers: list[Worker], names: list[str], limit: int, found: list[str]
) -> None:
    with statements_to(database) as sent:
        rows = await ask(database, _made(names, limit))
    assert [row.name for row in rows] == found
    assert {row.mark for row in rows} <= {"%s %"}
    assert {row.registered_at for row in rows} <= {worker.registered_at for worker in workers}
    assert len(sent) == 1
