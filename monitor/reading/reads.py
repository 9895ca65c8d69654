"""Reading: by id, by page, and the figures that are kept ready. Changes nothing, counts nothing.

Every function takes the database and sends a fixed number of statements, whatever the size of
what it returns. Raises Unavailable when the database cannot be used.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import BindParameter, Select, bindparam, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.errors import DatabaseUnavailable
from db.session import Database
from monitor.entities import Process, Task, Worker, fold
from monitor.errors import InvalidInput, Unavailable
from monitor.ids import kind_of
from monitor.reading import rows
from monitor.reading.filters import Filter, ProcessFilter, split
from monitor.reading.pages import Direction, Listing, Order, Page, PageRequest

T = TypeVar("T", Worker, Process, Task)

# What SQLite takes: parts of a compound SELECT, and (in its usual builds) parameters.
_PARTS = 500
_PARAMETERS = 32_000
# Of a part of `list_processes_by_worker`, besides those of the filter's lists.
_PARAMETERS_OF_A_PART = 20
_BOTH = ("worker_ids", "status")
# Tasks that are loaded for many processes at once; some workers have thousands of steps.
MAX_TASKS = 50_000

WORKERS: Listing[Worker] = Listing(
    rows.WORKER,
    rows.worker,
    models.workers.c.id,
    {
        "REGISTERED_AT": (models.workers.c.registered_at, lambda worker: worker.registered_at),
        "LAST_SEEN_AT": (models.workers.c.last_seen_at, lambda worker: worker.last_seen_at),
        "NAME": (models.workers.c.name_folded, lambda worker: fold(worker.name)),
    },
    {
        "REGISTERED_AT": (("status",), ()),
        "LAST_SEEN_AT": (("status",), ()),
        "NAME": ((),),
    },
)
PROCESSES: Listing[Process] = Listing(
    rows.PROCESS,
    rows.process,
    models.processes.c.id,
    {
        "STARTED_AT": (models.processes.c.started_at, lambda process: process.started_at),
        "UPDATED_AT": (models.processes.c.updated_at, lambda process: process.updated_at),
    },
    {
        "STARTED_AT": (_BOTH, ("worker_ids",), ("status",), ()),
        "UPDATED_AT": (_BOTH, ("status",)),
    },
)
TASKS: Listing[Task] = Listing(
    rows.TASK,
    rows.task,
    models.tasks.c.id,
    {
        "CREATED_AT": (models.tasks.c.created_at, lambda task: task.created_at),
        "UPDATED_AT": (models.tasks.c.updated_at, lambda task: task.updated_at),
        "POSITION": (models.tasks.c.position, lambda task: task.position),
    },
    dict.fromkeys(("CREATED_AT", "UPDATED_AT", "POSITION"), (_BOTH, ("status",))),
)


_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_TASK = models.tasks.c
# Built once: SQLAlchemy then finds their compiled form without looking at their parts.
_BY_ID = {
    str(listing.id.table.name): select(*listing.columns).where(listing.id.in_(_IDS))
    for listing in (WORKERS, PROCESSES, TASKS)
}
_TASKS_BY_PROCESS = (
    select(*rows.TASK)
    .where(_TASK.process_id.in_(_IDS))
    .order_by(_TASK.process_id, _TASK.position)
    .limit(MAX_TASKS + 1)
)
_FIRST_TASKS = select(*rows.TASK).where(_TASK.process_id.in_(_IDS), _TASK.position == 1)
_TASK_NAMES = select(_TASK.id, _TASK.name).where(_TASK.id.in_(_IDS))


@asynccontextmanager
async def reading(database: Database) -> AsyncIterator[AsyncConnection]:
    """A connection to read with. Raises Unavailable."""
    try:
        async with database.reading() as connection:
            yield connection
    except DatabaseUnavailable as error:
        raise Unavailable from error


async def find_by_ids(
    database: Database, listing: Listing[T], ids: Collection[str]
) -> dict[str, T]:
    """Those of the ids that exist."""
    possible = sorted(id_ for id_ in ids if kind_of(id_))
    if not possible:
        return {}
    async with reading(database) as connection:
        found = await connection.execute(_BY_ID[listing.id.table.name], {"ids": possible})
        return {row[0]: listing.convert(row) for row in found}


async def find_by_id(database: Database, listing: Listing[T], id_: str) -> T | None:
    """The one with this id, if there is one."""
    return (await find_by_ids(database, listing, [id_])).get(id_)


async def list_page(
    database: Database, listing: Listing[T], matching: Filter, order: Order, request: PageRequest
) -> Page[T]:
    """One page of what matches. Raises InvalidInput for a size or cursor that cannot be."""
    statement = page_statement(listing, matching, order, request)
    async with reading(database) as connection:
        found = (await connection.execute(statement)).all()
    return listing.page(found, order, request)


def page_statement(
    listing: Listing[T], matching: Filter, order: Order, request: PageRequest
) -> Select[Any]:
    """One page; with several values in a list, the first rows of each, then the first of these.

    So it reads as many rows as it shows, per value, where one statement would sort all that match.
    Raises InvalidInput for a size or cursor that cannot be.
    """
    parts = _parts(listing, matching, order, request)
    if len(parts) == 1:
        return parts[0]
    ordered = _joined(listing, parts).order_by(
        *listing.order_by(order, backwards=request.backwards)
    )
    return ordered.limit(request.size + 1)


def _parts(
    listing: Listing[T], matching: Filter, order: Order, request: PageRequest
) -> list[Select[Any]]:
    """Statements of which each follows one index, together all that can be on the page."""
    prefix, filters = split(matching, listing.prefixes[order.field])
    index = None
    if prefix is not None and not (order.field == "UPDATED_AT" and _ends_early(matching)):
        index = listing.index(prefix, order)
    return [listing.select(part.where(), order, request, index) for part in filters]


def _ends_early(matching: Filter) -> bool:
    # No index has both orders: the database knows which is the shorter way.
    return getattr(matching, "started_before", None) is not None


def _joined(listing: Listing[T], parts: Sequence[Select[Any]]) -> Select[Any]:
    """The rows of all parts. These find ids only: cheaper to compile, to send and to sort."""
    found = union_all(
        *(select(part.with_only_columns(listing.id).subquery()) for part in parts)
    ).subquery()
    return select(*listing.columns).join(found, found.c.id == listing.id)


async def list_processes_by_worker(
    database: Database,
    worker_ids: Sequence[str],
    matching: ProcessFilter,
    order: Order,
    request: PageRequest,
) -> dict[str, Page[Process]]:
    """The same page for each of many workers; one statement for up to 500 parts.

    Bounded, indexed parts for each worker: a window function would read their whole histories.
    """
    found: dict[str, list[Any]] = {worker_id: [] for worker_id in worker_ids}
    parts = [
        part
        for worker_id in worker_ids
        for part in _parts(PROCESSES, _of_worker(matching, worker_id), order, request)
    ]
    listed = sum(map(len, matching.values().values())) + len(matching.ids or ())
    size = max(1, min(_PARTS, _PARAMETERS // (listed + _PARAMETERS_OF_A_PART)))
    async with reading(database) as connection:
        for start in range(0, len(parts), size):
            statement = _joined(PROCESSES, parts[start : start + size])
            for row in await connection.execute(statement):
                found[row.worker_id].append(row)
    # A join promises no order.
    column, _ = PROCESSES.orders[order.field]
    backwards = (order.direction is Direction.DESC) != request.backwards
    for list_ in found.values():
        list_.sort(key=lambda row: (getattr(row, column.name), row.id), reverse=backwards)
    return {worker_id: PROCESSES.page(list_, order, request) for worker_id, list_ in found.items()}


def _of_worker(matching: ProcessFilter, worker_id: str) -> ProcessFilter:
    theirs = matching.worker_ids is None or worker_id in matching.worker_ids
    return replace(matching, worker_ids=(worker_id,) if theirs else ())


async def list_tasks_by_process(
    database: Database, process_ids: Collection[str]
) -> dict[str, list[Task]]:
    """All tasks of each of the processes, by position.

    Raises InvalidInput when there are more than MAX_TASKS.
    """
    async with reading(database) as connection:
        found = (await connection.execute(_TASKS_BY_PROCESS, {"ids": sorted(process_ids)})).all()
    if len(found) > MAX_TASKS:
        raise InvalidInput("tasks", f"are more than {MAX_TASKS}, ask for fewer processes at once")
    tasks: dict[str, list[Task]] = {process_id: [] for process_id in process_ids}
    for row in found:
        task = rows.task(row)
        tasks[task.process_id].append(task)
    return tasks


async def find_first_tasks(database: Database, process_ids: Collection[str]) -> dict[str, Task]:
    """The task at position 1 of those of the processes that have tasks."""
    async with reading(database) as connection:
        found = await connection.execute(_FIRST_TASKS, {"ids": sorted(process_ids)})
        tasks = [rows.task(row) for row in found]
    return {task.process_id: task for task in tasks}


async def find_task_names(database: Database, ids: Collection[str]) -> dict[str, str]:
    """The names of those of the tasks that exist, without their (perhaps long) details."""
    if not ids:
        return {}
    async with reading(database) as connection:
        found = await connection.execute(_TASK_NAMES, {"ids": sorted(ids)})
        return dict(found.all())


async def list_slice(
    database: Database,
    listing: Listing[T],
    matching: Filter,
    order: Order,
    *,
    limit: int,
    offset: int,
) -> list[T]:
    """`limit` rows behind `offset` rows: only for the legacy routes, which promise offsets."""
    statement = select(*listing.columns).where(matching.where())
    statement = statement.order_by(*listing.order_by(order))
    async with reading(database) as connection:
        found = await connection.execute(statement.limit(limit).offset(offset))
        return [listing.convert(row) for row in found]
