"""The protocol classes that the servers speak with, within the limits of their connections."""

from functools import partial
from typing import Any

from app.connections import Connections
from app.http_protocol import HttpProtocol
from app.socket_protocol import SocketProtocol

# Before a client has shown who it is, and to the dashboard, nobody has more to say.
MAX_MESSAGE_BYTES = 64 * 1024


def protocols(connections: Connections) -> dict[str, Any]:
    """Both protocols within these limits, for `uvicorn.Config`."""
    return {
        "http": partial(HttpProtocol, connections=connections),
        "ws": partial(SocketProtocol, connections=connections),
        "ws_max_size": MAX_MESSAGE_BYTES,
        # Compressing costs more than it saves on small frames, and keeps shared ones from sharing.
        "ws_per_message_deflate": False,
    }
