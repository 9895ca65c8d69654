"""How a board is kept fresh: loaded, told of its changes, and mended whatever happens to it."""

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from dashboard.api import Api, ApiGone, CursorExpired, Refused
from dashboard.boards.board import Board, Subscription
from dashboard.supervision import Backoff

# A board whose changes are not told is asked for again this often.
REFRESH_SECONDS = 15.0
# What stood for so long after it began counts as well.
SETTLE_SECONDS = 1.0
# What is asked for anew is not told of meanwhile: after so long, it says that it is not fresh.
SLOW_SECONDS = 3.0
# The same question gets the same refusal; the API may be another one by then.
REFUSED_SECONDS = 60.0
AGE_SECONDS = 1.0
SLOW = "the API is slow to answer"
DEFECT = "an error in the dashboard, which its log has"

Sleep = Callable[[float], Awaitable[None]]


class Follower:
    """Keeps one board fresh.

    Args:
        recovered: called when the board is right, maybe again
    """

    def __init__(
        self,
        api: Api,
        board: Board,
        recovered: Callable[[], None] = lambda: None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._api = api
        self._board = board
        self._recovered = recovered
        self._sleep = sleep
        self._backoff = Backoff()

    async def run(self) -> None:
        """For ever; but raises what nobody foresaw, when the board says that something is wrong."""
        while True:
            try:
                await self._load()
                await self._until_stale()
            except Exception as error:  # noqa: BLE001  # told apart, and raised, by `_wait_after`
                await self._wait_after(_cause(error))

    async def _load(self) -> None:
        self._board.stale.clear()
        asked_at = time.time()
        slow = asyncio.get_running_loop().call_later(SLOW_SECONDS, self._wait_on, asked_at)
        try:
            await self._board.load(self._api)
        finally:
            slow.cancel()
        self._board.known_at = asked_at

    async def _until_stale(self) -> None:
        """Takes in changes until the board has to be asked for anew."""
        board = self._board
        board.is_followed = bool(board.subscriptions) and not self._api.is_full
        board.touch()
        if not board.is_followed:
            self._settle()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._complete())]
            if board.ages:
                tasks.append(group.create_task(self._age()))
            if board.is_followed:
                tasks += [group.create_task(self._listen(each)) for each in board.subscriptions]
            else:
                tasks.append(group.create_task(self._api.lost()))
            await self._sleep(board.pause_seconds)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(
                    board.lasts_seconds if board.is_followed else REFRESH_SECONDS
                ):
                    await board.stale.wait()
            for task in tasks:
                task.cancel()
            # Here: a group of Python 3.11 that hears of a failure behind its block leaves this task
            # cancelled once more than it was (cpython issue 116720).
            await asyncio.wait(tasks)

    async def _listen(self, subscription: Subscription) -> None:
        """Resumes behind the last cursor whenever the API comes back. Raises CursorExpired."""
        board, cursor = self._board, self._board.cursor
        while True:
            # The API does not say that it took a subscription, only that it did not.
            settling = asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._settle)
            try:
                changes = self._api.changes(
                    subscription.name, **subscription.variables, after=cursor
                )
                async with aclosing(changes):
                    async for event in changes:
                        cursor = event["cursor"]
                        subscription.apply(event)
                        board.touch()
            except ApiGone as gone:
                if self._api.is_connected:
                    raise
                settling.cancel()
                self._fall(str(gone))
                await self._api.connected()
            finally:
                settling.cancel()

    async def _complete(self) -> None:
        """Asks for what was told too briefly, as much as came together."""
        board = self._board
        while True:
            await board.incomplete.wait()
            board.incomplete.clear()
            await board.complete(self._api)
            board.touch()
            await self._sleep(board.pause_seconds)

    async def _age(self) -> None:
        while True:
            await self._sleep(AGE_SECONDS)
            if self._board.age():
                self._board.touch()

    async def _wait_after(self, cause: BaseException) -> None:
        """Until it makes sense to load again. Raises what is a defect."""
        match cause:
            case CursorExpired():
                await self._sleep(SETTLE_SECONDS)
            case Refused():
                self._fall(str(cause))
                await self._sleep(REFUSED_SECONDS)
            case ApiGone() if self._api.is_connected:
                self._fall(str(cause))
                await self._sleep(self._backoff.seconds())
            case ApiGone():
                self._fall(str(cause))
                await self._api.connected()
            case _:
                self._fall(DEFECT)
                raise cause

    def _wait_on(self, asked_at: float) -> None:
        """What is shown meanwhile gets older, and its changes are not told."""
        if self._board.is_loaded:
            self._fall(SLOW, told_until=asked_at)

    def _fall(self, problem: str, told_until: float = math.inf) -> None:
        """`told_until`: its changes were told until then, as far as the API was seen so late."""
        board = self._board
        if board.problem is None and board.is_live and board.known_at:
            board.known_at = max(board.known_at, min(told_until, self._api.seen_at or 0))
        if board.problem != problem:
            board.problem = problem
            board.touch()

    def _settle(self) -> None:
        self._recovered()
        if self._board.problem is not None:
            self._board.problem = None
            self._board.touch()


def _cause(error: BaseException) -> BaseException:
    """What made a group of tasks end; one is enough to load anew."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
