"""Where the payloads of subscriptions go; each transport has sinks of its own."""

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from monitor.feed.log import Cursor

Errors = list[dict[str, Any]]


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

    def push(self, payload: bytes, cursor: Cursor, frames: dict[Any, Any]) -> bool:
        """Takes the payload now, or not at all (False). `frames` is shared by all sinks that get
        this payload, to keep what they can share of it.
        """

    async def send(self, payload: bytes, cursor: Cursor) -> None:
        """Takes the payload, waiting for room. Raises ConnectionError when it is gone."""

    def fail(self, errors: Errors) -> None:
        """Ends the operation with errors."""
