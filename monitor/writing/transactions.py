"""The one way to write: operations queue up, share a transaction, are answered after its commit.

Group commit: everything that queued while the last commit ran goes into the next one, so that one
wait for the disk serves them all, and a lone report still commits at once.
"""

import asyncio
import hashlib
import logging
import random
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast

import orjson

from db.errors import CommitUnknown, is_conflict, is_unavailable
from db.session import Database
from monitor.errors import InvalidInput, MonitorError, Unavailable, wire
from monitor.limits import check_idempotency_key
from monitor.writing.idempotency import Ledger, load_ledger
from monitor.writing.loading import Memory, Needs
from monitor.writing.transaction import Transaction

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

# Bounds on one batch; MariaDB takes statements of 16 MiB by default.
BATCH_OPERATIONS = 256
BATCH_BYTES = 1024 * 1024
# What an operation writes is one statement, too, in which quotes and backslashes are escaped twice.
OPERATION_BYTES = 7 * 1024 * 1024
QUEUE_OPERATIONS = 10_000
ATTEMPTS = 8
# No lost race is run again after this: workers wait 10 s for an answer, and all others queue up.
PATIENCE_SECONDS = 6
SHARDS = 16
# Under load the next batch is waited for: what comes meanwhile shares its commit. (PostgreSQL's
# commit_delay and commit_siblings.) A few reports at a time never wait.
GATHERING_SECONDS = 0.002
GATHERING_OPERATIONS = 4


class Operation(Generic[P, R]):
    """A change of the monitored world: checks everything before it changes anything, no I/O."""

    def __init__(
        self, body: Callable[Concatenate[Transaction, P], R], needs: Callable[..., Needs]
    ) -> None:
        self.name = getattr(body, "__name__", "operation")
        self.__doc__ = body.__doc__
        self.body = body
        self.needs = needs


def operation(
    needs: Callable[..., Needs],
) -> Callable[[Callable[Concatenate[Transaction, P], R]], Operation[P, R]]:
    """Makes an operation of a function; `needs` says from the arguments what to load for it."""
    return lambda body: Operation(body, needs)


@dataclass(slots=True)
class _Job:
    operation: Operation[Any, Any]
    arguments: dict[str, Any]
    answer: asyncio.Future[Any]
    arrived_at: datetime
    weight: int
    key: str | None = None
    fingerprint: str = ""


