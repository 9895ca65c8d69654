"""One database transaction as operations see it: the entities they need, and what they change.

Everything the operations of a batch need is loaded before they run (`loading`), everything they
changed is written afterwards (`storing`). Operations in between are plain functions.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.entities import Entity, Process, Task, Worker, WorkerStatus
from monitor.errors import ProcessNotFound, TaskNotFound, WorkerNotFound
from monitor.events import ChangeKind, Event
from monitor.reading.details import SMALL_BYTES
from monitor.writing.loading import SEEN_INTERVAL, Memory, Needs, load
from monitor.writing.statements import Loaded
from monitor.writing.storing import Changes, store
from monitor.writing.tally import Tally

E = TypeVar("E", Worker, Process, Task)


class Transaction:
    """The working set of one transaction. `now` is when the current operation's report arrived."""

    def __init__(
        self, connection: AsyncConnection, *, memory: Memory, shard: int, now: datetime
    ) -> None:
        self.now = now
        self._connection = connection
        self._memory = memory
        self._held = Loaded()
        # Large details as they are stored, by id.
        self._stored: dict[str, str] = {}
        self._changed: dict[str, None] = {}
        self._removed: list[str] = []
        self._events: list[Event] = []
        self._tally = Tally(shard)
        self._touched = False

    # What operations read

    def worker(self, worker_id: str) -> Worker:
        """The worker as it stands now. Raises WorkerNotFound."""
        try:
            return self._held.workers[worker_id]
        except KeyError:
            raise WorkerNotFound from None

    def find_process(self, process_id: str) -> Process | None:
        """The process as it stands now, if it is there."""
        return self._held.processes.get(process_id)

    def process(self, process_id: str) -> Process:
        """The process as it stands now. Raises ProcessNotFound."""
        try:
            return self._held.processes[process_id]
        except KeyError:
            raise ProcessNotFound from None

    def task(self, task_id: str) -> Task:
        """The task as it stands now. Raises TaskNotFound."""
        try:
            return self._held.tasks[task_id]
        except KeyError:
            raise TaskNotFound from None

    def task_at(self, process_id: str, position: int) -> Task:
        """The process's loaded task at this position. Raises TaskNotFound."""
        for task in self._held.tasks.values():
            if task.process_id == process_id and task.position == position:
                return task
        raise TaskNotFound

    def running_processes(self, worker_id: str) -> list[Process]:
        """The worker's loaded processes that run (`Needs.running_of`)."""
        return [
            process
            for process in self._held.processes.values()
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
        before = self._keep(changed)
        if kind is not ChangeKind.UPDATED:
            self._events.append(Event(kind, self.now, changed))
        elif not getattr(changed, "archived", False):
            self._events.append(Event.update(self.now, before, changed))
        return changed

    def keep(self, entity: Entity) -> None:
        """Keeps what is no change for anybody: without revision and event."""
        self._keep(entity)

    def remove(self, process: Process) -> None:
        """Removes a process and its tasks (`Needs.tasks_of`); their events have no details."""
        del self._held.processes[process.id]
        self._removed.append(process.id)
        tasks = [task for task in self._held.tasks.values() if task.process_id == process.id]
        for task in tasks:
            del self._held.tasks[task.id]
        gone: list[Process | Task] = [*tasks, process]
        for entity in gone:
            last = replace(entity, details=None, revision=entity.revision + 1)
            self._events.append(Event(ChangeKind.REMOVED, self.now, last))

    def see(self, worker_id: str) -> None:
        """Notes a sign of life; a worker that had fallen silent comes ONLINE, with its processes.

        A worker that is not loaded was seen within SEEN_INTERVAL: nothing to write.
        """
        worker = self._held.workers.get(worker_id)
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

    def touch(self) -> None:
        """Has the transaction committed durably, even when nothing changes."""
        self._touched = True

    def count(self, **deltas: int) -> None:
        """Adds to the totals over everything that is kept."""
        self._tally.add(deltas)

    def note_start(self, process: Process) -> None:
        """Adds a start to the activity of its slots, for its worker and for all."""
        self._tally.note_start(process)

    def note_end(self, process: Process) -> None:
        """Adds an end to the activity of its slots, for its worker and for all."""
        self._tally.note_end(process)

    def note_removal(self, process: Process) -> None:
        """Notes in the activity of its slots that it is not kept any more."""
        self._tally.note_start(process, -1)
        if process.ended_at is not None:
            self._tally.note_end(process, -1)

    def _keep(self, entity: Entity) -> Entity:
        """Notes a state to be stored; the one that it replaces, or itself when it is new."""
        self._changed[entity.id] = None
        before: Entity = entity
        match entity:
            case Worker():
                before = self._held.workers.get(entity.id, entity)
                self._held.workers[entity.id] = entity
            case Process():
                before = self._held.processes.get(entity.id, entity)
                self._held.processes[entity.id] = entity
            case Task():
                before = self._held.tasks.get(entity.id, entity)
                self._held.tasks[entity.id] = entity
        return before

    # Loading and storing, called by `transactions` only

    @property
    def changed(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self._changed or self._removed or self._touched)

    async def load(self, needs: Iterable[Needs]) -> None:
        """Reads what these needs name, locking what may change.

        Raises InvalidInput when details of too many bytes belong to that.
        """
        self._held = await load(self._connection, needs, memory=self._memory, now=self.now)
        self._stored = dict(_large_details(self._held))

    async def store(self, *, silently: bool = False) -> bool:
        """Writes what changed, and the events into the outbox. True when there were events.

        Silently: without events. Only for history that nobody follows.
        """
        held, changed = self._held, self._changed
        events = [] if silently else self._events
        changes = Changes(
            workers=[held.workers[id_] for id_ in sorted(held.workers.keys() & changed.keys())],
            processes=[
                held.processes[id_] for id_ in sorted(held.processes.keys() & changed.keys())
            ],
            tasks=[held.tasks[id_] for id_ in sorted(held.tasks.keys() & changed.keys())],
            detailed=self._detailed(),
            removed=self._removed,
            tally=self._tally,
            events=events,
        )
        await store(self._connection, changes)
        return bool(events)

    def _detailed(self) -> set[str]:
        """Ids of what has large details, and had the same when it was loaded."""
        if not self._stored:
            return set()
        return {id_ for id_, now in _large_details(self._held) if now == self._stored.get(id_)}

    def remember(self) -> None:
        """After the commit: what later transactions need not read or write again."""
        memory, held = self._memory, self._held
        memory.seen.update((w.id, w.last_seen_at) for w in held.workers.values())
        memory.parents.update((p.id, p.worker_id) for p in held.processes.values())
        memory.parents.update((t.id, t.process_id) for t in held.tasks.values())
        memory.forget_the_oldest()


def _large_details(held: Loaded) -> Iterator[tuple[str, str]]:
    runs: Iterable[Process | Task] = chain(held.processes.values(), held.tasks.values())
    for run in runs:
        if isinstance(run.details, str) and len(run.details) > SMALL_BYTES:
            yield run.id, run.details
