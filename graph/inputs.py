"""Input types, and their conversion to what `monitor` takes."""

from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from typing import TypeVar

import strawberry

from monitor.entities import ProcessStatus, TaskDefinition, TaskStatus, WorkerStatus
from monitor.errors import InvalidInput
from monitor.events import ChangeKind
from monitor.limits import MAX_FILTER_VALUES
from monitor.reading import filters
from monitor.reading.pages import Direction, Order
from monitor.tasks import TaskUpdate

T = TypeVar("T")

for _enum in (WorkerStatus, ProcessStatus, TaskStatus):
    strawberry.enum(_enum)
strawberry.enum(
    ChangeKind,
    description="UPDATED also what comes to match the filter. LEFT: the entity no longer matches "
    "the filter of this subscription; told once, with the new state, and never where the filter "
    "cannot change its mind (ids, names, times). REMOVED: the last state, without details, of "
    "what was too old to be kept, or of a worker that is archived.",
)
strawberry.enum(Direction, name="OrderDirection")


@strawberry.enum
class WorkerOrderField(Enum):
    REGISTERED_AT = "REGISTERED_AT"
    LAST_SEEN_AT = "LAST_SEEN_AT"
    NAME = "NAME"


@strawberry.enum
class ProcessOrderField(Enum):
    STARTED_AT = "STARTED_AT"
    UPDATED_AT = "UPDATED_AT"


@strawberry.enum
class TaskOrderField(Enum):
    CREATED_AT = "CREATED_AT"
    UPDATED_AT = "UPDATED_AT"
    POSITION = "POSITION"


@strawberry.input
class WorkerOrder:
    field: WorkerOrderField
    direction: Direction = Direction.ASC


@strawberry.input
class ProcessOrder:
    field: ProcessOrderField
    direction: Direction = Direction.DESC


@strawberry.input
class TaskOrder:
    field: TaskOrderField
    direction: Direction = Direction.ASC


# A list that is asked for in no order: as its order type would have it by default.
WORKERS_BY_DEFAULT = Order("REGISTERED_AT", Direction.ASC)
PROCESSES_BY_DEFAULT = Order("STARTED_AT", Direction.DESC)
TASKS_BY_DEFAULT = Order("CREATED_AT", Direction.ASC)


def convert_order(order: WorkerOrder | ProcessOrder | TaskOrder | None, default: Order) -> Order:
    return default if order is None else Order(order.field.value, order.direction)


@strawberry.input
class WorkerFilter:
    ids: list[strawberry.ID] | None = None
    status: list[WorkerStatus] | None = None
    name_contains: str | None = None

    def convert(self) -> filters.WorkerFilter:
        return filters.WorkerFilter(
            _values("ids", self.ids), _values("status", self.status), self.name_contains
        )


@strawberry.input
class ProcessFilter:
    ids: list[strawberry.ID] | None = None
    worker_ids: list[strawberry.ID] | None = None
    status: list[ProcessStatus] | None = None
    stalled: bool | None = None
    started_after: datetime | None = None
    started_before: datetime | None = None

    def convert(self) -> filters.ProcessFilter:
        return filters.ProcessFilter(
            _values("ids", self.ids),
            _values("workerIds", self.worker_ids),
            _values("status", self.status),
            self.stalled,
            self.started_after,
            self.started_before,
        )


@strawberry.input
class TaskFilter:
    ids: list[strawberry.ID] | None = None
    worker_ids: list[strawberry.ID] | None = None
    process_ids: list[strawberry.ID] | None = None
    status: list[TaskStatus] | None = None
    name_contains: str | None = None

    def convert(self) -> filters.TaskFilter:
        return filters.TaskFilter(
            _values("ids", self.ids),
            _values("workerIds", self.worker_ids),
            _values("processIds", self.process_ids),
            _values("status", self.status),
            self.name_contains,
        )


@strawberry.input
class TaskDefinitionInput:
    name: str
    version: str


@strawberry.input
class RegisterWorkerInput:
    name: str
    version: str
    tasks: list[TaskDefinitionInput]

    def definitions(self) -> list[TaskDefinition]:
        return [TaskDefinition(task.name, task.version) for task in self.tasks]


@strawberry.input
class UpdateTaskInput:
    task_id: strawberry.ID
    status: TaskStatus
    details: str | None = None

    def convert(self) -> TaskUpdate:
        return TaskUpdate(self.task_id, self.status, self.details)


@strawberry.input
class EndProcessInput:
    process_id: strawberry.ID
    status: ProcessStatus
    details: str | None = None


def _values(field: str, values: Iterable[T] | None) -> tuple[T, ...] | None:
    """As a tuple, which can be hashed: filters are part of the keys that loads are shared by."""
    if values is None:
        return None
    listed = tuple(values)
    if len(listed) > MAX_FILTER_VALUES:
        raise InvalidInput(
            f"filter.{field}", f"has {len(listed)} values, at most {MAX_FILTER_VALUES}"
        )
    return listed
