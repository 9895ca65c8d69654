"""Input types, and their conversion to what `monitor` takes."""

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

import strawberry

from graph.orders import ProcessOrderField
from monitor.entities import (
    FailureStatus,
    Liveness,
    ProcessStatus,
    TaskDefinition,
    TaskStatus,
    WorkerStatus,
)
from monitor.errors import InvalidInput
from monitor.events import ChangeKind
from monitor.limits import MAX_FILTER_VALUES, VERSION_LENGTH, check_text
from monitor.reading import audit, failures, filters
from monitor.reading.pages import MAX_PARTS, Order
from monitor.tasks import TaskUpdate

T = TypeVar("T")

for _enum in (WorkerStatus, ProcessStatus, TaskStatus):
    strawberry.enum(_enum)
strawberry.enum(
    Liveness,
    description="What is to be made of a worker's silence. ALIVE: heard from within the limit, or "
    "silent no longer than is usual for the step it is in. FINISHED: silent, and nothing is "
    "expected of it. LOST: silent against expectation: it used to send heartbeats, or what it runs "
    "takes longer than is usual.",
)
strawberry.enum(
    FailureStatus,
    description="OPEN; RESOLVED by a person (resolveFailure); REGRESSED when it is seen again "
    "after that; MUTED: counted, never alerted, until the given time (then it reads OPEN again). "
    "Resolving a muted one resolves it.",
)
strawberry.enum(
    ChangeKind,
    description="UPDATED also what comes to match the filter. LEFT: the entity no longer matches "
    "the filter of this subscription; told once, with the new state, and never where the filter "
    "cannot change its mind (ids, names, times). REMOVED: the last state, without details, of "
    "what was too old to be kept, or of a worker that is archived.",
)

STATUS_OF = {
    WorkerStatus.ONLINE: (Liveness.ALIVE,),
    WorkerStatus.OFFLINE: (Liveness.FINISHED, Liveness.LOST),
}


def check_versions(matching: filters.ProcessFilter, order: Order) -> None:
    """Raises InvalidInput where no index finds the versions that are asked for."""
    if matching.versions is None:
        return
    if matching.pipeline_ids is None and matching.failure_ids is None:
        reason = "needs pipelineIds or failureIds, whose versions they are"
        raise InvalidInput("filter.versions", reason)
    if order.field != ProcessOrderField.STARTED_AT.value:
        raise InvalidInput("filter.versions", "needs the order STARTED_AT")


@strawberry.input(
    description="failing: its latest ended process failed. lost: it has LOST workers. running: it "
    "has running processes."
)
class PipelineFilter:
    ids: list[strawberry.ID] | None = None
    name_contains: str | None = None
    failing: bool | None = None
    running: bool | None = None
    lost: bool | None = None

    def convert(self) -> filters.PipelineFilter:
        return filters.PipelineFilter(
            ids=_values("ids", self.ids),
            name_contains=self.name_contains,
            failing=self.failing,
            running=self.running,
            lost=self.lost,
        )


@strawberry.input
class WorkerFilter:
    ids: list[strawberry.ID] | None = None
    pipeline_ids: list[strawberry.ID] | None = None
    status: list[WorkerStatus] | None = None
    liveness: list[Liveness] | None = None
    name_contains: str | None = None

    def convert(self) -> filters.WorkerFilter:
        return filters.WorkerFilter(
            ids=_values("ids", self.ids),
            pipeline_ids=_values("pipelineIds", self.pipeline_ids),
            liveness=self._allowed(),
            name_contains=self.name_contains,
        )

    def _allowed(self) -> tuple[Liveness, ...] | None:
        """What both `liveness` and `status` allow; None when neither is given."""
        liveness = _values("liveness", self.liveness)
        if self.status is None:
            return liveness
        allowed = {each for status in self.status for each in STATUS_OF[status]}
        wanted = tuple(Liveness) if liveness is None else liveness
        return tuple(each for each in wanted if each in allowed)


