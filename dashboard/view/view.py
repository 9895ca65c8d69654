"""What an address shows: the boards, and what the browser is told of them."""

import time
from dataclasses import dataclass, replace
from typing import Any

from dashboard.address import Address, FailureList
from dashboard.boards.board import Board
from dashboard.boards.failures import HANDFUL
from dashboard.boards.lists import ListBoard
from dashboard.boards.mirror import Mirror
from dashboard.boards.rows import Row
from dashboard.boards.versions import VersionsBoard
from dashboard.view.drawing import NOTHING, Drawn, draw_once
from dashboard.view.failures import FAILURE_PARTS, failure_parts, pipeline_failures
from dashboard.view.pipeline import PIPELINE_PARTS, pipeline_parts, runtimes
from dashboard.view.process import PROCESS_PARTS, process_parts, reports
from dashboard.view.rows import Rows
from dashboard.view.tiles import tiles
from dashboard.view.versions import comparison_parts
from dashboard.view.worker import worker_facts

Props = dict[tuple[str, str], Drawn]
Tables = dict[str, Rows]


@dataclass(frozen=True)
class Frame:
    """What is shown at a time."""

    props: Props
    tables: Tables
    loading: list[str]


class View:
    """An address, with the boards that show it."""

    def __init__(self, mirror: Mirror, address: Address) -> None:
        self._mirror = mirror
        self.address = address
        self.process = mirror.process(address.process) if address.process else None
        of_process = self.process.pipeline["id"] if self.process and self.process.pipeline else None
        # The pipeline that the view is about; a process that was named alone is shown in its own.
        is_alone = self.process and address.view == "overview"
        self.subject = address.pipeline or (of_process if is_alone else None)
        self.has_page = address.view == "overview" and bool(self.subject)
        self.pipelines = mirror.pipelines(address.pipelines) if self.is_overview else None
        self.pipeline = mirror.pipeline(self.subject) if self.subject else None
        self.worker = mirror.worker(address.worker) if address.worker else None
        self.failure = mirror.failure(address.failure) if address.failure else None
        self.versions = self._open_versions()
        self._open_lists()
        compared = of_process or (self.subject if self.has_page else None)
        self.runs = mirror.runs(compared) if compared else None
        subject = None if address.worker else self.subject
        self.figures = mirror.figures(address.range, address.span, subject, address.worker)
        self._frame = Frame({}, {}, [])
        self._drawn_of: tuple[int, ...] | None = None

    def _open_versions(self) -> VersionsBoard | None:
        """None where not two versions are named, or something lies over them."""
        pipeline, compared = self.subject, (self.address.compare, self.address.against)
        is_in_sight = self.has_page and not self.address.process
        if pipeline is None or not (is_in_sight and all(compared)) or len({*compared}) < 2:
            return None
        return self._mirror.versions(pipeline, *compared)

    def _open_lists(self) -> None:
        mirror, address = self._mirror, self.address
        of_subject = replace(address.workers, pipeline=self.subject)
        has_workers = address.view == "workers" or self.has_page
        self.workers = mirror.workers(of_subject) if has_workers else None
        wanted = address.processes
        if self.has_page:
            wanted = replace(wanted, pipeline=self.subject)
        has_processes = address.view == "runs" or self.has_page or address.worker or address.failure
        self.processes = mirror.processes(wanted) if has_processes else None
        has_failures = address.view == "failures" and not address.failure
        self.failures = mirror.failures(address.failures) if has_failures else None
        latest = FailureList(self.subject, order="latest")
        self.latest_failures = mirror.failures(latest, HANDFUL) if self.has_page else None

    @property
    def is_overview(self) -> bool:
        """Whether the list of pipelines is in sight."""
        address = self.address
        return address.view == "overview" and not (address.pipeline or address.process)

    @property
    def boards(self) -> list[Board]:
        return list(self._panels().values())

    @property
    def is_settled(self) -> bool:
        """False when a process was named without what it belongs to, which is known by now."""
        if self.process is None or self.process.pipeline is None:
            return True
        return self.runs is not None and self.runs.pipeline == self.process.pipeline["id"]

    def _panels(self) -> dict[str, Board]:
        """The boards by the names of the panels that show them."""
        panels: dict[str, Board | None] = {
            "activity": self.figures,
            "pipelines": self.pipelines,
            "pipeline": self.pipeline,
            "versions": self.versions,
            "workers": self.workers,
            "worker": self.worker,
            "failures": self.failures or self.latest_failures,
            "alike": self.failure,
            "processes": self.processes,
            "process": self.process,
            "comparison": self.runs,
        }
        return {name: board for name, board in panels.items() if board is not None}

    @property
    def is_listened_to(self) -> bool:
        """Whether its boards stay open."""
        return all(board.listeners for board in self.boards)

    def frame(self) -> Frame:
        """What is shown: drawn once for all tabs, and again when a board changed."""
        versions = tuple(board.version for board in self.boards)
        if versions != self._drawn_of:
            known = self._frame.tables
            tables = {name: _kept(known.get(name), rows) for name, rows in self._rows().items()}
            self._frame = Frame(self._props(), tables, self._loading())
            self._drawn_of = versions
        return self._frame

    def _rows(self) -> dict[str, dict[str, Row]]:
        """The rows of each table and list in sight, by id."""
        lists: dict[str, ListBoard | None] = {
            "pipelines": self.pipelines,
            "workers": self.workers,
            "failures": self.failures,
            "processes": self.processes,
        }
        rows = {name: board.rows for name, board in lists.items() if board}
        if self.process:
            rows |= {"tasks": dict(self.process.rows), "reports": reports(self.process)}
        return rows

    def _loading(self) -> list[str]:
        """The tables of which nothing is known yet, not even that they are empty."""
        boards = {
            "pipelines": self.pipelines,
            "failures": self.failures,
            # The pipeline of a process has to be found before its lists are asked for.
            "workers": self.workers or self.process,
            "processes": self.processes or self.process,
            "tasks": self.process,
        }
        return [name for name, board in boards.items() if board and not board.is_loaded]

    def _props(self) -> Props:
        """Everything else that is shown, except what changes with time alone."""
        first = self.pipelines or self.failures or self.workers
        shown = {
            "search": self.address.search,
            "view": self.address.view,
            "pipeline": self.subject,
            "pipelineName": self._name_of_pipeline(),
            "worker": self.address.worker,
            "workerName": self._name_of_worker(),
            "failure": self.address.failure,
            "failureTitle": self._title_of_failure(),
            "process": self.address.process,
            "nextStart": self.processes.next_start if self.processes else None,
            "nextFrom": first.next_start if first else None,
            "times": self._times(),
        }
        parts = self._figures() | self._pipeline() | self._worker() | self._process()
        return parts | self._failure() | {("shown", "data"): Drawn.of(shown)}

    def _name_of_pipeline(self) -> str | None:
        """None while it is not known."""
        known = (self.pipeline.pipeline if self.pipeline else None) or (
            self.process.pipeline if self.process else None
        )
        return str(known["name"]) if known else None

    def _name_of_worker(self) -> str | None:
        worker = self.worker.worker if self.worker else None
        return str(worker["name"]) if worker else None

    def _title_of_failure(self) -> str | None:
        failure = self.failure.failure if self.failure else None
        return str(failure["title"]) if failure else None

    def _figures(self) -> Props:
        board = self.figures
        if not board.is_loaded:  # until then what was shown stays, with its title
            return {}
        of_pipeline = self._name_of_pipeline() if self.subject else None
        name = self._name_of_worker() or of_pipeline
        return {
            ("tiles", "children"): draw_once(board, "tiles", board.version, lambda: tiles(board)),
            ("slots", "data"): draw_once(
                board,
                "slots",
                (board.version, name),
                lambda: {"subject": name, "slots": board.chart},
            ),
        }

    def _pipeline(self) -> Props:
        board = self.pipeline
        parts = pipeline_parts(board, self.runs) if board else {}
        drawn = {(name, "children"): parts.get(name, NOTHING) for name in PIPELINE_PARTS}
        compared = comparison_parts(self.address, board, self.versions)
        return drawn | compared | {("runtimes", "data"): runtimes(board) if board else NOTHING}

    def _worker(self) -> Props:
        facts = worker_facts(self.worker) if self.worker else NOTHING
        return {("worker-facts", "children"): facts}

    def _failure(self) -> Props:
        parts = failure_parts(self.failure) if self.failure else {}
        few = NOTHING
        if self.latest_failures and self.subject:
            few = pipeline_failures(self.latest_failures, self.subject)
        drawn = {(name, "children"): parts.get(name, NOTHING) for name in FAILURE_PARTS}
        return drawn | {("pipeline-failures", "children"): few}

    def _process(self) -> Props:
        parts = process_parts(self.process, self.runs) if self.process else {}
        return {(name, "children"): parts.get(name, NOTHING) for name in PROCESS_PARTS}

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


def _kept(known: Rows | None, rows: dict[str, Row]) -> Rows:
    """The known rows where these are the same."""
    return known if known is not None and known.rows == rows else Rows(rows)
