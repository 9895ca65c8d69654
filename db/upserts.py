"""INSERT that overwrites what is there: how reports are written."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

from sqlalchemy import Dialect, Table, func
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

# Well below what MariaDB takes by default (16 MiB), also of characters of 4 bytes each of which is
# escaped.
_STATEMENT_CHARACTERS = 1024 * 1024
_PARTS = re.compile(r"(INSERT INTO .*? VALUES )(\([^)]*\))( ON DUPLICATE KEY UPDATE .*)", re.DOTALL)

Row = Mapping[str, Any]


async def write_rows(
    connection: AsyncConnection,
    table: Table,
    rows: Sequence[Row],
    *,
    add: tuple[str, ...] = (),
    latest: tuple[str, ...] = (),
    keep: tuple[str, ...] = (),
) -> None:
    """Upserts the rows, which have the same columns.

    On MariaDB as few statements as they fit into, with a text that is made once. Through
    SQLAlchemy's compiler and the driver's `executemany` the same takes the server process almost
    twice as long, and half of its time is spent on writing.
    """
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        statement = upsert(table, "sqlite", add=add, latest=latest, keep=keep)
        await connection.execute(statement, list(rows))
        return
    form = _Form.of(table, connection.dialect, add, latest, keep)
    for count, values in form.split(rows):
        await connection.exec_driver_sql(form.text(count), values)


@dataclass(frozen=True, slots=True)
class _Form:
    """An upsert as text around its rows, and what makes of a value one that the driver takes."""

    start: str
    row: str
    end: str
    columns: Sequence[tuple[str, Callable[[Any], Any] | None]]

    @classmethod
    @cache
    def of(
        cls,
        table: Table,
        dialect: Dialect,
        add: tuple[str, ...],
        latest: tuple[str, ...],
        keep: tuple[str, ...],
    ) -> Self:
        columns = [column for column in table.columns if column.name not in keep]
        statement = upsert(table, dialect.name, add=add, latest=latest, keep=keep)
        names = [column.name for column in columns]
        parts = _PARTS.fullmatch(str(statement.compile(dialect=dialect, column_keys=names)))
        assert parts is not None, "an upsert has these parts"
        converters = [c.type.dialect_impl(dialect).bind_processor(dialect) for c in columns]
        return cls(parts[1], parts[2], parts[3], list(zip(names, converters, strict=True)))

    def text(self, count: int) -> str:
        return f"{self.start}{', '.join([self.row] * count)}{self.end}"

    def split(self, rows: Sequence[Row]) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """The number of rows and the values of each statement."""
        values: list[Any] = []
        count = characters = 0
        for row in rows:
            if characters > _STATEMENT_CHARACTERS:
                yield count, tuple(values)
                values, count, characters = [], 0, 0
            for name, convert in self.columns:
                value = row[name] if convert is None else convert(row[name])
                if isinstance(value, str):
                    characters += len(value)
                values.append(value)
            count += 1
        yield count, tuple(values)


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
    greater value stays; those in `keep` stay as they are, and are not to be given.
    """
    keys = {column.name for column in table.primary_key}
    greater = func.max if dialect == "sqlite" else func.greatest
    statement = sqlite.insert(table) if dialect == "sqlite" else mysql.insert(table)
    new = statement.excluded if isinstance(statement, sqlite.Insert) else statement.inserted
    assigned: dict[str, Any] = {
        column.name: new[column.name]
        for column in table.columns
        if column.name not in keys.union(keep)
    }
    assigned |= {name: table.c[name] + new[name] for name in add}
    assigned |= {name: greater(table.c[name], new[name]) for name in latest}
    if isinstance(statement, sqlite.Insert):
        return statement.on_conflict_do_update(index_elements=list(keys), set_=assigned)
    return statement.on_duplicate_key_update(assigned)
