"""What reports read before they change it, of several tables at a time."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Dialect, Select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.driver import literals, send
from db.texts import Form, Values, form_of_made

# A statement, and the values of its parameters; `ids` is one that expands. None when it was made
# with its values; the others are module constants, whose text is kept for good.
Lookup: TypeAlias = tuple[Select[Any], Mapping[str, Any] | None]


async def fetch_rows(
    connection: AsyncConnection, statement: Select[Any], ids: Collection[str]
) -> Sequence[Any]:
    """The statement's rows for these ids, which it compares by `bindparam("ids", expanding=True)`;
    none without asking when there are none.
    """
    (rows,) = await fetch_each(connection, (statement, {"ids": ids}))
    return rows


async def fetch_each(connection: AsyncConnection, *lookups: Lookup) -> list[Sequence[Any]]:
    """The rows of each lookup, one after the other; of one without any `ids` none without asking.

    On MariaDB one message of texts that are made once.
    """
    found: list[Sequence[Any]] = [()] * len(lookups)
    asked = [place for place, (_, values) in enumerate(lookups) if (values or {}).get("ids", True)]
    if connection.dialect.name == "sqlite":
        for place in asked:
            statement, values = lookups[place]
            found[place] = (await connection.execute(statement, _in_order(values or {}))).all()
    elif asked:
        literal = literals(connection)
        filled = [_fill(lookups[place], connection.dialect) for place in asked]
        answers = await send(connection, [form.text(values, literal) for form, values in filled])
        for place, (form, _), rows in zip(asked, filled, answers, strict=True):
            found[place] = [*map(form.convert, rows)]
    return found


def _fill(lookup: Lookup, dialect: Dialect) -> tuple[Form, Values]:
    statement, values = lookup
    if values is None:
        return form_of_made(statement, dialect)
    return Form.of(statement, dialect), _in_order(values)


def _in_order(values: Mapping[str, Any]) -> dict[str, Any]:
    """In which rows are locked."""
    return {n: sorted(value) if n == "ids" else value for n, value in values.items()}
