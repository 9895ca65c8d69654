"""Details, up to 1 MiB each: read only for those who ask for them, and never more than a budget.

Small ones come with their rows. Of the others only the size does, so that too much of them is
refused before any is loaded.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import BindParameter, Column, ColumnElement, Select, bindparam, case, select

from db import models
from db.sizes import byte_length
from monitor.entities import UNREAD, Details, Process, Task
from monitor.errors import InvalidInput
from monitor.limits import ANSWER_DETAILS_BYTES
from monitor.reading import rows
from monitor.reading.pages import Listing

T = TypeVar("T", Process, Task)
# The rows of a statement for ids.
Ask = Callable[[Select[Any], Sequence[str]], Awaitable[Sequence[Any]]]

# Of as many tasks as one read may have, together less than the budget.
SMALL_BYTES = 256
# Parameters of one statement; SQLite takes 32,766.
_IDS_AT_ONCE = 10_000

_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_WHOLE: dict[type, tuple[Select[Any], Callable[[Any], Any]]] = {
    Process: (select(*rows.PROCESS).where(models.processes.c.id.in_(_IDS)), rows.process),
    Task: (select(*rows.TASK).where(models.tasks.c.id.in_(_IDS)), rows.task),
}


class Budget:
    """How many bytes of details are still allowed; `refusal` says what to do about more."""

    def __init__(
        self,
        size: int = ANSWER_DETAILS_BYTES,
        refusal: str = "the answer would have more than {} MiB of them; ask for fewer rows, or "
        "leave details out",
    ) -> None:
        self._left = size
        self._refusal = refusal.format(size >> 20)

    def take(self, size: int) -> None:
        """Raises InvalidInput when that is more than there is left; then nothing is taken."""
        if size > self._left:
            raise InvalidInput("details", self._refusal)
        self._left -= size


def size_of(details: Details) -> int:
    """Bytes of details at hand."""
    if not isinstance(details, str):
        return 0
    return len(details) if details.isascii() else len(details.encode())


def sized(details: Column[Any]) -> Sequence[ColumnElement[Any]]:
    """What a row has of its details: their size, and they themselves when they are small."""
    size = byte_length(details)
    small = case((size <= SMALL_BYTES, details))
    return size.label("details_size"), small.label("small_details")


def detailed(
    listing: Listing[T], details: Column[Any], convert: Callable[[Sequence[Any], Any], T]
) -> Listing[T]:
    """The same list with details, as far as they come with their rows."""
    return replace(
        listing,
        columns=(*listing.columns, *sized(details)),
        convert=lambda row: convert(row[:-2], details_of(row)),
    )


def details_of(row: Sequence[Any]) -> Details:
    """The details of a row that ends with `sized`; UNREAD when they are not small."""
    size, small = row[-2:]
    if size is not None and size > SMALL_BYTES:
        return UNREAD
    details: str | None = small
    return details


async def read_large(
    ask: Ask, found: Iterable[Any], items: Iterable[Any], budget: Budget
) -> dict[str, Any]:
    """By id, those of these rows' entities whose details are not small, now with them.

    They are read anew as a whole: their details may be of a newer state than their row.
    Raises InvalidInput, before anything large is read, when the budget does not allow for it.
    """
    budget.take(sum(row.details_size or 0 for row in found))
    # Of what is removed meanwhile there is nothing to read.
    large = {item.id: replace(item, details=None) for item in items if item.details is UNREAD}
    if large:
        statement, convert = _WHOLE[type(next(iter(large.values())))]
        ids = sorted(large)
        for start in range(0, len(ids), _IDS_AT_ONCE):
            for row in await ask(statement, ids[start : start + _IDS_AT_ONCE]):
                large[row.id] = convert(row)
    return large
