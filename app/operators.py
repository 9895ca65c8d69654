"""Runs the dashboard: as a server of its own, or beside the API."""

import sys

import uvicorn

from app.attempts import Attempts
from app.connections import Connections, connection_limit
from app.server import end_with_parent, serve, serving_options
from app.settings import Settings, base_url, ensure_token
from dashboard.app import create_dashboard


def serve_dashboard(settings: Settings, host: str, port: int, *, announce: bool) -> int:
    """Serves the dashboard until it is ended; the exit status."""
    end_with_parent()
    # The right to read is enough.
    token = (settings.read_token or ensure_token(settings))[0]
    app = create_dashboard(
        base_url(settings.backend), token, settings.dashboard_password, Attempts()
    )

    def started() -> None:
        if announce:
            sys.stdout.write(
                f"\nDashboard  http://{host}:{port}   (of the API at {settings.backend})\n\n"
            )
            sys.stdout.flush()

    connections = Connections(connection_limit(settings.max_connections))
    config = uvicorn.Config(
        app, **serving_options(host, port, connections, settings.trusted_proxies)
    )
    try:
        return 0 if serve(config, started) else 1
    except KeyboardInterrupt:
        return 0  # Ctrl-C is how one ends it
