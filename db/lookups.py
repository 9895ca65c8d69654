"""Rows by their ids: how reports find what they change."""

from collections import namedtuple
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Self, cast

from sqlalchemy import Dialect, Select
from sqlalchemy.ext.asyncio import AsyncConnection

_ONE = "IN (%s)"


async def fetch_rows(
    connection: AsyncConnection, statement: Select[Any], ids: Collection[str]
) -> Sequence[Any]:
    """The statement's rows for these ids, which it compares by `bindparam("ids", expanding=True)`;
    none without asking when there are none.

    On MariaDB with a text that is made once: SQLAlchemy writes a list of values into its statement
    anew each time, which takes a server process more than the rest.
    """
    if not ids:
        return ()
    if connection.dialect.name == "sqlite":
        found: Sequence[Any] = (await connection.execute(statement, {"ids": sorted(ids)})).all()
        return found
    form = _Form.of(statement, connection.dialect)
    raw = await connection.exec_driver_sql(form.text(len(ids)), form.values(sorted(ids)))
    return [form.convert(row) for row in raw]


def _make_row(names: Sequence[str]) -> Callable[[Sequence[Any]], Any]:
    """What makes rows of values, as SQLAlchemy's: tuples that have names."""
    type_ = cast(Any, namedtuple)("Row", names, rename=True)
    make: Callable[[Sequence[Any]], Any] = type_._make
    return make


@dataclass(frozen=True, slots=True)
class _Form:
    """A SELECT as text around its ids, other values in it, and what makes its rows."""

    start: str
    end: str
    before: tuple[Any, ...]
    after: tuple[Any, ...]
    row: Any
    converters: Sequence[tuple[int, Callable[[Any], Any]]]

    @classmethod
    @cache
    def of(cls, statement: Select[Any], dialect: Dialect) -> Self:
        compiled = statement.compile(dialect=dialect)
        one = compiled.construct_expanded_state({"ids": [""]})
        start, end = one.statement.split(_ONE)
        names = list(one.positiontup or ())
        place = next(place for place, name in enumerate(names) if name.startswith("ids"))
        values = tuple(one.parameters[name] for name in names)
        columns = list(statement.selected_columns)
        processors = [c.type.dialect_impl(dialect).result_processor(dialect, None) for c in columns]
        return cls(
            start,
            end,
            values[:place],
            values[place + 1 :],
            _make_row([column.key or "" for column in columns]),
            [(n, processor) for n, processor in enumerate(processors) if processor is not None],
        )

    def text(self, count: int) -> str:
        return f"{self.start}IN ({', '.join(['%s'] * count)}){self.end}"

    def values(self, ids: Sequence[str]) -> tuple[Any, ...]:
        return (*self.before, *ids, *self.after)

    def convert(self, row: Sequence[Any]) -> Any:
        values = list(row)
        for place, convert in self.converters:
            values[place] = convert(values[place])
        return self.row(values)
