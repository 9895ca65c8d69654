"""Runs documents on events; what all channels need of an event is made once."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, cast

from graphql import ExecutionResult, Executor

from graph.context import Context
from graph.execution.engine import encode_result, is_unavailable
from graph.fanout.statistics import Statistics
from graph.loaders import Loaders
from graph.subscriptions import event_type
from monitor.auth import READER
from monitor.events import ChangeKind
from monitor.feed.live import Batch
from monitor.feed.log import Cursor
from monitor.monitor import Monitor

_RETRY_SECONDS = 0.5

Result = ExecutionResult | Awaitable[ExecutionResult]


class Executions:
    """Shared by all channels: the event as root, and what was loaded for its batch."""

    def __init__(self, monitor: Monitor, statistics: Statistics) -> None:
        self._monitor = monitor
        self._statistics = statistics
        self._context: tuple[Batch, Context] | None = None
        self._roots: tuple[Batch, int, dict[ChangeKind, object]] | None = None

    def execute(
        self, executor: Executor[Any], batch: Batch, index: int, kind: ChangeKind
    ) -> bytes | Coroutine[Any, Any, bytes]:
        """The encoded event; at once unless the document asks for what the event does not carry."""
        self._statistics.executions += 1
        root = self._event(batch, index, kind)
        result = self._run(executor, root, self._shared_context(batch))
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
            result = self._run(executor, root, self._new_context(batch))

    def _run(self, executor: Executor[Any], root: object, context: Context) -> Result:
        event_executor = executor.build_per_event_executor(root)
        event_executor.context_value = context
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

    def _shared_context(self, batch: Batch) -> Context:
        if self._context is None or self._context[0] is not batch:
            self._context = (batch, self._new_context(batch))
        return self._context[1]

    def _new_context(self, batch: Batch) -> Context:
        """With loaders that have what the batch tells, and have not failed yet."""
        loaders = Loaders(self._monitor.database)
        for event in batch.events:
            loaders.prime(event.entity)
        # What an event shows does not depend on who looks: rights are part of a channel's key, and
        # whoever may subscribe may read everything.
        return Context(self._monitor, READER, loaders)
