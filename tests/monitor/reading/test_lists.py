"""Lists that match any of several values: complete, in order, and no dearer than one value."""

from collections.abc import AsyncIterator
from random import Random

import pytest
from sqlalchemy import select, text

from app.seeding import seed_history
from db.migrate import migrate
from db.session import Database
from monitor.entities import Process, ProcessStatus
from monitor.reading.filters import ProcessFilter
from monitor.reading.pages import Direction, Order, PageRequest
from monitor.reading.reads import PROCESSES, list_page, page_statement
from tests.servers import MariaDb

SIZE = 7
STATUSES = (ProcessStatus.ERROR, ProcessStatus.SUCCESS, ProcessStatus.ERROR)


async def all_processes(database: Database) -> list[Process]:
    async with database.reading() as connection:
        return [
            PROCESSES.convert(row) for row in await connection.execute(select(*PROCESSES.columns))
        ]


async def walk(
    database: Database, matching: ProcessFilter, order: Order, *, backwards: bool
) -> AsyncIterator[list[Process]]:
    cursor = None
    while True:
        request = (
            PageRequest(last=SIZE, before=cursor)
            if backwards
            else PageRequest(first=SIZE, after=cursor)
        )
        page = await list_page(database, PROCESSES, matching, order, request)
        yield list(page.items)
        if not (page.has_previous if backwards else page.has_next):
            return
        cursor = page.cursors[0 if backwards else -1]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("direction", Direction)
async def test_pages_of_several_values_have_everything_once_in_order(
    database: Database, direction: Direction, *, backwards: bool
) -> None:
    await seed_history(database, processes=150, workers=4, random=Random(1))
    known = await all_processes(database)
    workers = sorted({process.worker_id for process in known})[1:]
    matching = ProcessFilter(worker_ids=(*workers, workers[0]), status=STATUSES)
    order = Order("STARTED_AT", direction)
    pages = [page async for page in walk(database, matching, order, backwards=backwards)]
    if backwards:
        pages.reverse()
    found = [process.id for page in pages for process in page]
    expected = sorted(
        filter(matching.matches, known),
        key=lambda process: (process.started_at, process.id),
        reverse=direction is Direction.DESC,
    )
    assert found == [process.id for process in expected]
    assert len(expected) > 3 * SIZE


async def test_a_page_of_two_workers_reads_what_it_shows_and_not_their_history(
    mariadb: MariaDb,
) -> None:
    database = Database(mariadb.create_database())
    await migrate(database)
    await seed_history(database, processes=6_000, workers=60, random=Random(2))
    workers = sorted({process.worker_id for process in await all_processes(database)})
    matching = ProcessFilter(worker_ids=tuple(workers[:2]))
    order = Order("STARTED_AT", Direction.DESC)
    statement = page_statement(PROCESSES, matching, order, PageRequest(first=SIZE))
    async with database.reading() as connection:
        await connection.execute(text("FLUSH STATUS"))
        assert len((await connection.execute(statement)).all()) == SIZE + 1
        counts = await connection.execute(text("SHOW SESSION STATUS LIKE 'Handler_read%'"))
        # Of each worker one page by the index, once more into a temporary table, and by id.
        assert sum(int(count) for _, count in counts) < 2 * 8 * SIZE
    await database.close()
