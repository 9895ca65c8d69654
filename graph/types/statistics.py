"""How long things take and how they end, over a window of time."""

from datetime import datetime
from typing import Self

import strawberry

from graph.types.figures import ProcessCounts
from monitor.errors import InvalidInput
from monitor.histogram import Distribution, distribution
from monitor.reading import flaky, occurrences, statistics
from monitor.reading.versions import VersionFigures

BUCKETS, MAX_BUCKETS = 24, 100


@strawberry.type(
    description="Quantiles from kept histograms, at most 5 % off; null while there is nothing to "
    "take them from."
)
class RuntimeStatistics:
    count: int
    p50_seconds: float | None
    p95_seconds: float | None
    p99_seconds: float | None
    max_seconds: float | None

    @classmethod
    def of(cls, runtimes: statistics.Runtimes) -> Self:
        return cls(
            count=runtimes.count,
            p50_seconds=runtimes.p50,
            p95_seconds=runtimes.p95,
            p99_seconds=runtimes.p99,
            max_seconds=runtimes.max,
        )


@strawberry.type(
    description="How many took how long, in buckets that are each as many times as long as the one "
    "before: the first begins at fromSeconds, the last ends at toSeconds; some may be empty."
)
class RuntimeHistogram:
    from_seconds: float
    to_seconds: float
    counts: list[int]

    @classmethod
    def of(cls, found: Distribution) -> Self:
        return cls(
            from_seconds=found.begin.total_seconds(),
            to_seconds=found.end.total_seconds(),
            counts=list(found.counts),
        )


@strawberry.type
class StepStatistics:
    figures: strawberry.Private[statistics.StepFigures]
    name: str
    position: int
    succeeded: int
    failed: int
    runtime: RuntimeStatistics = strawberry.field(
        description="Of those that succeeded and were said to have been started."
    )

    @strawberry.field(
        description="How these runtimes are distributed, in at most so many buckets (24; 100 at "
        "most); null while there are none."
    )
    def histogram(self, buckets: int | None = None) -> RuntimeHistogram | None:
        most = BUCKETS if buckets is None else buckets
        if not 1 <= most <= MAX_BUCKETS:
            raise InvalidInput("buckets", f"is {most}, must be from 1 to {MAX_BUCKETS}")
        found = distribution(self.figures.counts, most)
        return None if found is None else RuntimeHistogram.of(found)

    @classmethod
    def of(cls, name: str, position: int, figures: statistics.StepFigures) -> Self:
        return cls(
            figures=figures,
            name=name,
            position=position,
            succeeded=figures.succeeded,
            failed=figures.failed,
            runtime=RuntimeStatistics.of(figures.runtimes),
        )


@strawberry.type
class VersionStatistics:
    version: str
    first_seen_at: datetime
    counts: ProcessCounts = strawberry.field(
        description="What ended in the window, and what runs now."
    )
    runtime: RuntimeStatistics

    @classmethod
    def of(cls, figures: VersionFigures) -> Self:
        return cls(
            version=figures.version,
            first_seen_at=figures.first_seen_at,
            counts=ProcessCounts.of(figures),
            runtime=RuntimeStatistics.of(figures.runtimes),
        )


@strawberry.type(description="How often a step of one version did either, within 7 days.")
class FlakyStep:
    name: str
    version: str
    succeeded: int
    failed: int

    @classmethod
    def of(cls, step: flaky.FlakyStep) -> Self:
        return cls(
            name=step.name, version=step.version, succeeded=step.succeeded, failed=step.failed
        )


@strawberry.type(description="How processes ended.")
class Outcomes:
    succeeded: int
    failed: int
    success_rate: float | None = strawberry.field(description="0 to 1; null where none ended.")

    @classmethod
    def of(cls, outcomes: statistics.Outcomes) -> Self:
        return cls(
            succeeded=outcomes.succeeded,
            failed=outcomes.failed,
            success_rate=outcomes.success_rate,
        )


@strawberry.type(description="Runtimes of successful processes that ended in one slot of time.")
class RuntimePoint:
    at: datetime
    runtime: RuntimeStatistics

    @classmethod
    def of(cls, slot: statistics.RuntimeSlot) -> Self:
        return cls(at=slot.at, runtime=RuntimeStatistics.of(slot.runtimes))


@strawberry.type(description="How often a failure was seen in one slot of time.")
class OccurrencePoint:
    at: datetime
    count: int
    last_version: str | None = strawberry.field(
        description="Of the process that ended last in it; null where none did."
    )

    @classmethod
    def of(cls, slot: occurrences.OccurrenceSlot) -> Self:
        return cls(at=slot.at, count=slot.count, last_version=slot.last_version)
