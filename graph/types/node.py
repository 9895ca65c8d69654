"""What all entities have, and what several are made of."""

from collections.abc import Sequence
from typing import Any

import strawberry

from graph.execution.details import details_of
from graph.execution.executor import NotAtHand
from monitor import entities


@strawberry.interface(
    description="Anything that has an id. Ids are unique over all types (pipeline_…, worker_…, "
    "process_…, task_…, failure_…) and opaque to clients."
)
class Node:
    id: strawberry.ID


@strawberry.type(
    description="A step that a worker announced when it registered; every process of the worker "
    "gets one task per definition."
)
class TaskDefinition:
    name: str
    version: str
    position: int


def define_tasks(definitions: Sequence[entities.TaskDefinition]) -> list[TaskDefinition]:
    """In their order."""
    return [
        TaskDefinition(name=definition.name, version=definition.version, position=position)
        for position, definition in enumerate(definitions, start=1)
    ]


def current_task_at_hand(process: Any) -> Any:
    """The task, when it is loaded already. Raises NotAtHand."""
    if process.entity.task_count and process.loaded_current_task is None:
        raise NotAtHand
    return process.loaded_current_task


def details_at_hand(node: Any) -> str | None:
    """The details, when they were read. Raises NotAtHand."""
    return details_of(node.entity)


def worker_at_hand(process: Any) -> Any:
    """The worker, when it is loaded already. Raises NotAtHand."""
    if process.loaded_worker is None:
        raise NotAtHand
    return process.loaded_worker
