"""What can be done to the monitored world: operations, and how one of them is undone."""

from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, TypeAlias, TypeVar

from monitor.writing.loading import Needs
from monitor.writing.transaction import Transaction

P = ParamSpec("P")
R = TypeVar("R")


class Operation(Generic[P, R]):
    """A change of the monitored world: checks everything before it changes anything, no I/O.

    `undo` says from its answer what takes it back, if it has to be when nobody got that answer.
    """

    def __init__(
        self,
        body: Callable[Concatenate[Transaction, P], R],
        needs: Callable[..., Needs],
        undo: "Callable[[Any], Call] | None" = None,
    ) -> None:
        self.name = getattr(body, "__name__", "operation")
        self.__doc__ = body.__doc__
        self.body = body
        self.needs = needs
        self.undo = undo


# An operation and its arguments.
Call: TypeAlias = tuple[Operation[Any, Any], dict[str, Any]]


def operation(
    needs: Callable[..., Needs], undo: Callable[[Any], Call] | None = None
) -> Callable[[Callable[Concatenate[Transaction, P], R]], Operation[P, R]]:
    """Makes an operation of a function; `needs` says from the arguments what to load for it."""
    return lambda body: Operation(body, needs, undo)
