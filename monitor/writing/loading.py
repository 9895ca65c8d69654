"""What the operations of a batch need, loaded together before they run.

Rows that will change are locked in one order (workers, then processes, each by id), so that server
processes that report on the same worker queue up instead of deadlocking.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from monitor.entities import Process, Task, Worker, WorkerStatus
from monitor.ids import kind_of
from monitor.reading import rows

# A worker's last_seen_at is written at most once in this time.
SEEN_INTERVAL = timedelta(seconds=1)
# Built once: SQLAlchemy then finds their compiled form without looking at their parts.
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_LOCK_WORKERS = (
    select(*rows.WORKER)
    .where(models.workers.c.id.in_(_IDS))
    .order_by(models.workers.c.id)
    .with_for_update()
)
_LOCK_PROCESSES = (
    select(*rows.PROCESS)
    .where(models.processes.c.id.in_(_IDS))
    .order_by(models.processes.c.id)
    .with_for_update()
)
_TASKS = select(*rows.TASK).where(models.tasks.c.id.in_(_IDS))
_TASKS_OF = select(
    *(null().label("details") if column.name == "details" else column for column in rows.TASK)
).where(models.tasks.c.process_id.in_(_IDS))
_RUNNING = select(models.processes.c.id).where(
    models.processes.c.worker_id.in_(_IDS), models.processes.c.status == "RUNNING"
)
_PROCESS_OF_TASK = select(models.tasks.c.id, models.tasks.c.process_id).where(
    models.tasks.c.id.in_(_IDS)
)
_WORKER_OF_PROCESS = select(models.processes.c.id, models.processes.c.worker_id).where(
    models.processes.c.id.in_(_IDS)
)


@dataclass(frozen=True, slots=True)
class Needs:
    """What an operation reads and changes, by id.

    `processes` bring their worker along, `tasks` their process, `running_of` the running processes
    of these workers, `tasks_of` all tasks of these processes, which it removes: without details.
    """

    workers: Sequence[str] = ()
    processes: Sequence[str] = ()
    tasks: Sequence[str] = ()
    running_of: Sequence[str] = ()
    tasks_of: Sequence[str] = ()


@dataclass(slots=True)
class Memory:
    """What a server process remembers between transactions, to save reads and writes.

    `parents`: worker id of a process, process id of a task; these never change.
    `seen`: when this server process last stored a sign of life of a worker.
    """

    size: int = 50_000
    parents: dict[str, str] = field(default_factory=dict)
    seen: dict[str, datetime] = field(default_factory=dict)

    def is_due(self, worker_id: str, now: datetime) -> bool:
        """Whether a sign of life of the worker has to be stored again."""
        seen = self.seen.get(worker_id)
        return seen is None or now - seen >= SEEN_INTERVAL

    def forget_the_oldest(self) -> None:
        for known in (self.parents, self.seen):
            while len(known) > self.size:
                del known[next(iter(known))]


@dataclass(slots=True)
class Loaded:
    """The entities of one transaction, by id."""

    workers: dict[str, Worker] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)


async def load(
    connection: AsyncConnection, needs: Iterable[Needs], *, memory: Memory, now: datetime
) -> Loaded:
    """Reads what these needs name, locking what may change."""
    wanted = list(needs)
    tasks = {id_ for need in wanted for id_ in need.tasks}
    tasks_of = {id_ for need in wanted for id_ in need.tasks_of}
    ended = {id_ for need in wanted for id_ in need.processes} | tasks_of
    await _learn_parents(connection, memory, _PROCESS_OF_TASK, tasks)
    parents = memory.parents
    processes = ended | {parents[id_] for id_ in tasks if id_ in parents}
    await _learn_parents(connection, memory, _WORKER_OF_PROCESS, processes)
    workers = {id_ for need in wanted for id_ in (*need.workers, *need.running_of) if kind_of(id_)}
    workers |= {parents[id_] for id_ in ended if id_ in parents}
    workers |= {
        worker_id
        for id_ in processes
        if id_ in parents and memory.is_due(worker_id := parents[id_], now)
    }
    loaded = Loaded()
    for row in await _rows(connection, _LOCK_WORKERS, workers):
        loaded.workers[row[0]] = rows.worker(row)
    running_of = {id_ for need in wanted for id_ in need.running_of}
    running_of |= {w.id for w in loaded.workers.values() if w.status is WorkerStatus.OFFLINE}
    running = [row[0] for row in await _rows(connection, _RUNNING, running_of)]
    known = {id_ for id_ in processes if id_ in parents}
    for row in await _rows(connection, _LOCK_PROCESSES, known.union(running)):
        loaded.processes[row[0]] = rows.process(row)
    for row in await _rows(connection, _TASKS_OF, tasks_of):
        loaded.tasks[row[0]] = rows.task(row)
    # Not locked: whoever changes a task has locked its process. After those without details.
    for row in await _rows(connection, _TASKS, {id_ for id_ in tasks if id_ in parents}):
        loaded.tasks[row[0]] = rows.task(row)
    return loaded


async def _learn_parents(
    connection: AsyncConnection, memory: Memory, statement: Select[Any], ids: Collection[str]
) -> None:
    unknown = [id_ for id_ in ids if id_ not in memory.parents and kind_of(id_)]
    found = await _rows(connection, statement, unknown)
    memory.parents.update((row[0], row[1]) for row in found)


async def _rows(
    connection: AsyncConnection, statement: Select[Any], ids: Collection[str]
) -> Sequence[Any]:
    if not ids:
        return ()
    found: Sequence[Any] = (await connection.execute(statement, {"ids": sorted(ids)})).all()
    return found
