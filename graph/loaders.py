"""Batch loading: whatever the page size, one statement per kind of nested field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from strawberry.dataloader import DataLoader

from db.session import Database
from monitor.entities import Entity, Process, Task, Worker
from monitor.errors import InvalidInput
from monitor.reading.filters import ProcessFilter
from monitor.reading.pages import Listing, Order, Page, PageRequest
from monitor.reading.reads import (
    PROCESSES,
    TASKS,
    WORKERS,
    find_by_ids,
    find_first_tasks,
    list_processes_by_worker,
    list_tasks_by_process,
)

E = TypeVar("E", Worker, Process, Task)


@dataclass(frozen=True, slots=True)
class ProcessPageKey:
    """A page of a worker's processes; fields with the same arguments load together."""

    worker_id: str
    matching: ProcessFilter
    order: Order
    request: PageRequest


class Loaders:
    """The loaders of one operation."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.workers = self._by_id(WORKERS)
        self.processes = self._by_id(PROCESSES)
        self.tasks = self._by_id(TASKS)
        self.tasks_of_process = DataLoader(self._load_tasks_of_processes)
        self.first_task_of_process = DataLoader(self._load_first_tasks)
        self.process_pages = DataLoader(self._load_process_pages)
        # Of whole lists of processes: a future for each row would take longer than its row. The
        # workers by their ids; the tasks last reported on, or first, by the ids of the processes.
        self.workers_of = DataLoader(self._load_workers_of, cache=False)
        self.current_tasks_of = DataLoader(self._load_current_tasks, cache=False)

    def prime(self, entity: Entity) -> None:
        """Remembers a state that is at hand, in place of one loaded or primed before."""
        match entity:
            case Worker():
                self.workers.prime(entity.id, entity, force=True)
            case Process():
                self.processes.prime(entity.id, entity, force=True)
            case Task():
                self.tasks.prime(entity.id, entity, force=True)

    async def _load_workers_of(self, lists: list[Sequence[Process]]) -> list[Mapping[str, Worker]]:
        ids = {process.worker_id for processes in lists for process in processes}
        found = await find_by_ids(self._database, WORKERS, ids)
        for worker in found.values():
            self.workers.prime(worker.id, worker)
        return [found] * len(lists)

    async def _load_current_tasks(self, lists: list[Sequence[Process]]) -> list[Mapping[str, Task]]:
        processes = [process for list_ in lists for process in list_]
        reported = {p.current_task_id: p.id for p in processes if p.current_task_id is not None}
        tasks = await find_by_ids(self._database, TASKS, reported)
        found = {reported[id_]: task for id_, task in tasks.items()}
        waiting = [p.id for p in processes if p.current_task_id is None and p.task_count]
        if waiting:
            found |= await find_first_tasks(self._database, waiting)
        return [found] * len(lists)

    def _by_id(self, listing: Listing[E]) -> DataLoader[str, E | None]:
        async def load(ids: list[str]) -> list[E | None]:
            found = await find_by_ids(self._database, listing, ids)
            return [found.get(id_) for id_ in ids]

        return DataLoader(load)

    async def _load_tasks_of_processes(self, ids: list[str]) -> list[Sequence[Task]]:
        found = await list_tasks_by_process(self._database, ids)
        return [found[id_] for id_ in ids]

    async def _load_first_tasks(self, ids: list[str]) -> list[Task | None]:
        found = await find_first_tasks(self._database, ids)
        return [found.get(id_) for id_ in ids]

    async def _load_process_pages(
        self, keys: list[ProcessPageKey]
    ) -> list[Page[Process] | Exception]:
        alike: dict[tuple[ProcessFilter, Order, PageRequest], list[str]] = {}
        for key in keys:
            alike.setdefault((key.matching, key.order, key.request), []).append(key.worker_id)
        pages: dict[ProcessPageKey, Page[Process] | Exception] = {}
        for (matching, order, request), worker_ids in alike.items():
            found: Mapping[str, Page[Process] | Exception]
            try:
                found = await list_processes_by_worker(
                    self._database, worker_ids, matching, order, request
                )
            except InvalidInput as refusal:
                # Fields with other arguments are none the worse for it.
                found = dict.fromkeys(worker_ids, refusal)
            for worker_id, page in found.items():
                pages[ProcessPageKey(worker_id, matching, order, request)] = page
        return [pages[key] for key in keys]
