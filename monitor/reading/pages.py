"""Pages of a list by keyset: a page begins behind a row, never at a number of rows.

A cursor names the order, the row's value in it and its id, so that rows inserted meanwhile shift
nothing and equal values are told apart (`ORDER BY value, id`). Connection semantics:
https://relay.dev/graphql/connections.htm
"""

import base64
import binascii
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import product
from typing import Any, Generic, TypeVar

import orjson
from sqlalchemy import Column, ColumnElement, Row, Select, and_, or_, select

from monitor.errors import InvalidInput
from monitor.ids import kind_of
from monitor.reading.conditions import Condition
from monitor.reading.filters import Prefix

T = TypeVar("T")

PAGE_SIZE = 50
MAX_PAGE_SIZE = 500
# Filters that one is split into at most; SQLite takes 500 parts in a statement.
MAX_PARTS = 100
# Of the lists of filters, where the names are not the same.
_COLUMNS = {
    "worker_ids": "worker_id",
    "pipeline_ids": "pipeline_id",
    "failure_ids": "failure_id",
    "versions": "version",
    "subject_ids": "subject_id",
    "actions": "action",
}
# Orders by a number.
_NUMBERS = ("POSITION", "COUNT")


class Direction(StrEnum):
    ASC = "ASC"
    DESC = "DESC"


@dataclass(frozen=True, slots=True)
class Order:
    """A list's order: by `field` (a name from its `Listing`), then by id, both in `direction`."""

    field: str
    direction: Direction


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Relay's arguments. `first` counts from the start of what lies between the cursors, `last`
    from its end; 50 when neither is given, 500 at most.
    """

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    @property
    def size(self) -> int:
        """How many rows a page has at most. Raises InvalidInput."""
        if self.first is not None and self.last is not None:
            raise InvalidInput("last", "cannot be given together with first")
        name, size = ("last", self.last) if self.last is not None else ("first", self.first)
        if size is None:
            return PAGE_SIZE
        if not 0 <= size <= MAX_PAGE_SIZE:
            raise InvalidInput(name, f"is {size}, must be from 0 to {MAX_PAGE_SIZE}")
        return size

    @property
    def backwards(self) -> bool:
        return self.last is not None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows in the order asked for, each with its cursor."""

    items: Sequence[T]
    cursors: Sequence[str]
    has_next: bool
    has_previous: bool


# Each is one of its own.
@dataclass(frozen=True, slots=True, eq=False)
class Listing(Generic[T]):
    """What can be listed: its columns, how a row becomes an entity, and the orders it has."""

    columns: Sequence[ColumnElement[Any]]
    convert: Callable[[Row[Any]], T]
    id: Column[str]
    # Name of the order → the column, and the entity's value in it.
    orders: dict[str, tuple[ColumnElement[Any], Callable[[T], Any]]]
    # Name of the order → what of a filter its indexes begin with, the longest first; the last has
    # no field but the status. With several values the first rows of each are found by the index,
    # and only these are sorted.
    prefixes: dict[str, Sequence[Prefix]]

    def select(
        self, where: Condition, order: Order, request: PageRequest, index: str | None = None
    ) -> Select[Any]:
        """The statement for one page; it fetches one row more, to know whether there are more.

        MariaDB is told the index, since it would now and then rather sort what another one finds.
        Raises InvalidInput for a size or cursor that cannot be.
        """
        column, _ = self.orders[order.field]
        ascending = order.direction is Direction.ASC
        statement = select(*self.columns).where(where)
        if index is not None:
            statement = statement.with_hint(self.id.table, f"FORCE INDEX ({index})", "mariadb")
        for name, cursor in (("after", request.after), ("before", request.before)):
            if cursor is not None:
                value, id_ = decode_cursor(name, cursor, order)
                beyond = ascending == (name == "after")
                statement = statement.where(_beyond(column, value, self.id, id_, greater=beyond))
        statement = statement.order_by(*self.order_by(order, backwards=request.backwards))
        return statement.limit(request.size + 1)

    def index(self, prefix: Prefix, order: Order) -> str:
        """The name of the index that begins with this and then has the order."""
        column, _ = self.orders[order.field]
        table = self.id.table
        first = ["archived"] if "archived" in table.c else []
        # Workers of a pipeline have one name, by which they are found as well (`filters`).
        names = [
            *first,
            *(_COLUMNS.get(n, n) for n in prefix if (n, order.field) != ("pipeline_ids", "NAME")),
            *(column.name, self.id.name),
        ]
        return f"ix_{table.name}_{'_'.join(names)}"

    def order_by(self, order: Order, *, backwards: bool = False) -> Sequence[ColumnElement[Any]]:
        """The columns to sort by, with their direction."""
        column, _ = self.orders[order.field]
        if (order.direction is Direction.ASC) != backwards:
            return column.asc(), self.id.asc()
        return column.desc(), self.id.desc()

    def page(self, found: Sequence[Row[Any]], order: Order, request: PageRequest) -> Page[T]:
        """The page from the rows that `select` fetched."""
        more = len(found) > request.size
        items = [self.convert(row) for row in found[: request.size]]
        if request.backwards:
            items.reverse()
        _, value_of = self.orders[order.field]
        return Page(
            items,
            [encode_cursor(order, value_of(item), item.id) for item in items],  # type: ignore[attr-defined]  # entities have ids
            has_next=request.before is not None if request.backwards else more,
            has_previous=more if request.backwards else request.after is not None,
        )


