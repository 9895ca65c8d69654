"""Statements of SQLAlchemy as text that is made once, with room for their values."""

import re
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Self, cast

from sqlalchemy import Dialect, Executable, Select
from sqlalchemy.sql.compiler import SQLCompiler

from db.driver import Literal

# Where SQLAlchemy would write a list into the statement, anew each time.
_LIST = re.compile(r"__\[POSTCOMPILE_\w+\]")

Values = Mapping[str, Any]
Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Form:
    """A statement as text around its values, and what makes its rows."""

    template: str
    # The values in their order: names, and what those have that are not given.
    names: Sequence[str]
    own: Values
    row: Callable[[Sequence[Any]], Any]
    converters: Sequence[tuple[int, Convert]]

    @classmethod
    @cache
    def of(cls, statement: Executable, dialect: Dialect) -> Self:
        compiled = cast(Any, statement).compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)
        columns = list(statement.selected_columns) if isinstance(statement, Select) else []
        converters = [c.type.dialect_impl(dialect).result_processor(dialect, None) for c in columns]
        return cls(
            _LIST.sub("%s", compiled.string),
            list(compiled.positiontup or ()),
            compiled.params,
            _make_row([column.key or "" for column in columns]),
            [(place, convert) for place, convert in enumerate(converters) if convert is not None],
        )

    def text(self, values: Values, literal: Literal) -> str:
        """The statement with these values, of which a list is written as its parts."""
        given = {**self.own, **values}
        return self.template % tuple(_written(given[name], literal) for name in self.names)

    def convert(self, row: Sequence[Any]) -> Any:
        """The row as SQLAlchemy would give it: a tuple that has names."""
        values = list(row)
        for place, convert in self.converters:
            values[place] = convert(values[place])
        return self.row(values)


def _written(value: Any, literal: Literal) -> str:
    return ", ".join(map(literal, value)) if isinstance(value, list) else literal(value)


def _make_row(names: Sequence[str]) -> Callable[[Sequence[Any]], Any]:
    type_ = cast(Any, namedtuple)("Row", names, rename=True)
    make: Callable[[Sequence[Any]], Any] = type_._make
    return make
