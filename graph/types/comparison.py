"""One version of a pipeline against another, as clients see it."""

from typing import Self

import strawberry

from graph.types.statistics import RuntimeStatistics
from monitor.reading import comparison, samples
from monitor.reading.verdict import say


@strawberry.type(
    description="How long successful runs took, before and after; p50Ratio and p95Ratio are how "
    "many times as long it takes now, null with `enough: false` when fewer than 5 of either did."
)
class RuntimeShift:
    enough: bool
    before: RuntimeStatistics
    after: RuntimeStatistics
    p50_ratio: float | None
    p95_ratio: float | None

    @classmethod
    def of(cls, shift: samples.Shift) -> Self:
        return cls(
            enough=shift.enough,
            before=RuntimeStatistics.of(shift.before.runtimes),
            after=RuntimeStatistics.of(shift.after.runtimes),
            p50_ratio=shift.p50_ratio,
            p95_ratio=shift.p95_ratio,
        )


@strawberry.type(
    description="The share that succeeded of what ended, and from where to where the true share "
    "lies with 95 % confidence (Wilson score interval); all 0 to 1, null where none ended."
)
class SuccessRate:
    succeeded: int
    failed: int
    rate: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, sample: samples.Sample) -> Self:
        low, high = sample.interval or (None, None)
        return cls(
            succeeded=sample.succeeded, failed=sample.failed, rate=sample.rate, low=low, high=high
        )


@strawberry.type(
    description="How often runs succeed, before and after; `enough: false` when fewer than 5 of "
    "either ended. Where the intervals overlap, the difference may be chance."
)
class SuccessShift:
    enough: bool
    before: SuccessRate
    after: SuccessRate

    @classmethod
    def of(cls, shift: samples.Shift) -> Self:
        return cls(
            enough=shift.enough_ends,
            before=SuccessRate.of(shift.before),
            after=SuccessRate.of(shift.after),
        )


@strawberry.type
class StepShift:
    name: str
    position: int | None = strawberry.field(
        description="In `version`; null where it has no such step any more."
    )
    runtime: RuntimeShift
    success: SuccessShift

    @classmethod
    def of(cls, step: comparison.StepShift) -> Self:
        return cls(
            name=step.name,
            position=step.position,
            runtime=RuntimeShift.of(step.shift),
            success=SuccessShift.of(step.shift),
        )


@strawberry.type(
    description="`version` (after) against another (before): of whole processes, and by step."
)
class VersionComparison:
    version: str
    against: str
    verdict: str = strawberry.field(
        description="One sentence for people: 'v1.4 against v1.3: takes 1.3 times as long (13 s, "
        "was 10 s), step load 2.1 times; succeeds about as often …', or 'not enough runs to tell'."
    )
    runtime: RuntimeShift
    success: SuccessShift
    steps: list[StepShift] = strawberry.field(
        description="Of the newest registration of `version`, then those that only the other has."
    )

    @classmethod
    def of(cls, found: comparison.Comparison) -> Self:
        return cls(
            version=found.version,
            against=found.against,
            verdict=say(found),
            runtime=RuntimeShift.of(found.processes),
            success=SuccessShift.of(found.processes),
            steps=[StepShift.of(step) for step in found.steps],
        )
