"""The fan-out: an event is executed and encoded once per channel, and its bytes are shared.

A channel is what identical subscriptions have in common: document, variables, operation and rights.
Channels are indexed by what they filter on, so that an event costs only those that can match.

A subscriber is live while its sink takes what it is given at once. One whose sink is full is not
queued for: it catches up from the log, reading on from its cursor, and joins again where the feed
stands. Resuming behind a cursor is the same path. So memory per subscriber is bounded, and nothing
is ever skipped; when the log no longer holds what follows, the subscriber is told (CursorExpired).
The same goes for a channel whose events wait for a database that is slow or gone.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast

from graphql import ExecutionResult, Executor

from graph.context import Context
from graph.execution.engine import Engine, Prepared, encode_result, error_of, is_unavailable
from graph.fanout.index import FilterIndex
from graph.fanout.sharing import shared_form
from graph.loaders import Loaders
from graph.subscriptions import Following, event_type
from monitor.auth import READER, Principal
from monitor.errors import CursorExpired, Unavailable
from monitor.feed.live import Batch
from monitor.feed.log import Cursor, Position
from monitor.monitor import Monitor
from monitor.reading.filters import Filter

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 0.5
# Encoded events that a channel keeps for those who catch up.
_KEPT_PAYLOADS = 128
_KEPT_BYTES = 2 * 1024 * 1024
# Events whose payloads are being made, before the channel's subscribers go on by themselves.
_MOST_PENDING = 256

Errors = list[dict[str, Any]]


class Sink(Protocol):
    """Where a subscription's payloads go: one operation of a connection.

    Without `can_push` everything is sent, one after the other.
    """

    can_push: bool

    @property
    def has_room(self) -> bool:
        """Whether `send` would take a payload without waiting."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Waits for room, and for the connection's other subscriptions that read the log, so that
        a connection that takes nothing makes nobody read for it. Raises ConnectionError.
        """

    def push(self, payload: bytes, frames: dict[Any, Any]) -> bool:
        """Takes the payload now, or not at all (False). `frames` is shared by all sinks that get
        this payload, to keep what they can share of it.
        """

    async def send(self, payload: bytes, cursor: Cursor) -> None:
        """Takes the payload, waiting for room. Raises ConnectionError when it is gone."""

    def fail(self, errors: Errors) -> None:
        """Ends the operation with errors."""


@dataclass(slots=True)
class Statistics:
    """Counted since the start of the process."""

    executions: int = 0
    deliveries: int = 0
    lags: int = 0


@dataclass(frozen=True, slots=True)
class _Pending:
    """A payload that is being made, in its place in the order."""

    cursor: Cursor
    before: Cursor
    payload: bytes | asyncio.Future[bytes]


class Subscriber:
    """One subscription of one client."""

    def __init__(self, channel: "Channel", sink: Sink, cursor: Cursor | None) -> None:
        self._channel = channel
        self._cursor = cursor
        self._catching_up: asyncio.Task[None] | None = None
        self.sink = sink

    def start(self) -> None:
        """Joins the live ones if it stands where they do, else catches up first."""
        position = self._channel.monitor.live.position
        if self._cursor is None and position is not None:
            self._cursor = Cursor(position)
        if position is not None and self._cursor == Cursor(position) and self.sink.can_push:
            self._channel.join(self)
        else:
            self._catching_up = asyncio.create_task(self._catch_up(), name="catch up")

    def lag(self, cursor: Cursor, *, unless_it_has: Cursor | None = None) -> None:
        """It goes on by itself from here: behind `cursor`, or where it joined if that is later."""
        if unless_it_has is None or not self.has(unless_it_has):
            self._cursor = cursor
        self._catching_up = asyncio.create_task(self._catch_up(), name="catch up")

    def has(self, cursor: Cursor) -> bool:
        """Whether it was given this event before it joined the live ones."""
        mine = self._cursor
        if mine is None or mine.position.epoch != cursor.position.epoch:
            return False
        if mine.position != cursor.position:
            return cursor.position < mine.position
        return mine.index is None or (cursor.index is not None and cursor.index <= mine.index)

    def stop(self) -> None:
        """Ends it, from outside."""
        self._channel.leave(self)
        if self._catching_up is not None:
            self._catching_up.cancel()

    def fail(self, error: Exception) -> None:
        """Ends it with an error that its client sees."""
        self._channel.leave(self)
        self.sink.fail([error_of(error)])

    async def _catch_up(self) -> None:
        try:
            while not await self._advance():
                pass
        except ConnectionError:
            self._channel.leave(self)
        except Exception as error:  # noqa: BLE001 — whatever it is, the client is told
            self.fail(error)

    async def _advance(self) -> bool:
        """Delivers some of what follows; True once it has joined the live ones."""
        live = self._channel.monitor.live
        if self._cursor is None:
            if live.position is None:
                await live.wait()
                return False
            self._cursor = Cursor(live.position)
        try:
            async with self.sink.turn():
                batches = await live.read(self._cursor)
                if batches:
                    await self._deliver(batches)
                    return False
        except Unavailable:
            await asyncio.sleep(_RETRY_SECONDS)
            return False
        # No await between this comparison and joining, or waiting: nothing can come in between.
        if live.position is not None and self._cursor == Cursor(live.position):
            if self.sink.can_push:
                self._channel.join(self)
                return True
            await live.wait()
        elif live.position is None or not self._is_behind(live.position):
            await live.wait()  # it was told more elsewhere than this process has read yet
        return False

    def _is_behind(self, position: Position) -> bool:
        assert self._cursor is not None
        mine = self._cursor.position
        return mine.epoch == position.epoch and mine < position

    async def _deliver(self, batches: Iterable[Batch]) -> None:
        """Sends what there is room for, one event at least."""
        for batch in batches:
            for index in range(self._first_of(batch), len(batch.events)):
                if self._channel.matching.matches(batch.events[index].entity):
                    cursor = Cursor(batch.position, index)
                    await self.sink.send(await self._channel.payload(batch, index), cursor)
                    self._cursor = cursor
                    if not self.sink.has_room:
                        return
            self._cursor = Cursor(batch.position)
            await asyncio.sleep(0)  # a long backlog must not hold up everybody else

    def _first_of(self, batch: Batch) -> int:
        """The first event of the batch that it was not given yet."""
        assert self._cursor is not None
        if self._cursor.position != batch.position or self._cursor.index is None:
            return 0
        return self._cursor.index + 1


class Channel:
    """What identical subscriptions share."""

    def __init__(
        self, channels: "Channels", key: object, executor: Executor[Any], matching: Filter
    ) -> None:
        self.key = key
        self.matching = matching
        self.monitor = channels.monitor
        self.members: set[Subscriber] = set()
        self._channels = channels
        self._executor = executor
        self._live: dict[Subscriber, None] = {}
        self._pending: deque[_Pending] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._making: dict[Cursor, asyncio.Future[bytes]] = {}
        self._payloads: OrderedDict[Cursor, bytes] = OrderedDict()
        self._payload_bytes = 0

    def join(self, subscriber: Subscriber) -> None:
        """From now on it is given what happens."""
        self._live[subscriber] = None
        self._forget_payloads()

    def leave(self, subscriber: Subscriber) -> None:
        self._live.pop(subscriber, None)
        self.members.discard(subscriber)
        self._forget_payloads()
        if not self.members:
            self._channels.remove(self)

    def close(self) -> None:
        """Nobody is left."""
        self._stop_pump()
        for making in self._making.values():
            making.cancel()

    def fail(self, error: Exception) -> None:
        """Ends all that are live: what happened cannot be told."""
        self._stop_pump()
        for subscriber in list(self._live):
            subscriber.fail(error)

    def tell(self, batch: Batch, index: int) -> None:
        """An event that matches, to all who are live."""
        if not self._live:
            return
        cursor = Cursor(batch.position, index)
        before = Cursor(batch.position, index - 1) if index else Cursor(batch.previous)
        if len(self._pending) >= _MOST_PENDING:
            self._lag_all()
            return
        payload = self._execute(batch, index)
        if isinstance(payload, bytes) and not self._pending:
            self._channels.statistics.deliveries += len(self._live)
            self._push(payload, list(self._live), before)
            return
        self._pending.append(_Pending(cursor, before, payload))
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._push_pending(), name="pump")

    async def payload(self, batch: Batch, index: int) -> bytes:
        """The encoded event, made once also for those who come later."""
        cursor = Cursor(batch.position, index)
        known = self._payloads.get(cursor)
        if known is not None:
            return known
        making = self._making.get(cursor) or self._execute(batch, index)
        # Others may wait for it, too: it goes on when this one is cancelled.
        return making if isinstance(making, bytes) else await asyncio.shield(making)

    def _execute(self, batch: Batch, index: int) -> bytes | asyncio.Future[bytes]:
        """Runs the document on the event; at once unless it reads what the event does not carry."""
        cursor = Cursor(batch.position, index)
        self._channels.statistics.executions += 1
        result = self._run(batch, index, self._channels.context(batch))
        if isinstance(result, ExecutionResult):
            payload = encode_result(result)
            self._keep(cursor, payload)
            return payload
        making = asyncio.ensure_future(self._finish(batch, index, result))
        self._making[cursor] = making
        making.add_done_callback(partial(self._made, cursor))
        return making

    def _run(
        self, batch: Batch, index: int, context: Context
    ) -> ExecutionResult | Awaitable[ExecutionResult]:
        executor = self._executor.build_per_event_executor(self._channels.root(batch, index))
        executor.context_value = context
        return cast(
            ExecutionResult | Awaitable[ExecutionResult],
            executor.execute_operation(serially=False),
        )

    async def _finish(
        self, batch: Batch, index: int, result: ExecutionResult | Awaitable[ExecutionResult]
    ) -> bytes:
        """Waits for the database, however long: an error in place of the event would lose it."""
        while True:
            told = result if isinstance(result, ExecutionResult) else await result
            if not is_unavailable(told):
                return encode_result(told)
            await asyncio.sleep(_RETRY_SECONDS)
            result = self._run(batch, index, self._channels.new_context(batch))

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
        return len(self._live) < len(self.members)

    def _forget_payloads(self) -> None:
        if self._payloads and not self._is_anybody_behind:
            self._payloads.clear()
            self._payload_bytes = 0

    def _push(self, payload: bytes, to: Iterable[Subscriber], before: Cursor) -> None:
        frames: dict[Any, Any] = {}
        full = [subscriber for subscriber in to if not subscriber.sink.push(payload, frames)]
        for subscriber in full:
            del self._live[subscriber]
            subscriber.lag(before)
        self._channels.statistics.lags += len(full)

    async def _push_pending(self) -> None:
        try:
            while self._pending:
                pending = self._pending[0]
                payload = pending.payload
                if not isinstance(payload, bytes):
                    payload = await asyncio.shield(payload)
                # Who joined after this event has it from the log.
                to = [s for s in self._live if not s.has(pending.cursor)]
                self._channels.statistics.deliveries += len(to)
                self._push(payload, to, pending.before)
                self._pending.popleft()
        except Exception as error:  # noqa: BLE001 — whatever it is, the clients are told
            self.fail(error)

    def _lag_all(self) -> None:
        """Everybody goes on from the log, behind what was given out last."""
        oldest = self._pending[0]
        for subscriber in self._live:
            subscriber.lag(oldest.before, unless_it_has=oldest.cursor)
        self._channels.statistics.lags += len(self._live)
        self._live.clear()
        self._stop_pump()

    def _stop_pump(self) -> None:
        self._pending.clear()
        if self._pump is not None and self._pump is not asyncio.current_task():
            self._pump.cancel()
        self._pump = None


class Channels:
    """All channels of a server process; a listener of the live feed."""

    def __init__(self, engine: Engine, monitor: Monitor) -> None:
        self.monitor = monitor
        self.statistics = Statistics()
        self._engine = engine
        self._channels: dict[object, Channel] = {}
        self._index: FilterIndex[Channel] = FilterIndex()
        self._context: tuple[Batch, Context] | None = None
        self._root: tuple[Batch, int, object] | None = None
        monitor.live.listeners.append(self)

    @property
    def open_subscriptions(self) -> int:
        return sum(len(channel.members) for channel in self._channels.values())

    @property
    def open_channels(self) -> int:
        return len(self._channels)

    async def subscribe(
        self,
        sink: Sink,
        prepared: Prepared,
        principal: Principal,
        *,
        variables: Mapping[str, Any] | None,
        operation_name: str | None,
        after: Cursor | None = None,
    ) -> Subscriber | Errors:
        """A started subscription, or why there is none. `after` overrides the argument."""
        context = Context(self.monitor, principal, Loaders(self.monitor.database))
        answer = await self._engine.subscribe(
            prepared, context, variables=variables, operation_name=operation_name
        )
        if isinstance(answer, dict):
            errors: Errors = answer["errors"]
            return errors
        executor, following = answer
        assert isinstance(following, Following)
        assert prepared.document is not None
        key = (shared_form(prepared.document, variables), operation_name, principal)
        channel = self._channels.get(key)
        if channel is None:
            channel = Channel(self, key, executor, following.matching)
            self._channels[key] = channel
            self._index.add(channel, channel.matching)
        subscriber = Subscriber(channel, sink, after or following.after)
        channel.members.add(subscriber)
        subscriber.start()
        return subscriber

    def remove(self, channel: Channel) -> None:
        """Forgets a channel that nobody follows any more."""
        if self._channels.pop(channel.key, None) is not None:
            self._index.remove(channel, channel.matching)
            channel.close()

    @property
    def listens(self) -> bool:
        return bool(self._channels)

    def on_batch(self, batch: Batch) -> None:
        for index, event in enumerate(batch.events):
            for channel in self._index.find(event.entity):
                try:
                    if channel.matching.matches(event.entity):
                        channel.tell(batch, index)
                except Exception as error:  # noqa: BLE001 — its clients are told; the others go on
                    channel.fail(error)

    def on_reset(self) -> None:
        for channel in list(self._channels.values()):
            channel.fail(CursorExpired())

    def root(self, batch: Batch, index: int) -> object:
        """The event as the root of an execution, made once for all channels."""
        if self._root is None or self._root[0] is not batch or self._root[1] != index:
            event = event_type(batch.events[index], Cursor(batch.position, index))
            self._root = (batch, index, event)
        return self._root[2]

    def context(self, batch: Batch) -> Context:
        """Shared by all executions on a batch."""
        if self._context is None or self._context[0] is not batch:
            self._context = (batch, self.new_context(batch))
        return self._context[1]

    def new_context(self, batch: Batch) -> Context:
        """With loaders that have what the batch tells, and have not failed yet."""
        loaders = Loaders(self.monitor.database)
        for event in batch.events:
            loaders.prime(event.entity)
        # What an event shows does not depend on who looks: rights are part of the key, and
        # whoever may subscribe may read everything.
        return Context(self.monitor, READER, loaders)
