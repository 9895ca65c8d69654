"""The servers: of the API in one or several processes, of the dashboard, and how they end."""

import multiprocessing.connection
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import Any

import uvicorn

from app.connections import Connections
from app.protocols import protocols
from app.supervision import Supervisor

# Ctrl-C ends everything within 5 s; this is the part for requests that are under way.
GRACE_SECONDS = 3
# The environment variable by which server processes find the folder of their figures.
FIGURES_FOLDER = "MONITOR_FIGURES_FOLDER"
PING_INTERVAL_SECONDS = 10
PING_TIMEOUT_SECONDS = 15


def serving_options(
    host: str, port: int, connections: Connections, trusted_proxies: Sequence[str] = ()
) -> dict[str, Any]:
    """How API and dashboard are served, for `uvicorn.Config`.

    Only `trusted_proxies` are believed in what they say of a client's address and scheme.
    """
    return {
        "host": host,
        "port": port,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        **protocols(connections),
        # Uvicorn would believe whoever is on this machine.
        "proxy_headers": bool(trusted_proxies),
        "forwarded_allow_ips": list(trusted_proxies),
        # A socket whose peer takes nothing is cut off within these two together.
        "ws_ping_interval": PING_INTERVAL_SECONDS,
        "ws_ping_timeout": PING_TIMEOUT_SECONDS,
        "timeout_graceful_shutdown": GRACE_SECONDS,
    }


class Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()


class SharedPort(socket.socket):
    """A bound socket that is sent to a server process as the address: it binds one of its own.

    The kernel then spreads connections over the processes. Of those that listen on one socket, the
    first to wake takes all that wait there: it could work alone while the others are idle.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._address = (host, port)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.bind(self._address)

    def __reduce__(self) -> Any:
        return SharedPort, self._address


def end_with_parent() -> None:
    """In one of several server processes: SIGTERM when the one that started them is gone.

    Killed, it cannot end them itself, and they would go on holding the port.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="end with parent", daemon=True).start()


def serve(config: uvicorn.Config, on_started: Callable[[], None]) -> bool:
    """Serves until SIGINT or SIGTERM; False when it could not start."""
    if config.workers == 1:
        server = Server(config, on_started)
        # Uvicorn sends itself the SIGTERM again that it has seen to, and would die of it.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        server.run()
        return server.started
    # Elsewhere the kernel gives all connections to the last that bound the port.
    on_linux = sys.platform == "linux"
    listening = SharedPort(config.host, config.port) if on_linux else config.bind_socket()
    with tempfile.TemporaryDirectory(prefix="process-monitor-") as figures:
        os.environ[FIGURES_FOLDER] = figures
        supervisor = Supervisor(config, [listening], on_started)
        supervisor.run()
    return not supervisor.failed
