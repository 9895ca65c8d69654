"""The Query type."""

from datetime import datetime

import strawberry

from graph.context import GraphInfo
from graph.execution.details import show_details
from graph.execution.selection import details_asked
from graph.inputs import (
    AuditFilter,
    FailureFilter,
    PipelineFilter,
    ProcessFilter,
    TaskFilter,
    WorkerFilter,
    check_versions,
)
from graph.orders import (
    FAILURES_BY_DEFAULT,
    PIPELINES_BY_DEFAULT,
    PROCESSES_BY_DEFAULT,
    TASKS_BY_DEFAULT,
    WORKERS_BY_DEFAULT,
    FailureOrder,
    PipelineOrder,
    ProcessOrder,
    TaskOrder,
    WorkerOrder,
    convert_order,
)
from graph.types.audit import AuditEntry
from graph.types.connections import Connection
from graph.types.failures import Failure, find_failure
from graph.types.figures import ActivityPoint, Summary
from graph.types.finding import find_process, find_task
from graph.types.node import Node
from graph.types.nodes import Process, Task, Worker
from graph.types.pipelines import Pipeline
from graph.types.rows import load_with_rows
from graph.types.search import SEARCH, SearchConnection, search_all
from monitor.errors import InvalidInput
from monitor.ids import kind_of, pipeline_id
from monitor.reading import audit, figures, filters, reads
from monitor.reading.audit import list_acts
from monitor.reading.failures import FailureFilter as Failures
from monitor.reading.failures import list_failures
from monitor.reading.pages import PageRequest
from monitor.reading.pipelines import list_pipelines

API_VERSION = "v1.1"


