"""What reports under the ids of a process that ended may mean (`monitor.starts`): rare, so loaded
only then. It comes after the other locks; two batches that meet here are a lost race.
"""

from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncConnection

from db.lookups import fetch_rows
from monitor.entities import Process
from monitor.reading import rows
from monitor.writing import statements
from monitor.writing.statements import Loaded


async def load_successors(
    connection: AsyncConnection,
    loaded: Loaded,
    *,
    ending: Collection[str],
    started: Collection[str],
) -> None:
    """Adds the running successors of ended processes, with the tasks that are meant.

    Where a task is started and there is none, adds what one is found or made of. A process of
    `ending` may end in this very batch, before its task is started.
    """
    over = {p.id for p in loaded.processes.values() if p.ended_at is not None or p.id in ending}
    if not over:
        return
    processes = [loaded.processes[id_] for id_ in over]
    await lock_processes(connection, loaded, {p.successor_id for p in processes if p.successor_id})
    followed = {p.id for p in processes if _runs(loaded, p.successor_id)}
    concerned = [task for task in loaded.tasks.values() if task.process_id in over]
    meant = {task.id for task in concerned if task.process_id in followed}
    # In place of those without details that a removal brought.
    for row in await fetch_rows(connection, statements.TASKS_IN_SUCCESSORS, meant):
        loaded.tasks[row[0]] = rows.task(row)
    orphaned = {
        task.process_id
        for task in concerned
        if task.id in started and task.process_id not in followed
    }
    await _load_what_a_start_needs(connection, loaded, orphaned)


def _runs(loaded: Loaded, process_id: str | None) -> bool:
    process = loaded.processes.get(process_id) if process_id else None
    return process is not None and process.ended_at is None


async def _load_what_a_start_needs(
    connection: AsyncConnection, loaded: Loaded, process_ids: Collection[str]
) -> None:
    """The worker, and its running processes on which nothing was reported yet, with their tasks."""
    workers = {loaded.processes[id_].worker_id for id_ in process_ids}
    for row in await fetch_rows(
        connection, statements.LOCK_WORKERS, workers - loaded.workers.keys()
    ):
        loaded.workers[row[0]] = rows.worker(row)
    running = {row[0] for row in await fetch_rows(connection, statements.RUNNING, workers)}
    await lock_processes(connection, loaded, running)
    waiting = {id_ for id_ in running if _waits(loaded.processes.get(id_))}
    for row in await fetch_rows(connection, statements.TASKS_OF, waiting):
        loaded.tasks.setdefault(row[0], rows.task(row))


def _waits(process: Process | None) -> bool:
    return process is not None and not process.reported


async def lock_processes(connection: AsyncConnection, loaded: Loaded, ids: Collection[str]) -> None:
    """Locks those of these processes that are not loaded yet."""
    for row in await fetch_rows(
        connection, statements.LOCK_PROCESSES, set(ids) - loaded.processes.keys()
    ):
        loaded.processes[row[0]] = rows.process(row)