class Transactions:
    """Runs operations against `database`; calls `on_commit` after each commit with events,
    and `on_commit_seconds` with how long each commit took.
    """

    def __init__(
        self,
        database: Database,
        *,
        on_commit: Callable[[], None],
        on_commit_seconds: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._on_commit = on_commit
        self._on_commit_seconds = on_commit_seconds
        self._queue: deque[_Job] = deque()
        self._draining: asyncio.Task[None] | None = None
        self._memory = Memory()
        self._shard = secrets.randbelow(SHARDS)
        self.commits = 0
        self.operations = 0
        self.refusals: Counter[str] = Counter()

    @property
    def queue_length(self) -> int:
        """Operations that wait for their transaction."""
        return len(self._queue)

    @property
    def queue_age_seconds(self) -> float:
        """How long the oldest of them has waited."""
        if not self._queue:
            return 0.0
        return (datetime.now(UTC) - self._queue[0].arrived_at).total_seconds()

    async def run(self, operation: Operation[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs the operation and answers once its transaction is stored durably.

        Raises what the operation raises, and Unavailable when the database cannot be used; the
        outcome is then unknown only if the connection broke during the commit itself.
        """
        assert not args, "operations take keywords"
        return cast(R, await self._submit(operation, dict(kwargs)))

    async def run_once(
        self, key: str | None, operation: Operation[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Like `run`, but the same key with the same input answers the first answer again.

        Raises Conflict when the key was used with another input. No key: runs.
        """
        assert not args, "operations take keywords"
        if key is not None:
            check_idempotency_key("idempotencyKey", key)
        return cast(R, await self._submit(operation, dict(kwargs), key))

    async def close(self) -> None:
        """Waits until everything that queued up is answered."""
        if self._draining is not None:
            await self._draining

    def _submit(
        self, operation: Operation[Any, Any], arguments: dict[str, Any], key: str | None = None
    ) -> asyncio.Future[Any]:
        if len(self._queue) >= QUEUE_OPERATIONS:
            self.refusals[wire(Unavailable()).code] += 1
            raise Unavailable
        encoded = _encode(operation, arguments)
        if len(encoded) > OPERATION_BYTES:
            reason = f"takes {len(encoded)} bytes of JSON, at most {OPERATION_BYTES} are taken"
            raise InvalidInput("input", reason)
        job = _Job(
            operation,
            arguments,
            asyncio.get_running_loop().create_future(),
            datetime.now(UTC),
            len(encoded),
            key,
            hashlib.sha256(encoded).hexdigest() if key is not None else "",
        )
        self._queue.append(job)
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._drain(), name="group commit")
        return job.answer

    async def _drain(self) -> None:
        while self._queue:
            batch = self._take_batch()
            await self._settle(batch)
            if GATHERING_OPERATIONS <= len(batch) < BATCH_OPERATIONS:
                await asyncio.sleep(GATHERING_SECONDS)

    def _take_batch(self) -> list[_Job]:
        batch = [self._queue.popleft()]
        size = batch[0].weight
        while self._queue and len(batch) < BATCH_OPERATIONS:
            size += self._queue[0].weight
            if size > BATCH_BYTES:
                break
            batch.append(self._queue.popleft())
        return batch

    async def _settle(self, batch: list[_Job]) -> None:
        """Commits the batch and answers every job in it, one way or the other."""
        try:
            outcomes = await self._commit_with_retries(batch)
        except Exception as error:  # noqa: BLE001 — whatever it is, every caller gets an answer
            if len(batch) > 1 and not isinstance(error, Unavailable):
                # One of them has a defect; alone, it harms nobody else.
                for job in batch:
                    await self._settle([job])
                return
            outcomes = [error] * len(batch)
        for job, outcome in zip(batch, outcomes, strict=True):
            if job.answer.done():
                continue  # the caller went away; what it reported is stored all the same
            if isinstance(outcome, Exception):
                self.refusals[wire(outcome).code] += 1
                job.answer.set_exception(outcome)
            else:
                job.answer.set_result(outcome)

    async def _commit_with_retries(self, batch: Sequence[_Job]) -> list[Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        for attempt in range(ATTEMPTS):
            try:
                return await self._commit(batch)
            except Exception as error:
                if not (is_conflict(error) or is_unavailable(error)):
                    raise
                if time.monotonic() > deadline or not _is_worth_another_try(error, attempt):
                    logger.warning("the database cannot be written: %s", error)
                    raise Unavailable from error
                logger.info("trying again: %s", error)
            await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))
        raise AssertionError("the last attempt returns or raises")

    async def _commit(self, batch: Sequence[_Job]) -> list[Any]:
        began = time.monotonic()
        async with self._database.writing() as connection:
            tx = Transaction(
                connection, memory=self._memory, shard=self._shard, now=batch[0].arrived_at
            )
            ledger = await load_ledger(
                connection, {job.key for job in batch if job.key is not None}
            )
            await tx.load(job.operation.needs(**job.arguments) for job in batch)
            outcomes = [_run(tx, job, ledger) for job in batch]
            changed = await tx.store()
            await ledger.store(connection)
        tx.remember()
        self._on_commit_seconds(time.monotonic() - began)
        self.commits += 1
        self.operations += len(batch)
        if changed:
            self._on_commit()
        return outcomes


def _is_worth_another_try(error: Exception, attempt: int) -> bool:
    """A lost race is; a lost connection once, since it may be an old one that the server closed.

    Nothing is tried again that may have been committed: it could happen twice.
    """
    if isinstance(error, CommitUnknown):
        return False
    return attempt < (ATTEMPTS - 1 if is_conflict(error) else 1)


def _encode(operation: Operation[Any, Any], arguments: dict[str, Any]) -> bytes:
    """Equal for equal input, and about as long as what will be stored of it."""
    try:
        return orjson.dumps([operation.name, arguments], option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        # Half of a surrogate pair: the operation itself says in which field, and stores nothing.
        return repr(arguments).encode("utf-8", "backslashreplace")


def _run(tx: Transaction, job: _Job, ledger: Ledger) -> Any:
    """The operation's answer, or its refusal; a defect passes through and ends the batch."""
    tx.now = job.arrived_at
    try:
        if job.key is None:
            return job.operation.body(tx, **job.arguments)
        return ledger.answer(
            job.key, job.fingerprint, lambda: job.operation.body(tx, **job.arguments), tx.now
        )
    except MonitorError as refusal:
        return refusal
