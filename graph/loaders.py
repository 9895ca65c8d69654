"""Batch loading: whatever the page size, one statement per kind of nested field."""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Self, TypeVar

from strawberry.dataloader import DataLoader

from db.session import Database
from monitor.acts import Act
from monitor.entities import Entity, Failure, Pipeline, Process, Task, Worker
from monitor.errors import InvalidInput
from monitor.monitor import Monitor
from monitor.reading.audit import list_acts_on, list_subjects
from monitor.reading.comparison import compare_versions
from monitor.reading.details import Budget
from monitor.reading.expected import Left, find_left
from monitor.reading.failures import find_failures
from monitor.reading.filters import Filter
from monitor.reading.flaky import find_flaky_steps
from monitor.reading.histograms import Step
from monitor.reading.nested import (
    Owner,
    find_first_tasks,
    list_pages_by,
    list_tasks_by_process,
)
from monitor.reading.occurrences import find_occurrences
from monitor.reading.pages import Listing, Order, Page, PageRequest
from monitor.reading.pipelines import find_pipelines
from monitor.reading.reads import PROCESSES, TASKS, WORKERS, find_by_ids
from monitor.reading.statistics import (
    Runtimes,
    find_outcomes,
    find_runtimes,
    find_runtimes_by_slot,
    find_steps,
)
from monitor.reading.usual import Usual
from monitor.reading.versions import find_versions

F = TypeVar("F")
K = TypeVar("K")
L = TypeVar("L")
R = TypeVar("R", Process, Task)
T = TypeVar("T", Worker, Process)


@dataclass(frozen=True, slots=True)
class PageKey:
    """A page of what an owner has; fields with the same arguments load together."""

    owner: Owner
    owner_id: str
    matching: Filter
    order: Order
    request: PageRequest


@dataclass(frozen=True, slots=True)
class StatisticsKey:
    """Statistics of something; those with the same arguments load together."""

    of: Hashable
    arguments: tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class ActsKey:
    """The newest acts on something; fields with the same arguments load together."""

    subject_id: str
    actions: tuple[str, ...] | None
    first: int


def _loader(
    load: Callable[[L, list[K]], Awaitable[Sequence[F | BaseException]]],
) -> cached_property[DataLoader[K, F]]:
    """Of the method that loads for many; made when it is first asked for: few operations need many
    of them.
    """
    return cached_property(lambda loaders: DataLoader(partial(load, loaders)))


def _loader_of_lists(
    load: Callable[[L, list[Sequence[R]]], Awaitable[Sequence[F | BaseException]]],
) -> cached_property[DataLoader[Sequence[R], F]]:
    """The same for whole lists: a future for each row would take longer than its row."""
    return cached_property(lambda loaders: DataLoader(partial(load, loaders), cache=False))


def _statistics(
    find: Callable[..., Awaitable[Mapping[Any, F]]],
) -> cached_property[DataLoader[StatisticsKey, F]]:
    """One call of `find(database, what it is of, *arguments)` for all with the same arguments."""

    async def load(loaders: "Loaders", keys: list[StatisticsKey]) -> list[F | Exception]:
        alike: dict[tuple[Hashable, ...], list[Hashable]] = {}
        for key in keys:
            alike.setdefault(key.arguments, []).append(key.of)
        found: dict[StatisticsKey, F | Exception] = {}
        for arguments, of in alike.items():
            each: Mapping[Any, F | Exception]
            try:
                each = await find(loaders.database, of, *arguments)
            except InvalidInput as refusal:
                # Fields with other arguments are none the worse for it.
                each = dict.fromkeys(of, refusal)
            found |= {StatisticsKey(one, arguments): each[one] for one in of}
        return [found[key] for key in keys]

    return _loader(load)


def _by_id(listing: Listing[R]) -> cached_property[DataLoader[str, R | None]]:
    async def load(loaders: "RunLoaders", ids: list[str]) -> list[R | None]:
        found = await find_by_ids(loaders.database, listing, ids, loaders.details)
        return [found.get(id_) for id_ in ids]

    return _loader(load)


