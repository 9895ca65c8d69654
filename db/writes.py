"""What a transaction writes, of several tables at a time."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Self, TypeAlias

from sqlalchemy import Dialect, Insert, Table
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import UpdateBase

from db.driver import MESSAGE_CHARACTERS, Literal, literals, send
from db.texts import Form
from db.upserts import upsert

_PARTS = re.compile(r"(INSERT INTO .*? VALUES )(\([^)]*\))(.*)", re.DOTALL)

Row = Mapping[str, Any]
# An INSERT, or an upsert, and its rows, which have the same columns; or another statement, and the
# values of its parameters, once for each time that it is run.
Write: TypeAlias = tuple[UpdateBase, Sequence[Row]]


async def write_rows(
    connection: AsyncConnection,
    table: Table,
    rows: Sequence[Row],
    *,
    add: tuple[str, ...] = (),
    latest: tuple[str, ...] = (),
) -> None:
    """Upserts the rows; columns named in `add` are added to what is there, the greater ones of
    those in `latest` stay.
    """
    statement = upsert(table, connection.dialect.name, add=add, latest=latest)
    await write_all(connection, [(statement, rows)])


async def write_all(connection: AsyncConnection, writes: Iterable[Write]) -> None:
    """Writes one after the other, inside a transaction; what has no rows is left out.

    On MariaDB one message, of as few statements as the rows fit into, with a text of which all but
    the values is made once.
    """
    if connection.dialect.name == "sqlite":
        for statement, rows in writes:
            for values in [list(rows)] if rows and isinstance(statement, Insert) else rows:
                await connection.execute(statement, values)
        return
    literal = literals(connection)
    texts: list[str] = []
    for statement, rows in writes:
        if rows and isinstance(statement, Insert):
            form = _RowsForm.of(statement, connection.dialect, tuple(rows[0]))
            texts += form.texts(rows, literal)
        elif rows:
            plain = Form.of(statement, connection.dialect)
            texts += [plain.text(values, literal) for values in rows]
    if texts:
        await send(connection, texts)


@dataclass(frozen=True, slots=True)
class _RowsForm:
    """An INSERT as text around its rows, and what makes of a value one that the driver takes."""

    start: str
    row: str
    end: str
    columns: Sequence[tuple[str, Callable[[Any], Any] | None]]

    @classmethod
    @cache
    def of(cls, statement: Insert, dialect: Dialect, names: tuple[str, ...]) -> Self:
        # The compiler has the columns in the order of the table.
        columns = [column for column in statement.table.columns if column.name in names]
        parts = _PARTS.fullmatch(str(statement.compile(dialect=dialect, column_keys=list(names))))
        assert parts is not None, "an INSERT has these parts"
        converters = [c.type.dialect_impl(dialect).bind_processor(dialect) for c in columns]
        kept = [column.name for column in columns]
        return cls(parts[1], parts[2], parts[3], list(zip(kept, converters, strict=True)))

    def texts(self, rows: Iterable[Row], literal: Literal) -> Iterator[str]:
        """Statements of as many rows as fit into one."""
        written: list[str] = []
        size = 0
        for row in rows:
            if size > MESSAGE_CHARACTERS:
                yield f"{self.start}{', '.join(written)}{self.end}"
                written, size = [], 0
            values = [row[n] if convert is None else convert(row[n]) for n, convert in self.columns]
            written.append(self.row % tuple(map(literal, values)))
            size += len(written[-1])
        yield f"{self.start}{', '.join(written)}{self.end}"
