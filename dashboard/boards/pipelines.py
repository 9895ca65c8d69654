"""The boards of a page of pipelines, and of one pipeline."""

from datetime import UTC, datetime, timedelta
from typing import Any

from dashboard.address import CONDITIONS, PipelineList, instant
from dashboard.api import Api
from dashboard.boards.board import Board, Event, Subscription
from dashboard.boards.lists import PAGE_SIZE, Filter, ListBoard
from dashboard.boards.rows import Node, Row, by_id, pipeline_row

DAY, WEEK = timedelta(days=1), timedelta(days=7)


def windows(runtimes: timedelta) -> dict[str, str]:
    """Since when figures are asked for, as variables: outcomes of a day, and runtimes.

    Runtimes of a week are many rows for a list of busy pipelines.
    """
    now = datetime.now(UTC)
    return {"outcomesSince": instant(now - DAY), "runtimesSince": instant(now - runtimes)}


class PipelinesBoard(ListBoard):
    """One page of pipelines: those with lost workers, then the failing ones, then the others.

    Events tell briefly what happened; those on the page are asked for in full, together.
    """

    query = "pipelines"
    changes = "pipeline_changes"
    lasts_seconds = 60.0

    def __init__(self, wanted: PipelineList, size: int = PAGE_SIZE) -> None:
        super().__init__(wanted.start, size)
        self._wanted = wanted
        self._told: set[str] = set()
        self._asked: set[str] = set()

    def every(self) -> Filter:
        name = {"nameContains": self._wanted.name} if self._wanted.name else {}
        return name | CONDITIONS[self._wanted.condition]

    def parts(self) -> list[Filter]:
        every = self.every()
        parts = [
            {"lost": True},
            {"lost": False, "failing": True},
            {"lost": False, "failing": False},
        ]
        # What is wanted may leave out a part.
        return [
            every | part for part in parts if all(every.get(k, v) == v for k, v in part.items())
        ]

    def rank(self, node: Node) -> str:
        part = 0 if node["workerCounts"]["lost"] else 1 if node["failing"] else 2
        return f"{part} {node['name'].casefold()}\0{node['id']}"

    def row(self, node: Node) -> Row:
        return pipeline_row(node)

    def variables(self, _: Filter) -> dict[str, Any]:
        return windows(runtimes=DAY)

    def _apply(self, event: Event) -> None:
        node = event["node"]
        if event["kind"] in ("REMOVED", "LEFT"):
            self._asked.discard(node["id"])
            self._drop(node["id"])
        elif node["id"] in self.nodes or (not self._start and self.belongs_on_first_page(node)):
            self._told.add(node["id"])
            self.incomplete.set()

    async def complete(self, api: Api) -> None:
        self._asked, self._told = self._told, set()
        # One may be told, and match no more; or leave while it is asked for.
        found = by_id(await self.ask_for(api, {*self._asked}, self.every()))
        for id_ in self._asked:
            if id_ in found:
                self.change(found[id_])
            else:
                self._drop(id_)
        if len(self.nodes) > 2 * self._size:
            self.stale.set()


class PipelineBoard(Board):
    """One pipeline with its figures."""

    # It is asked for anew when something happened; busy ones are told of each second.
    pause_seconds = 2.0
    lasts_seconds = 60.0

    def __init__(self, pipeline: str) -> None:
        super().__init__()
        self.id = pipeline
        self.pipeline: Node | None = None

    @property
    def subscriptions(self) -> list[Subscription]:
        return [Subscription("pipeline_changes", {"filter": {"ids": [self.id]}}, self._apply)]

    async def load(self, api: Api) -> None:
        data = await api.query("pipeline", id=self.id, **windows(runtimes=WEEK))
        self.pipeline = data["pipeline"]
        self.cursor, self.is_loaded = data["feedCursor"], True

    def _apply(self, _: Event) -> None:
        self.stale.set()
