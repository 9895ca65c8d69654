"""What the API knows, as far as somebody looks: each board once, however many tabs show it."""

import asyncio
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar, cast

from dashboard.address import FailureList, PipelineList, ProcessList, Span, WorkerList
from dashboard.api import Api
from dashboard.boards.board import Board
from dashboard.boards.failures import FailureBoard, FailuresBoard
from dashboard.boards.figures import FiguresBoard
from dashboard.boards.following import Follower
from dashboard.boards.lists import PAGE_SIZE
from dashboard.boards.pipelines import PipelineBoard, PipelinesBoard
from dashboard.boards.process import ProcessBoard
from dashboard.boards.processes import ProcessesBoard
from dashboard.boards.runs import RunsBoard
from dashboard.boards.versions import VersionsBoard
from dashboard.boards.workers import WorkerBoard, WorkersBoard
from dashboard.supervision import Supervisor, end

# A board outlives its last tab a little: tabs are reloaded, and fallen-back ones ask every 15 s.
LINGER_SECONDS = 30.0

AnyBoard = TypeVar("AnyBoard", bound=Board)


class Mirror:
    """The boards that are open, each followed by one task."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._supervisor = Supervisor()
        self._boards: dict[Hashable, Board] = {}
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def health(self) -> dict[str, Any]:
        """`degraded` while what is shown is not fresh, with what is wrong.

        `faults` are what failed as nobody foresaw, and did not get over it yet.
        """
        of_api, faults = self.api.problem or self.api.health, self._supervisor.faults
        is_fresh = of_api == "ok" and not faults
        return {"status": "ok" if is_fresh else "degraded", "api": of_api, "faults": faults}

    async def run(self) -> None:
        """Keeps the connection, for ever; and ends everything when it is cancelled."""
        try:
            run = partial(self.api.run, partial(self._supervisor.recovered, "api"))
            await self._supervisor.keep("api", "The connection to the API", run)
        finally:
            await end(*self._tasks.values())
            await asyncio.gather(*self._ending)

    def figures(
        self, range_: str, span: Span | None, pipeline: str | None, worker: str | None
    ) -> FiguresBoard:
        """The board of the totals and the chart: of a length of time until now, or of a span."""
        key = ("figures", range_, span, pipeline, worker)
        return self._open(key, lambda: FiguresBoard(range_, span, pipeline, worker))

    def pipelines(self, wanted: PipelineList) -> PipelinesBoard:
        """The board of a page of pipelines."""
        return self._open(wanted, lambda: PipelinesBoard(wanted))

    def pipeline(self, pipeline: str) -> PipelineBoard:
        """The board of a pipeline."""
        return self._open(("pipeline", pipeline), lambda: PipelineBoard(pipeline))

    def workers(self, wanted: WorkerList) -> WorkersBoard:
        """The board of a page of workers."""
        return self._open(wanted, lambda: WorkersBoard(wanted))

    def worker(self, worker: str) -> WorkerBoard:
        """The board of a worker."""
        return self._open(("worker", worker), lambda: WorkerBoard(worker))

    def processes(self, wanted: ProcessList) -> ProcessesBoard:
        """The board of a page of processes."""
        return self._open(wanted, lambda: ProcessesBoard(wanted))

    def process(self, process: str) -> ProcessBoard:
        """The board of a process."""
        return self._open(("process", process), lambda: ProcessBoard(process))

    def failures(self, wanted: FailureList, size: int = PAGE_SIZE) -> FailuresBoard:
        """The board of a page of failures."""
        return self._open((wanted, size), lambda: FailuresBoard(wanted, size))

    def failure(self, failure: str) -> FailureBoard:
        """The board of a failure."""
        return self._open(("failure", failure), lambda: FailureBoard(failure))

    def runs(self, pipeline: str) -> RunsBoard:
        """The board of the processes of a pipeline that ended last."""
        return self._open(("runs", pipeline), lambda: RunsBoard(pipeline))

    def versions(self, pipeline: str, version: str, against: str) -> VersionsBoard:
        """The board of two versions of a pipeline."""
        key = ("versions", pipeline, version, against)
        return self._open(key, lambda: VersionsBoard(pipeline, version, against))

    def _open(self, key: Hashable, create: Callable[[], AnyBoard]) -> AnyBoard:
        board = self._boards.get(key)
        if board is None:
            board = self._boards[key] = create()
            self._tasks[key] = asyncio.create_task(self.follow(key, board), name=f"board {key}")
            self._close_later(key, board)
        board.used_at = asyncio.get_running_loop().time()
        return cast(AnyBoard, board)

    async def follow(self, key: Hashable, board: Board) -> None:
        """Keeps a board fresh until it is cancelled, whatever happens to it."""
        follower = Follower(self.api, board, partial(self._supervisor.recovered, key))
        await self._supervisor.keep(key, type(board).__name__, follower.run)

    def _close_later(self, key: Hashable, board: Board) -> None:
        """Ends it some time after the last tab."""
        loop = asyncio.get_running_loop()

        def close() -> None:
            if board.listeners or loop.time() - board.used_at < LINGER_SECONDS:
                self._close_later(key, board)
            else:
                del self._boards[key]
                ending = asyncio.create_task(end(self._tasks.pop(key)), name=f"end of {key}")
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)

        loop.call_later(LINGER_SECONDS, close)


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
