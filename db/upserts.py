"""INSERT that overwrites what is there: how reports are written."""

from functools import cache
from typing import Any

from sqlalchemy import Table, func
from sqlalchemy.dialects import mysql, sqlite


@cache
def upsert(
    table: Table,
    dialect: str,
    *,
    add: tuple[str, ...] = (),
    latest: tuple[str, ...] = (),
    keep: tuple[str, ...] = (),
) -> Any:
    """INSERT that overwrites every non-key column of a row already there.

    Columns named in `add` are added to what is there instead (counters); of those in `latest` the
    greater value stays; those in `keep` stay as they are, and are not to be given. What the
    database derives is left to it.
    """
    keys = {column.name for column in table.primary_key}
    greater = func.max if dialect == "sqlite" else func.greatest
    statement = sqlite.insert(table) if dialect == "sqlite" else mysql.insert(table)
    new = statement.excluded if isinstance(statement, sqlite.Insert) else statement.inserted
    assigned: dict[str, Any] = {
        column.name: new[column.name]
        for column in table.columns
        if column.name not in keys.union(keep) and column.computed is None
    }
    assigned |= {name: table.c[name] + new[name] for name in add}
    assigned |= {name: greater(table.c[name], new[name]) for name in latest}
    if isinstance(statement, sqlite.Insert):
        return statement.on_conflict_do_update(index_elements=list(keys), set_=assigned)
    return statement.on_duplicate_key_update(assigned)