@strawberry.input
class ProcessFilter:
    ids: list[strawberry.ID] | None = None
    pipeline_ids: list[strawberry.ID] | None = None
    worker_ids: list[strawberry.ID] | None = None
    failure_ids: list[strawberry.ID] | None = None
    versions: list[str] | None = strawberry.field(
        default=None,
        description="Of pipelines or failures: a list of all processes needs pipelineIds or "
        "failureIds as well, and the order STARTED_AT.",
    )
    status: list[ProcessStatus] | None = None
    stalled: bool | None = None
    started_after: datetime | None = None
    started_before: datetime | None = None

    def convert(self) -> filters.ProcessFilter:
        return filters.ProcessFilter(
            ids=_values("ids", self.ids),
            pipeline_ids=_values("pipelineIds", self.pipeline_ids),
            worker_ids=_values("workerIds", self.worker_ids),
            failure_ids=_values("failureIds", self.failure_ids),
            versions=self._versions(),
            status=_values("status", self.status),
            stalled=self.stalled,
            started_after=self.started_after,
            started_before=self.started_before,
        )

    def _versions(self) -> tuple[str, ...] | None:
        versions = _values("versions", self.versions)
        for index, version in enumerate(versions or ()):
            check_text(f"filter.versions.{index}", version, VERSION_LENGTH)
        return versions


@strawberry.input
class TaskFilter:
    ids: list[strawberry.ID] | None = None
    pipeline_ids: list[strawberry.ID] | None = None
    worker_ids: list[strawberry.ID] | None = None
    process_ids: list[strawberry.ID] | None = None
    status: list[TaskStatus] | None = None
    name_contains: str | None = None

    def convert(self) -> filters.TaskFilter:
        return filters.TaskFilter(
            ids=_values("ids", self.ids),
            pipeline_ids=_values("pipelineIds", self.pipeline_ids),
            worker_ids=_values("workerIds", self.worker_ids),
            process_ids=_values("processIds", self.process_ids),
            status=_values("status", self.status),
            name_contains=self.name_contains,
        )


@strawberry.input(
    description="titleContains: in any case. firstSeenSince: from then on. firstSeenBefore: before "
    "then."
)
class FailureFilter:
    ids: list[strawberry.ID] | None = None
    pipeline_ids: list[strawberry.ID] | None = None
    status: list[FailureStatus] | None = None
    title_contains: str | None = None
    first_seen_since: datetime | None = None
    first_seen_before: datetime | None = None

    def convert(self) -> failures.FailureFilter:
        return failures.FailureFilter(
            ids=_values("ids", self.ids),
            pipeline_ids=_values("pipelineIds", self.pipeline_ids),
            status=_values("status", self.status),
            title_contains=self.title_contains,
            first_seen_since=self.first_seen_since,
            first_seen_before=self.first_seen_before,
        )


@strawberry.input(
    description="actions: names of mutations. since: from then on. until: before then. More than "
    "100 subjectIds are BAD_USER_INPUT."
)
class AuditFilter:
    subject_ids: list[strawberry.ID] | None = None
    actions: list[str] | None = None
    since: datetime | None = None
    until: datetime | None = None

    def convert(self) -> audit.AuditFilter:
        return audit.AuditFilter(
            subject_ids=_values("subjectIds", self.subject_ids, MAX_PARTS),
            actions=convert_actions("filter.actions", self.actions),
            since=self.since,
            until=self.until,
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
    only_stalled: bool | None = strawberry.field(
        default=None,
        description="CONFLICT unless it is stalled by now: it ended meanwhile, or its worker "
        "reported. What its id means as a successor's is never ended.",
    )


def convert_actions(field: str, actions: Iterable[str] | None) -> tuple[str, ...] | None:
    """Those that can be names of mutations: the database compares no others with its own."""
    if actions is None:
        return None
    return tuple(
        action for action in _bounded(field, actions, MAX_FILTER_VALUES) if action.isascii()
    )


def _values(
    field: str, values: Iterable[T] | None, at_most: int = MAX_FILTER_VALUES
) -> tuple[T, ...] | None:
    """As a tuple, which can be hashed: filters are part of the keys that loads are shared by."""
    if values is None:
        return None
    return _bounded(f"filter.{field}", values, at_most)


def _bounded(field: str, values: Iterable[T], at_most: int) -> tuple[T, ...]:
    listed = tuple(values)
    if len(listed) > at_most:
        raise InvalidInput(field, f"has {len(listed)} values, at most {at_most}")
    return listed
