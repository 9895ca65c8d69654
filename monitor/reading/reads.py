"""Reading: by id, by page, and the figures that are kept ready. Changes nothing, counts nothing.

Every function takes the database and sends a fixed number of statements, whatever the size of
what it returns; where details are large, one more. Raises Unavailable when the database cannot be
used. Details are read where there is a budget for them, else left out; InvalidInput is raised when
they are more than that.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import BindParameter, Select, bindparam, select, union_all

from db import models
from db.session import Database
from monitor.entities import Process, Task, Worker, fold
from monitor.ids import kind_of
from monitor.reading import rows
from monitor.reading.asking import ask
from monitor.reading.details import Ask, Budget, detailed, read_large
from monitor.reading.filters import Filter, ListFilter, ProcessFilter, TaskFilter
from monitor.reading.pages import Listing, Order, Page, PageRequest, split

T = TypeVar("T", Worker, Process, Task)
L = TypeVar("L")

# What the indexes begin with, the narrowest first.
_WITH_STATUS = (("worker_ids", "status"), ("pipeline_ids", "status"), ("status",))
_WORKERS_OF = (("pipeline_ids", "liveness"), ("pipeline_ids",), ("liveness",), ())

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
        "REGISTERED_AT": _WORKERS_OF,
        "LAST_SEEN_AT": _WORKERS_OF,
        "NAME": (("pipeline_ids",), ()),
    },
)
PROCESSES: Listing[Process] = Listing(
    rows.LISTED_PROCESS,
    rows.listed_process,
    models.processes.c.id,
    {
        "STARTED_AT": (models.processes.c.started_at, lambda process: process.started_at),
        "UPDATED_AT": (models.processes.c.updated_at, lambda process: process.updated_at),
    },
    {
        "STARTED_AT": (
            ("failure_ids",),
            ("pipeline_ids", "versions", "status"),
            *(("worker_ids", "status"), ("worker_ids",)),
            *(("pipeline_ids", "status"), ("pipeline_ids",), ("status",), ()),
        ),
        "UPDATED_AT": _WITH_STATUS,
    },
)
TASKS: Listing[Task] = Listing(
    rows.LISTED_TASK,
    rows.listed_task,
    models.tasks.c.id,
    {
        "CREATED_AT": (models.tasks.c.created_at, lambda task: task.created_at),
        "UPDATED_AT": (models.tasks.c.updated_at, lambda task: task.updated_at),
        "POSITION": (models.tasks.c.position, lambda task: task.position),
    },
    dict.fromkeys(("CREATED_AT", "UPDATED_AT", "POSITION"), _WITH_STATUS),
)


# The same with details.
DETAILED: dict[str, Listing[Any]] = {
    "processes": detailed(PROCESSES, models.processes.c.details, rows.listed_process),
    "tasks": detailed(TASKS, models.tasks.c.details, rows.listed_task),
}
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_TASK = models.tasks.c


def _by_id(listing: Listing[Any]) -> Select[Any]:
    return select(*listing.columns).where(listing.id.in_(_IDS))


# Statements of first pages that are kept.
BEGINNINGS = 200
# Built once: SQLAlchemy then finds their compiled form without looking at their parts.
# By whether there are details.
_BY_ID = {
    False: {str(listing.id.table.name): _by_id(listing) for listing in (WORKERS, PROCESSES, TASKS)},
    True: {name: _by_id(listing) for name, listing in DETAILED.items()},
}
_TASK_NAMES = select(_TASK.id, _TASK.name).where(_TASK.id.in_(_IDS))


def within(listing: Listing[T], details: Budget | None) -> Listing[T]:
    """The list to read: with details where there is a budget for them."""
    return listing if details is None else DETAILED[str(listing.id.table.name)]


async def entities(
    database: Database, listing: Listing[T], found: Sequence[Any], details: Budget | None
) -> list[T]:
    """The entities of rows that were selected with or without details."""
    items = [within(listing, details).convert(row) for row in found]
    if details is None:
        return items
    large = await read_large(_asking(database), found, items, details)
    return [large.get(item.id, item) for item in items] if large else items


async def find_by_ids(
    database: Database, listing: Listing[T], ids: Collection[str], details: Budget | None = None
) -> dict[str, T]:
    """Those of the ids that exist."""
    possible = sorted(id_ for id_ in ids if kind_of(id_))
    if not possible:
        return {}
    statement = _BY_ID[details is not None][str(listing.id.table.name)]
    found = await ask(database, statement, {"ids": possible})
    items = await entities(database, listing, found, details)
    return {item.id: item for item in items}


async def find_by_id(database: Database, listing: Listing[T], id_: str) -> T | None:
    """The one with this id, if there is one, without details."""
    return (await find_by_ids(database, listing, [id_])).get(id_)


async def list_page(
    database: Database,
    listing: Listing[T],
    matching: Filter,
    order: Order,
    request: PageRequest,
    details: Budget | None = None,
) -> Page[T]:
    """One page of what matches. Raises InvalidInput for a size or cursor that cannot be."""
    read = within(listing, details)
    statement = page_statement(read, matching, order, request)
    found = await ask(database, statement, alone=_reads_on(matching, order))
    pages = {"": read.page(found, order, request)}
    return (await whole(database, {"": found}, pages, details))[""]


async def whole(
    database: Database,
    found: Mapping[str, Sequence[Any]],
    pages: Mapping[str, Page[T]],
    details: Budget | None,
) -> dict[str, Page[T]]:
    """The pages of these rows, with all details that were asked for; cursors are of the rows."""
    if details is None:
        return dict(pages)
    shown = [row for key, page in pages.items() for row in found[key][: len(page.items)]]
    listed = [item for page in pages.values() for item in page.items]
    large = await read_large(_asking(database), shown, listed, details)
    return {
        key: replace(page, items=[large.get(item.id, item) for item in page.items])
        for key, page in pages.items()
    }


def _asking(database: Database) -> Ask:
    async def find(statement: Select[Any], ids: Sequence[str]) -> Sequence[Any]:
        return await ask(database, statement, {"ids": ids})

    return find


def page_statement(
    listing: Listing[L], matching: ListFilter, order: Order, request: PageRequest
) -> Select[Any]:
    """One page; with several values in a list, the first rows of each, then the first of these.

    So it reads as many rows as it shows, per value, where one statement would sort all that match.
    Raises InvalidInput for a size or cursor that cannot be.
    """
    if request.after is None and request.before is None:
        return _beginning(listing, matching, order, request)
    return united(listing, page_parts(listing, matching, order, request), order, request)


@lru_cache(maxsize=BEGINNINGS)
def _beginning(
    listing: Listing[Any], matching: ListFilter, order: Order, request: PageRequest
) -> Select[Any]:
    """The same for the pages that everybody asks for, again and again."""
    return united(listing, page_parts(listing, matching, order, request), order, request)


def united(
    listing: Listing[L], parts: Sequence[Select[Any]], order: Order, request: PageRequest
) -> Select[Any]:
    """The page of which these are the parts, as of `page_parts`."""
    if len(parts) == 1:
        return parts[0]
    ordered = joined(listing, parts).order_by(*listing.order_by(order, backwards=request.backwards))
    return ordered.limit(request.size + 1)


def page_parts(
    listing: Listing[L], matching: ListFilter, order: Order, request: PageRequest
) -> list[Select[Any]]:
    """Statements of which each follows one index, together all that can be on the page."""
    prefix, filters = split(matching, listing.prefixes[order.field])
    index = None
    if prefix is not None and not _has_no_index(matching, order):
        index = listing.index(prefix, order)
    return [listing.select(part.where(), order, request, index) for part in filters]


def _reads_on(matching: ListFilter, order: Order) -> bool:
    """Whether it reads, in order, until the page is full: then nothing bounds how far."""
    if isinstance(matching, TaskFilter) and matching.name_contains is not None:
        return True
    if isinstance(matching, ProcessFilter) and None not in (
        matching.versions,
        matching.failure_ids,
    ):
        return True
    return _has_no_index(matching, order)


def _has_no_index(matching: ListFilter, order: Order) -> bool:
    # No index has both orders, nor, since names are long, the status of workers before the name:
    # the database knows which is the shorter way. Those of a failure are sorted: each process would
    # pay for an index more.
    names = {"UPDATED_AT": ("started_before", "failure_ids"), "NAME": ("liveness",)}
    given = (getattr(matching, name, None) for name in names.get(order.field, ()))
    return any(value is not None for value in given)


def joined(listing: Listing[L], parts: Sequence[Select[Any]]) -> Select[Any]:
    """The rows of all parts. These find ids only: cheaper to compile, to send and to sort."""
    found = union_all(
        *(select(part.with_only_columns(part.selected_columns.id).subquery()) for part in parts)
    ).subquery()
    return select(*listing.columns).join(found, found.c.id == listing.id)


async def find_task_names(database: Database, ids: Collection[str]) -> dict[str, str]:
    """The names of those of the tasks that exist, without their (perhaps long) details."""
    if not ids:
        return {}
    return dict(await ask(database, _TASK_NAMES, {"ids": ids}))


async def list_slice(
    database: Database,
    listing: Listing[T],
    matching: Filter,
    order: Order,
    *,
    limit: int,
    offset: int,
    details: Budget | None = None,
) -> list[T]:
    """`limit` rows behind `offset` rows: only for the legacy routes, which promise offsets."""
    statement = select(*within(listing, details).columns).where(matching.where())
    statement = statement.order_by(*listing.order_by(order)).limit(limit).offset(offset)
    return await entities(database, listing, await ask(database, statement), details)
