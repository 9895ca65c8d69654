"""What a transaction adds to the figures that are kept ready."""

from datetime import datetime

from monitor.entities import MICROSECOND, Process, ProcessStatus
from monitor.slots import REMOVED_SHARD, SLOT_SECONDS, slot_start

TOTALS = ("workers_online", "workers_offline", "running", "succeeded", "failed", "stalled")
ACTIVITY = ("started", "succeeded", "failed", "runtime_microseconds")


class Tally:
    """Sums to be added to the totals and to the activity.

    `totals` by name; `activity` in the order of ACTIVITY, by worker ("" for all), slot length in
    seconds, start of the slot and shard.
    """

    def __init__(self, shard: int) -> None:
        self.shard = shard
        self.totals = dict.fromkeys(TOTALS, 0)
        self.activity: dict[tuple[str, int, datetime, int], list[int]] = {}

    def add(self, deltas: dict[str, int]) -> None:
        """Adds to the totals over everything that is kept."""
        for name, delta in deltas.items():
            self.totals[name] += delta

    def note_start(self, process: Process, sign: int = 1) -> None:
        """Adds a start to the activity; with -1 as no longer kept."""
        self._note(process, process.started_at, (sign, 0, 0), sign)

    def note_end(self, process: Process, sign: int = 1) -> None:
        """Adds an end to the activity; with -1 as no longer kept."""
        assert process.ended_at is not None
        succeeded = process.status is ProcessStatus.SUCCESS
        self._note(process, process.ended_at, (0, sign * succeeded, sign * (not succeeded)), sign)

    def _note(
        self, process: Process, at: datetime, counts: tuple[int, int, int], sign: int
    ) -> None:
        _, succeeded, failed = counts
        runtime = process.runtime(at) // MICROSECOND * (succeeded + failed)
        own, shared = (REMOVED_SHARD, REMOVED_SHARD) if sign < 0 else (0, self.shard)
        for slot_seconds in SLOT_SECONDS:
            slot_at = slot_start(at, slot_seconds)
            for worker_id, shard in ((process.worker_id, own), ("", shared)):
                sums = self.activity.setdefault(
                    (worker_id, slot_seconds, slot_at, shard), [0, 0, 0, 0]
                )
                for index, delta in enumerate((*counts, runtime)):
                    sums[index] += delta
