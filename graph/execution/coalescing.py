"""Who asks the same at the same moment is answered by one execution ("request coalescing").

Frontends ask again when they are told of a change, all of them at once.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

A = TypeVar("A")

# How long one waits at most for the end of an execution that began before: a slow one does not
# double what everybody else waits.
MAX_WAIT_SECONDS = 0.02
# Executions for one key at a time, however slow they are: who asks meanwhile waits for an end.
MAX_OVERLAPPING = 3


class Coalescer(Generic[A]):
    """Executes what is asked for under a key once for all who came before that began.

    Nobody is given what was read before they asked: who comes while it is executed waits for the
    next execution, with everybody else who comes meanwhile. What nobody waits for is cancelled.
    """

    def __init__(self) -> None:
        self._running: Counter[Hashable] = Counter()
        self._waiting: dict[Hashable, _Next[A]] = {}

    async def run(self, key: Hashable, execute: Callable[[], Awaitable[A]]) -> A:
        """What an execution that began after this call gave, or raised.

        Args:
            key: equal where what `execute` does is the same
        """
        if not self._running[key]:
            return await self._execute(key, execute)
        following = self._waiting.get(key)
        if following is None:
            following = self._waiting[key] = _Next(lambda: self._begin(key, execute))
            following.is_full = self._running[key] >= MAX_OVERLAPPING
        try:
            return await following.wait()
        finally:
            # Who comes now must not wait for what is cancelled.
            if not following.waiters and self._waiting.get(key) is following:
                del self._waiting[key]

    async def _begin(self, key: Hashable, execute: Callable[[], Awaitable[A]]) -> A:
        # From here on who comes has to wait for the one after.
        del self._waiting[key]
        return await self._execute(key, execute)

    async def _execute(self, key: Hashable, execute: Callable[[], Awaitable[A]]) -> A:
        self._running[key] += 1
        try:
            return await execute()
        finally:
            self._running[key] -= 1
            if not self._running[key]:
                del self._running[key]
            if key in self._waiting:
                self._waiting[key].due.set()


class _Next(Generic[A]):
    """The execution that comes next, and those who wait for its answer."""

    def __init__(self, begin: Callable[[], Awaitable[A]]) -> None:
        self.due = asyncio.Event()
        self.waiters = 0
        # As many as may be are running: it begins only when one of them has ended.
        self.is_full = False
        self._answer = asyncio.create_task(self._run(begin), name="coalesced query")
        # Nobody may be left to hear that it failed.
        self._answer.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def wait(self) -> A:
        """Its answer; the last one who goes away before ends it."""
        self.waiters += 1
        try:
            # It is of others as well: it goes on when this one is cancelled.
            return await asyncio.shield(self._answer)
        finally:
            self.waiters -= 1
            if not self.waiters:
                self._answer.cancel()

    async def _run(self, begin: Callable[[], Awaitable[A]]) -> A:
        try:
            async with asyncio.timeout(None if self.is_full else MAX_WAIT_SECONDS):
                await self.due.wait()
        except TimeoutError:
            pass
        return await begin()
