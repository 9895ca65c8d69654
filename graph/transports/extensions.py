"""What the server offers beyond ASGI, in the scope's `extensions`; see app.server.

Under another server there is none, and everything is sent the way of ASGI.
"""

import asyncio
from typing import Protocol

CONNECTION_EXTENSION = "process_monitor.connection"
PUSH_EXTENSION = "process_monitor.push"


class Connection(Protocol):
    """An HTTP connection: takes parts of an endless response at once, or not at all."""

    closing: asyncio.Event

    @property
    def has_room(self) -> bool:
        """False while what was written is not taken."""

    async def room(self) -> None:
        """Returns when there is room, or the client is gone."""

    def frame(self, body: bytes) -> bytes:
        """A part of a response's body as it goes over the wire."""

    def push(self, framed: bytes) -> bool:
        """Parts, as they go over the wire; False, and nothing written, while there is no room."""

    def abort(self) -> None:
        """Closes the connection without waiting for the client to take what was written."""


class Pusher(Protocol):
    """Writes to a WebSocket at once, or not at all."""

    def recognise(self) -> None:
        """The client has shown who it is."""

    def frame(self, text: bytes) -> bytes:
        """A text message as it goes over the wire."""

    @property
    def has_room(self) -> bool:
        """False while the socket's buffer is full, or it is closing."""

    async def room(self) -> None:
        """Returns when the buffer is not full any more, or the client is gone."""

    def push(self, framed: bytes) -> bool:
        """Messages as they go over the wire; False, and nothing written, while there is no room."""
