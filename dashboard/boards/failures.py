"""The boards of a page of failures, and of one failure."""

from datetime import UTC, datetime, timedelta
from typing import Any

from dashboard.address import STATES, FailureList, instant
from dashboard.api import Api
from dashboard.boards.board import Board, Event, Subscription, newer
from dashboard.boards.lists import PAGE_SIZE, Filter, ListBoard, downwards
from dashboard.boards.rows import Node, Row, by_id, failure_row

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
# What was first seen within so long is new.
NEW = DAY
# The slots of a week, of which there are not too many to be told apart.
QUARTER = timedelta(hours=6)
# Of the failures that a pipeline's page has.
HANDFUL = 5

_ORDERS = {"latest": "LAST_SEEN_AT", "count": "COUNT"}
# Above any count.
_MOST = 10**12


class FailuresBoard(ListBoard):
    """One page of failures: those that regressed, then new ones, then others that are open, then
    muted and resolved ones; or all by when they were seen last, or how often.

    Events tell briefly what a failure became; those on the page are asked for in full, together.
    """

    query = "failures"
    changes = "failure_changes"
    lasts_seconds = 60.0

    def __init__(self, wanted: FailureList, size: int = PAGE_SIZE) -> None:
        super().__init__(wanted.start, size)
        self._wanted = wanted
        self._new_since = datetime.now(UTC) - NEW
        self._told: set[str] = set()

    def every(self) -> Filter:
        wanted = self._wanted
        chosen = dict(STATES[wanted.state])
        if wanted.state == "new":
            chosen["firstSeenSince"] = instant(self._new_since)
        if wanted.pipeline:
            chosen["pipelineIds"] = [wanted.pipeline]
        if wanted.text:
            chosen["titleContains"] = wanted.text
        return chosen

    def parts(self) -> list[Filter]:
        every = self.every()
        if self._wanted.order != "attention":
            return [every]
        new_since = instant(self._new_since)
        parts: list[Filter] = [
            {"status": ["REGRESSED"]},
            {"status": ["OPEN"], "firstSeenSince": new_since},
            {"status": ["OPEN"], "firstSeenBefore": new_since},
            {"status": ["MUTED", "RESOLVED"]},
        ]
        # What is wanted may leave out a part, or some of one.
        return [every | part | _both(every, part) for part in parts if _can_both(every, part)]

    def rank(self, node: Node) -> str:
        if self._wanted.order == "count":
            return f"{_MOST - node['count']:013} {downwards(node['id'])}"
        seen = downwards(f"{node['lastSeenAt']} {node['id']}")
        if self._wanted.order == "latest":
            return seen
        match node["status"]:
            case "REGRESSED":
                return f"0 {seen}"
            case "OPEN" if self._is_new(node):
                first_seen = downwards(f"{node['firstSeenAt']} {node['id']}")
                return f"1 {first_seen}"
            case "OPEN":
                return f"2 {seen}"
            case _:
                return f"3 {seen}"

    def _is_new(self, node: Node) -> bool:
        return datetime.fromisoformat(node["firstSeenAt"]) >= self._new_since

    def row(self, node: Node) -> Row:
        return failure_row(node, is_new=self._is_new(node))

    def variables(self, part: Filter) -> dict[str, Any]:
        first_seen = "firstSeenSince" in part and self._wanted.order == "attention"
        field = "FIRST_SEEN_AT" if first_seen else _ORDERS.get(self._wanted.order, "LAST_SEEN_AT")
        return {"orderBy": {"field": field}, "since": since_hours(DAY)}

    async def load(self, api: Api) -> None:
        self._new_since = datetime.now(UTC) - NEW
        await super().load(api)

    def _apply(self, event: Event) -> None:
        super()._apply(event)
        if event["node"]["id"] in self.nodes:
            self._told.add(event["node"]["id"])
            self.incomplete.set()

    async def complete(self, api: Api) -> None:
        told, self._told = self._told, set()
        # One may be told, and match no more.
        found = by_id(await self.ask_for(api, told, self.every()))
        for id_ in told & self.nodes.keys():
            if id_ in found:
                self.change(found[id_])
            else:
                self._drop(id_)


def _can_both(every: Filter, part: Filter) -> bool:
    """Whether there can be any that match both filters."""
    if "firstSeenSince" in every and "firstSeenBefore" in part:
        return False
    return bool(_both(every, part)["status"])


def _both(every: Filter, part: Filter) -> Filter:
    """The statuses that both filters let through."""
    wanted = every.get("status") or part["status"]
    return {"status": [status for status in part["status"] if status in wanted]}


def since_hours(length: timedelta, slot: timedelta = HOUR) -> str:
    """Since when slots are asked for, so that the last of them is the one that it is now."""
    return instant(datetime.now(UTC) - length + slot)


class FailureBoard(Board):
    """One failure, with what the latest process that ended in it told of the error."""

    # It is asked for anew when it was seen again, which may be each second.
    pause_seconds = 2.0
    lasts_seconds = 60.0

    def __init__(self, failure: str) -> None:
        super().__init__()
        self.id = failure
        self.failure: Node | None = None
        # The process and its failed step that was reported last; None: all were removed.
        self.example: Node | None = None

    @property
    def subscriptions(self) -> list[Subscription]:
        return [Subscription("failure_changes", {"filter": {"ids": [self.id]}}, self._apply)]

    @property
    def is_new(self) -> bool:
        """Whether it is open, and was first seen lately."""
        failure = self.failure
        if failure is None or failure["status"] != "OPEN":
            return False
        return datetime.fromisoformat(failure["firstSeenAt"]) >= datetime.now(UTC) - NEW

    async def load(self, api: Api) -> None:
        data = await api.query(
            "failure",
            id=self.id,
            since=since_hours(DAY),
            weekAgo=since_hours(WEEK, QUARTER),
            quarter=int(QUARTER.total_seconds()),
        )
        failure = data["failure"]
        latest = failure and failure["latestProcess"]
        if latest is None:
            self.example = None
        elif self.example is None or self.example["id"] != latest["id"]:
            self.example = await _example(api, latest["id"])
        self.failure = failure
        self.cursor, self.is_loaded = data["feedCursor"], True

    def _apply(self, event: Event) -> None:
        if event["kind"] == "REMOVED":
            self.failure = None
        elif self.failure is None:
            self.stale.set()  # what is told is only a part of it
        elif newer(self.failure, event["node"]):
            self.failure = self.failure | event["node"]
            # When it was seen, by what, and who did what, is not told with it.
            self.stale.set()


async def _example(api: Api, process: str) -> Node | None:
    """A process with the step that failed in it, if one did. Raises ApiGone."""
    data = await api.query("failure_example", id=process)
    if data["process"] is None:
        return None
    steps = data["tasks"]["edges"]
    return dict(data["process"]) | {"failed": steps[0]["node"] if steps else None}
