"""What pages show, each held once and kept fresh: a query, then the changes behind its cursor.

A board is shared by all pages that show it. Whoever shows it listens; while nobody does, nothing
is asked of the API.
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dashboard.address import PERIODS, RANGES, STATUSES, ProcessList, instant
from dashboard.api import Api
from dashboard.rows import Node, Row, process_row, task_row, worker_row

Event = dict[str, Any]

PAGE_SIZE = 100


@dataclass(frozen=True)
class Subscription:
    """An operation, and who takes in the changes that it tells."""

    name: str
    variables: dict[str, Any]
    apply: Callable[[Event], None]


class Board(ABC):
    """Something shown; listeners are woken by every change of it."""

    def __init__(self) -> None:
        self.is_loaded = False
        self.problem: str | None = None
        self.listeners: set[asyncio.Event] = set()
        self.cursor: str | None = None
        self.used_at = 0.0

    @property
    def subscriptions(self) -> list[Subscription]:
        """What tells its changes; none: it is asked again after changes of workers."""
        return []

    @abstractmethod
    async def load(self, api: Api) -> None:
        """Asks for everything anew. Raises ApiGone."""

    def touch(self) -> None:
        """Says that it changed."""
        for listener in self.listeners:
            listener.set()


class Overgrown(Exception):
    """A page took in as many rows as it had: it has to be asked for again.

    Rows that fall off its end would be on no page, since the next one begins behind the last row
    that was asked for.
    """


def newer(known: Node | None, node: Node) -> bool:
    """Whether the node is a later state than the known one."""
    return known is None or node["revision"] > known["revision"]


class WorkersBoard(Board):
    """All workers: few enough to sort and filter by anything."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        super().__init__()
        self._workers: dict[str, Node] = {}
        # Made once for all pages, and exchanged when they change; at first in the order of names.
        self.rows: dict[str, Row] = {}
        self._on_change = on_change

    @property
    def subscriptions(self) -> list[Subscription]:
        return [Subscription("worker_changes", {}, self._apply)]

    async def load(self, api: Api) -> None:
        cursor, after = None, None
        found: dict[str, Node] = {}
        while True:
            data = await api.query("workers", after=after)
            # Changes since the first page are told again, whichever page they concern.
            cursor = cursor or data["feedCursor"]
            found.update((edge["node"]["id"], edge["node"]) for edge in data["workers"]["edges"])
            if not self.is_loaded:
                self._hold(found)
                self.touch()
            page = data["workers"]["pageInfo"]
            if not page["hasNextPage"]:
                break
            after = page["endCursor"]
        self._hold(found)
        self.cursor, self.is_loaded = cursor, True
        self._on_change()

    def _hold(self, found: dict[str, Node]) -> None:
        self._workers = dict(sorted(found.items(), key=lambda item: str(item[1]["name"])))
        self.rows = {id_: worker_row(node) for id_, node in self._workers.items()}

    def name_of(self, worker: str | None) -> str | None:
        """None while it is not known."""
        return self._workers[worker]["name"] if worker in self._workers else None

    def _apply(self, event: Event) -> None:
        node = event["node"]
        if event["kind"] == "REMOVED":
            self._workers.pop(node["id"], None)
            self.rows.pop(node["id"], None)
        elif newer(self._workers.get(node["id"]), node):
            self._workers[node["id"]] = node
            self.rows[node["id"]] = worker_row(node)
        self._on_change()


class FiguresBoard(Board):
    """Totals, the last hour, and the activity chart; of one worker when it is named."""

    def __init__(self, range_: str, worker: str | None) -> None:
        super().__init__()
        self._length, self._slot = RANGES[range_]
        self._worker = worker
        self.stale = asyncio.Event()
        self.summary: Node = {}
        self.chart: list[Node] = []
        self.last_hour: list[Node] = []

    async def until_stale(self, seconds: float) -> None:
        """Returns when workers changed, or after so long: the clock moves the chart as well."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stale.wait(), seconds)

    async def load(self, api: Api) -> None:
        self.stale.clear()
        now = datetime.now(UTC)
        data = await api.query(
            "figures",
            since=instant(now - self._length + self._slot),
            slotSeconds=int(self._slot.total_seconds()),
            worker=self._worker,
            hourAgo=instant(now - timedelta(hours=1)),
        )
        self.summary, self.chart = data["summary"], data["chart"]
        self.last_hour = data["lastHour"]
        self.is_loaded = True

    def sums(self) -> tuple[int, int]:
        """How many processes succeeded and failed in the last hour."""
        succeeded = sum(slot["succeeded"] for slot in self.last_hour)
        return succeeded, sum(slot["failed"] for slot in self.last_hour)


class ProcessesBoard(Board):
    """One page of the processes of a worker."""

    def __init__(self, wanted: ProcessList, size: int = PAGE_SIZE) -> None:
        super().__init__()
        self._wanted = wanted
        self._size = size
        self.processes: dict[str, Node] = {}
        self.next_page: str | None = None
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
        self.next_page = (
            ProcessList.page_after(rows[-1][0], rows[-1][1]["cursor"]) if more and rows else None
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
        elif not self._wanted.page and self._belongs_on_first_page(node):
            self.processes[node["id"]] = node
            if len(self.processes) > 2 * self._size:
                raise Overgrown

    def _matches(self, node: Node) -> bool:
        status = STATUSES[self._wanted.status]
        return status is None or node["status"] == status

    def _belongs_on_first_page(self, node: Node) -> bool:
        if self._since and datetime.fromisoformat(node["startedAt"]) < self._since:
            return False
        if self.next_page is None:
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
    """One process with its tasks, and the last ended runs of the same worker."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self.id = process
        self.process: Node | None = None
        self.tasks: dict[str, Node] = {}
        self.worker: str | None = None
        self.ended: list[Node] = []

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
            worker = process.pop("worker")
            self.worker = worker["id"]
            self.ended = [
                edge["node"] for edge in worker["ended"]["edges"] if edge["node"]["id"] != self.id
            ]
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


def _by_id(nodes: Iterable[Node]) -> dict[str, Node]:
    return {node["id"]: node for node in nodes}
