"""The one way to write: operations queue up, share a transaction, are answered after its commit.

Group commit: everything that queued while the last commit ran goes into the next one, so that one
wait for the disk serves them all, and a lone report still commits at once.

What fails before COMMIT goes back to the front of the queue, and runs again as long as there is
time. What fails at COMMIT is first looked up (`marks`).
"""

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar, cast

from db.errors import CommitUnknown, DatabaseUnavailable, is_conflict, is_unavailable, reason
from db.session import Database
from monitor.acts import Actor
from monitor.errors import Unavailable, wire
from monitor.limits import check_idempotency_key
from monitor.writing.circuit import Circuit
from monitor.writing.idempotency import load_ledger
from monitor.writing.job import IN_TIME, Caller, Deadlines, Job, acting, caller, create_job
from monitor.writing.loading import Memory, Needs
from monitor.writing.marks import Marks
from monitor.writing.operation import Call, Operation, operation
from monitor.writing.queue import BATCH_OPERATIONS, Queue
from monitor.writing.statistics import Refusal, Statistics
from monitor.writing.transaction import Transaction

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

SHARDS = 16
# Under load the next batch is waited for: what comes meanwhile shares its commit. (PostgreSQL's
# commit_delay and commit_siblings.) A few reports at a time never wait.
GATHERING_SECONDS = 0.002
GATHERING_OPERATIONS = 4
MAX_BACKOFF_SECONDS = 0.5
UNDO_SECONDS = 1.0
CLOSE_SECONDS = 1.5


@operation(needs=lambda: Needs())
def probe(tx: Transaction) -> None:
    """Changes nothing, but is committed durably like a report."""
    tx.touch()


