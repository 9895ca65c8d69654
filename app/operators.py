"""Runs the dashboard: as a server of its own, or beside the API."""

import sys

import uvicorn

from app.server import HttpProtocol, SocketProtocol, end_with_parent, serve
from app.settings import Settings, ensure_token
from dashboard.app import create_dashboard

GRACE_SECONDS = 2
MAX_WEBSOCKET_BYTES = 256 * 1024


def serve_dashboard(settings: Settings, host: str, port: int, *, announce: bool) -> int:
    """Serves the dashboard until it is ended; the exit status."""
    end_with_parent()
    # The right to read is enough.
    token = (settings.read_token or ensure_token(settings))[0]
    app = create_dashboard(settings.backend, token, settings.dashboard_password)

    def started() -> None:
        if announce:
            sys.stdout.write(
                f"\nDashboard  http://{host}:{port}   (of the API at {settings.backend})\n\n"
            )
            sys.stdout.flush()

    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        http=HttpProtocol,
        ws=SocketProtocol,
        ws_max_size=MAX_WEBSOCKET_BYTES,
        ws_ping_interval=10,
        ws_ping_timeout=15,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    try:
        return 0 if serve(config, started) else 1
    except KeyboardInterrupt:
        return 0
