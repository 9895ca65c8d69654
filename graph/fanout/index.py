"""Finds what may be concerned by an entity without asking everybody's filter."""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from monitor.entities import Entity, Failure, Pipeline, Process, Task, Worker, fold
from monitor.reading.failures import FailureFilter
from monitor.reading.filters import Filter, PipelineFilter, ProcessFilter, TaskFilter, WorkerFilter

T = TypeVar("T")


class FilterIndex(Generic[T]):
    """Items, each with a filter, by the narrowest of the ids that it names."""

    def __init__(self) -> None:
        self._by_id: dict[tuple[type[Entity], str, str], dict[T, None]] = {}
        self._by_name: dict[tuple[type[Entity], str], dict[T, None]] = {}

    def add(self, item: T, matching: Filter) -> None:
        ids, names = _places(matching)
        for place in ids:
            self._by_id.setdefault(place, {})[item] = None
        for name in names:
            self._by_name.setdefault(name, {})[item] = None

    def remove(self, item: T, matching: Filter) -> None:
        ids, names = _places(matching)
        for place in ids:
            _discard(self._by_id, place, item)
        for name in names:
            _discard(self._by_name, name, item)

    def find(self, entity: Entity) -> list[T]:
        """The items whose filter may match; each once."""
        type_ = type(entity)
        found: dict[T, None] = {}
        for kind, id_ in _ids_of(entity):
            found.update(self._by_id.get((type_, kind, id_), {}))
        name = fold(entity.title if isinstance(entity, Failure) else getattr(entity, "name", ""))
        for (wanted, part), channels in self._by_name.items():
            if wanted is type_ and part in name:
                found.update(channels)
        return list(found)


def _discard(places: dict[Any, dict[T, None]], place: Any, item: T) -> None:
    places[place].pop(item, None)
    if not places[place]:
        del places[place]


def _places(
    matching: Filter,
) -> tuple[set[tuple[type[Entity], str, str]], set[tuple[type[Entity], str]]]:
    """Where a filter stands in the index: under each id it names, else under its part of a name."""
    type_: type[Entity]
    choices: tuple[tuple[str, Sequence[str] | None], ...]
    match matching:
        case PipelineFilter():
            type_, choices = Pipeline, (("id", matching.ids),)
            part = matching.name_contains
        case FailureFilter():
            type_, part = Failure, matching.title_contains
            choices = (("id", matching.ids), ("pipeline", matching.pipeline_ids))
        case WorkerFilter():
            type_, part = Worker, matching.name_contains
            choices = (("id", matching.ids), ("pipeline", matching.pipeline_ids))
        case ProcessFilter():
            type_, part = Process, None
            choices = (
                ("id", matching.ids),
                ("failure", matching.failure_ids),
                ("worker", matching.worker_ids),
                ("pipeline", matching.pipeline_ids),
            )
        case TaskFilter():
            type_, part = Task, matching.name_contains
            choices = (
                ("id", matching.ids),
                ("process", matching.process_ids),
                ("worker", matching.worker_ids),
                ("pipeline", matching.pipeline_ids),
            )
        case _:
            raise TypeError(f"{matching!r} has no place in the index")
    for kind, ids in choices:
        if ids is not None:
            return {(type_, kind, id_) for id_ in ids}, set()
    return set(), {(type_, fold(part or ""))}


def _ids_of(entity: Entity) -> tuple[tuple[str, str], ...]:
    match entity:
        case Pipeline():
            return (("id", entity.id),)
        case Worker() | Failure():
            return ("id", entity.id), ("pipeline", entity.pipeline_id)
        case Process():
            return (
                ("id", entity.id),
                ("failure", entity.failure_id or ""),
                ("worker", entity.worker_id),
                ("pipeline", entity.pipeline_id),
            )
        case Task():
            return (
                ("id", entity.id),
                ("process", entity.process_id),
                ("worker", entity.worker_id),
                ("pipeline", entity.pipeline_id),
            )
