"""An operation that waits for its transaction, and for how long it may."""

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson

from db.session import Limits
from monitor.acts import Actor
from monitor.errors import InvalidInput, MonitorError
from monitor.writing.idempotency import Ledger
from monitor.writing.operation import Call, Operation
from monitor.writing.transaction import Transaction

# MariaDB takes statements of 16 MiB by default. What an operation writes is one of them, in which
# quotes and backslashes are escaped twice.
OPERATION_BYTES = 7 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Until when what happens to a report, in seconds from its arrival on.

    `begin`: its transaction is begun, else it would take others along that are in time; `commit`:
    COMMIT is sent; `committed`: and is answered, which leaves a moment to find out what became of
    one that was not; `answer`: the answer is on its way, whatever it is.
    """

    begin: float
    commit: float
    committed: float
    answer: float


# Every report is answered within 3 s, well or not; the rest is for the way there and back.
IN_TIME = Deadlines(begin=1.5, commit=1.8, committed=2.1, answer=2.5)
# For programs that nobody waits for.
UNHURRIED = Deadlines(begin=50, commit=60, committed=65, answer=70)


class Caller(Protocol):
    """Who waits for an answer."""

    @property
    def gone(self) -> bool:
        """True when nobody is there any more to take it."""
        ...


# Set by whoever serves a request whose client can go away without the request being cancelled.
caller: ContextVar[Caller | None] = ContextVar("caller", default=None)
acting: ContextVar[Actor | None] = ContextVar("acting", default=None)


@contextmanager
def on_behalf_of(actor: Actor | None) -> Iterator[None]:
    """What operations do that are run inside the block is kept in the audit as this one's."""
    token = acting.set(actor)
    try:
        yield
    finally:
        acting.reset(token)


@dataclass(slots=True, eq=False)
class Job:
    """An operation and its answer; `since` is when it came, in the event loop's time."""

    operation: Operation[Any, Any]
    arguments: dict[str, Any]
    answer: asyncio.Future[Any]
    arrived_at: datetime
    since: float
    deadlines: Deadlines
    weight: int
    key: str | None
    fingerprint: str
    by: Caller | None
    actor: Actor | None

    @property
    def due(self) -> float:
        """When its answer is due, in the event loop's time."""
        return self.since + self.deadlines.answer

    @property
    def begin_by(self) -> float:
        """When it is too late to begin its transaction."""
        return self.since + self.deadlines.begin

    @property
    def limits(self) -> Limits:
        """Those of its transaction."""
        return Limits(self.since + self.deadlines.commit, self.since + self.deadlines.committed)

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for the answer still."""
        return not self.answer.done() and (self.by is None or not self.by.gone)

    def run(self, tx: Transaction, ledger: Ledger) -> Any:
        """The operation's answer, or its refusal; a defect passes through."""
        tx.now = self.arrived_at
        tx.audit.begin(self.actor, self.arrived_at)
        try:
            if self.key is None:
                return self.operation.body(tx, **self.arguments)
            return ledger.answer(
                self.key,
                self.fingerprint,
                lambda: self.operation.body(tx, **self.arguments),
                self.arrived_at,
            )
        except MonitorError as refusal:
            return refusal

    def tell(self, outcome: Any) -> Call | None:
        """Answers; what has to be undone now if there was nobody to take the answer."""
        told = self.wanted
        refused = isinstance(outcome, Exception)
        if not self.answer.done():
            if refused:
                self.answer.set_exception(outcome)
            else:
                self.answer.set_result(outcome)
        undo = self.operation.undo
        # Under a key the answer can still be asked for.
        if told or refused or undo is None or self.key is not None:
            return None
        return undo(outcome)


def create_job(
    operation: Operation[Any, Any],
    arguments: dict[str, Any],
    deadlines: Deadlines,
    *,
    key: str | None = None,
    by: Caller | None = None,
    actor: Actor | None = None,
) -> Job:
    """A job that came now. Raises InvalidInput when its input is too large for one statement."""
    encoded = _encode(operation, arguments)
    if len(encoded) > OPERATION_BYTES:
        reason = f"takes {len(encoded)} bytes of JSON, at most {OPERATION_BYTES} are taken"
        raise InvalidInput("input", reason)
    loop = asyncio.get_running_loop()
    return Job(
        operation,
        arguments,
        loop.create_future(),
        datetime.now(UTC),
        loop.time(),
        deadlines,
        len(encoded),
        key,
        hashlib.sha256(encoded).hexdigest() if key is not None else "",
        by,
        actor,
    )


def _encode(operation: Operation[Any, Any], arguments: dict[str, Any]) -> bytes:
    """Equal for equal input, and about as long as what will be stored of it."""
    try:
        return orjson.dumps([operation.name, arguments], option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        # Half of a surrogate pair: the operation itself says in which field, and stores nothing.
        return repr(arguments).encode("utf-8", "backslashreplace")
