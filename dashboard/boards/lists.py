"""A page of a list, as the API's keyset connections give it, and what changes in it."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

from dashboard.address import Start
from dashboard.api import Api
from dashboard.boards.board import Board, Event, Subscription, newer
from dashboard.boards.rows import Node, Row

PAGE_SIZE = 100
# The API has pages of 500.
MOST_AT_ONCE = 500

Filter = dict[str, Any]

# Mirrors printable ASCII: texts of one length are in the opposite order.
_DOWN = {code: 159 - code for code in range(32, 128)}


def downwards(text: str) -> str:
    """For ranks: puts the greatest first."""
    return text.translate(_DOWN)


class ListBoard(Board):
    """One page of a list that may consist of parts, one behind the other.

    What comes new to the first page is taken in until it is twice as long. Rows have a rank: as the
    list is ordered, the lowest first.
    """

    # Where many rows come and go, a page that is not full is asked for again and again.
    pause_seconds = 2.0
    # The operations that ask for a page and that tell of changes.
    query = ""
    changes = ""

    def __init__(self, start: str, size: int = PAGE_SIZE) -> None:
        super().__init__()
        self._start = start
        self._size = size
        self.nodes: dict[str, Node] = {}
        self.next_start: str | None = None
        # Where the page begins and the next one does, if it has others before or behind it; rows
        # that leave do not move it.
        self._first_rank: str | None = None
        self._last_rank: str | None = None

    @abstractmethod
    def parts(self) -> list[Filter]:
        """The filters of the parts, the first one first."""

    @abstractmethod
    def every(self) -> Filter:
        """The filter of all parts together."""

    @abstractmethod
    def rank(self, node: Node) -> str:
        """Sorts as the list is ordered, the first one lowest."""

    @abstractmethod
    def row(self, node: Node) -> Row:
        """As the table shows it, but for the rank."""

    def variables(self, _: Filter) -> dict[str, Any]:
        """What the query of a part is asked with besides its filter."""
        return {}

    @property
    def subscriptions(self) -> list[Subscription]:
        return [Subscription(self.changes, {"filter": self.every()}, self._apply)]

    @property
    def rows(self) -> dict[str, Row]:
        """As the table shows them."""
        return {id_: self.row(n) | {"rank": self.rank(n)} for id_, n in self.nodes.items()}

    async def load(self, api: Api) -> None:
        start, parts, cursor = Start.parse(self._start), self.parts(), None
        found: list[tuple[int, Any]] = []
        after = start.cursor
        for part in range(min(start.part, len(parts) - 1), len(parts)):
            # One more than is shown: so it is known whether there is one.
            missing = self._size + 1 - len(found)
            more = self.variables(parts[part])
            data = await api.query(
                self.query, size=missing, after=after, filter=parts[part], **more
            )
            cursor, after = cursor or data["feedCursor"], None
            found += [(part, edge) for edge in data["page"]["edges"]]
            if len(found) > self._size:
                break
        self._hold(found[: self._size], more=len(found) > self._size)
        self.cursor, self.is_loaded = cursor, True

    def _hold(self, found: list[tuple[int, Any]], *, more: bool) -> None:
        self.nodes = {edge["node"]["id"]: edge["node"] for _, edge in found}
        self.next_start = self._first_rank = self._last_rank = None
        if self._start and found:
            self._first_rank = self.rank(found[0][1]["node"])
        if more:
            part, last = found[-1]
            self.next_start = str(Start(part, last["cursor"]))
            self._last_rank = self.rank(last["node"])

    def _apply(self, event: Event) -> None:
        node = event["node"]
        id_, known = node["id"], self.nodes.get(node["id"])
        if event["kind"] == "REMOVED":
            self._drop(id_)
        elif not newer(known, node):
            return  # told again
        elif event["kind"] == "LEFT":
            self._drop(id_)
        elif known is not None:
            self.change(known | node)
        elif not self._start and self.belongs_on_first_page(node):
            self.take(node)
            if len(self.nodes) > 2 * self._size:
                # Rows that fall off its end would be on no page: the next one begins behind the
                # last row that was asked for.
                self.stale.set()

    def _drop(self, id_: str) -> None:
        was_there = self.nodes.pop(id_, None) is not None
        if was_there and self.next_start and len(self.nodes) < self._size:
            self.stale.set()  # the next ones fill it up

    async def ask_for(self, api: Api, ids: Iterable[str], matching: Filter) -> list[Node]:
        """Those of these that match, in full. Raises ApiGone."""
        found: list[Node] = []
        pending = list(ids)
        while pending:
            some, pending = pending[:MOST_AT_ONCE], pending[MOST_AT_ONCE:]
            wanted = matching | {"ids": some}
            more = self.variables(wanted)
            data = await api.query(self.query, size=len(some), filter=wanted, **more)
            found += [edge["node"] for edge in data["page"]["edges"]]
        return found

    def change(self, node: Node) -> None:
        """Another state of one on the page, which may belong on another page now."""
        rank = self.rank(node)
        is_before = self._first_rank is not None and rank < self._first_rank
        if is_before or (self._last_rank is not None and rank > self._last_rank):
            self._drop(node["id"])
        else:
            self.nodes[node["id"]] = node

    def take(self, node: Node) -> None:
        """Takes in one that is new on the page."""
        self.nodes[node["id"]] = node

    def belongs_on_first_page(self, node: Node) -> bool:
        """Whether one that matches is not on a page behind it."""
        return self._last_rank is None or self.rank(node) < self._last_rank
