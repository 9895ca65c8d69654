"""What all entities have, and what several are made of."""

from collections.abc import Sequence

import strawberry

from monitor import entities


@strawberry.interface(
    description="Anything that has an id. Ids are unique over all types (pipeline_…, worker_…, "
    "process_…, task_…) and opaque to clients."
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
