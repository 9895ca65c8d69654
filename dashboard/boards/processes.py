"""The boards of a page of processes, and of one process with its tasks."""

from datetime import UTC, datetime, timedelta
from typing import Any

from dashboard.address import PERIODS, STATUSES, ProcessList, instant
from dashboard.api import Api, Refused
from dashboard.boards.board import Board, Event, Subscription, newer
from dashboard.boards.rows import Node, Row, by_id, process_row, task_row

PAGE_SIZE = 100


class ProcessesBoard(Board):
    """One page of the processes of a worker."""

    # Where many processes come and go, a page that is not full is asked for again and again.
    pause_seconds = 2.0

    def __init__(self, wanted: ProcessList, size: int = PAGE_SIZE) -> None:
        super().__init__()
        self._wanted = wanted
        self._size = size
        self._period: timedelta | None = PERIODS[wanted.period]
        self.ages = self._period is not None
        self.processes: dict[str, Node] = {}
        self.next_start: str | None = None
        # Where the next page begins, if there is one; rows that leave do not move it.
        self._last_rank = ""

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
        self._hold(rows[: self._size], more=more)
        self.cursor, self.is_loaded = data["feedCursor"], True

    def _hold(self, rows: list[tuple[str, Any]], *, more: bool) -> None:
        self.processes = by_id(edge["node"] for _, edge in rows)
        if more and rows:
            part, last = rows[-1]
            self.next_start = ProcessList.start_after(part, last["cursor"])
            self._last_rank = self.rank(last["node"])
        else:
            self.next_start, self._last_rank = None, ""

    def _filter(self, part: str, errors_first: bool) -> dict[str, Any]:
        chosen: dict[str, Any] = {"workerIds": [self._wanted.worker]}
        if errors_first:
            chosen["status"] = ["ERROR"] if part == "first" else ["RUNNING", "SUCCESS"]
        elif status := STATUSES[self._wanted.status]:
            chosen["status"] = [status]
        if self._period:
            chosen["startedAfter"] = instant(datetime.now(UTC) - self._period)
        return chosen

    def _apply(self, event: Event) -> None:
        node = event["node"]
        known = self.processes.get(node["id"])
        if event["kind"] != "REMOVED" and not newer(known, node):
            return  # told again
        if event["kind"] == "REMOVED" or not self._matches(node):
            self._drop(node["id"])
        elif known is not None:
            self.processes[node["id"]] = node
        elif not self._wanted.start and self._belongs_on_first_page(node):
            self.processes[node["id"]] = node
            if len(self.processes) > 2 * self._size:
                # Rows that fall off its end would be on no page: the next one begins behind the
                # last row that was asked for.
                self.stale.set()

    def age(self) -> bool:
        gone = [id_ for id_, node in self.processes.items() if self._is_too_old(node)]
        for id_ in gone:
            self._drop(id_)
        return bool(gone)

    def _drop(self, id_: str) -> None:
        was_there = self.processes.pop(id_, None) is not None
        if was_there and self.next_start and len(self.processes) < self._size:
            self.stale.set()  # the next ones fill it up

    def _matches(self, node: Node) -> bool:
        status = STATUSES[self._wanted.status]
        return status is None or node["status"] == status

    def _is_too_old(self, node: Node) -> bool:
        if self._period is None:
            return False
        return datetime.fromisoformat(node["startedAt"]) < datetime.now(UTC) - self._period

    def _belongs_on_first_page(self, node: Node) -> bool:
        return not self._is_too_old(node) and self.rank(node) > self._last_rank

    @property
    def rows(self) -> dict[str, Row]:
        """As the table shows them."""
        return {id_: process_row(n, self.rank(n)) for id_, n in self.processes.items()}

    def rank(self, node: Node) -> str:
        """Sorts as the list is ordered, the first one highest."""
        is_first = self._wanted.order == "errors" and node["status"] == "ERROR"
        return f"{int(is_first)} {node['startedAt']} {node['id']}"


class ProcessBoard(Board):
    """One process with its tasks.

    The API answers 16 MiB of details at most. Where the tasks have more, it is asked for those of
    the first one that failed; the others' are known once they change (`has_all_details`).
    """

    def __init__(self, process: str) -> None:
        super().__init__()
        self.id = process
        self.process: Node | None = None
        self.tasks: dict[str, Node] = {}
        # Made once for all tabs; a task may be one of thousands.
        self.rows: dict[str, Row] = {}
        self.has_all_details = True
        self.worker: str | None = None

    @property
    def subscriptions(self) -> list[Subscription]:
        variables = {"process": self.id}
        return [
            Subscription("task_changes", variables, self._apply_task),
            Subscription("process_state", variables, self._apply_process),
        ]

    @property
    def failed(self) -> Node | None:
        """The first task that failed."""
        failed = (task for task in self.tasks.values() if task["status"] == "ERROR")
        return min(failed, key=lambda task: int(task["position"]), default=None)

    async def load(self, api: Api) -> None:
        data, has_all_details = await self._ask(api)
        process = data["process"]
        if process is not None:
            self.worker = process.pop("worker")["id"]
            self.tasks = by_id(process.pop("tasks"))
            self.rows = {id_: task_row(task) for id_, task in self.tasks.items()}
            self.drawings.pop("reports", None)  # which knows tasks by their revisions
            if not has_all_details:
                await self._load_details_of_failure(api)
        self.process, self.has_all_details = process, has_all_details
        self.cursor, self.is_loaded = data["feedCursor"], True

    async def _ask(self, api: Api) -> tuple[dict[str, Any], bool]:
        """What the API knows, and whether the details of all tasks are in it. Raises ApiGone."""
        try:
            return await api.query("process", id=self.id, details=True), True
        except Refused:
            # Refused without them, too: they were not the reason.
            return await api.query("process", id=self.id, details=False), False

    async def _load_details_of_failure(self, api: Api) -> None:
        for task in self.tasks.values():
            task["details"] = None
        if failed := self.failed:
            data = await api.query("task_details", id=failed["id"])
            failed["details"] = data["task"] and data["task"]["details"]

    def _apply_task(self, event: Event) -> None:
        node = event["node"]
        if event["kind"] == "REMOVED":
            self.tasks.pop(node["id"], None)
            self.rows.pop(node["id"], None)
        elif newer(self.tasks.get(node["id"]), node):
            self.tasks[node["id"]] = node
            self.rows[node["id"]] = task_row(node)

    def _apply_process(self, event: Event) -> None:
        if event["kind"] == "REMOVED":
            self.process = None
        elif newer(self.process, event["node"]):
            self.process = event["node"]