@strawberry.type
class Query:
    @strawberry.field(description="Version of the documented API, 'v1.1'.")
    def version(self) -> str:
        return API_VERSION

    @strawberry.field(
        description="The position of the live feed, taken before any other field of the same query "
        "is read: subscribe with `after: <this>` and no change is missed between the query and "
        "the subscription."
    )
    def feed_cursor(self, info: GraphInfo) -> str:
        return info.context.feed_cursor

    @strawberry.field
    async def node(self, info: GraphInfo, id: strawberry.ID) -> Node | None:
        match kind_of(id):
            case "pipeline":
                return await _pipeline(info, id)
            case "worker":
                return await _worker(info, id)
            case "process":
                return await _process(info, id)
            case "task":
                return await _task(info, id)
            case "failure":
                return await _failure(info, id)
            case "audit" | None:
                return None

    @strawberry.field(
        description="By id or by name (exact, to the last blank), one of them, else "
        "BAD_USER_INPUT; null when there is none."
    )
    async def pipeline(
        self, info: GraphInfo, id: strawberry.ID | None = None, name: str | None = None
    ) -> Pipeline | None:
        if (id is None) == (name is None):
            raise InvalidInput("id", "or name is needed, one of them")
        return await _pipeline(info, id if name is None else _id_of(name))

    @strawberry.field
    async def pipelines(
        self,
        info: GraphInfo,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        filter: PipelineFilter | None = None,
        order_by: PipelineOrder | None = None,
    ) -> Connection[Pipeline]:
        page = await list_pipelines(
            info.context.monitor.database,
            filter.convert() if filter else filters.PipelineFilter(),
            convert_order(order_by, PIPELINES_BY_DEFAULT),
            PageRequest(first, after, last, before),
        )
        return Connection.of(page, Pipeline.of)

    @strawberry.field(description="null when there is none.")
    async def failure(self, info: GraphInfo, id: strawberry.ID) -> Failure | None:
        return await _failure(info, id)

    @strawberry.field
    async def failures(
        self,
        info: GraphInfo,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        filter: FailureFilter | None = None,
        order_by: FailureOrder | None = None,
    ) -> Connection[Failure]:
        page = await list_failures(
            info.context.monitor.database,
            filter.convert() if filter else Failures(),
            convert_order(order_by, FAILURES_BY_DEFAULT),
            PageRequest(first, after, last, before),
        )
        return Connection.of(page, Failure.of)

    search: SearchConnection = strawberry.field(resolver=search_all, description=SEARCH)

    @strawberry.field(description="null when there is none.")
    async def worker(self, info: GraphInfo, id: strawberry.ID) -> Worker | None:
        return await _worker(info, id)

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
        page = await reads.list_page(
            info.context.monitor.database,
            reads.WORKERS,
            filter.convert() if filter else filters.WorkerFilter(),
            convert_order(order_by, WORKERS_BY_DEFAULT),
            PageRequest(first, after, last, before),
        )
        return Connection.of(page, Worker.of)

    @strawberry.field
    async def process(self, info: GraphInfo, id: strawberry.ID) -> Process | None:
        return await _process(info, id)

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
        asked = details_asked(info, "edges", "node")
        matching = filter.convert() if filter else filters.ProcessFilter()
        order = convert_order(order_by, PROCESSES_BY_DEFAULT)
        check_versions(matching, order)
        page = await reads.list_page(
            info.context.monitor.database,
            reads.PROCESSES,
            matching,
            order,
            PageRequest(first, after, last, before),
            info.context.loaders.details if asked else None,
        )
        return await load_with_rows(page, info)

    @strawberry.field
    async def task(self, info: GraphInfo, id: strawberry.ID) -> Task | None:
        return await _task(info, id)

    @strawberry.field
    async def tasks(
        self,
        info: GraphInfo,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        filter: TaskFilter | None = None,
        order_by: TaskOrder | None = None,
    ) -> Connection[Task]:
        asked = details_asked(info, "edges", "node")
        page = await reads.list_page(
            info.context.monitor.database,
            reads.TASKS,
            filter.convert() if filter else filters.TaskFilter(),
            convert_order(order_by, TASKS_BY_DEFAULT),
            PageRequest(first, after, last, before),
            info.context.loaders.details if asked else None,
        )
        show_details(info, page.items, asked)
        return Connection.of(page, Task.of)

    @strawberry.field(
        description="What was done by mutations under full-access tokens (heartbeats are left "
        "out), newest first; for full-access tokens, else FORBIDDEN. What changed nothing or was "
        "refused is not in it, and what workers report over REST neither."
    )
    async def audit(
        self,
        info: GraphInfo,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        filter: AuditFilter | None = None,
    ) -> Connection[AuditEntry]:
        info.context.principal.require_write()
        page = await list_acts(
            info.context.monitor.database,
            filter.convert() if filter else audit.AuditFilter(),
            PageRequest(first, after, last, before),
        )
        return Connection.of(page, AuditEntry.of)

    @strawberry.field
    async def summary(self, info: GraphInfo) -> Summary:
        return Summary.of(await figures.get_totals(info.context.monitor.database))

    @strawberry.field(
        description="Processes by start and end, oldest slot first, empty slots included; at most "
        "1,000 slots. Slots begin at multiples of slotSeconds, which is 1 to 60 or a multiple "
        "of 60. Where old processes are removed, slots that are no whole hours reach back as far "
        "as processes are kept; the others show what happened, whether or not it is kept."
    )
    async def activity(
        self,
        info: GraphInfo,
        since: datetime,
        until: datetime | None = None,
        slot_seconds: int = 60,
        worker_id: strawberry.ID | None = None,
        pipeline_id: strawberry.ID | None = None,
    ) -> list[ActivityPoint]:
        slots = await figures.list_activity(
            info.context.monitor.database,
            since=since,
            until=until,
            slot_seconds=slot_seconds,
            worker_id=worker_id,
            pipeline_id=pipeline_id,
        )
        return [ActivityPoint.of(slot) for slot in slots]


def _id_of(name: str) -> str | None:
    try:
        return pipeline_id(name)
    except UnicodeEncodeError:  # half of a surrogate pair: no name
        return None


async def _pipeline(info: GraphInfo, id_: str | None) -> Pipeline | None:
    if id_ is None or kind_of(id_) != "pipeline":
        return None
    pipeline = await info.context.loaders.pipeline(id_)
    return None if pipeline is None else Pipeline.of(pipeline)


async def _failure(info: GraphInfo, id_: str) -> Failure | None:
    return await find_failure(info, id_) if kind_of(id_) == "failure" else None


async def _worker(info: GraphInfo, id_: str) -> Worker | None:
    if kind_of(id_) != "worker":
        return None
    worker = await info.context.loaders.worker(id_)
    return None if worker is None else Worker.of(worker)


async def _process(info: GraphInfo, id_: str) -> Process | None:
    return await find_process(info, id_) if kind_of(id_) == "process" else None


async def _task(info: GraphInfo, id_: str) -> Task | None:
    return await find_task(info, id_) if kind_of(id_) == "task" else None
