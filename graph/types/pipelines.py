"""Pipelines as clients see them: all workers of one name."""

from datetime import datetime
from typing import Self

import strawberry

from graph.context import GraphInfo
from graph.execution.selection import details_asked
from graph.inputs import ProcessFilter, WorkerFilter
from graph.loaders import PageKey, StatisticsKey
from graph.orders import (
    PROCESSES_BY_DEFAULT,
    WORKERS_BY_DEFAULT,
    ProcessOrder,
    WorkerOrder,
    convert_order,
)
from graph.types.comparison import VersionComparison
from graph.types.connections import Connection
from graph.types.figures import ProcessCounts, WorkerCounts
from graph.types.finding import find_process
from graph.types.node import Node, TaskDefinition, define_tasks
from graph.types.nodes import Process, Worker
from graph.types.rows import load_with_rows
from graph.types.statistics import (
    FlakyStep,
    Outcomes,
    RuntimePoint,
    RuntimeStatistics,
    StepStatistics,
    VersionStatistics,
)
from monitor import entities
from monitor.errors import InvalidInput
from monitor.reading import filters
from monitor.reading.pages import PageRequest
from monitor.reading.parts import Steps
from monitor.reading.statistics import Runtimes, StepFigures

MAX_RECENT = 50
WINDOW = (
    "since: rounded down to the hour, and to the day where it is more than eight days ago; by "
    "default 7 days ago."
)


