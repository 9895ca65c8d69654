"""What belongs to each of many workers or processes, loaded for all of them at once."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, select

from db import models
from db.session import Database
from monitor.entities import Process, Task
from monitor.errors import InvalidInput
from monitor.reading.details import Budget
from monitor.reading.filters import ProcessFilter
from monitor.reading.pages import Direction, Listing, Order, Page, PageRequest
from monitor.reading.reads import (
    DETAILED,
    PROCESSES,
    TASKS,
    entities,
    joined,
    page_parts,
    reading,
    whole,
    within,
)

# What SQLite takes: parts of a compound SELECT, and (in its usual builds) parameters.
_PARTS = 500
_PARAMETERS = 32_000
# Of a part of `list_processes_by_worker`, besides those of the filter's lists.
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


async def list_processes_by_worker(
    database: Database,
    worker_ids: Sequence[str],
    matching: ProcessFilter,
    order: Order,
    request: PageRequest,
    details: Budget | None = None,
) -> dict[str, Page[Process]]:
    """The same page for each of many workers; one statement for up to 500 parts.

    Bounded, indexed parts for each worker: a window function would read their whole histories.
    """
    read = within(PROCESSES, details)
    found: dict[str, list[Any]] = {worker_id: [] for worker_id in worker_ids}
    parts = [
        part
        for worker_id in worker_ids
        for part in page_parts(read, _of_worker(matching, worker_id), order, request)
    ]
    listed = sum(map(len, matching.values().values())) + len(matching.ids or ())
    size = max(1, min(_PARTS, _PARAMETERS // (listed + _PARAMETERS_OF_A_PART)))
    async with reading(database) as connection:
        for start in range(0, len(parts), size):
            statement = joined(read, parts[start : start + size])
            for row in await connection.execute(statement):
                found[row.worker_id].append(row)
        pages = {
            worker_id: read.page(list_, order, request)
            for worker_id, list_ in _sorted(found, order, request).items()
        }
        return await whole(connection, found, pages, details)


def _sorted(
    found: dict[str, list[Any]], order: Order, request: PageRequest
) -> dict[str, list[Any]]:
    """In the order that was asked for: a join promises none."""
    column, _ = PROCESSES.orders[order.field]
    backwards = (order.direction is Direction.DESC) != request.backwards
    for list_ in found.values():
        list_.sort(key=lambda row: (getattr(row, column.name), row.id), reverse=backwards)
    return found


def _of_worker(matching: ProcessFilter, worker_id: str) -> ProcessFilter:
    theirs = matching.worker_ids is None or worker_id in matching.worker_ids
    return replace(matching, worker_ids=(worker_id,) if theirs else ())


async def list_tasks_by_process(
    database: Database, process_ids: Collection[str], details: Budget | None = None
) -> dict[str, list[Task]]:
    """All tasks of each of the processes, by position.

    Raises InvalidInput when there are more than MAX_TASKS.
    """
    statement = _TASKS_BY_PROCESS[details is not None]
    async with reading(database) as connection:
        found = (await connection.execute(statement, {"ids": sorted(process_ids)})).all()
        if len(found) > MAX_TASKS:
            raise InvalidInput(
                "tasks", f"are more than {MAX_TASKS}, ask for fewer processes at once"
            )
        listed = await entities(connection, TASKS, found, details)
    tasks: dict[str, list[Task]] = {process_id: [] for process_id in process_ids}
    for task in listed:
        tasks[task.process_id].append(task)
    return tasks


async def find_first_tasks(
    database: Database, process_ids: Collection[str], details: Budget | None = None
) -> dict[str, Task]:
    """The task at position 1 of those of the processes that have tasks."""
    statement = _FIRST_TASKS[details is not None]
    async with reading(database) as connection:
        found = (await connection.execute(statement, {"ids": sorted(process_ids)})).all()
        tasks = await entities(connection, TASKS, found, details)
    return {task.process_id: task for task in tasks}
