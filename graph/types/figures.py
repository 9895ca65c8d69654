"""What is counted, and when: sums of a worker or of everything."""

from datetime import datetime
from typing import Self

import strawberry

from monitor import entities
from monitor.reading import figures
from monitor.reading.versions import VersionFigures


@strawberry.type
class ProcessCounts:
    total: int
    running: int
    succeeded: int
    failed: int

    @classmethod
    def of(
        cls, counted: entities.Worker | entities.Pipeline | figures.Counters | VersionFigures
    ) -> Self:
        running, succeeded, failed = counted.running, counted.succeeded, counted.failed
        return cls(
            total=running + succeeded + failed, running=running, succeeded=succeeded, failed=failed
        )


@strawberry.type
class WorkerCounts:
    total: int
    alive: int
    finished: int
    lost: int

    @classmethod
    def of(cls, counted: entities.Pipeline | figures.Counters) -> Self:
        alive, finished, lost = (
            counted.workers_alive,
            counted.workers_finished,
            counted.workers_lost,
        )
        return cls(total=alive + finished + lost, alive=alive, finished=finished, lost=lost)


@strawberry.type(
    description="Totals over everything that is kept. Its cost does not grow with history."
)
class Summary:
    pipelines: int
    workers_online: int
    workers_offline: int = strawberry.field(description="FINISHED and LOST together.")
    worker_counts: WorkerCounts
    processes: ProcessCounts
    stalled_processes: int

    @classmethod
    def of(cls, totals: figures.Totals) -> Self:
        return cls(
            pipelines=totals.pipelines,
            worker_counts=WorkerCounts.of(totals),
            workers_online=totals.workers_online,
            workers_offline=totals.workers_offline,
            processes=ProcessCounts.of(totals),
            stalled_processes=totals.stalled,
        )


@strawberry.type(description="What happened in one time slot of the activity chart.")
class ActivityPoint:
    at: datetime
    started: int
    succeeded: int
    failed: int
    average_runtime_seconds: float | None

    @classmethod
    def of(cls, slot: figures.Slot) -> Self:
        return cls(
            at=slot.at,
            started=slot.started,
            succeeded=slot.succeeded,
            failed=slot.failed,
            average_runtime_seconds=slot.average_runtime_seconds,
        )
