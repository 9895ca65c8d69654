"""What reports read before they change it, of several tables at a time."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.driver import literals, send
from db.texts import Form

# A statement, and the values of its parameters; `ids` is one that expands.
Lookup: TypeAlias = tuple[Select[Any], Mapping[str, Any]]


async def fetch_rows(
    connection: AsyncConnection, statement: Select[Any], ids: Collection[str]
) -> Sequence[Any]:
    """The statement's rows for these ids, which it compares by `bindparam("ids", expanding=True)`;
    none without asking when there are none.
    """
    (rows,) = await fetch_each(connection, (statement, {"ids": ids}))
    return rows


async def fetch_each(connection: AsyncConnection, *lookups: Lookup) -> list[Sequence[Any]]:
    """The rows of each lookup, one after the other, inside a transaction; of one without any `ids`
    none without asking.

    On MariaDB one message of texts that are made once.
    """
    found: list[Sequence[Any]] = [()] * len(lookups)
    asked = [place for place, (_, values) in enumerate(lookups) if values.get("ids", True)]
    if connection.dialect.name == "sqlite":
        for place in asked:
            statement, values = lookups[place]
            found[place] = (await connection.execute(statement, _in_order(values))).all()
    elif asked:
        literal = literals(connection)
        forms = [Form.of(lookups[place][0], connection.dialect) for place in asked]
        texts = [
            form.text(_in_order(lookups[place][1]), literal)
            for place, form in zip(asked, forms, strict=True)
        ]
        answers = await send(connection, texts)
        for place, form, rows in zip(asked, forms, answers, strict=True):
            found[place] = [*map(form.convert, rows)]
    return found


def _in_order(values: Mapping[str, Any]) -> dict[str, Any]:
    """In which rows are locked."""
    return {n: sorted(value) if n == "ids" else value for n, value in values.items()}
