"""Runs the dashboard: as a server of its own, or beside the API."""

import socket
from collections.abc import Callable

import uvicorn

from app.attempts import Attempts
from app.connections import Connections, connection_limit
from app.server import end_with_parent, serve, serving_options
from app.settings import Settings, base_url, ensure_token, warn_of_weak_admin_password
from dashboard.app import create_dashboard
from dashboard.door.hosts import Hosts


def serve_dashboard(
    settings: Settings, host: str, port: int, on_started: Callable[[], None]
) -> int:
    """Serves the dashboard until it is ended; the exit status."""
    end_with_parent()
    warn_of_weak_admin_password(settings)
    # The right to read is enough, but for who may act.
    token = (settings.read_token or ensure_token(settings))[0]
    acting_token = ensure_token(settings)[0] if settings.dashboard_admin_password else None
    app = create_dashboard(
        base_url(settings.backend),
        token,
        password=settings.dashboard_password,
        admin_password=settings.dashboard_admin_password,
        acting_token=acting_token,
        hosts=_hosts(settings, host),
        folder=settings.data_dir / "signed-out",
        attempts=Attempts(),
    )
    connections = Connections(connection_limit(settings.max_connections))
    config = uvicorn.Config(
        app, **serving_options(host, port, connections, settings.trusted_proxies)
    )
    try:
        return 0 if serve(config, on_started) else 1
    except KeyboardInterrupt:
        return 0  # Ctrl-C is how one ends it


def _hosts(settings: Settings, host: str) -> Hosts:
    machine = socket.gethostname()
    # The second is its name in multicast DNS.
    own = [host, machine, f"{machine}.local"]
    has_password = bool(settings.dashboard_password or settings.dashboard_admin_password)
    return Hosts(settings.dashboard_hosts, own, has_password=has_password)
