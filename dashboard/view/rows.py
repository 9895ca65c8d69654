"""Rows of a table in one state, and what lies between two: made once for all tabs."""

from functools import cached_property
from itertools import islice
from typing import Any
from weakref import WeakKeyDictionary

import orjson

from dashboard.boards.rows import Row

# What is sent before everything else of a long table.
FIRST_ROWS = 100


class Rows:
    """Rows by their ids; tabs that show the same ones hold the same object."""

    def __init__(self, rows: dict[str, Row]) -> None:
        self.rows = rows
        # By what a tab knew before, for as long as there is such a tab.
        self._since: WeakKeyDictionary[Rows, str | None] = WeakKeyDictionary()

    @cached_property
    def first(self) -> "Rows":
        """Something to look at, where there are many."""
        if len(self.rows) <= FIRST_ROWS:
            return self
        return Rows(dict(islice(self.rows.items(), FIRST_ROWS)))

    @cached_property
    def whole(self) -> str:
        """All of them, as JSON."""
        return orjson.dumps({"rows": list(self.rows.values())}).decode()

    def since(self, known: "Rows") -> str | None:
        """What a table has to be told that has these rows, as JSON; None: nothing."""
        if known is self:
            return None
        if known not in self._since:
            self._since[known] = self._difference(known.rows)
        return self._since[known]

    def _difference(self, known: dict[str, Row]) -> str | None:
        rows = self.rows
        if rows.keys().isdisjoint(known.keys()) and (known or rows):
            return self.whole
        change: dict[str, list[Any]] = {
            "add": [row for id_, row in rows.items() if id_ not in known],
            "update": [
                row
                for id_, row in rows.items()
                if row is not known.get(id_, row) and row != known[id_]
            ],
            "remove": [{"id": id_} for id_ in known if id_ not in rows],
        }
        said = {kind: part for kind, part in change.items() if part}
        return orjson.dumps(said).decode() if said else None


NONE = Rows({})
