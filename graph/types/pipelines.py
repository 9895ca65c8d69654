"""Pipelines as clients see them: all workers of one name."""

from datetime import datetime
from typing import Self

import strawberry

from graph.context import GraphInfo
from graph.execution.selection import details_asked
from graph.inputs import (
    PROCESSES_BY_DEFAULT,
    WORKERS_BY_DEFAULT,
    ProcessFilter,
    ProcessOrder,
    WorkerFilter,
    WorkerOrder,
    convert_order,
)
from graph.loaders import PageKey
from graph.types.connections import Connection
from graph.types.figures import ProcessCounts, WorkerCounts
from graph.types.node import Node, TaskDefinition, define_tasks
from graph.types.nodes import (
    Process,
    Worker,
    find_process,
    load_with_rows,
)
from monitor import entities
from monitor.errors import InvalidInput
from monitor.reading import filters
from monitor.reading.pages import PageRequest

MAX_RECENT = 50


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
