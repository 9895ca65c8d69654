"""The fan-out: an event is executed and encoded once per channel, and its bytes are shared.

A channel is what identical subscriptions have in common: document, variables, operation and rights.
Channels are indexed by what they filter on, so that an event costs only those that can match.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from graphql import Executor

from graph.context import Context
from graph.execution.engine import Engine, Prepared
from graph.fanout.channel import Channel
from graph.fanout.executions import Executions
from graph.fanout.index import FilterIndex
from graph.fanout.sharing import shared_form
from graph.fanout.sink import Errors, Sink
from graph.fanout.statistics import Statistics
from graph.fanout.subscriber import Subscriber
from graph.loaders import Loaders
from graph.subscriptions import Following
from monitor.auth import Principal
from monitor.errors import CursorExpired
from monitor.feed.live import Batch
from monitor.feed.log import Cursor
from monitor.monitor import Monitor
from monitor.reading.filters import Filter


class Channels:
    """All channels of a server process; a listener of the live feed."""

    def __init__(self, engine: Engine, monitor: Monitor) -> None:
        self.statistics = Statistics()
        self._engine = engine
        self._monitor = monitor
        self._executions = Executions(monitor, self.statistics)
        self._channels: dict[object, Channel] = {}
        self._index: FilterIndex[Channel] = FilterIndex()
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
        context = Context(self._monitor, principal, Loaders.of(self._monitor))
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
        channel = self._channels.get(key) or self._open(key, executor, following.matching)
        subscriber = Subscriber(channel, sink, after or following.after)
        channel.members.add(subscriber)
        subscriber.start()
        return subscriber

    def _open(self, key: object, executor: Executor[Any], matching: Filter) -> Channel:
        channel = Channel(
            executor,
            matching,
            executions=self._executions,
            live=self._monitor.live,
            statistics=self.statistics,
            on_empty=partial(self._remove, key),
        )
        self._channels[key] = channel
        self._index.add(channel, matching)
        return channel

    def _remove(self, key: object) -> None:
        """Forgets a channel that nobody follows any more."""
        channel = self._channels.pop(key, None)
        if channel is not None:
            self._index.remove(channel, channel.matching)
            channel.close()

    @property
    def cursor(self) -> Cursor | None:
        """Where the feed stands; None while it was never reached."""
        position = self._monitor.live.position
        return None if position is None else Cursor(position)

    @property
    def listens(self) -> bool:
        return bool(self._channels)

    def on_batches(self, batches: Sequence[Batch]) -> None:
        told: dict[Channel, None] = {}
        for batch in batches:
            for index, event in enumerate(batch.events):
                for channel in self._index.find(event.entity):
                    told[channel] = None
                    _have(channel, partial(channel.tell, batch, index))
        for channel in told:
            _have(channel, channel.flush)

    def on_reset(self) -> None:
        for channel in list(self._channels.values()):
            channel.fail(CursorExpired())


def _have(channel: Channel, act: Callable[[], None]) -> None:
    """A channel that cannot tell its clients so; the others go on."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 — whatever it is
        channel.fail(error)
