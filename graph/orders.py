"""The orders that lists can be asked for in."""

from enum import Enum

import strawberry

from monitor.reading.pages import Direction, Order

strawberry.enum(Direction, name="OrderDirection")


@strawberry.enum
class PipelineOrderField(Enum):
    NAME = "NAME"
    LAST_SEEN_AT = "LAST_SEEN_AT"


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


@strawberry.enum
class FailureOrderField(Enum):
    LAST_SEEN_AT = "LAST_SEEN_AT"
    FIRST_SEEN_AT = "FIRST_SEEN_AT"
    COUNT = "COUNT"


@strawberry.input
class PipelineOrder:
    field: PipelineOrderField
    direction: Direction = Direction.ASC


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


@strawberry.input(
    description="LAST_SEEN_AT and COUNT: as the failures' followers were told last, at most a few "
    "seconds behind what is shown of them."
)
class FailureOrder:
    field: FailureOrderField
    direction: Direction = Direction.DESC


# A list that is asked for in no order: as its order type would have it by default.
PIPELINES_BY_DEFAULT = Order("NAME", Direction.ASC)
WORKERS_BY_DEFAULT = Order("REGISTERED_AT", Direction.ASC)
PROCESSES_BY_DEFAULT = Order("STARTED_AT", Direction.DESC)
TASKS_BY_DEFAULT = Order("CREATED_AT", Direction.ASC)
FAILURES_BY_DEFAULT = Order("LAST_SEEN_AT", Direction.DESC)


def convert_order(
    order: PipelineOrder | WorkerOrder | ProcessOrder | TaskOrder | FailureOrder | None,
    default: Order,
) -> Order:
    return default if order is None else Order(order.field.value, order.direction)
