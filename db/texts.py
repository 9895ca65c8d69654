"""Statements of SQLAlchemy as text that is made once, with room for their values."""

import re
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Self, cast
from weakref import WeakKeyDictionary

from sqlalchemy import Dialect, Executable, Select
from sqlalchemy.sql.compiler import SQLCompiler

from db.driver import Literal

# Where SQLAlchemy would write a list into the statement, anew each time.
_LIST = re.compile(r"__\[POSTCOMPILE_\w+\]")

Values = Mapping[str, Any]
Convert = Callable[[Any], Any]
# What makes of a value one that the driver takes, by the names of the parameters.
Processors = Mapping[str, Convert]
# Pages of every list in every order and with every filter are some hundreds.
MADE_FORMS = 500


@dataclass(frozen=True, slots=True)
class Form:
    """A statement as text around its values, and what makes its rows."""

    template: str
    # The values in their order: names, and what those have that are not given.
    names: Sequence[str]
    own: Values
    processors: Processors
    row: Callable[[Sequence[Any]], Any]
    converters: Sequence[tuple[int, Convert]]

    @classmethod
    @cache
    def of(cls, statement: Executable, dialect: Dialect) -> Self:
        """Of a statement that is a constant."""
        compiled = _compile(statement, dialect)
        return cls.of_compiled(statement, compiled, dialect, compiled.params)

    @classmethod
    def of_compiled(
        cls, statement: Executable, compiled: SQLCompiler, dialect: Dialect, own: Values
    ) -> Self:
        columns = list(statement.selected_columns) if isinstance(statement, Select) else []
        converters = [c.type.dialect_impl(dialect).result_processor(dialect, None) for c in columns]
        return cls(
            _LIST.sub("%s", compiled.string),
            list(compiled.positiontup or ()),
            own,
            _processors(compiled, dialect),
            _make_row([column.key or "" for column in columns]),
            [(place, convert) for place, convert in enumerate(converters) if convert is not None],
        )

    def text(self, values: Values, literal: Literal) -> str:
        """The statement with these values, of which a list is written as its parts."""
        given = {**self.own, **values}
        for name, process in self.processors.items():
            value = given[name]
            given[name] = [*map(process, value)] if isinstance(value, list) else process(value)
        return self.template % tuple(_written(given[name], literal) for name in self.names)

    def convert(self, row: Sequence[Any]) -> Any:
        """The row as SQLAlchemy would give it: a tuple that has names."""
        if not self.converters:
            return self.row(row)
        values = list(row)
        for place, convert in self.converters:
            values[place] = convert(values[place])
        return self.row(values)


class _Made:
    """Texts of statements that are made anew each time, known by what they consist of."""

    def __init__(self) -> None:
        self._forms: OrderedDict[Any, tuple[SQLCompiler, Form]] = OrderedDict()
        # Of statements that somebody keeps, to send them again.
        self._filled: WeakKeyDictionary[Select[Any], tuple[Form, Values]] = WeakKeyDictionary()

    def fill(self, statement: Select[Any], dialect: Dialect) -> tuple[Form, Values]:
        filled = self._filled.get(statement)
        if filled is None:
            filled = self._filled[statement] = self._fill(statement, dialect)
        return filled

    def _fill(self, statement: Select[Any], dialect: Dialect) -> tuple[Form, Values]:
        # Not public, but what SQLAlchemy's own cache of compiled statements does.
        key = statement._generate_cache_key()
        assert key is not None, "all its parts say what they consist of"
        known = self._forms.get((key.key, dialect))
        if known is None:
            compiled = _compile(statement, dialect, cache_key=key)
            form = Form.of_compiled(statement, compiled, dialect, own={})
            known = compiled, form
            self._forms[key.key, dialect] = known
            if len(self._forms) > MADE_FORMS:
                self._forms.popitem(last=False)
        else:
            self._forms.move_to_end((key.key, dialect))
        compiled, form = known
        return form, compiled.construct_params(extracted_parameters=key.bindparams)


form_of_made = _Made().fill


def _compile(statement: Executable, dialect: Dialect, **options: Any) -> SQLCompiler:
    compiled = cast(Any, statement).compile(dialect=dialect, **options)
    assert isinstance(compiled, SQLCompiler)
    return compiled


def _processors(compiled: SQLCompiler, dialect: Dialect) -> Processors:
    found = {
        name: bind.type.dialect_impl(dialect).bind_processor(dialect)
        for bind, name in compiled.bind_names.items()
    }
    return {name: process for name, process in found.items() if process is not None}


def _written(value: Any, literal: Literal) -> str:
    if not isinstance(value, list):
        return literal(value)
    return ", ".join(map(literal, value)) or "NULL"  # which nothing is in


def _make_row(names: Sequence[str]) -> Callable[[Sequence[Any]], Any]:
    type_ = cast(Any, namedtuple)("Row", names, rename=True)
    make: Callable[[Sequence[Any]], Any] = type_._make
    return make
