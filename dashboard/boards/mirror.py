"""What the API knows, as far as somebody looks: each board once, however many tabs show it."""

import asyncio
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

from dashboard.address import ProcessList
from dashboard.api import Api, ApiGone, CursorExpired
from dashboard.boards.board import Board, Outdated, Subscription
from dashboard.boards.overview import FiguresBoard, WorkersBoard
from dashboard.boards.processes import ProcessBoard, ProcessesBoard, RunsBoard

# Totals follow the changes at most this often, and the clock at least this often.
FIGURES_SECONDS = 1.0
REFRESH_SECONDS = 15.0
RETRY_SECONDS = 1.0
# A board outlives its last tab a little: tabs are reloaded, and fallen-back ones ask every 15 s.
LINGER_SECONDS = 30.0

AnyBoard = TypeVar("AnyBoard", bound=Board)


class Mirror:
    """The boards that are open, each followed by one task."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.workers = WorkersBoard(self._wake_figures)
        self._boards: dict[Hashable, Board] = {}
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Follows the workers, whom every tab shows; and ends everything when it is cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.api.run())
                group.create_task(self._follow(self.workers))
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def figures(self, range_: str, worker: str | None) -> FiguresBoard:
        """The board of the totals and the chart."""
        return self._open(("figures", range_, worker), lambda: FiguresBoard(range_, worker))

    def processes(self, wanted: ProcessList) -> ProcessesBoard:
        """The board of a page of processes."""
        return self._open(wanted, lambda: ProcessesBoard(wanted))

    def process(self, process: str) -> ProcessBoard:
        """The board of a process."""
        return self._open(("process", process), lambda: ProcessBoard(process))

    def runs(self, worker: str) -> RunsBoard:
        """The board of the processes of a worker that ended last."""
        return self._open(("runs", worker), lambda: RunsBoard(worker))

    def _open(self, key: Hashable, create: Callable[[], AnyBoard]) -> AnyBoard:
        board = self._boards.get(key)
        if board is None:
            board = self._boards[key] = create()
            self._tasks[key] = asyncio.create_task(self._follow(board), name=f"board {key}")
            self._close_later(key, board)
        board.used_at = asyncio.get_running_loop().time()
        return cast(AnyBoard, board)

    def _close_later(self, key: Hashable, board: Board) -> None:
        """Ends it some time after the last tab."""
        loop = asyncio.get_running_loop()

        def close() -> None:
            if board.listeners or loop.time() - board.used_at < LINGER_SECONDS:
                self._close_later(key, board)
            else:
                del self._boards[key]
                self._tasks.pop(key).cancel()

        loop.call_later(LINGER_SECONDS, close)

    async def _follow(self, board: Board) -> None:
        while True:
            try:
                await board.load(self.api)
                board.problem = None
                board.touch()
                await self._until_stale(board)
            except ApiGone as gone:
                board.problem = str(gone)
                board.touch()
                await asyncio.sleep(RETRY_SECONDS)

    async def _until_stale(self, board: Board) -> None:
        """Takes in changes until the board has to be asked for anew."""
        if isinstance(board, FiguresBoard):
            await asyncio.sleep(FIGURES_SECONDS)
            await board.until_stale(REFRESH_SECONDS)
        elif self.api.is_full:
            await asyncio.sleep(REFRESH_SECONDS)
        else:
            try:
                async with asyncio.TaskGroup() as group:
                    for subscription in board.subscriptions:
                        group.create_task(self._listen(board, subscription))
            except* CursorExpired:
                pass
            except* Outdated:
                await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self, board: Board, subscription: Subscription) -> None:
        """Resumes behind the last cursor whenever the API comes back. Raises CursorExpired."""
        cursor = board.cursor
        while True:
            try:
                async for event in self.api.changes(
                    subscription.name, **subscription.variables, after=cursor
                ):
                    cursor = event["cursor"]
                    subscription.apply(event)
                    board.touch()
            except ApiGone:
                await asyncio.sleep(RETRY_SECONDS)

    def _wake_figures(self) -> None:
        for board in self._boards.values():
            if isinstance(board, FiguresBoard):
                board.stale.set()


@contextmanager
def listening(boards: list[Board], listener: asyncio.Event) -> Iterator[None]:
    """The listener is woken by every change of the boards meanwhile."""
    for board in boards:
        board.listeners.add(listener)
    try:
        yield
    finally:
        for board in boards:
            board.listeners.discard(listener)
