"""The boards of a page of workers, and of one worker."""

from dashboard.address import PRESENCES, WorkerList
from dashboard.api import Api
from dashboard.boards.board import Board, Event, Subscription, newer
from dashboard.boards.lists import PAGE_SIZE, Filter, ListBoard, downwards
from dashboard.boards.rows import Node, Row, worker_row


class WorkersBoard(ListBoard):
    """One page of workers, the newest first."""

    query = "workers"
    changes = "worker_changes"

    def __init__(self, wanted: WorkerList, size: int = PAGE_SIZE) -> None:
        super().__init__(wanted.start, size)
        self._wanted = wanted

    def every(self) -> Filter:
        chosen = dict(PRESENCES[self._wanted.presence])
        if self._wanted.pipeline:
            chosen["pipelineIds"] = [self._wanted.pipeline]
        if self._wanted.name:
            chosen["nameContains"] = self._wanted.name
        return chosen

    def parts(self) -> list[Filter]:
        return [self.every()]

    def rank(self, node: Node) -> str:
        return downwards(f"{node['registeredAt']} {node['id']}")

    def row(self, node: Node) -> Row:
        return worker_row(node)


class WorkerBoard(Board):
    """One worker; archived ones, too."""

    def __init__(self, worker: str) -> None:
        super().__init__()
        self.id = worker
        self.worker: Node | None = None

    @property
    def subscriptions(self) -> list[Subscription]:
        return [Subscription("worker_changes", {"filter": {"ids": [self.id]}}, self._apply)]

    async def load(self, api: Api) -> None:
        data = await api.query("worker", id=self.id)
        self.worker = data["worker"]
        self.cursor, self.is_loaded = data["feedCursor"], True

    def _apply(self, event: Event) -> None:
        if self.worker is None:
            self.stale.set()  # what is told is only a part of it
        elif newer(self.worker, event["node"]):
            self.worker = self.worker | event["node"]
