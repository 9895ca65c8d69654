"""Runs documents on events; what all channels need of an event is made once."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, cast

from graphql import ExecutionResult, Executor

from graph.context import Context
from graph.execution.responses import encode_result, is_unavailable
from graph.fanout.statistics import Statistics
from graph.loaders import Loaders
from graph.subscriptions import event_type
from monitor.auth import READER
from monitor.events import ChangeKind
from monitor.feed.live import Batch
from monitor.feed.log import Cursor
from monitor.limits import ANSWER_DETAILS_BYTES
from monitor.monitor import Monitor
from monitor.reading.details import Budget

_RETRY_SECONDS = 0.5

Result = ExecutionResult | Awaitable[ExecutionResult]


class Executions:
    """Shared by all channels: the event as root, and what was loaded for its batch."""

    def __init__(self, monitor: Monitor, statistics: Statistics) -> None:
        self._monitor = monitor
        self._statistics = statistics
        self._loaders: tuple[Batch, Loaders] | None = None
        self._roots: tuple[Batch, int, dict[ChangeKind, object]] | None = None

    def execute(
        self, executor: Executor[Any], batch: Batch, index: int, kind: ChangeKind
    ) -> bytes | Coroutine[Any, Any, bytes]:
        """The encoded event; at once unless the document asks for what the event does not carry."""
        self._statistics.executions += 1
        root = self._event(batch, index, kind)
        result = self._run(executor, root, self._shared_loaders(batch))
        if isinstance(result, ExecutionResult):
            return encode_result(result)
        return self._finish(executor, root, batch, result)

    async def _finish(
        self, executor: Executor[Any], root: object, batch: Batch, result: Result
    ) -> bytes:
        """Waits for the database, however long: an error in place of the event would lose it."""
        while True:
            told = result if isinstance(result, ExecutionResult) else await result
            if not is_unavailable(told):
                return encode_result(told)
            await asyncio.sleep(_RETRY_SECONDS)
            result = self._run(executor, root, self._new_loaders(batch))

    def _run(self, executor: Executor[Any], root: object, loaders: Loaders) -> Result:
        event_executor = executor.build_per_event_executor(root)
        # What an event shows does not depend on who looks: rights are part of a channel's key, and
        # whoever may subscribe may read everything.
        event_executor.context_value = Context(self._monitor, READER, loaders)
        return cast(Result, event_executor.execute_operation(serially=False))

    def _event(self, batch: Batch, index: int, kind: ChangeKind) -> object:
        """The root of an execution, made once for all that are told the same."""
        if self._roots is None or self._roots[0] is not batch or self._roots[1] != index:
            self._roots = (batch, index, {})
        roots = self._roots[2]
        if kind not in roots:
            cursor = Cursor(batch.position, index)
            roots[kind] = event_type(batch.events[index], kind, cursor)
        return roots[kind]

    def _shared_loaders(self, batch: Batch) -> Loaders:
        if self._loaders is None or self._loaders[0] is not batch:
            self._loaders = (batch, self._new_loaders(batch))
        return self._loaders[1]

    def _new_loaders(self, batch: Batch) -> Loaders:
        """That have what the batch tells, and have not failed yet."""
        # No event is refused for what others of its batch ask for.
        details = Budget(ANSWER_DETAILS_BYTES * len(batch.events))
        loaders = Loaders.of(self._monitor, details)
        for event in batch.events:
            loaders.prime(event.entity)
        return loaders
