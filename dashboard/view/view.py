"""What an address shows: the boards, and what the browser is told of them."""

import time
from typing import Any

from dashboard.address import Address, ProcessList
from dashboard.boards.board import Board
from dashboard.boards.mirror import Mirror
from dashboard.boards.rows import Row
from dashboard.view.drawing import Drawn, draw_once
from dashboard.view.process import PARTS, process_parts, reports
from dashboard.view.tiles import tiles

Props = dict[tuple[str, str], Drawn]
Tables = dict[str, dict[str, Row]]

NOTHING = Drawn.of([])


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
        return list(self._panels().values())

    @property
    def is_settled(self) -> bool:
        """False when a process was named without its worker, which is known by now."""
        return self.worker is not None or self.process is None or self.process.worker is None

    def _panels(self) -> dict[str, Board]:
        """The boards by the names of the panels that show them."""
        panels: dict[str, Board | None] = {
            "activity": self.figures,
            "workers": self._mirror.workers,
            "processes": self.processes,
            "process": self.process,
            "comparison": self.runs,
        }
        return {name: board for name, board in panels.items() if board is not None}

    def tables(self) -> Tables:
        """The rows of each table and list, by id."""
        return {
            "workers": dict(self._mirror.workers.rows),
            "processes": self.processes.rows if self.processes else {},
            "tasks": dict(self.process.rows) if self.process else {},
            "reports": reports(self.process) if self.process else {},
        }

    def loading(self) -> list[str]:
        """The tables of which nothing is known yet, not even that they are empty."""
        # The worker of a process has to be found before its processes are asked for.
        processes = self.processes or self.process
        boards = {"workers": self._mirror.workers, "processes": processes, "tasks": self.process}
        return [name for name, board in boards.items() if board and not board.is_loaded]

    def props(self) -> Props:
        """Everything else that is shown, except what changes with time alone."""
        name = self._mirror.workers.name_of(self.worker)
        shown = {
            "worker": self.worker,
            "workerName": name,
            "process": self.address.process,
            "nextStart": self.processes.next_start if self.processes else None,
            "times": self._times(),
        }
        return self._figures(name) | self._process() | {("shown", "data"): Drawn.of(shown)}

    def _figures(self, name: str | None) -> Props:
        board = self.figures
        if not board.is_loaded:  # until then what was shown stays, with its title
            return {}
        return {
            ("tiles", "children"): draw_once(board, "tiles", board.version, lambda: tiles(board)),
            ("slots", "data"): draw_once(
                board,
                "slots",
                (board.version, name),
                lambda: {"worker": name, "slots": board.chart},
            ),
        }

    def _process(self) -> Props:
        parts = process_parts(self.process, self.runs) if self.process else {}
        return {(name, "children"): parts.get(name, NOTHING) for name in PARTS}

    def _times(self) -> dict[str, str | None] | None:
        """When the process began and ended: the length of its timeline."""
        if self.process is None or self.process.process is None:
            return None
        process = self.process.process
        return {"from": process["startedAt"], "to": process["endedAt"]}

    def status(self, *, live: bool) -> dict[str, Any]:
        """How far what is shown can be trusted; times in milliseconds since 1970."""
        api = self._mirror.api
        return {
            "live": live,
            "now": time.time() * 1000,
            "problem": api.problem,
            "seenAt": api.seen_at and api.seen_at * 1000,
            "health": api.health,
            "panels": {name: board.freshness for name, board in self._panels().items()},
        }
