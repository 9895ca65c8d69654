"""What belongs to each of many workers or processes, loaded for all of them at once."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar

from sqlalchemy import BindParameter, Select, bindparam, select

from db import models
from db.session import Database
from monitor.entities import Process, Task, Worker
from monitor.errors import InvalidInput
from monitor.reading.asking import ask
from monitor.reading.details import Budget
from monitor.reading.filters import Filter
from monitor.reading.pages import Direction, Listing, Order, Page, PageRequest
from monitor.reading.reads import (
    DETAILED,
    TASKS,
    entities,
    joined,
    page_parts,
    whole,
    within,
)

T = TypeVar("T", Worker, Process, Task)

# What each row of a list belongs to.
Owner = Literal["worker", "pipeline", "failure"]

# What SQLite takes: parts of a compound SELECT, and (in its usual builds) parameters.
_PARTS = 500
_PARAMETERS = 32_000
# Of a part of `list_pages_by`, besides those of the filter's lists.
_PARAMETERS_OF_A_PART = 20
# Tasks that are loaded for many processes at once; some workers have thousands of steps.
MAX_TASKS = 50_000
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_TASK = models.tasks.c


def _by_process(tasks: Listing[Task]) -> Select[Any]:
    statement = select(*tasks.columns).where(_TASK.process_id.in_(_IDS))
    return statement.order_by(_TASK.process_id, _TASK.position).limit(MAX_TASKS + 1)


def _first(tasks: Listing[Task]) -> Select[Any]:
    return select(*tasks.columns).where(_TASK.process_id.in_(_IDS), _TASK.position == 1)


# Built once, each without and with details.
_TASKS_BY_PROCESS = {False: _by_process(TASKS), True: _by_process(DETAILED["tasks"])}
_FIRST_TASKS = {False: _first(TASKS), True: _first(DETAILED["tasks"])}


async def list_pages_by(
    database: Database,
    listing: Listing[T],
    owner: Owner,
    owner_ids: Sequence[str],
    matching: Filter,
    order: Order,
    request: PageRequest,
    details: Budget | None = None,
) -> dict[str, Page[T]]:
    """The same page for each of many of these; one statement for up to 500 parts.

    Bounded, indexed parts for each owner: a window function would read their whole histories.
    """
    read = within(listing, details)
    found: dict[str, list[Any]] = {owner_id: [] for owner_id in owner_ids}
    parts = [
        part
        for owner_id in owner_ids
        for part in page_parts(read, _of(owner, matching, owner_id), order, request)
    ]
    listed = sum(map(len, matching.values().values())) + len(matching.ids or ())
    size = max(1, min(_PARTS, _PARAMETERS // (listed + _PARAMETERS_OF_A_PART)))
    for start in range(0, len(parts), size):
        for row in await ask(database, joined(read, parts[start : start + size])):
            found[getattr(row, f"{owner}_id")].append(row)
    pages = {
        owner_id: read.page(list_, order, request)
        for owner_id, list_ in _sorted(listing, found, order, request).items()
    }
    return await whole(database, found, pages, details)


def _sorted(
    listing: Listing[Any], found: dict[str, list[Any]], order: Order, request: PageRequest
) -> dict[str, list[Any]]:
    """In the order that was asked for: a join promises none."""
    column, value_of = listing.orders[order.field]
    backwards = (order.direction is Direction.DESC) != request.backwards
    if any(column is selected for selected in listing.columns):
        for list_ in found.values():
            list_.sort(key=lambda row: (getattr(row, column.name), row.id), reverse=backwards)
        return found
    for list_ in found.values():
        list_.sort(key=lambda row: (value_of(listing.convert(row)), row.id), reverse=backwards)
    return found


def _of(owner: Owner, matching: Any, owner_id: str) -> Any:
    name = f"{owner}_ids"
    given = getattr(matching, name)
    theirs = given is None or owner_id in given
    return replace(matching, **{name: (owner_id,) if theirs else ()})


async def list_tasks_by_process(
    database: Database, process_ids: Collection[str], details: Budget | None = None
) -> dict[str, list[Task]]:
    """All tasks of each of the processes, by position.

    Raises InvalidInput when there are more than MAX_TASKS.
    """
    statement = _TASKS_BY_PROCESS[details is not None]
    found = await ask(database, statement, {"ids": process_ids})
    if len(found) > MAX_TASKS:
        raise InvalidInput("tasks", f"are more than {MAX_TASKS}, ask for fewer processes at once")
    listed = await entities(database, TASKS, found, details)
    tasks: dict[str, list[Task]] = {process_id: [] for process_id in process_ids}
    for task in listed:
        tasks[task.process_id].append(task)
    return tasks


async def find_first_tasks(
    database: Database, process_ids: Collection[str], details: Budget | None = None
) -> dict[str, Task]:
    """The task at position 1 of those of the processes that have tasks."""
    statement = _FIRST_TASKS[details is not None]
    found = await ask(database, statement, {"ids": process_ids})
    tasks = await entities(database, TASKS, found, details)
    return {task.process_id: task for task in tasks}
