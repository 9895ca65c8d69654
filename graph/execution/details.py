"""Details in answers: counted each time they are shown, and left to be refused by themselves."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from graph.context import GraphInfo
from graph.execution.executor import NotAtHand
from graph.execution.selection import details_asked
from monitor.entities import UNREAD, Process, Task
from monitor.errors import InvalidInput
from monitor.reading.details import size_of

R = TypeVar("R", Process, Task)


def show_details(info: GraphInfo, shown: Iterable[Process | Task | None], times: int) -> None:
    """Counts the details of these, each so many times in the answer.

    Raises InvalidInput when the answer would have too many of them.
    """
    if times:
        info.context.shown.take(times * sum(size_of(found.details) for found in shown if found))


def details_of(entity: Process | Task) -> str | None:
    """Its details. Raises NotAtHand when it was read without them."""
    if entity.details is UNREAD:
        raise NotAtHand
    return entity.details


async def read_details(
    info: GraphInfo, entity: R, load: Callable[..., Awaitable[R | None]]
) -> str | None:
    """Its details, also when it was read without them; by now it may be removed."""
    if entity.details is not UNREAD:
        return entity.details
    found = await load(entity.id, details=True)
    show_details(info, [found], 1)
    return None if found is None else details_of(found)


def done(info: GraphInfo, changed: Sequence[R]) -> Sequence[R]:
    """What a mutation changed, to be told in any case: details that are too many are refused
    field by field.
    """
    try:
        show_details(info, changed, details_asked(info))
    except InvalidInput:
        return [replace(entity, details=UNREAD) for entity in changed]
    return changed
