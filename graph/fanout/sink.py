"""Where the payloads of subscriptions go; each transport has sinks of its own."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from monitor.feed.log import Cursor

Errors = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Told:
    """An event, encoded, and where one stands behind it, and before it."""

    cursor: Cursor
    before: Cursor
    payload: bytes


class Sink(Protocol):
    """Where a subscription's payloads go: one operation of a connection.

    Without `can_push` everything is sent, one after the other.
    """

    can_push: bool

    @property
    def has_room(self) -> bool:
        """Whether `send` would take a payload without waiting."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Waits for room, and for the connection's other subscriptions that read the log, so that
        a connection that takes nothing makes nobody read for it. Raises ConnectionError.
        """

    def push(self, told: Sequence[Told], frames: dict[Any, Any]) -> bool:
        """Takes these now, all of them or none (False). `frames` is shared by all sinks that get
        them, to keep what they can share.
        """

    async def send(self, payload: bytes, cursor: Cursor) -> None:
        """Takes the payload, waiting for room. Raises ConnectionError when it is gone."""

    def fail(self, errors: Errors) -> None:
        """Ends the operation with errors."""
