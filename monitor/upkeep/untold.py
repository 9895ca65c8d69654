"""Marks at figures of which followers were not told: found before they are told, taken away after.

Whoever reports adds to the same rows, and would wait for as long as their locks are held. So a
mark is taken away last, and only where its row is still as it was found: what was added meanwhile
is told the next time.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam, select, true, update

from db.lookups import Lookup
from db.writes import Write


class Marks:
    """Those of a table of figures; `of` is the column of what is told."""

    def __init__(self, table: Table, of: ColumnElement[str]) -> None:
        self._names = [column.name for column in table.c if column.name != "untold"]
        ids: Any = bindparam("ids", expanding=True)
        found = [table.c[name] for name in self._names]
        self._find = select(*found).where(of.in_(ids), table.c.untold == true())
        as_found = (table.c[name] == bindparam(f"found_{name}") for name in self._names)
        self._take = update(table).where(*as_found).values(untold=False)

    def find(self, ids: Sequence[str]) -> Lookup:
        """The rows that are marked, to be read before what is told."""
        return self._find, {"ids": ids}

    def take(self, found: Sequence[Sequence[Any]]) -> Write:
        """Takes away the marks of these rows, where nothing was added since."""
        names = [f"found_{name}" for name in self._names]
        return self._take, [dict(zip(names, row, strict=True)) for row in found]