class Loaders:
    """The loaders of one operation; `details`: what all of them may read of these."""

    def __init__(self, database: Database, usual: Usual, details: Budget | None = None) -> None:
        self.details = details or Budget()
        self.database = database
        self._usual = usual
        self._at_hand: dict[str, Entity] = {}
        self._without = RunLoaders(database, None)
        self._with: RunLoaders | None = None

    @classmethod
    def of(cls, monitor: Monitor, details: Budget | None = None) -> Self:
        """Those of an operation on this monitor."""
        return cls(monitor.database, monitor.usual, details)

    def prime(self, entity: Entity) -> None:
        """Remembers a whole state that is at hand, in place of one to be loaded."""
        self._at_hand[entity.id] = entity

    def runs(self, *, details: bool) -> "RunLoaders":
        """Those of processes and tasks: with their details, where somebody asks for them."""
        if not details:
            return self._without
        if self._with is None:
            self._with = RunLoaders(self.database, self.details)
        return self._with

    async def worker(self, id_: str) -> Worker | None:
        """The worker, at hand or loaded."""
        at_hand = self._at_hand.get(id_)
        return at_hand if isinstance(at_hand, Worker) else await self._workers.load(id_)

    async def pipeline(self, id_: str) -> Pipeline | None:
        """The pipeline, at hand or loaded."""
        at_hand = self._at_hand.get(id_)
        return at_hand if isinstance(at_hand, Pipeline) else await self._pipelines.load(id_)

    async def failure(self, id_: str) -> Failure | None:
        """The failure, at hand or loaded."""
        at_hand = self._at_hand.get(id_)
        return at_hand if isinstance(at_hand, Failure) else await self._failures.load(id_)

    async def failures(self, ids: Sequence[str]) -> list[Failure]:
        """Those of the failures that exist, in one statement."""
        found = await self._failures.load_many(ids)
        return [failure for failure in found if failure is not None]

    async def process(self, id_: str, *, details: bool) -> Process | None:
        """The process, at hand or loaded."""
        if isinstance(at_hand := self._at_hand.get(id_), Process):
            return at_hand
        return await self.runs(details=details).processes.load(id_)

    async def task(self, id_: str, *, details: bool) -> Task | None:
        """The task, at hand or loaded."""
        if isinstance(at_hand := self._at_hand.get(id_), Task):
            return at_hand
        return await self.runs(details=details).tasks.load(id_)

    @_loader
    async def _workers(self, ids: list[str]) -> list[Worker | None]:
        found = await find_by_ids(self.database, WORKERS, ids)
        return [found.get(id_) for id_ in ids]

    @_loader
    async def _pipelines(self, ids: list[str]) -> list[Pipeline | None]:
        found = await find_pipelines(self.database, ids)
        return [found.get(id_) for id_ in ids]

    @_loader
    async def _failures(self, ids: list[str]) -> list[Failure | None]:
        found = await find_failures(self.database, ids)
        return [found.get(id_) for id_ in ids]

    @_loader
    async def worker_pages(self, keys: list[PageKey]) -> list[Page[Worker] | Exception]:
        return await load_pages(self.database, WORKERS, keys, None)

    @_loader_of_lists
    async def workers_of(self, lists: list[Sequence[Process]]) -> list[Mapping[str, Worker]]:
        """Of whole lists of processes, by the ids of the workers."""
        ids = {process.worker_id for processes in lists for process in processes}
        found = await find_by_ids(self.database, WORKERS, ids)
        for worker in found.values():
            self._workers.prime(worker.id, worker)
        return [found] * len(lists)

    runtimes = _statistics(find_runtimes)
    runtimes_by_slot = _statistics(find_runtimes_by_slot)
    steps = _statistics(find_steps)
    versions = _statistics(find_versions)
    comparisons = _statistics(compare_versions)
    flaky_steps = _statistics(find_flaky_steps)
    outcomes = _statistics(find_outcomes)
    occurrences = _statistics(find_occurrences)

    @_loader
    async def usual(self, steps: list[Step]) -> list[Runtimes | None]:
        found = await self._usual.find(steps)
        return [found.get(step) for step in steps]

    @_loader
    async def left(self, process_ids: list[str]) -> list[Sequence[Left]]:
        found = await find_left(self.database, process_ids)
        return [found[process_id] for process_id in process_ids]

    @_loader
    async def acts_on(self, keys: list[ActsKey]) -> list[list[Act]]:
        alike: dict[tuple[tuple[str, ...] | None, int], list[str]] = {}
        for key in keys:
            alike.setdefault((key.actions, key.first), []).append(key.subject_id)
        found = {kind: await list_acts_on(self.database, ids, *kind) for kind, ids in alike.items()}
        return [found[key.actions, key.first][key.subject_id] for key in keys]

    @_loader
    async def subjects_of_act(self, act_ids: list[str]) -> list[list[str]]:
        found = await list_subjects(self.database, act_ids)
        return [found[act_id] for act_id in act_ids]


class RunLoaders:
    """Of processes and tasks, all with details within this budget, or all without (None)."""

    def __init__(self, database: Database, details: Budget | None) -> None:
        self.database = database
        self.details = details

    processes = _by_id(PROCESSES)
    tasks = _by_id(TASKS)

    @_loader_of_lists
    async def current_tasks_of(self, lists: list[Sequence[Process]]) -> list[Mapping[str, Task]]:
        """The tasks last reported on, or first, of whole lists of processes, by their ids."""
        processes = [process for list_ in lists for process in list_]
        reported = {p.current_task_id: p.id for p in processes if p.current_task_id is not None}
        tasks = await find_by_ids(self.database, TASKS, reported, self.details)
        found = {reported[id_]: task for id_, task in tasks.items()}
        waiting = [p.id for p in processes if p.current_task_id is None and p.task_count]
        if waiting:
            found |= await find_first_tasks(self.database, waiting, self.details)
        return [found] * len(lists)

    @_loader
    async def tasks_of_process(self, ids: list[str]) -> list[Sequence[Task]]:
        found = await list_tasks_by_process(self.database, ids, self.details)
        return [found[id_] for id_ in ids]

    @_loader
    async def first_task_of_process(self, ids: list[str]) -> list[Task | None]:
        found = await find_first_tasks(self.database, ids, self.details)
        return [found.get(id_) for id_ in ids]

    @_loader
    async def process_pages(self, keys: list[PageKey]) -> list[Page[Process] | Exception]:
        return await load_pages(self.database, PROCESSES, keys, self.details)


async def load_pages(
    database: Database, listing: Listing[T], keys: list[PageKey], details: Budget | None
) -> list[Page[T] | Exception]:
    """The page of each key, or why it is refused."""
    alike: dict[tuple[Owner, Filter, Order, PageRequest], list[str]] = {}
    for key in keys:
        kind = (key.owner, key.matching, key.order, key.request)
        alike.setdefault(kind, []).append(key.owner_id)
    pages: dict[PageKey, Page[T] | Exception] = {}
    for (owner, matching, order, request), owner_ids in alike.items():
        found: Mapping[str, Page[T] | Exception]
        try:
            found = await list_pages_by(
                database, listing, owner, owner_ids, matching, order, request, details
            )
        except InvalidInput as refusal:
            # Fields with other arguments are none the worse for it.
            found = dict.fromkeys(owner_ids, refusal)
        for owner_id, page in found.items():
            pages[PageKey(owner, owner_id, matching, order, request)] = page
    return [pages[key] for key in keys]
