"""The boards of the overview: all workers, and the figures."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from dashboard.address import RANGES, instant
from dashboard.api import Api
from dashboard.boards.board import Board, Event, Subscription, newer
from dashboard.boards.rows import Node, Row, worker_row


class WorkersBoard(Board):
    """All workers: few enough to sort and filter by anything."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        super().__init__()
        self._workers: dict[str, Node] = {}
        # Made once for all tabs, and exchanged when they change; at first in the order of names.
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

    def __init__(self, range_: str, worker: str | None, workers: WorkersBoard) -> None:
        super().__init__()
        self._length, self._slot = RANGES[range_]
        self._worker = worker
        self._workers = workers
        self.summary: Node = {}
        self.chart: list[Node] = []
        self.last_hour: list[Node] = []

    @property
    def is_live(self) -> bool:
        """They follow the workers: whatever starts or ends changes the counts of one."""
        return self._workers.is_live and self._workers.problem is None

    async def load(self, api: Api) -> None:
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