class Transactions:
    """Runs operations against `database`; calls `on_commit` after each commit with events,
    and `on_commit_seconds` with how long each commit took.
    """

    def __init__(
        self,
        database: Database,
        *,
        on_commit: Callable[[], None],
        deadlines: Deadlines = IN_TIME,
        on_commit_seconds: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._on_commit = on_commit
        self._on_commit_seconds = on_commit_seconds
        self._deadlines = deadlines
        self.statistics = Statistics()
        self._queue = Queue(self.statistics.refusals)
        self._draining: asyncio.Task[None] | None = None
        self._memory = Memory()
        self._shard = secrets.randbelow(SHARDS)
        self._marks = Marks()
        self._circuit = Circuit(database, self._marks, on_opening=self._queue.refuse_all)
        self._closed = False
        # How many batches in a row failed, and how many jobs run alone, to find the defect.
        self._failures = 0
        self._alone = 0
        self._proving: asyncio.Task[bool] | None = None
        self._undoing: set[asyncio.Task[None]] = set()

    @property
    def commits(self) -> int:
        return self.statistics.commits

    @property
    def operations(self) -> int:
        return self.statistics.operations

    @property
    def queue_length(self) -> int:
        """Operations that wait for their transaction."""
        return len(self._queue)

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest of them has waited."""
        since = self._queue.oldest_since
        return 0.0 if since is None else asyncio.get_running_loop().time() - since

    async def run(self, operation: Operation[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs the operation and answers once its transaction is stored durably.

        Raises what the operation raises, and Unavailable within its deadline when it was not
        stored, and will not be. Only what became of a COMMIT that was sent can be found out later
        than that; a process that it started is removed then.
        """
        assert not args, "operations take keywords"
        job = self._submit(operation, dict(kwargs), by=caller.get(), actor=acting.get())
        return cast(R, await job)

    async def run_once(
        self, key: str | None, operation: Operation[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Like `run`, but the same key with the same input answers the first answer again.

        Raises Conflict when the key was used with another input. No key: runs.
        """
        assert not args, "operations take keywords"
        if key is not None:
            check_idempotency_key("idempotencyKey", key)
        job = self._submit(operation, dict(kwargs), key, caller.get(), acting.get())
        return cast(R, await job)

    async def works(self) -> bool:
        """Whether the database takes writes: what the last commit said, or else one more.

        However many ask at once, that is one operation, under the limits of any other.
        """
        works = self._circuit.works
        if works is not None:
            return works
        if self._proving is None or self._proving.done():
            self._proving = asyncio.create_task(self._prove(), name="probe")
        return await asyncio.shield(self._proving)

    async def _prove(self) -> bool:
        try:
            await self._submit(probe, {})
        except Unavailable:
            return False
        return True

    async def close(self) -> None:
        """Waits until everything that queued up is answered; what takes too long is refused."""
        under_way = [task for task in (self._draining, *self._undoing) if task is not None]
        if under_way:
            _, late = await asyncio.wait(under_way, timeout=CLOSE_SECONDS)
            for task in late:
                task.cancel()
        self._closed = True
        self._queue.refuse_all()

    def _submit(
        self,
        operation: Operation[Any, Any],
        arguments: dict[str, Any],
        key: str | None = None,
        by: Caller | None = None,
        actor: Actor | None = None,
    ) -> asyncio.Future[Any]:
        if self._closed or self._circuit.is_open:
            self.statistics.refusals[Refusal.CLOSED] += 1
            raise Unavailable
        job = create_job(operation, arguments, self._deadlines, key=key, by=by, actor=actor)
        self._queue.add(job)
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._drain(), name="group commit")
        return job.answer

    async def _drain(self) -> None:
        while batch := self._queue.take(1 if self._alone else BATCH_OPERATIONS):
            await self._settle(batch)
            if GATHERING_OPERATIONS <= len(batch) < BATCH_OPERATIONS:
                await asyncio.sleep(GATHERING_SECONDS)

    async def _settle(self, batch: Sequence[Job]) -> None:
        """Commits the batch and answers everyone in it, or puts it back to be tried again."""
        try:
            outcomes = await self._commit(batch)
        except Exception as error:  # noqa: BLE001 — whatever it is, every caller gets an answer
            if len(batch) > 1 or is_conflict(error) or is_unavailable(error):
                self._queue.put_back(batch)
                await self._get_over(error, batch)
                return
            outcomes = [error]
        self._failures = 0
        self._alone = max(0, self._alone - len(batch))
        for job, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Exception):
                self.statistics.refusals[wire(outcome).code] += 1
            if undo := job.tell(outcome):
                self._start_undoing(undo)

    async def _get_over(self, error: Exception, batch: Sequence[Job]) -> None:
        """Returns when it makes sense to try again."""
        self._failures += 1
        if is_conflict(error) or isinstance(error, _NotCommitted):
            logger.info("trying again: %s", reason(error))
        elif is_unavailable(error):
            await self._circuit.recover(error, until=batch[0].begin_by)
            if _count_reports(batch):
                self._circuit.suspect()
        else:
            # One of them has a defect; alone, it harms nobody else.
            self._alone = len(batch)
            return
        await asyncio.sleep(random.uniform(0, most_backoff(self._failures)))

    async def _commit(self, batch: Sequence[Job]) -> list[Any]:
        loop = asyncio.get_running_loop()
        began, number = loop.time(), None
        try:
            async with self._database.writing(batch[0].limits) as connection:
                tx = Transaction(
                    connection, memory=self._memory, shard=self._shard, now=batch[0].arrived_at
                )
                keys = {job.key for job in batch if job.key is not None}
                ledger = await load_ledger(connection, keys)
                await tx.load(job.operation.needs(**job.arguments) for job in batch)
                outcomes = [job.run(tx, ledger) for job in batch]
                also = [ledger.writes()]
                if tx.changed or ledger.changed:
                    number, mark = self._marks.leave(connection)
                    also.append(mark)
                changed = await tx.store(also)
        except CommitUnknown as error:
            # Without a mark there was nothing to commit.
            if number is None or await self._circuit.recover(error, until=batch[0].due) < number:
                raise _NotCommitted(reason(error)) from error
        tx.remember()
        if number is not None:
            self._circuit.note_commit(of_reports=_count_reports(batch) > 0)
        self._on_commit_seconds(loop.time() - began)
        self.statistics.commits += 1
        self.statistics.operations += _count_reports(batch)
        if changed:
            self._on_commit()
        return outcomes

    def _start_undoing(self, call: Call) -> None:
        """Who was refused, or went away, while it was committed may well report it again."""
        task = asyncio.create_task(self._undo(*call), name="undo")
        self._undoing.add(task)
        task.add_done_callback(self._undoing.discard)

    async def _undo(self, operation: Operation[Any, Any], arguments: dict[str, Any]) -> None:
        logger.warning("nobody got the answer: %s %s", operation.name, arguments)
        while True:
            try:
                await self._submit(operation, arguments)
            except Unavailable:
                await asyncio.sleep(UNDO_SECONDS)
            else:
                return


def most_backoff(failures: int) -> float:
    """How long to wait at most after so many failures in a row, in seconds."""
    doublings = min(failures, 10)  # of thousands there is no float
    return min(MAX_BACKOFF_SECONDS, 0.01 * 2.0**doublings)


class _NotCommitted(DatabaseUnavailable):
    """COMMIT failed, and it was found out that it did not happen."""


def _count_reports(batch: Sequence[Job]) -> int:
    """What was reported; probes are our own."""
    return sum(job.operation is not probe for job in batch)
