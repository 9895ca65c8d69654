"""What an address shows, as the browser is told it."""

import asyncio
import contextlib
import time
from typing import Any

from dashboard.address import Address, ProcessList
from dashboard.boards.board import Board
from dashboard.boards.mirror import Mirror, listening
from dashboard.boards.rows import Row
from dashboard.view.process import process_panel
from dashboard.view.tiles import tiles

Props = dict[tuple[str, str], Any]
Tables = dict[str, dict[str, Row]]


class View:
    """An address, with the boards that show it."""

    def __init__(self, mirror: Mirror, address: Address) -> None:
        self._mirror = mirror
        self.address = address
        self.process = mirror.process(address.process) if address.process else None
        worker = address.worker or (self.process.worker if self.process else None)
        wanted = address.processes or (ProcessList(worker) if worker else None)
        self.worker = worker
        self.processes = mirror.processes(wanted) if wanted else None
        self.runs = mirror.runs(worker) if worker and self.process else None
        self.figures = mirror.figures(address.range, worker)

    @property
    def boards(self) -> list[Board]:
        boards: list[Board | None] = [
            self._mirror.workers,
            self.figures,
            self.processes,
            self.process,
            self.runs,
        ]
        return [board for board in boards if board is not None]

    @property
    def is_settled(self) -> bool:
        """False when a process was named without its worker, which is known by now."""
        return self.worker is not None or self.process is None or self.process.worker is None

    def tables(self) -> Tables:
        """The rows of each table, by id."""
        return {
            "workers": dict(self._mirror.workers.rows),
            "processes": self.processes.rows if self.processes else {},
            "tasks": self.process.rows if self.process else {},
        }

    def props(self) -> Props:
        """Everything else that is shown, except what changes with time alone."""
        name = self._mirror.workers.name_of(self.worker)
        figures: Props = {}
        if self.figures.is_loaded:  # until then what was shown stays, with its title
            figures[("tiles", "children")] = tiles(self.figures)
            figures[("slots", "data")] = {"worker": name, "slots": self.figures.chart}
        return figures | {
            ("process", "children"): self._process_panel(),
            ("shown", "data"): {
                "worker": self.worker,
                "workerName": name,
                "process": self.address.process,
                "nextStart": self.processes.next_start if self.processes else None,
                "start": self.address.processes.start if self.address.processes else "",
                "loading": [name for name, board in self._named() if not board.is_loaded],
                "problem": next((b.problem for b in self.boards if b.problem), None),
            },
        }

    def _process_panel(self) -> list[Any]:
        if self.process is None:
            return []
        others = self.runs.beside(self.process.id) if self.runs else None
        return process_panel(self.process, others)

    def _named(self) -> list[tuple[str, Board]]:
        boards: list[tuple[str, Board | None]] = [
            ("workers", self._mirror.workers),
            ("processes", self.processes),
            ("tasks", self.process),
        ]
        return [(name, board) for name, board in boards if board is not None]

    def status(self, *, live: bool) -> dict[str, Any]:
        """How far what is shown can be trusted; times in milliseconds since 1970."""
        api = self._mirror.api
        return {
            "live": live,
            "now": time.time() * 1000,
            "problem": api.problem,
            "seenAt": api.seen_at and api.seen_at * 1000,
            "health": api.health,
        }


def whole(view: View) -> Props:
    """Everything that a tab shows, for tabs that cannot be told of changes."""
    tables = {table: {"rows": list(rows.values())} for table, rows in view.tables().items()}
    told = {"number": None, "status": view.status(live=False), "tables": tables}
    return view.props() | {("told", "data"): told}


async def loaded(view: View, seconds: float) -> View:
    """Waits for the boards to be loaded, so long at most; then it shows what is there."""
    wake = asyncio.Event()
    with contextlib.suppress(TimeoutError), listening(view.boards, wake):
        async with asyncio.timeout(seconds):
            while not all(board.is_loaded or board.problem for board in view.boards):
                await wake.wait()
                wake.clear()
    return view
