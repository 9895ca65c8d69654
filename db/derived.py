"""Columns that follow from the others of their row, so that no writer can forget them."""

from typing import Any

from sqlalchemy import Computed
from sqlalchemy.ext.compiler import compiles


class Derived(Computed):
    """Says of a column how the database derives it from the others of its row, for an index.

    SQLite can add only one that it does not store. MariaDB stores it: else its purge would have to
    derive once more what indexes have of rows that are gone.
    """

    def __init__(self, sqltext: str) -> None:
        super().__init__(sqltext, persisted=True)


@compiles(Derived, "sqlite")
def _as_virtual(element: Derived, compiler: Any, **_: Any) -> str:
    return f"GENERATED ALWAYS AS ({compiler.sql_compiler.process(element.sqltext)}) VIRTUAL"
