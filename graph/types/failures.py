"""Failures as clients see them: failed processes that are alike."""

from datetime import datetime
from typing import Self

import strawberry

from graph.context import GraphInfo
from graph.execution.selection import details_asked
from graph.loaders import PageKey, StatisticsKey
from graph.orders import PROCESSES_BY_DEFAULT
from graph.types.audit import AUDIT_OF_NODE, AuditEntry, audit_of_node
from graph.types.connections import Connection
from graph.types.finding import find_pipeline, find_process
from graph.types.node import Node
from graph.types.nodes import Process
from graph.types.pipelines import Pipeline
from graph.types.rows import load_with_rows
from graph.types.statistics import OccurrencePoint
from monitor import entities
from monitor.entities import FailureStatus
from monitor.reading import filters
from monitor.reading.failures import FOR_EVER
from monitor.reading.pages import PageRequest


@strawberry.type(
    description="Failures that are alike: same pipeline, same step, same place in the code or same "
    "message with its numbers and ids taken out. Kept in the transaction that ends the process, so "
    "it is never behind."
)
class Failure(Node):
    entity: strawberry.Private[entities.Failure]
    fingerprint: str = strawberry.field(
        description="What they have in common; it begins with the version of the algorithm."
    )
    step: str | None = strawberry.field(
        description="Name of the step that failed, of several the one reported last; its details "
        "are taken before the process's. Null when the process failed outside of its steps."
    )
    title: str = strawberry.field(description="Normalised message: 'KeyError: <str>'.")
    status: FailureStatus
    count: int = strawberry.field(
        description="How often it was seen, also in processes that are removed by now."
    )
    first_seen_at: datetime
    last_seen_at: datetime
    first_version: str
    last_version: str
    resolved_at: datetime | None
    muted_until: datetime | None = strawberry.field(
        description="Null when it is not MUTED, or for ever."
    )
    revision: int
    audit: list[AuditEntry] = strawberry.field(resolver=audit_of_node, description=AUDIT_OF_NODE)

    @classmethod
    def of(cls, failure: entities.Failure) -> Self:
        return cls(
            id=strawberry.ID(failure.id),
            entity=failure,
            fingerprint=failure.fingerprint,
            step=failure.step,
            title=failure.title,
            status=failure.status,
            count=failure.count,
            first_seen_at=failure.first_seen_at,
            last_seen_at=failure.last_seen_at,
            first_version=failure.first_version,
            last_version=failure.last_version,
            resolved_at=failure.resolved_at,
            muted_until=None if failure.muted_until == FOR_EVER else failure.muted_until,
            revision=failure.revision,
        )

    @strawberry.field
    async def pipeline(self, info: GraphInfo) -> Pipeline:
        return await find_pipeline(info, self.entity.pipeline_id)

    @strawberry.field(
        description="The one that started last; null when all of its processes were removed."
    )
    async def latest_process(self, info: GraphInfo) -> Process | None:
        id_ = self.entity.latest_process_id
        return None if id_ is None else await find_process(info, id_)

    @strawberry.field
    async def processes(
        self,
        info: GraphInfo,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[Process]:
        request = PageRequest(first, after, last, before)
        key = PageKey("failure", self.id, filters.ProcessFilter(), PROCESSES_BY_DEFAULT, request)
        details = details_asked(info, "edges", "node") > 0
        page = await info.context.loaders.runs(details=details).process_pages.load(key)
        return await load_with_rows(page, info)

    @strawberry.field(
        description="How often it was seen over time, also in processes that are removed by now: "
        "oldest slot first, empty ones included, at most 169. Slots begin at multiples of "
        "slotSeconds, which is a multiple of 3,600."
    )
    async def occurrences(
        self,
        info: GraphInfo,
        since: datetime,
        until: datetime | None = None,
        slot_seconds: int = 3600,
    ) -> list[OccurrencePoint]:
        key = StatisticsKey(self.id, (since, until, slot_seconds))
        slots = await info.context.loaders.occurrences.load(key)
        return [OccurrencePoint.of(slot) for slot in slots]


async def find_failure(info: GraphInfo, id_: str | None) -> Failure | None:
    """The failure, if there is one."""
    failure = None if id_ is None else await info.context.loaders.failure(id_)
    return None if failure is None else Failure.of(failure)
