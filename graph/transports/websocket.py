"""GraphQL over WebSocket: the server side of graphql-transport-ws.

Written here, on ASGI itself, since events are pushed to thousands of sockets without a task or a
queue for each.
"""

import contextlib
import logging

from starlette.types import Receive, Scope, Send

from graph.execution.engine import Engine
from graph.fanout.channels import Channels
from graph.fanout.patience import Patience
from graph.transports.protocol import SUBPROTOCOL, CloseCode, Violation
from graph.transports.session import Parts, Socket
from monitor.auth import Authenticator
from monitor.monitor import Monitor

logger = logging.getLogger(__name__)


class SocketEndpoint:
    """Answers WebSocket connections to /graphql."""

    def __init__(
        self,
        engine: Engine,
        monitor: Monitor,
        authenticator: Authenticator,
        channels: Channels,
        patience: Patience,
    ) -> None:
        self._parts = Parts(engine, monitor, authenticator, channels, patience)
        self.open_sockets = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, from the handshake to its end."""
        await receive()  # websocket.connect
        if SUBPROTOCOL not in scope["subprotocols"]:
            await send({"type": "websocket.accept"})
            await _close(send, CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE, f"Use {SUBPROTOCOL}")
            return
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        socket = Socket(self._parts, scope, receive, send)
        self.open_sockets += 1
        try:
            await socket.serve()
        except Violation as violation:
            await _close(send, violation.code, str(violation))
        except ConnectionError:
            logger.debug("a client went away in the midst of an answer")
        finally:
            self.open_sockets -= 1


async def _close(send: Send, code: CloseCode, reason: str) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        await send({"type": "websocket.close", "code": int(code), "reason": reason})
