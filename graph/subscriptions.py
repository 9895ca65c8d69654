"""The Subscription type: what there is to follow. `graph.fanout` delivers what happens."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import strawberry

from graph.inputs import FailureFilter, PipelineFilter, ProcessFilter, TaskFilter, WorkerFilter
from graph.types.failures import Failure
from graph.types.nodes import Process, Task, Worker
from graph.types.pipelines import Pipeline
from monitor import entities
from monitor.events import ChangeKind, Event
from monitor.feed.log import Cursor
from monitor.reading import filters
from monitor.reading.failures import FailureFilter as Failures


@strawberry.type
class PipelineEvent:
    cursor: str
    kind: ChangeKind
    occurred_at: datetime
    pipeline: Pipeline


@strawberry.type
class FailureEvent:
    cursor: str
    kind: ChangeKind
    occurred_at: datetime
    failure: Failure


@strawberry.type
class WorkerEvent:
    cursor: str
    kind: ChangeKind
    occurred_at: datetime
    worker: Worker


@strawberry.type
class ProcessEvent:
    cursor: str
    kind: ChangeKind
    occurred_at: datetime
    process: Process


@strawberry.type
class TaskEvent:
    cursor: str
    kind: ChangeKind
    occurred_at: datetime
    task: Task


@dataclass(frozen=True, slots=True)
class Following:
    """What a subscription follows: entities that match, behind a cursor (None: from now on)."""

    matching: filters.Filter
    after: Cursor | None


def _follow(matching: filters.Filter, after: str | None) -> Following:
    return Following(matching, None if after is None else Cursor.parse("after", after))


@strawberry.type(
    description="The live feed. Each event carries the whole state after the change. Delivery is "
    "at least once and in order per entity; a repeated or older state is recognised by its "
    "revision. `after` resumes behind that cursor; a cursor that can no longer be honoured is "
    "answered with CURSOR_EXPIRED."
)
class Subscription:
    """Each field says what to follow, in the place of its first event; `Channels` takes it there.

    Strawberry converts the arguments that way, and events need no generator per subscriber.
    """

    @strawberry.subscription(
        graphql_type=PipelineEvent,
        description="At most one event a second and pipeline while it is busy; the last state is "
        "always told.",
    )
    async def pipelines(
        self,
        filter: PipelineFilter | None = None,
        after: str | None = None,
    ) -> AsyncIterator[Following]:
        matching = filter.convert() if filter else filters.PipelineFilter()
        yield _follow(matching, after)

    @strawberry.subscription(
        graphql_type=FailureEvent,
        description="At most one event a second and failure, but what follows its resolution is "
        "told at once; the last state is always told.",
    )
    async def failures(
        self,
        filter: FailureFilter | None = None,
        after: str | None = None,
    ) -> AsyncIterator[Following]:
        yield _follow(filter.convert() if filter else Failures(), after)

    @strawberry.subscription(graphql_type=WorkerEvent)
    async def workers(
        self,
        filter: WorkerFilter | None = None,
        after: str | None = None,
    ) -> AsyncIterator[Following]:
        matching = filter.convert() if filter else filters.WorkerFilter()
        yield _follow(matching, after)

    @strawberry.subscription(graphql_type=ProcessEvent)
    async def processes(
        self,
        filter: ProcessFilter | None = None,
        after: str | None = None,
    ) -> AsyncIterator[Following]:
        matching = filter.convert() if filter else filters.ProcessFilter()
        yield _follow(matching, after)

    @strawberry.subscription(graphql_type=TaskEvent)
    async def tasks(
        self,
        filter: TaskFilter | None = None,
        after: str | None = None,
    ) -> AsyncIterator[Following]:
        matching = filter.convert() if filter else filters.TaskFilter()
        yield _follow(matching, after)


def event_type(
    event: Event, kind: ChangeKind, cursor: Cursor
) -> PipelineEvent | FailureEvent | WorkerEvent | ProcessEvent | TaskEvent:
    """The event as subscribers see it who are told of it as `kind`."""
    told: dict[str, Any] = {
        "cursor": str(cursor),
        "kind": kind,
        "occurred_at": event.occurred_at,
    }
    match event.entity:
        case entities.Pipeline() as pipeline:
            return PipelineEvent(**told, pipeline=Pipeline.of(pipeline))
        case entities.Failure() as failure:
            return FailureEvent(**told, failure=Failure.of(failure))
        case entities.Worker() as worker:
            return WorkerEvent(**told, worker=Worker.of(worker))
        case entities.Process() as process:
            return ProcessEvent(**told, process=Process.of(process))
        case entities.Task() as task:
            return TaskEvent(**told, task=Task.of(task))
