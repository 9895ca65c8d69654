"""One database transaction as operations see it: the entities they need, and what they change.

Everything the operations of a batch need is loaded before they run (`loading`), everything they
changed is written afterwards (`storing`). Operations in between are plain functions.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from db.writes import Write
from monitor.entities import Details, Entity, Liveness, Process, Task, Worker, evolve
from monitor.errors import ProcessNotFound, TaskNotFound, WorkerNotFound
from monitor.events import ChangeKind, Event
from monitor.slots import MOST_AHEAD
from monitor.writing.audit import Audit
from monitor.writing.failing import Failures
from monitor.writing.loading import Memory, Needs, is_long_ago, load
from monitor.writing.statements import Loaded
from monitor.writing.storing import Changes, store
from monitor.writing.tally import Tally

E = TypeVar("E", Worker, Process, Task)

_COUNTERS = {
    Liveness.ALIVE: "workers_alive",
    Liveness.FINISHED: "workers_finished",
    Liveness.LOST: "workers_lost",
}


class Transaction:
    """The working set of one transaction. `now` is when the current operation's report arrived."""

    def __init__(
        self, connection: AsyncConnection, *, memory: Memory, shard: int, now: datetime
    ) -> None:
        self.now = now
        self.audit = Audit()
        self.failures = Failures(shard, memory.failures)
        self._connection = connection
        self._memory = memory
        self._held = Loaded()
        # What was there, and its details.
        self._loaded: Mapping[str, Details] = {}
        self._changed: dict[str, None] = {}
        self._pipelines: list[Worker] = []
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

    def add_to_pipeline(self, worker: Worker) -> None:
        """Opens the pipeline of a new worker, unless it is there (`Needs.pipelines`)."""
        if worker.pipeline_id not in self._held.pipelines:
            self._held.pipelines.add(worker.pipeline_id)
            self._pipelines.append(worker)
            self._tally.note_pipeline()
        self._tally.note_seen(worker)
        self._tally.add(worker.pipeline_id, {"workers_alive": 1})

    def create(self, entity: E) -> E:
        """Keeps a new entity and lets its event out with the commit."""
        self._keep(entity)
        self._events.append(Event(ChangeKind.CREATED, self.now, entity))
        return entity

    def update(self, entity: E, kind: ChangeKind = ChangeKind.UPDATED) -> E:
        """Keeps the new state under the next revision and lets its event out with the commit.

        Of an archived worker nobody is told, but that it is REMOVED, and CREATED when it is back.
        """
        changed = evolve(entity, revision=entity.revision + 1)
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
            if task.status.ended:
                self._tally.note_task_end(task, process.version, -1)
        gone: list[Process | Task] = [*tasks, process]
        for entity in gone:
            last = evolve(entity, details=None, revision=entity.revision + 1)
            self._events.append(Event(ChangeKind.REMOVED, self.now, last))

    def see(self, worker_id: str) -> None:
        """Notes a sign of life; one that had fallen silent comes ALIVE, with its processes.

        A worker that is not loaded was seen within SEEN_INTERVAL: nothing to write.
        """
        worker = self._held.workers.get(worker_id)
        if worker is None:
            return
        was_set_back = worker.last_seen_at > self.now + MOST_AHEAD
        heard_at = self.now if was_set_back else max(self.now, worker.last_seen_at)
        seen = evolve(worker, last_seen_at=heard_at, quiet_since=heard_at, liveness_reason=None)
        if worker.liveness is not Liveness.ALIVE:
            self._revive(worker, seen)
        elif is_long_ago(worker.last_seen_at, self.now):
            self._keep(seen)
            self._tally.note_seen(seen)

    def _revive(self, silent: Worker, seen: Worker) -> None:
        kind = ChangeKind.CREATED if silent.archived else ChangeKind.UPDATED
        self.update(evolve(seen, liveness=Liveness.ALIVE, archived=False), kind)
        self._tally.note_seen(seen)
        self.count(silent.pipeline_id, workers_alive=1)
        if not silent.archived:
            self.count(silent.pipeline_id, **{_COUNTERS[silent.liveness]: -1})
        self.mark_stalled(silent.id, stalled=False)

    def mark_silent(self, worker: Worker, liveness: Liveness, reason: str) -> Worker:
        """An ALIVE worker becomes LOST, with its processes, or FINISHED."""
        counters = {"workers_alive": -1, _COUNTERS[liveness]: 1}
        self.count(worker.pipeline_id, **counters)
        if liveness is Liveness.LOST:
            self.mark_stalled(worker.id, stalled=True)
        return self.update(evolve(worker, liveness=liveness, liveness_reason=reason))

    def mark_finished(self, worker: Worker, reason: str) -> Worker:
        """A LOST worker of which nothing is waited for any more becomes FINISHED."""
        if not worker.archived:
            self.count(worker.pipeline_id, workers_lost=-1, workers_finished=1)
        return self.update(evolve(worker, liveness=Liveness.FINISHED, liveness_reason=reason))

    def archive(self, worker: Worker) -> Worker:
        """Takes a worker that is not ALIVE out of lists and figures."""
        self.count(worker.pipeline_id, **{_COUNTERS[worker.liveness]: -1})
        return self.update(evolve(worker, archived=True), ChangeKind.REMOVED)

    def mark_stalled(self, worker_id: str, *, stalled: bool) -> None:
        """Sets `stalled` of the worker's running processes."""
        for process in self.running_processes(worker_id):
            if process.stalled != stalled:
                self.update(evolve(process, stalled=stalled))
                self.count(process.pipeline_id, stalled=1 if stalled else -1)

    def touch(self) -> None:
        """Has the transaction committed durably, even when nothing changes."""
        self._touched = True

    def count(self, pipeline_id: str, **deltas: int) -> None:
        """Adds to the pipeline's figures, and to the totals over everything that is kept."""
        self._tally.add(pipeline_id, deltas)

    def note_start(self, process: Process) -> None:
        """Adds a start to the activity of its slots, for its worker, its pipeline and for all."""
        self._tally.note_start(process)

    def note_end(self, process: Process) -> None:
        """Adds an end to the activity of its slots, for its worker, its pipeline and for all."""
        self._tally.note_end(process)

    def note_task(self, before: Task, after: Task, version: str) -> None:
        """Adds an end of a step to the durations; that of `before` no row tells of any more."""
        if (before.status, before.ended_at) == (after.status, after.ended_at):
            return
        if before.status.ended:
            self._tally.note_task_end(before, version, -1)
        if after.status.ended:
            self._tally.note_task_end(after, version)

    def note_removal(self, process: Process) -> None:
        """Notes in the activity of its slots that it is not kept any more."""
        self._tally.note_start(process, -1)
        if process.ended_at is not None:
            self._tally.note_end(process, -1)
            self.failures.note_removal(process)

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
        return bool(self._changed or self._removed or self._touched or self.failures.changed)

    async def load(self, needs: Iterable[Needs]) -> None:
        """Reads what these needs name, locking what may change.

        Raises InvalidInput when details of too many bytes belong to that.
        """
        self._held = await load(self._connection, needs, memory=self._memory, now=self.now)
        self.failures.held = self._held
        self._loaded = self._held.details()

    async def store(self, also: Sequence[Write] = (), *, silently: bool = False) -> bool:
        """Writes what changed, the events into the outbox, and behind them what is given.

        True when there were events. Silently: without events, for history that nobody follows.
        """
        held, changed = self._held, self._changed
        events = [] if silently else self._events
        changes = Changes(
            pipelines=self._pipelines,
            workers=[held.workers[id_] for id_ in sorted(held.workers.keys() & changed.keys())],
            processes=[
                held.processes[id_] for id_ in sorted(held.processes.keys() & changed.keys())
            ],
            tasks=[held.tasks[id_] for id_ in sorted(held.tasks.keys() & changed.keys())],
            loaded=self._loaded,
            removed=self._removed,
            tally=self._tally,
            events=events,
        )
        failures = self.failures.writes(self._connection.dialect.name)
        await store(self._connection, changes, [*failures, *self.audit.writes(), *also])
        await self.failures.store_changes(self._connection)
        return bool(events)

    def remember(self) -> None:
        """After the commit: what later transactions need not read or write again."""
        memory, held = self._memory, self._held
        memory.seen.update((w.id, w.last_seen_at) for w in held.workers.values())
        memory.parents.update((p.id, p.worker_id) for p in held.processes.values())
        memory.parents.update((t.id, t.process_id) for t in held.tasks.values())
        memory.pipelines.update(dict.fromkeys(held.pipelines))
        self.failures.remember()
        memory.forget_the_oldest()
