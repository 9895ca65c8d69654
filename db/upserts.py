"""INSERT that overwrites what is there: how reports are written."""

from functools import cache
from typing import Any

from sqlalchemy import Column, Table, func, text
from sqlalchemy.dialects import mysql, sqlite

# An instant, a number and a text.
_ANYTHING = text("20000101")


@cache
def upsert(
    table: Table,
    dialect: str,
    *,
    add: tuple[str, ...] = (),
    latest: tuple[str, ...] = (),
    only: frozenset[str] | None = None,
) -> Any:
    """INSERT that overwrites every non-key column of a row already there.

    Columns named in `add` are added to what is there instead (counters); of those in `latest` the
    greater value stays. What the database derives is left to it.

    `only`: for rows that are there for certain, since they are locked, of which no more than these
    columns are given, and overwritten. An INSERT has to have something for the others: it gets
    there in no case.
    """
    keys = {column.name for column in table.primary_key}
    greater = func.max if dialect == "sqlite" else func.greatest
    statement = sqlite.insert(table) if dialect == "sqlite" else mysql.insert(table)
    new = statement.excluded if isinstance(statement, sqlite.Insert) else statement.inserted
    columns = [column for column in table.columns if column.computed is None]
    names = [column.name for column in columns if only is None or column.name in only]
    assigned: dict[str, Any] = {name: new[name] for name in names if name not in keys}
    assigned |= {name: table.c[name] + new[name] for name in add}
    assigned |= {name: greater(table.c[name], new[name]) for name in latest}
    missing = [column.name for column in columns if column.name not in names and _is_needed(column)]
    if missing:
        statement = statement.values(dict.fromkeys(missing, _ANYTHING))
    if isinstance(statement, sqlite.Insert):
        return statement.on_conflict_do_update(index_elements=list(keys), set_=assigned)
    return statement.on_duplicate_key_update(assigned)


def _is_needed(column: Column[Any]) -> bool:
    return not column.nullable and column.server_default is None