def _beyond(
    column: ColumnElement[Any],
    value: Any,
    id_column: ColumnElement[str],
    id_: str,
    *,
    greater: bool,
) -> Condition:
    # Spelled out, since MariaDB uses no index range for (a, b) > (x, y). The first comparison is
    # implied by the others: it is there for the index.
    if greater:
        return and_(column >= value, or_(column > value, id_column > id_))
    return and_(column <= value, or_(column < value, id_column < id_))


def encode_cursor(order: Order, value: Any, id_: str) -> str:
    """An opaque text naming a row in an order."""
    return base64.urlsafe_b64encode(orjson.dumps([order.field, value, id_])).decode()


def decode_cursor(argument: str, cursor: str, order: Order) -> tuple[Any, str]:
    """The row's value and id. Raises InvalidInput for a text that is no cursor of this order."""
    try:
        field, value, id_ = orjson.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
        if field != order.field:
            raise InvalidInput(argument, f"is a cursor of the order {field}, not {order.field}")
        if field.endswith("_AT"):
            value = _instant(value)
        expected = datetime if field.endswith("_AT") else int if field in _NUMBERS else str
        # What the database would not take: ids of other characters, integers of other sizes.
        if type(value) is not expected or kind_of(id_) is None:
            raise ValueError("a cursor's parts have fixed types")
        if isinstance(value, int) and not 0 <= value < 2**31:
            raise ValueError("a cursor's position is a position")
    except (ValueError, TypeError, AttributeError, OverflowError, binascii.Error) as error:
        raise InvalidInput(argument, "is not a cursor that a list has given out") from error
    return value, id_


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("a cursor's instant has an offset")
    return instant.astimezone(UTC)


def split(matching: Any, prefixes: Sequence[Prefix]) -> tuple[Prefix | None, Sequence[Any]]:
    """By which of these prefixes of an index to read, and the filters that do so.

    Each has one value in each field of the prefix; together they match the same, nothing twice.
    The statuses that a filter does not name are all of them; versions are behind them in no index,
    so with these all are named. None, and the filter itself, where ids bound what can match, or
    nothing can.
    """
    given = matching.values()
    if matching.is_bounded or any(not values for values in given.values()):
        return None, [matching]
    every = matching.EVERY | given
    for known in (every,) if "versions" in given else (given, every):
        for prefix in prefixes:
            lists = [known[name] for name in prefix if name in known]
            if len(lists) == len(prefix) and math.prod(map(len, lists)) <= MAX_PARTS:
                return prefix, [
                    replace(matching, **{n: (v,) for n, v in zip(prefix, chosen, strict=True)})
                    for chosen in product(*lists)
                ]
    raise AssertionError("the last prefix has no field but the status")
