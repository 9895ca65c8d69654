"""The board of the runs that a process is seen beside."""

from typing import Any

from dashboard.api import Api
from dashboard.boards.board import Board, Event, Subscription
from dashboard.boards.rows import Node, by_id

# Ended runs that a process is seen beside, and those on the page of a pipeline.
COMPARED = 10
SHOWN = 30
# Steps of theirs that are asked for, from the first one on; besides, those that failed.
STEPS = 100


class RunsBoard(Board):
    """The processes of a pipeline that ended last, with what a run is compared with.

    Each has as `tasks` its first STEPS ones, and those that failed.
    """

    # A busy pipeline ends many a second, and people read this.
    pause_seconds = 2.0

    def __init__(self, pipeline: str) -> None:
        super().__init__()
        self.pipeline = pipeline
        self._runs: dict[str, Node] = {}

    @property
    def subscriptions(self) -> list[Subscription]:
        return [Subscription("run_ends", {"pipeline": self.pipeline}, self._apply)]

    async def load(self, api: Api) -> None:
        data = await api.query("runs", pipeline=self.pipeline, size=SHOWN)
        runs = by_id(edge["node"] for edge in data["processes"]["edges"])
        new = [id_ for id_ in runs if id_ not in self._runs]
        tasks = await _steps(api, new) if new else {}
        for id_, run in runs.items():
            # What ended stays as it is.
            run["tasks"] = tasks[id_] if id_ in tasks else self._runs[id_]["tasks"]
        self._runs = runs
        self.cursor, self.is_loaded = data["feedCursor"], True

    @property
    def runs(self) -> list[Node]:
        """Newest first, SHOWN at most."""
        return list(self._runs.values())

    def beside(self, process: str) -> list[Node] | None:
        """The other ones, newest first, COMPARED at most; None while they are not known."""
        if not self.is_loaded:
            return None
        return [run for id_, run in self._runs.items() if id_ != process][:COMPARED]

    def _apply(self, event: Event) -> None:
        is_shown, is_removed = event["node"]["id"] in self._runs, event["kind"] == "REMOVED"
        if is_shown == is_removed:  # one more, or one less
            self.stale.set()


async def _steps(api: Api, runs: list[str]) -> dict[str, list[Node]]:
    """The tasks of each run that are compared. Raises ApiGone."""
    found: dict[str, dict[int, Node]] = {run: {} for run in runs}
    after = None
    while True:
        data = await api.query("run_steps", runs=runs, after=after, first=after is None)
        steps = _nodes(data["steps"])
        compared = [task for task in steps if task["position"] <= STEPS]
        for task in [*compared, *(_nodes(data["failed"]) if after is None else [])]:
            found[task["process"]["id"]][task["position"]] = task
        page = data["steps"]["pageInfo"]
        if not page["hasNextPage"] or len(compared) < len(steps):
            return {run: list(tasks.values()) for run, tasks in found.items()}
        after = page["endCursor"]


def _nodes(connection: dict[str, Any]) -> list[Node]:
    return [edge["node"] for edge in connection["edges"]]
