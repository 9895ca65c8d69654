"""What the operations of a batch need, loaded together before they run.

Rows that will change are locked in one order (workers, then processes, each by id), so that server
processes that report on the same worker queue up instead of deadlocking.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.lookups import fetch_each, fetch_rows
from monitor.entities import Liveness
from monitor.ids import kind_of
from monitor.reading import rows
from monitor.reading.details import Budget, details_of, read_large
from monitor.reading.failures import read_failures
from monitor.slots import MOST_AHEAD
from monitor.writing import statements
from monitor.writing.failed_steps import load_failed_steps
from monitor.writing.statements import Loaded
from monitor.writing.successors import load_successors, lock_processes

# A worker's last_seen_at is written at most once in this time.
SEEN_INTERVAL = timedelta(seconds=1)
# Events carry the details of what changed also where these stay as they were. More cannot be stored
# in the time that a report has; a batch that has more is run one by one.
CARRIED_BYTES = 32 * 1024 * 1024
_REFUSAL = "these tasks have more than {} MiB of them already; report on fewer at a time"


@dataclass(frozen=True, slots=True)
class Needs:
    """What an operation reads and changes, by id.

    `processes` bring their worker along, `tasks` their process, `running_of` the running processes
    of these workers, `tasks_of` all tasks of these processes, which it removes: without details.
    Of `pipelines` only whether they are there. `failing`: those of the processes that are ended
    with an error. `failures`: those that people make something of. `alone` are processes and tasks
    without what they belong to: whoever names a task there names its process, which is locked.
    `started`: those of the tasks that are started; in a process that ended, what its successor
    needs comes along.
    """

    workers: Sequence[str] = ()
    processes: Sequence[str] = ()
    tasks: Sequence[str] = ()
    started: Sequence[str] = ()
    pipelines: Sequence[str] = ()
    running_of: Sequence[str] = ()
    tasks_of: Sequence[str] = ()
    failing: Sequence[str] = ()
    failures: Sequence[str] = ()
    alone: Sequence[str] = ()


def is_long_ago(seen: datetime, now: datetime) -> bool:
    """Whether a sign of life is to be stored again: of a clock that was set back, too."""
    return not -MOST_AHEAD <= now - seen < SEEN_INTERVAL


@dataclass(slots=True)
class Memory:
    """What a server process remembers between transactions, to save reads and writes.

    `parents`: worker id of a process, process id of a task; these never change.
    `seen`: when this server process last stored a sign of life of a worker. `pipelines`: those that
    are there, in the order of their keys; they never go. `failures`: when they were written.
    """

    size: int = 50_000
    parents: dict[str, str] = field(default_factory=dict)
    seen: dict[str, datetime] = field(default_factory=dict)
    pipelines: dict[str, None] = field(default_factory=dict)
    failures: dict[str, datetime] = field(default_factory=dict)

    def is_due(self, worker_id: str, now: datetime) -> bool:
        """Whether a sign of life of the worker has to be stored again."""
        seen = self.seen.get(worker_id)
        return seen is None or is_long_ago(seen, now)

    def forget_the_oldest(self) -> None:
        for known in (self.parents, self.seen, self.pipelines, self.failures):
            while len(known) > self.size:
                del known[next(iter(known))]


@dataclass(slots=True)
class _Ids:
    """What is to be loaded."""

    workers: set[str]
    processes: set[str]
    tasks: set[str]
    pipelines: set[str]
    running_of: set[str]
    tasks_of: set[str]


async def load(
    connection: AsyncConnection, needs: Iterable[Needs], *, memory: Memory, now: datetime
) -> Loaded:
    """Reads what these needs name, locking what may change.

    Raises InvalidInput, before they are read, for details that are too large to be carried along.
    """
    wanted = list(needs)
    ids = await _find_ids(connection, wanted, memory, now)
    loaded = Loaded(pipelines=ids.pipelines & memory.pipelines.keys())
    if ids.running_of:
        await _lock_workers(connection, loaded, ids)
    await _lock_and_read(connection, loaded, ids)
    await _load_running_of_silent(connection, loaded)
    await load_successors(
        connection,
        loaded,
        ending={id_ for need in wanted for id_ in need.processes},
        started={id_ for need in wanted for id_ in need.started},
    )
    await load_failed_steps(connection, loaded, {id_ for need in wanted for id_ in need.failing})
    await _load_failures(connection, loaded, {id_ for need in wanted for id_ in need.failures}, now)
    return loaded


async def _load_failures(
    connection: AsyncConnection, loaded: Loaded, ids: Collection[str], now: datetime
) -> None:
    known = {id_ for id_ in ids if kind_of(id_) == "failure"}
    for id_, moments in await fetch_rows(connection, statements.LOCK_FAILURES, known):
        loaded.moments[id_] = moments
    if loaded.moments:
        loaded.failures |= await read_failures(connection, loaded.moments, now)


async def _find_ids(
    connection: AsyncConnection, wanted: Sequence[Needs], memory: Memory, now: datetime
) -> _Ids:
    """Those that are named, and those of what they belong to."""
    tasks = {id_ for need in wanted for id_ in need.tasks}
    tasks_of = {id_ for need in wanted for id_ in need.tasks_of}
    ended = {id_ for need in wanted for id_ in need.processes} | tasks_of
    await _learn_parents(connection, memory, statements.PARENTS_OF_TASK, tasks)
    parents = memory.parents
    processes = ended | {parents[id_] for id_ in tasks if id_ in parents}
    await _learn_parents(connection, memory, statements.WORKER_OF_PROCESS, processes)
    workers = {id_ for need in wanted for id_ in (*need.workers, *need.running_of) if kind_of(id_)}
    workers |= {parents[id_] for id_ in ended if id_ in parents}
    workers |= {
        worker_id
        for id_ in processes
        if id_ in parents and memory.is_due(worker_id := parents[id_], now)
    }
    alone = {id_ for need in wanted for id_ in need.alone}
    reported = {id_ for id_ in tasks if id_ in parents}
    return _Ids(
        workers=workers,
        processes={id_ for id_ in processes if id_ in parents} | _of_kind("process", alone),
        tasks=reported | _of_kind("task", alone),
        pipelines={id_ for need in wanted for id_ in need.pipelines},
        running_of={id_ for need in wanted for id_ in need.running_of},
        tasks_of=tasks_of,
    )


def _of_kind(kind: str, ids: Iterable[str]) -> set[str]:
    return {id_ for id_ in ids if kind_of(id_) == kind}


async def _lock_workers(connection: AsyncConnection, loaded: Loaded, ids: _Ids) -> None:
    """Before the processes, of which some are known only then."""
    workers, running = await fetch_each(
        connection,
        (statements.LOCK_WORKERS, {"ids": ids.workers}),
        (statements.RUNNING, {"ids": ids.running_of}),
    )
    loaded.workers |= {row[0]: rows.worker(row) for row in workers}
    ids.processes.update(row[0] for row in running)


async def _lock_and_read(connection: AsyncConnection, loaded: Loaded, ids: _Ids) -> None:
    """Tasks are not locked: whoever changes one has locked its process."""
    pipelines, workers, processes, tasks_of, tasks = await fetch_each(
        connection,
        (statements.PIPELINES, {"ids": ids.pipelines - loaded.pipelines}),
        (statements.LOCK_WORKERS, {"ids": ids.workers - loaded.workers.keys()}),
        (statements.LOCK_PROCESSES, {"ids": ids.processes}),
        (statements.TASKS_OF, {"ids": ids.tasks_of}),
        (statements.TASKS, {"ids": ids.tasks}),
    )
    loaded.pipelines.update(row[0] for row in pipelines)
    loaded.workers |= {row[0]: rows.worker(row) for row in workers}
    loaded.processes |= {row[0]: rows.process(row) for row in processes}
    loaded.tasks |= {row[0]: rows.task(row) for row in tasks_of}
    # After those without details.
    found = {row[0]: rows.listed_task(row[:-2], details_of(row)) for row in tasks}
    budget = Budget(CARRIED_BYTES, _REFUSAL)
    loaded.tasks |= found | await read_large(
        partial(fetch_rows, connection), tasks, found.values(), budget
    )


async def _load_running_of_silent(connection: AsyncConnection, loaded: Loaded) -> None:
    """The running processes of workers that may come alive.

    This is seldom, so they are locked behind the others, and whoever meets another batch here has
    lost a race.
    """
    silent = {id_ for id_, w in loaded.workers.items() if w.liveness is not Liveness.ALIVE}
    running = await fetch_rows(connection, statements.RUNNING, silent)
    await lock_processes(connection, loaded, {row[0] for row in running})


async def _learn_parents(
    connection: AsyncConnection, memory: Memory, statement: Select[Any], ids: Collection[str]
) -> None:
    """Each row is an id, that of what it belongs to, and so on."""
    unknown = [id_ for id_ in ids if id_ not in memory.parents and kind_of(id_)]
    for row in await fetch_rows(connection, statement, unknown):
        memory.parents.update(pairwise(row))
