"""One database transaction as operations see it: the entities they need, and what they change.

Everything the operations of a batch need is loaded together before they run, rows that will change
being locked in one order (workers, then processes, each by id), so that server processes that
report on the same worker queue up instead of deadlocking. Everything they changed is written
together afterwards, one statement per table. Operations in between are plain functions.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import BindParameter, Select, Table, bindparam, delete, insert, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.session import upsert
from monitor import rows
from monitor.entities import (
    MICROSECOND,
    Entity,
    Process,
    ProcessStatus,
    Task,
    Worker,
    WorkerStatus,
)
from monitor.errors import ProcessNotFound, TaskNotFound, WorkerNotFound
from monitor.events import ChangeKind, Event, encode_events
from monitor.ids import kind_of

E = TypeVar("E", Worker, Process, Task)

# A worker's last_seen_at is written at most once in this time.
SEEN_INTERVAL = timedelta(seconds=1)
SLOT_SECONDS = (60, 3600)
# Where activity notes what was removed, as negative numbers: the chart, which shows what happened,
# leaves it out; a recount, which counts what is kept, adds it.
REMOVED_SHARD = -1
# MariaDB takes statements of 16 MiB by default, in which escaping may double a text. Entities that
# change little may be large, so this cannot be bounded by the reports that come in.
EVENTS_BYTES = 4 * 1024 * 1024
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
# Built once: SQLAlchemy then finds their compiled form without looking at their parts.
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
_REMOVE_TASKS = delete(models.tasks).where(models.tasks.c.process_id.in_(_IDS))
_REMOVE_PROCESSES = delete(models.processes).where(models.processes.c.id.in_(_IDS))
_RUNNING = select(models.processes.c.id).where(
    models.processes.c.worker_id.in_(_IDS), models.processes.c.status == "RUNNING"
)
_PROCESS_OF_TASK = select(models.tasks.c.id, models.tasks.c.process_id).where(
    models.tasks.c.id.in_(_IDS)
)
_WORKER_OF_PROCESS = select(models.processes.c.id, models.processes.c.worker_id).where(
    models.processes.c.id.in_(_IDS)
)
_ADD_EVENTS = insert(models.outbox)
_COUNTERS = ("workers_online", "workers_offline", "running", "succeeded", "failed", "stalled")


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

    def forget_the_oldest(self) -> None:
        for known in (self.parents, self.seen):
            while len(known) > self.size:
                del known[next(iter(known))]


class Transaction:
    """The working set of one transaction. `now` is when the current operation's report arrived."""

    def __init__(
        self, connection: AsyncConnection, *, memory: Memory, shard: int, now: datetime
    ) -> None:
        self.now = now
        self._connection = connection
        self._memory = memory
        self._shard = shard
        self._workers: dict[str, Worker] = {}
        self._processes: dict[str, Process] = {}
        self._tasks: dict[str, Task] = {}
        self._changed: dict[str, None] = {}
        self._removed: list[str] = []
        self._events: list[Event] = []
        self._totals = dict.fromkeys(_COUNTERS, 0)
        self._activity: dict[tuple[str, int, datetime, int], list[int]] = {}

    # What operations read

    def worker(self, worker_id: str) -> Worker:
        """The worker as it stands now. Raises WorkerNotFound."""
        try:
            return self._workers[worker_id]
        except KeyError:
            raise WorkerNotFound from None

    def find_process(self, process_id: str) -> Process | None:
        """The process as it stands now, if it is there."""
        return self._processes.get(process_id)

    def process(self, process_id: str) -> Process:
        """The process as it stands now. Raises ProcessNotFound."""
        try:
            return self._processes[process_id]
        except KeyError:
            raise ProcessNotFound from None

    def task(self, task_id: str) -> Task:
        """The task as it stands now. Raises TaskNotFound."""
        try:
            return self._tasks[task_id]
        except KeyError:
            raise TaskNotFound from None

    def running_processes(self, worker_id: str) -> list[Process]:
        """The worker's loaded processes that run (`Needs.running_of`)."""
        return [
            process
            for process in self._processes.values()
            if process.worker_id == worker_id and process.ended_at is None
        ]

    # What operations change

    def create(self, entity: E) -> E:
        """Keeps a new entity and lets its event out with the commit."""
        self._keep(entity)
        self._events.append(Event(ChangeKind.CREATED, self.now, entity))
        return entity

    def update(self, entity: E, kind: ChangeKind = ChangeKind.UPDATED) -> E:
        """Keeps the new state under the next revision and lets its event out with the commit.

        Of an archived worker nobody is told, but that it is REMOVED, and CREATED when it is back.
        """
        changed = replace(entity, revision=entity.revision + 1)
        self._keep(changed)
        if kind is not ChangeKind.UPDATED or not getattr(changed, "archived", False):
            self._events.append(Event(kind, self.now, changed))
        return changed

    def remove(self, process: Process) -> None:
        """Removes a process and its tasks (`Needs.tasks_of`); their events have no details."""
        del self._processes[process.id]
        self._removed.append(process.id)
        tasks = [task for task in self._tasks.values() if task.process_id == process.id]
        for task in tasks:
            del self._tasks[task.id]
        gone: list[Process | Task] = [*tasks, process]
        for entity in gone:
            last = replace(entity, details=None, revision=entity.revision + 1)
            self._events.append(Event(ChangeKind.REMOVED, self.now, last))

    def see(self, worker_id: str) -> None:
        """Notes a sign of life; a worker that had fallen silent comes ONLINE, with its processes.

        A worker that is not loaded was seen within SEEN_INTERVAL: nothing to write.
        """
        worker = self._workers.get(worker_id)
        if worker is None:
            return
        if self.now - worker.last_seen_at >= SEEN_INTERVAL:
            worker = replace(worker, last_seen_at=self.now)
            self._keep(worker)
        if worker.status is WorkerStatus.OFFLINE:
            online = replace(
                worker, status=WorkerStatus.ONLINE, last_seen_at=self.now, archived=False
            )
            self.update(online, ChangeKind.CREATED if worker.archived else ChangeKind.UPDATED)
            self.count(workers_online=1, workers_offline=0 if worker.archived else -1)
            self.mark_stalled(worker_id, stalled=False)

    def mark_stalled(self, worker_id: str, *, stalled: bool) -> None:
        """Sets `stalled` of the worker's running processes."""
        for process in self.running_processes(worker_id):
            if process.stalled != stalled:
                self.update(replace(process, stalled=stalled))
                self.count(stalled=1 if stalled else -1)

    def count(self, **deltas: int) -> None:
        """Adds to the totals over everything that is kept."""
        for name, delta in deltas.items():
            self._totals[name] += delta

    def note_removal(self, process: Process) -> None:
        """Notes in the activity of its slots that it is not kept any more."""
        self.note_activity(process, started=-1, removed=True)
        if process.ended_at is not None:
            succeeded = process.status is ProcessStatus.SUCCESS
            self.note_activity(process, succeeded=-succeeded, failed=-(not succeeded), removed=True)

    def note_activity(
        self,
        process: Process,
        *,
        started: int = 0,
        succeeded: int = 0,
        failed: int = 0,
        removed: bool = False,
    ) -> None:
        """Adds a start or an end to the activity of its slots, for its worker and for all."""
        at = process.ended_at if succeeded or failed else process.started_at
        assert at is not None
        runtime = process.runtime(at) // MICROSECOND * (succeeded + failed)
        own, shared = (REMOVED_SHARD, REMOVED_SHARD) if removed else (0, self._shard)
        for slot_seconds in SLOT_SECONDS:
            slot_at = slot_start(at, slot_seconds)
            for worker_id, shard in ((process.worker_id, own), ("", shared)):
                sums = self._activity.setdefault(
                    (worker_id, slot_seconds, slot_at, shard), [0, 0, 0, 0]
                )
                for index, delta in enumerate((started, succeeded, failed, runtime)):
                    sums[index] += delta

    def _keep(self, entity: Entity) -> None:
        match entity:
            case Worker():
                self._workers[entity.id] = entity
            case Process():
                self._processes[entity.id] = entity
            case Task():
                self._tasks[entity.id] = entity
        self._changed[entity.id] = None

    # Loading and storing, called by `transactions` only

    async def load(self, needs: Iterable[Needs]) -> None:
        """Reads what these needs name, locking what may change."""
        wanted = list(needs)
        tasks = {id_ for need in wanted for id_ in need.tasks}
        tasks_of = sorted({id_ for need in wanted for id_ in need.tasks_of})
        ended = {id_ for need in wanted for id_ in need.processes} | set(tasks_of)
        await self._learn_parents(_PROCESS_OF_TASK, tasks)
        parents = self._memory.parents
        processes = ended | {parents[id_] for id_ in tasks if id_ in parents}
        await self._learn_parents(_WORKER_OF_PROCESS, processes)
        workers = {
            id_ for need in wanted for id_ in (*need.workers, *need.running_of) if kind_of(id_)
        }
        workers |= {parents[id_] for id_ in ended if id_ in parents}
        workers |= {
            worker_id
            for id_ in processes
            if id_ in parents and self._is_due(worker_id := parents[id_])
        }
        await self._load_workers(workers)
        running_of = {id_ for need in wanted for id_ in need.running_of}
        running_of |= {w.id for w in self._workers.values() if w.status is WorkerStatus.OFFLINE}
        await self._load_processes({id_ for id_ in processes if id_ in parents}, running_of)
        await self._load_tasks({id_ for id_ in tasks if id_ in parents})
        if tasks_of:
            found = await self._connection.execute(_TASKS_OF, {"ids": tasks_of})
            # What others in the batch need is there already, with details.
            self._tasks = {row[0]: rows.task(row) for row in found} | self._tasks

    def _is_due(self, worker_id: str) -> bool:
        seen = self._memory.seen.get(worker_id)
        return seen is None or self.now - seen >= SEEN_INTERVAL

    async def _learn_parents(self, statement: Select[Any], ids: Collection[str]) -> None:
        unknown = [id_ for id_ in ids if id_ not in self._memory.parents and kind_of(id_)]
        if unknown:
            found = await self._connection.execute(statement, {"ids": unknown})
            self._memory.parents.update((id_, parent_id) for id_, parent_id in found)

    async def _load_workers(self, ids: Collection[str]) -> None:
        if ids:
            found = await self._connection.execute(_LOCK_WORKERS, {"ids": sorted(ids)})
            self._workers = {row[0]: rows.worker(row) for row in found}

    async def _load_processes(self, ids: Collection[str], running_of: Collection[str]) -> None:
        if running_of:
            running = await self._connection.execute(_RUNNING, {"ids": sorted(running_of)})
            ids = {*ids, *running.scalars()}
        if ids:
            found = await self._connection.execute(_LOCK_PROCESSES, {"ids": sorted(ids)})
            self._processes = {row[0]: rows.process(row) for row in found}

    async def _load_tasks(self, ids: Collection[str]) -> None:
        # Not locked: whoever changes a task has locked its process.
        if ids:
            found = await self._connection.execute(_TASKS, {"ids": sorted(ids)})
            self._tasks = {row[0]: rows.task(row) for row in found}

    async def store(self, *, silently: bool = False) -> bool:
        """Writes what changed, and the events into the outbox. True when there were events.

        Silently: without events. Only for history that nobody follows.
        """
        await self._store(models.workers, self._workers, rows.worker_values)
        await self._store(models.processes, self._processes, rows.process_values)
        await self._store(models.tasks, self._tasks, rows.task_values)
        if self._removed:
            removed = {"ids": sorted(self._removed)}
            await self._connection.execute(_REMOVE_TASKS, removed)
            await self._connection.execute(_REMOVE_PROCESSES, removed)
        await self._store_totals()
        await self._store_activity()
        if silently:
            self._events.clear()
        for events in _encode_in_parts(self._events) if self._events else ():
            await self._connection.execute(_ADD_EVENTS, [{"events": events}])
        return bool(self._events)

    async def _store(
        self, table: Table, entities: dict[str, E], values: Callable[[E], Any]
    ) -> None:
        changed = [values(entities[id_]) for id_ in sorted(entities.keys() & self._changed.keys())]
        if changed:
            await self._connection.execute(self._upsert(table), changed)

    async def _store_totals(self) -> None:
        if any(self._totals.values()):
            await self._connection.execute(
                self._upsert(models.totals, add=_COUNTERS), [{"shard": self._shard, **self._totals}]
            )

    async def _store_activity(self) -> None:
        sums = ("started", "succeeded", "failed", "runtime_microseconds")
        if self._activity:
            keys = ("worker_id", "slot_seconds", "slot_at", "shard")
            await self._connection.execute(
                self._upsert(models.activity, add=sums),
                [
                    dict(zip((*keys, *sums), (*key, *self._activity[key]), strict=True))
                    for key in sorted(self._activity)
                ],
            )

    def _upsert(self, table: Table, *, add: tuple[str, ...] = ()) -> Any:
        return upsert(table, self._connection.dialect.name, add=add)

    def remember(self) -> None:
        """After the commit: what later transactions need not read or write again."""
        memory = self._memory
        memory.seen.update((w.id, w.last_seen_at) for w in self._workers.values())
        memory.parents.update((p.id, p.worker_id) for p in self._processes.values())
        memory.parents.update((t.id, t.process_id) for t in self._tasks.values())
        memory.forget_the_oldest()


def _encode_in_parts(events: Sequence[Event]) -> Iterator[str]:
    """All events in one text, unless that is larger than a statement should be."""
    encoded = encode_events(events)
    if len(encoded) <= EVENTS_BYTES or len(events) == 1:
        yield encoded.decode()
        return
    half = len(events) // 2
    yield from _encode_in_parts(events[:half])
    yield from _encode_in_parts(events[half:])


def slot_start(at: datetime, slot_seconds: int) -> datetime:
    """The start of the slot that `at` lies in, slots being counted from the Unix epoch."""
    seconds = int(at.timestamp())
    return datetime.fromtimestamp(seconds - seconds % slot_seconds, UTC)
