"""What a transaction adds to the figures that are kept ready."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from monitor.entities import MICROSECOND, Process, ProcessStatus, Task, TaskStatus, Worker
from monitor.histogram import bucket_of
from monitor.slots import HOUR_SECONDS, LONG_AGO, REMOVED_SHARD, SLOT_SECONDS, slot_start

COUNTERS = (
    *("workers_alive", "workers_finished", "workers_lost"),
    *("running", "succeeded", "failed", "stalled"),
)
TOTALS = ("pipelines", *COUNTERS)
# Beside some of them, how often they grew.
EVER = {
    "running": "ever_started",
    "succeeded": "ever_succeeded",
    "failed": "ever_failed",
    "workers_lost": "ever_lost",
}
FIGURES = (*COUNTERS, "runtime_microseconds", *EVER.values())
ACTIVITY = ("started", "succeeded", "failed", "runtime_microseconds")
DURATION_KEYS = (
    *("pipeline_id", "of", "step"),
    *("slot_seconds", "slot_at", "version", "bucket", "shard"),
)
DURATIONS = ("succeeded", "failed")


class Tally:
    """Sums to be added to the totals, to the figures of pipelines and to the activity.

    `totals` by name; `activity` in the order of ACTIVITY, by subject (the id of a worker or of a
    pipeline, "" for all), slot length in seconds, start of the slot and shard; `durations` in the
    order of DURATIONS, by DURATION_KEYS.
    """

    def __init__(self, shard: int) -> None:
        self.shard = shard
        self.totals = dict.fromkeys(TOTALS, 0)
        self.activity: dict[tuple[str, int, datetime, int], list[int]] = {}
        self.durations: defaultdict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
        self._pipelines: defaultdict[str, dict[str, int]] = defaultdict(
            lambda: dict.fromkeys(FIGURES, 0)
        )
        self._seen_at: dict[str, datetime] = {}

    def figures(self) -> Iterator[Mapping[str, Any]]:
        """The rows to be added to the figures of pipelines, in the order of their keys."""
        for pipeline_id in sorted(self._pipelines):
            yield {
                "pipeline_id": pipeline_id,
                "shard": self.shard,
                **self._pipelines[pipeline_id],
                "last_seen_at": self._seen_at.get(pipeline_id, LONG_AGO),
                "untold": True,
            }

    def add(self, pipeline_id: str, deltas: dict[str, int]) -> None:
        """Adds to the pipeline's figures, and to the totals over everything that is kept."""
        figures = self._pipelines[pipeline_id]
        for name, delta in deltas.items():
            figures[name] += delta
            if name in EVER and delta > 0:
                figures[EVER[name]] += delta
            if name in self.totals:
                self.totals[name] += delta

    def note_pipeline(self) -> None:
        """Adds a pipeline to the totals."""
        self.totals["pipelines"] += 1

    def note_seen(self, worker: Worker) -> None:
        """Notes when the worker's pipeline was heard from."""
        seen_at = self._seen_at.get(worker.pipeline_id, LONG_AGO)
        self._seen_at[worker.pipeline_id] = max(seen_at, worker.last_seen_at)
        self.add(worker.pipeline_id, {})

    def note_start(self, process: Process, sign: int = 1) -> None:
        """Adds a start to the activity; with -1 as no longer kept."""
        self._note(process, process.started_at, (sign, 0, 0), sign)

    def note_end(self, process: Process, sign: int = 1) -> None:
        """Adds an end to the activity; with -1 as no longer kept."""
        assert process.ended_at is not None
        succeeded = process.status is ProcessStatus.SUCCESS
        self._note(process, process.ended_at, (0, sign * succeeded, sign * (not succeeded)), sign)
        runtime = process.runtime(process.ended_at)
        self.add(process.pipeline_id, {"runtime_microseconds": sign * (runtime // MICROSECOND)})
        of = (process.pipeline_id, "PROCESS", "", process.version)
        self._note_duration(of, process.ended_at, runtime, succeeded=succeeded, sign=sign)

    def note_task_end(self, task: Task, version: str, sign: int = 1) -> None:
        """Adds an end of a step to the durations; with -1 as one that no row tells of any more."""
        assert task.ended_at is not None
        runtime = None if task.started_at is None else task.runtime(task.ended_at)
        succeeded = task.status is TaskStatus.SUCCESS
        of = (task.pipeline_id, "TASK", task.name, version)
        self._note_duration(of, task.ended_at, runtime, succeeded=succeeded, sign=sign)

    def _note_duration(
        self,
        of: tuple[str, str, str, str],
        at: datetime,
        runtime: timedelta | None,
        *,
        succeeded: bool,
        sign: int,
    ) -> None:
        *subject, version = of
        shard = REMOVED_SHARD if sign < 0 else self.shard
        slot = (HOUR_SECONDS, slot_start(at, HOUR_SECONDS))
        sums = self.durations[(*subject, *slot, version, bucket_of(runtime), shard)]
        sums[0 if succeeded else 1] += sign

    def _note(
        self, process: Process, at: datetime, counts: tuple[int, int, int], sign: int
    ) -> None:
        _, succeeded, failed = counts
        runtime = process.runtime(at) // MICROSECOND * (succeeded + failed)
        own, shared = (REMOVED_SHARD, REMOVED_SHARD) if sign < 0 else (0, self.shard)
        subjects = ((process.worker_id, own), (process.pipeline_id, shared), ("", shared))
        for slot_seconds in SLOT_SECONDS:
            slot_at = slot_start(at, slot_seconds)
            for subject_id, shard in subjects:
                sums = self.activity.setdefault(
                    (subject_id, slot_seconds, slot_at, shard), [0, 0, 0, 0]
                )
                for index, delta in enumerate((*counts, runtime)):
                    sums[index] += delta