@strawberry.type(
    description="All workers that registered under one name: what people mean by 'my nightly "
    "job'. Its figures cost the same however many workers and processes it has."
)
class Pipeline(Node):
    entity: strawberry.Private[entities.Pipeline]
    name: str
    version: str = strawberry.field(
        description="Of the newest registration, as are the task definitions."
    )
    first_seen_at: datetime
    last_seen_at: datetime
    average_runtime_seconds: float | None
    failing: bool = strawberry.field(description="Its latest ended process failed.")
    stalled_processes: int
    revision: int

    @classmethod
    def of(cls, pipeline: entities.Pipeline) -> Self:
        return cls(
            id=strawberry.ID(pipeline.id),
            entity=pipeline,
            name=pipeline.name,
            version=pipeline.version,
            first_seen_at=pipeline.first_seen_at,
            last_seen_at=pipeline.last_seen_at,
            average_runtime_seconds=pipeline.average_runtime_seconds,
            failing=pipeline.failing,
            stalled_processes=pipeline.stalled,
            revision=pipeline.revision,
        )

    @strawberry.field
    def task_definitions(self) -> list[TaskDefinition]:
        return define_tasks(self.entity.task_definitions)

    @strawberry.field
    def worker_counts(self) -> WorkerCounts:
        return WorkerCounts.of(self.entity)

    @strawberry.field
    def counts(self) -> ProcessCounts:
        return ProcessCounts.of(self.entity)

    @strawberry.field(description="The one that started last.")
    async def latest_process(self, info: GraphInfo) -> Process | None:
        id_ = self.entity.latest_process_id
        return None if id_ is None else await find_process(info, id_)

    @strawberry.field(
        description="The latest processes by start, newest first, running ones too; more than 50 "
        "is BAD_USER_INPUT."
    )
    async def recent_processes(self, info: GraphInfo, first: int = 20) -> list[Process]:
        if not 0 <= first <= MAX_RECENT:
            raise InvalidInput("first", f"is {first}, must be from 0 to {MAX_RECENT}")
        key = PageKey(
            "pipeline", self.id, filters.ProcessFilter(), PROCESSES_BY_DEFAULT, PageRequest(first)
        )
        asked = details_asked(info) > 0
        page = await info.context.loaders.runs(details=asked).process_pages.load(key)
        connection = await load_with_rows(page, info, path=())
        return [edge.node for edge in connection.edges]

    @strawberry.field
    async def workers(
        self,
        info: GraphInfo,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        filter: WorkerFilter | None = None,
        order_by: WorkerOrder | None = None,
    ) -> Connection[Worker]:
        key = PageKey(
            "pipeline",
            self.id,
            filter.convert() if filter else filters.WorkerFilter(),
            convert_order(order_by, WORKERS_BY_DEFAULT),
            PageRequest(first, after, last, before),
        )
        return Connection.of(await info.context.loaders.worker_pages.load(key), Worker.of)

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
    ) -> Connection[Process]:
        key = PageKey(
            "pipeline",
            self.id,
            filter.convert() if filter else filters.ProcessFilter(),
            convert_order(order_by, PROCESSES_BY_DEFAULT),
            PageRequest(first, after, last, before),
        )
        details = details_asked(info, "edges", "node") > 0
        page = await info.context.loaders.runs(details=details).process_pages.load(key)
        return await load_with_rows(page, info)

    @strawberry.field(
        description="By position, of the newest registration; figures over tasks that ended in the "
        "window, of one version or all; a task that was started anew counts with each end, and "
        "steps of one name have their figures in common. What is purged stays in these figures; "
        f"`counts` are of what is kept. {WINDOW}"
    )
    async def steps(
        self, info: GraphInfo, since: datetime | None = None, version: str | None = None
    ) -> list[StepStatistics]:
        names = tuple(definition.name for definition in self.entity.task_definitions)
        key = StatisticsKey(Steps(self.entity.id, names), (since, version))
        found = await info.context.loaders.steps.load(key)
        none = StepFigures(0, 0, Runtimes())
        return [
            StepStatistics.of(name, position, found.get(name, none))
            for position, name in enumerate(names, start=1)
        ]

    @strawberry.field(
        description=f"Runtimes of successful processes that ended in the window. {WINDOW}"
    )
    async def runtime(
        self, info: GraphInfo, since: datetime | None = None, version: str | None = None
    ) -> RuntimeStatistics:
        key = StatisticsKey(self.entity.id, (since, version))
        return RuntimeStatistics.of(await info.context.loaders.runtimes.load(key))

    @strawberry.field(
        description="Runtimes of successful processes over time, by the slot that they ended in: "
        "oldest first, empty ones included, at most 1,000. Slots begin at multiples of "
        "slotSeconds, which is a multiple of 3,600. What ended on a day before the last eight "
        "is in the slot that its day begins in."
    )
    async def runtimes(
        self,
        info: GraphInfo,
        since: datetime,
        until: datetime | None = None,
        slot_seconds: int = 3600,
    ) -> list[RuntimePoint]:
        key = StatisticsKey(self.entity.id, (since, until, slot_seconds))
        slots = await info.context.loaders.runtimes_by_slot.load(key)
        return [RuntimePoint.of(slot) for slot in slots]

    @strawberry.field(
        description="Versions seen, newest first, each with its figures in the window: what "
        f"changed with v1.4? The 100 newest of them. {WINDOW}"
    )
    async def versions(
        self, info: GraphInfo, since: datetime | None = None
    ) -> list[VersionStatistics]:
        key = StatisticsKey(self.entity.id, (since,))
        return [
            VersionStatistics.of(figures)
            for figures in await info.context.loaders.versions.load(key)
        ]

    @strawberry.field(
        description="One version against another, as they ended since then; left out: ever. What "
        "was removed still counts. since: rounded down as of `steps`."
    )
    async def compare_versions(
        self, info: GraphInfo, version: str, against: str, since: datetime | None = None
    ) -> VersionComparison:
        key = StatisticsKey(self.entity.id, (version, against, since))
        return VersionComparison.of(await info.context.loaders.comparisons.load(key))

    @strawberry.field(
        description="Steps of the newest registration that, in one version, both failed and "
        "succeeded at least 3 times within the last 7 days. Hours in which more than 80 % of all "
        "processes of the installation that ended failed, of at least 5, are left out."
    )
    async def flaky_steps(self, info: GraphInfo) -> list[FlakyStep]:
        names = tuple(definition.name for definition in self.entity.task_definitions)
        key = StatisticsKey(Steps(self.entity.id, names), ())
        return [FlakyStep.of(step) for step in await info.context.loaders.flaky_steps.load(key)]

    @strawberry.field(
        description="How its processes ended since then, whether or not they are kept. since: "
        "rounded down to the minute, and to the hour where it is more than a day ago."
    )
    async def outcomes(self, info: GraphInfo, since: datetime) -> Outcomes:
        key = StatisticsKey(self.entity.id, (since,))
        return Outcomes.of(await info.context.loaders.outcomes.load(key))
