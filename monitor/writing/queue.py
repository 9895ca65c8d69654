"""What waits to be written: bounded in number, bytes and time."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Iterable, Sequence

from monitor.errors import Unavailable
from monitor.writing.job import Job
from monitor.writing.statistics import Refusal

logger = logging.getLogger(__name__)

# Bounds on one batch; MariaDB takes statements of 16 MiB by default.
BATCH_OPERATIONS = 256
BATCH_BYTES = 1024 * 1024
QUEUE_OPERATIONS = 10_000
QUEUE_BYTES = 64 * 1024 * 1024


class Queue:
    """Jobs in the order in which they came.

    None is left without an answer when it is due, whatever holds up those who take from here.
    """

    def __init__(self, refusals: Counter[str]) -> None:
        self._refusals = refusals
        self._waiting: deque[Job] = deque()
        self._taken: Sequence[Job] = ()
        self._bytes = 0
        self._alarm: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def oldest_since(self) -> float | None:
        """When the oldest that waits came, in the event loop's time."""
        return self._waiting[0].since if self._waiting else None

    def add(self, job: Job) -> None:
        """Raises Unavailable when too much waits already."""
        if len(self._waiting) >= QUEUE_OPERATIONS or self._bytes + job.weight > QUEUE_BYTES:
            self._refusals[Refusal.FULL] += 1
            raise Unavailable
        self._waiting.append(job)
        self._bytes += job.weight
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_at(job.due, self._refuse_what_is_due)

    def take(self, operations: int = BATCH_OPERATIONS) -> Sequence[Job]:
        """The next batch: of what is wanted, and can still be in time."""
        now = asyncio.get_running_loop().time()
        batch: list[Job] = []
        size = 0
        while self._waiting and len(batch) < operations:
            job = self._waiting[0]
            if job.wanted and now < job.begin_by:
                size += job.weight
                if batch and size > BATCH_BYTES:
                    break
                batch.append(job)
            else:
                self._refuse([job], Refusal.LATE)
            self._waiting.popleft()
            self._bytes -= job.weight
        self._taken = batch
        return batch

    def put_back(self, batch: Sequence[Job]) -> None:
        """What was taken last comes next again."""
        self._waiting.extendleft(reversed(batch))
        self._bytes += sum(job.weight for job in batch)
        self._taken = ()

    def refuse_all(self) -> None:
        """Refuses what waits, and what was taken."""
        self._refuse([*self._taken, *self._waiting], Refusal.CLOSED)
        self._waiting.clear()
        self._bytes = 0

    def _refuse_what_is_due(self) -> None:
        loop = asyncio.get_running_loop()
        unanswered = [job for job in (*self._taken, *self._waiting) if not job.answer.done()]
        self._refuse((job for job in unanswered if job.due <= loop.time()), Refusal.LATE)
        dues = [job.due for job in unanswered if not job.answer.done()]
        self._alarm = loop.call_at(min(dues), self._refuse_what_is_due) if dues else None

    def _refuse(self, jobs: Iterable[Job], why: Refusal) -> None:
        told: Counter[str] = Counter()
        for job in jobs:
            if not job.answer.done():
                told[why if job.wanted else Refusal.GONE] += 1
                job.answer.set_exception(Unavailable())
        self._refusals.update(told)
        if told[why]:
            logger.warning("reports were refused (%s): %d", why, told[why])
