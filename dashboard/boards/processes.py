"""The boards of processes: a page of them, one with its tasks, and those that ended last."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from dashboard.address import PERIODS, STATUSES, ProcessList, instant
from dashboard.api import Api
from dashboard.boards.board import Board, Event, Outdated, Subscription, newer
from dashboard.boards.rows import Node, Row, process_row, task_row

PAGE_SIZE = 100
# Ended runs that a process is seen beside.
COMPARED = 10


class ProcessesBoard(Board):
    """One page of the processes of a worker."""

    def __init__(self, wanted: ProcessList, size: int = PAGE_SIZE) -> None:
        super().__init__()
        self._wanted = wanted
        self._size = size
        self.processes: dict[str, Node] = {}
        self.next_start: str | None = None
        self._since: datetime | None = None

    @property
    def subscriptions(self) -> list[Subscription]:
        return [Subscription("process_changes", {"worker": self._wanted.worker}, self._apply)]

    async def load(self, api: Api) -> None:
        behind_errors, after = self._wanted.after
        errors_first = self._wanted.order == "errors" and self._wanted.status == "all"
        both = errors_first and not behind_errors
        data = await api.query(
            "processes",
            size=self._size,
            after=after,
            filter=self._filter("first" if both or not errors_first else "rest", errors_first),
            rest=self._filter("rest", errors_first),
            both=both,
        )
        rows = [("rest" if behind_errors else "first", e) for e in data["first"]["edges"]]
        more = data["first"]["pageInfo"]["hasNextPage"]
        if both:
            rows += [("rest", edge) for edge in data["rest"]["edges"]]
            more = more or data["rest"]["pageInfo"]["hasNextPage"] or len(rows) > self._size
        rows = rows[: self._size]
        self.next_start = (
            ProcessList.start_after(rows[-1][0], rows[-1][1]["cursor"]) if more and rows else None
        )
        self.processes = {edge["node"]["id"]: edge["node"] for _, edge in rows}
        self.cursor, self.is_loaded = data["feedCursor"], True

    def _filter(self, part: str, errors_first: bool) -> dict[str, Any]:
        chosen: dict[str, Any] = {"workerIds": [self._wanted.worker]}
        if errors_first:
            chosen["status"] = ["ERROR"] if part == "first" else ["RUNNING", "SUCCESS"]
        elif status := STATUSES[self._wanted.status]:
            chosen["status"] = [status]
        if period := PERIODS[self._wanted.period]:
            self._since = datetime.now(UTC) - period
            chosen["startedAfter"] = instant(self._since)
        return chosen

    def _apply(self, event: Event) -> None:
        node = event["node"]
        known = self.processes.get(node["id"])
        if event["kind"] != "REMOVED" and not newer(known, node):
            return  # told again
        if event["kind"] == "REMOVED" or not self._matches(node):
            self.processes.pop(node["id"], None)
        elif known is not None:
            self.processes[node["id"]] = node
        elif not self._wanted.start and self._belongs_on_first_page(node):
            self.processes[node["id"]] = node
            if len(self.processes) > 2 * self._size:
                # Rows that fall off its end would be on no page: the next one begins behind the
                # last row that was asked for.
                raise Outdated

    def _matches(self, node: Node) -> bool:
        status = STATUSES[self._wanted.status]
        return status is None or node["status"] == status

    def _belongs_on_first_page(self, node: Node) -> bool:
        if self._since and datetime.fromisoformat(node["startedAt"]) < self._since:
            return False
        if self.next_start is None:
            return True
        return self.rank(node) > min(map(self.rank, self.processes.values()))

    @property
    def rows(self) -> dict[str, Row]:
        """As the table shows them."""
        return {id_: process_row(n, self.rank(n)) for id_, n in self.processes.items()}

    def rank(self, node: Node) -> str:
        """Sorts as the list is ordered, the first one highest."""
        is_first = self._wanted.order == "errors" and node["status"] == "ERROR"
        return f"{int(is_first)} {node['startedAt']} {node['id']}"


class ProcessBoard(Board):
    """One process with its tasks."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self.id = process
        self.process: Node | None = None
        self.tasks: dict[str, Node] = {}
        self.worker: str | None = None

    @property
    def subscriptions(self) -> list[Subscription]:
        variables = {"process": self.id}
        return [
            Subscription("task_changes", variables, self._apply_task),
            Subscription("process_state", variables, self._apply_process),
        ]

    async def load(self, api: Api) -> None:
        data = await api.query("process", id=self.id)
        process = data["process"]
        if process is not None:
            self.worker = process.pop("worker")["id"]
            self.tasks = _by_id(process.pop("tasks"))
        self.process = process
        self.cursor, self.is_loaded = data["feedCursor"], True

    @property
    def rows(self) -> dict[str, Row]:
        """Its tasks, as the table shows them."""
        return {id_: task_row(node) for id_, node in self.tasks.items()}

    def _apply_task(self, event: Event) -> None:
        node = event["node"]
        if event["kind"] == "REMOVED":
            self.tasks.pop(node["id"], None)
        elif newer(self.tasks.get(node["id"]), node):
            self.tasks[node["id"]] = node

    def _apply_process(self, event: Event) -> None:
        if event["kind"] == "REMOVED":
            self.process = None
        elif newer(self.process, event["node"]):
            self.process = event["node"]


class RunsBoard(Board):
    """The processes of a worker that ended last, with their tasks: what a run is compared with."""

    def __init__(self, worker: str) -> None:
        super().__init__()
        self._worker = worker
        self._runs: dict[str, Node] = {}

    @property
    def subscriptions(self) -> list[Subscription]:
        return [Subscription("run_ends", {"worker": self._worker}, self._apply)]

    async def load(self, api: Api) -> None:
        data = await api.query("runs", worker=self._worker, size=COMPARED + 1)
        self._runs = _by_id(edge["node"] for edge in data["processes"]["edges"])
        self.cursor, self.is_loaded = data["feedCursor"], True

    def beside(self, process: str) -> list[Node] | None:
        """The other ones, newest first, COMPARED at most; None while they are not known."""
        if not self.is_loaded:
            return None
        return [run for id_, run in self._runs.items() if id_ != process][:COMPARED]

    def _apply(self, event: Event) -> None:
        is_shown, is_removed = event["node"]["id"] in self._runs, event["kind"] == "REMOVED"
        if is_shown == is_removed:  # one more, or one less
            raise Outdated


def _by_id(nodes: Iterable[Node]) -> dict[str, Node]:
    return {node["id"]: node for node in nodes}
