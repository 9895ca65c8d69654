"""What identical subscriptions share: an event is executed and encoded once for all of them.

Its bytes are pushed to all who are live, in the order of the feed. When events wait for a database
that is slow or gone, so many that holding them would take too much, everybody goes on from the log.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from graphql import Executor

from graph.fanout.executions import Executions
from graph.fanout.sink import Told
from graph.fanout.statistics import Statistics
from graph.fanout.subscriber import Subscriber
from monitor.events import ChangeKind
from monitor.feed.live import Batch, Live
from monitor.feed.log import Cursor
from monitor.reading.filters import Filter, told_as

logger = logging.getLogger(__name__)

# Encoded events that a channel keeps for those who catch up.
_KEPT_PAYLOADS = 128
_KEPT_BYTES = 2 * 1024 * 1024
# What is pushed at once, one event in any case: a reader that is slow holds no more than that.
_PUSHED_BYTES = 64 * 1024
# Events whose payloads are being made, before the channel's subscribers go on by themselves.
_MOST_PENDING = 256


@dataclass(frozen=True, slots=True)
class _Pending:
    """A payload that is made, or waits for one that is, in its place in the order."""

    cursor: Cursor
    before: Cursor
    payload: bytes | asyncio.Future[bytes]


class Channel:
    """What identical subscriptions share."""

    def __init__(
        self,
        executor: Executor[Any],
        matching: Filter,
        *,
        executions: Executions,
        live: Live,
        statistics: Statistics,
        on_empty: Callable[[], None],
    ) -> None:
        self.matching = matching
        self.live = live
        self.members: set[Subscriber] = set()
        self._executor = executor
        self._executions = executions
        self._statistics = statistics
        self._on_empty = on_empty
        self._joined: dict[Subscriber, None] = {}
        # What the live ones are given by `flush`.
        self._ready: list[Told] = []
        self._ready_bytes = 0
        self._pending: deque[_Pending] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._making: dict[Cursor, asyncio.Future[bytes]] = {}
        self._payloads: OrderedDict[Cursor, bytes] = OrderedDict()
        self._payload_bytes = 0

    def join(self, subscriber: Subscriber) -> None:
        """From now on it is given what happens."""
        self._joined[subscriber] = None
        self._forget_payloads()

    def leave(self, subscriber: Subscriber) -> None:
        if subscriber not in self.members:
            return  # it failed before, and now its transport ends it
        self._joined.pop(subscriber, None)
        self.members.remove(subscriber)
        self._forget_payloads()
        if not self.members:
            self._on_empty()

    def close(self) -> None:
        """Nobody is left."""
        self._stop_pump()
        for making in self._making.values():
            making.cancel()

    def fail(self, error: Exception) -> None:
        """Ends all that are live, behind what they were told: what happened then cannot be.

        Never raises: other channels have their turn after this one.
        """
        self._attempt(self.flush)
        self._stop_pump()
        for subscriber in list(self._joined):
            self._attempt(partial(subscriber.fail, error))

    def _attempt(self, act: Callable[[], None]) -> None:
        """Something without which the rest of an end is still to be done."""
        try:
            act()
        except Exception:
            logger.exception("subscriptions that end were not told all")

    def tell(self, batch: Batch, index: int) -> None:
        """An event, to all who are live, if their filter has them told of it; with `flush`."""
        kind = told_as(self.matching, batch.events[index])
        if kind is None or not self._joined:
            return
        cursor = Cursor(batch.position, index)
        before = Cursor(batch.position, index - 1) if index else Cursor(batch.previous)
        if len(self._pending) >= _MOST_PENDING:
            self._lag_all()
            return
        payload = self._execute(batch, index, kind)
        if isinstance(payload, bytes) and not self._pending:
            self._add(Told(cursor, before, payload))
            return
        self._pending.append(_Pending(cursor, before, payload))
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._push_pending(), name="pump")

    def _add(self, told: Told) -> None:
        self._ready.append(told)
        self._ready_bytes += len(told.payload)
        if self._ready_bytes >= _PUSHED_BYTES:
            self.flush()

    def flush(self) -> None:
        """Gives the live ones what they were told: a write for each, however many events."""
        ready, self._ready, self._ready_bytes = self._ready, [], 0
        if ready:
            self._push(ready, list(self._joined))

    async def payload(self, batch: Batch, index: int, kind: ChangeKind) -> bytes:
        """The encoded event, made once also for those who come later."""
        cursor = Cursor(batch.position, index)
        known = self._payloads.get(cursor)
        if known is not None:
            return known
        making = self._making.get(cursor) or self._execute(batch, index, kind)
        # Others may wait for it, too: it goes on when this one is cancelled.
        return making if isinstance(making, bytes) else await asyncio.shield(making)

    def _execute(self, batch: Batch, index: int, kind: ChangeKind) -> bytes | asyncio.Future[bytes]:
        """Runs the document on the event; at once unless it reads what the event does not carry."""
        cursor = Cursor(batch.position, index)
        payload = self._executions.execute(self._executor, batch, index, kind)
        if isinstance(payload, bytes):
            self._keep(cursor, payload)
            return payload
        making = asyncio.ensure_future(payload)
        self._making[cursor] = making
        making.add_done_callback(partial(self._made, cursor))
        return making

    def _made(self, cursor: Cursor, making: asyncio.Future[bytes]) -> None:
        self._making.pop(cursor, None)
        if not making.cancelled() and making.exception() is None:
            self._keep(cursor, making.result())

    def _keep(self, cursor: Cursor, payload: bytes) -> None:
        if not self._is_anybody_behind or cursor in self._payloads:
            return
        self._payload_bytes += len(payload)
        self._payloads[cursor] = payload
        while len(self._payloads) > _KEPT_PAYLOADS or self._payload_bytes > _KEPT_BYTES:
            _, dropped = self._payloads.popitem(last=False)
            self._payload_bytes -= len(dropped)

    @property
    def _is_anybody_behind(self) -> bool:
        return len(self._joined) < len(self.members)

    def _forget_payloads(self) -> None:
        if self._payloads and not self._is_anybody_behind:
            self._payloads.clear()
            self._payload_bytes = 0

    def _push(self, told: Sequence[Told], to: Collection[Subscriber]) -> None:
        self._statistics.deliveries += len(told) * len(to)
        frames: dict[Any, Any] = {}
        full = [s for s in to if not s.sink.push(told, frames)]
        for subscriber in full:
            del self._joined[subscriber]
            subscriber.lag(told[0].before)
        self._statistics.lags += len(full)

    async def _push_pending(self) -> None:
        try:
            while self._pending:
                pending = self._pending[0]
                payload = pending.payload
                if not isinstance(payload, bytes):
                    payload = await asyncio.shield(payload)
                # Who joined after this event has it from the log.
                to = [s for s in self._joined if not s.has(pending.cursor)]
                self._push([Told(pending.cursor, pending.before, payload)], to)
                self._pending.popleft()
        except Exception as error:  # noqa: BLE001 — whatever it is, the clients are told
            self.fail(error)

    def _lag_all(self) -> None:
        """Everybody goes on from the log, behind what was given out last."""
        self.flush()
        oldest = self._pending[0]
        for subscriber in self._joined:
            subscriber.lag(oldest.before, unless_it_has=oldest.cursor)
        self._statistics.lags += len(self._joined)
        self._joined.clear()
        self._stop_pump()

    def _stop_pump(self) -> None:
        self._pending.clear()
        if self._pump is not None and self._pump is not asyncio.current_task():
            self._pump.cancel()
        self._pump = None
