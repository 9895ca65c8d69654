"""Entities as clients see them; their scalars are copied, so that a field is a plain attribute."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from graph.context import GraphInfo
from graph.execution.details import read_details, show_details
from graph.execution.executor import AT_HAND
from graph.execution.selection import details_asked
from graph.inputs import ProcessFilter
from graph.loaders import PageKey
from graph.orders import (
    PROCESSES_BY_DEFAULT,
    ProcessOrder,
    convert_order,
)
from graph.types import usual
from graph.types.audit import AUDIT_OF_NODE, AuditEntry, audit_of_node
from graph.types.connections import Connection
from graph.types.figures import ProcessCounts
from graph.types.finding import find_pipeline, find_process, find_task
from graph.types.node import (
    Node,
    TaskDefinition,
    current_task_at_hand,
    define_tasks,
    details_at_hand,
    worker_at_hand,
)
from graph.types.statistics import RuntimeStatistics
from monitor import entities
from monitor.entities import MICROSECOND, Liveness, ProcessStatus, TaskStatus, WorkerStatus
from monitor.errors import ProcessNotFound
from monitor.reading import filters
from monitor.reading.pages import PageRequest
from monitor.silence import explain

if TYPE_CHECKING:
    from graph.types.failures import Failure
    from graph.types.pipelines import Pipeline

PipelineType = Annotated["Pipeline", strawberry.lazy("graph.types.pipelines")]
FailureType = Annotated["Failure", strawberry.lazy("graph.types.failures")]


@strawberry.type
class Worker(Node):
    entity: strawberry.Private[entities.Worker]
    name: str
    version: str
    status: WorkerStatus = strawberry.field(description="ONLINE while ALIVE, OFFLINE otherwise.")
    liveness: Liveness
    registered_at: datetime
    last_seen_at: datetime
    average_runtime_seconds: float | None = strawberry.field(
        description="Mean over the ended processes; null while none has ended."
    )
    revision: int = strawberry.field(
        description="Grows by at least 1 with every change of this worker; the higher revision is "
        "the newer state."
    )
    archived: bool = strawberry.field(
        description="Silent for so long that lists and the summary leave it out; `worker` finds "
        "it. Its subscribers are told REMOVED, and CREATED when it reports again."
    )

    @classmethod
    def of(cls, worker: entities.Worker) -> Self:
        return cls(
            id=strawberry.ID(worker.id),
            entity=worker,
            name=worker.name,
            version=worker.version,
            status=worker.status,
            liveness=worker.liveness,
            registered_at=worker.registered_at,
            last_seen_at=worker.last_seen_at,
            average_runtime_seconds=worker.average_runtime_seconds,
            revision=worker.revision,
            archived=worker.archived,
        )

    @strawberry.field
    def task_definitions(self) -> list[TaskDefinition]:
        return define_tasks(self.entity.task_definitions)

    @strawberry.field(
        description="One sentence for people, with the evidence: 'silent for 41 s; step train "
        "usually takes up to 75 s'."
    )
    def liveness_reason(self) -> str:
        return explain(self.entity, datetime.now(UTC))

    @strawberry.field
    async def pipeline(self, info: GraphInfo) -> PipelineType:
        return await find_pipeline(info, self.entity.pipeline_id)

    @strawberry.field
    def counts(self) -> ProcessCounts:
        return ProcessCounts.of(self.entity)

    @strawberry.field
    async def processes(
        self,
        info: GraphInfo,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        filter: ProcessFilter | None = None,
        order_by: ProcessOrder | None = None,
    ) -> "Connection[Process]":
        key = PageKey(
            "worker",
            self.id,
            filter.convert() if filter else filters.ProcessFilter(),
            convert_order(order_by, PROCESSES_BY_DEFAULT),
            PageRequest(first, after, last, before),
        )
        details = details_asked(info, "edges", "node") > 0
        page = await info.context.loaders.runs(details=details).process_pages.load(key)
        from graph.types.rows import load_with_rows

        return await load_with_rows(page, info)


@strawberry.type
class Process(Node):
    entity: strawberry.Private[entities.Process]
    # Loaded with the list that this is part of, for all its rows at once.
    loaded_worker: strawberry.Private[Worker | None] = None
    loaded_current_task: strawberry.Private["Task | None"] = None
    loaded_usual: strawberry.Private[usual.Loaded[RuntimeStatistics]] = usual.NOT_LOADED
    loaded_end: strawberry.Private[usual.Loaded[datetime]] = usual.NOT_LOADED
    status: ProcessStatus
    version: str = strawberry.field(description="Of its worker.")
    recovered: bool = strawberry.field(
        description="Its start report was lost: it was opened by its first task report."
    )
    progress: float = strawberry.field(
        description="Share of its tasks that ended (SUCCESS or ERROR), 0 to 1."
    )
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    stalled: bool = strawberry.field(
        description="RUNNING while its worker is LOST. It is a hint for people and never ends "
        "a process by itself."
    )
    overtime: bool = strawberry.field(description=usual.OVERTIME)
    usual_runtime: RuntimeStatistics | None = strawberry.field(
        resolver=usual.usual_of_process,
        description="What its pipeline's successful processes usually take; null before there are "
        "5 of them.",
        metadata={AT_HAND: usual.usual_at_hand},
    )
    expected_end_at: datetime | None = strawberry.field(
        resolver=usual.expected_end,
        description=usual.EXPECTED_END,
        metadata={AT_HAND: usual.end_at_hand},
    )
    revision: int
    audit: list[AuditEntry] = strawberry.field(resolver=audit_of_node, description=AUDIT_OF_NODE)

    @classmethod
    def of(cls, process: entities.Process) -> Self:
        return cls(
            id=strawberry.ID(process.id),
            entity=process,
            status=process.status,
            version=process.version,
            recovered=process.recovered,
            progress=process.progress,
            started_at=process.started_at,
            updated_at=process.updated_at,
            ended_at=process.ended_at,
            stalled=process.stalled,
            overtime=process.overtime,
            revision=process.revision,
        )

    @strawberry.field(metadata={AT_HAND: details_at_hand})
    async def details(self, info: GraphInfo) -> str | None:
        return await read_details(info, self.entity, info.context.loaders.process)

    @strawberry.field(metadata={AT_HAND: worker_at_hand})
    async def worker(self, info: GraphInfo) -> Worker:
        if self.loaded_worker is not None:
            return self.loaded_worker
        worker = await info.context.loaders.worker(self.entity.worker_id)
        assert worker is not None, "a process has a worker"
        return Worker.of(worker)

    @strawberry.field
    async def pipeline(self, info: GraphInfo) -> PipelineType:
        if not self.entity.pipeline_id:  # told by a server of the release before
            worker = await self.worker(info)
            return await find_pipeline(info, worker.entity.pipeline_id)
        return await find_pipeline(info, self.entity.pipeline_id)

    @strawberry.field(
        description="The failure that ended it, with all others like it; null unless status is "
        "ERROR."
    )
    async def failure(self, info: GraphInfo) -> FailureType | None:
        from graph.types.failures import find_failure

        return await find_failure(info, self.entity.failure_id)

    @strawberry.field(
        description="The task that was last reported on; the first one while none was; null for a "
        "process without tasks.",
        metadata={AT_HAND: current_task_at_hand},
    )
    async def current_task(self, info: GraphInfo) -> "Task | None":
        if self.entity.task_count == 0 or self.loaded_current_task is not None:
            return self.loaded_current_task
        if self.entity.current_task_id is not None:
            return await find_task(info, self.entity.current_task_id)
        asked = details_asked(info)
        loaders = info.context.loaders.runs(details=asked > 0)
        task = await loaders.first_task_of_process.load(self.id)
        show_details(info, [task], asked)
        return None if task is None else Task.of(task)

    @strawberry.field(description="Up to now while it runs.")
    def runtime_seconds(self) -> float:
        return self.entity.runtime(datetime.now(UTC)) / MICROSECOND / 1e6

    @strawberry.field(description="In order of position.")
    async def tasks(self, info: GraphInfo) -> "list[Task]":
        asked = details_asked(info)
        loaders = info.context.loaders.runs(details=asked > 0)
        found = await loaders.tasks_of_process.load(self.id)
        show_details(info, found, asked)
        return [Task.of(task) for task in found]


@strawberry.type
class Task(Node):
    entity: strawberry.Private[entities.Task]
    name: str
    version: str
    position: int = strawberry.field(description="From 1.")
    status: TaskStatus
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    ended_at: datetime | None
    overtime: bool = strawberry.field(
        description="As of a process, for the step; false once it has ended."
    )
    usual_runtime: RuntimeStatistics | None = strawberry.field(
        resolver=usual.usual_of_task, description="Of this step in its pipeline."
    )
    revision: int

    @classmethod
    def of(cls, task: entities.Task) -> Self:
        return cls(
            id=strawberry.ID(task.id),
            entity=task,
            name=task.name,
            version=task.version,
            position=task.position,
            status=task.status,
            created_at=task.created_at,
            started_at=task.started_at,
            updated_at=task.updated_at,
            ended_at=task.ended_at,
            overtime=task.overtime,
            revision=task.revision,
        )

    @strawberry.field(metadata={AT_HAND: details_at_hand})
    async def details(self, info: GraphInfo) -> str | None:
        return await read_details(info, self.entity, info.context.loaders.task)

    @strawberry.field
    async def process(self, info: GraphInfo) -> Process:
        process = await find_process(info, self.entity.process_id)
        if process is None:  # removed since the task was read
            raise ProcessNotFound
        return process

    @strawberry.field(description="0 while PENDING, up to now while RUNNING.")
    def runtime_seconds(self) -> float:
        return self.entity.runtime(datetime.now(UTC)) / MICROSECOND / 1e6
