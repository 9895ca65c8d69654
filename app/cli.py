"""The command `process-monitor`."""

import argparse
import asyncio
import logging
import socket
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

import uvicorn

from app.banner import create_banner
from app.check import run_check
from app.connections import Connections, connection_limit
from app.factory import configure_logging
from app.purge import run_purge
from app.seeding import run_seeding
from app.server import serve, serving_options
from app.settings import (
    MAX_DAYS,
    MAX_PROCESSES,
    Settings,
    SettingsError,
    ensure_token,
    load_settings,
    warn_of_weak_tokens,
)
from app.supervision import Companion
from db.errors import DatabaseUnavailable
from db.migrate import MigrationFailed, migrate
from db.session import Database
from graph.schema import create_schema
from monitor.upkeep.purging import Policy

logger = logging.getLogger(__name__)

API_PORT = 8418
DASHBOARD_PORT = 8050
FACTORY = "app.factory:create_app_from_environment"
MAX_SPEED = 1000


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command; what cannot be started is said in a sentence, with exit status 1."""
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings()
        configure_logging(settings)
        if settings.overruled:
            others = " and ".join(settings.overruled)
            logger.warning("DATABASE_URL is used; another database is named by %s", others)
        command: Callable[[Settings, argparse.Namespace], int] = options.command
        status = command(settings, options)
    except (SettingsError, DatabaseUnavailable, MigrationFailed) as error:
        sys.stderr.write(f"process-monitor: {error}\n")
        status = 1
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="process-monitor", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, command: Callable[[Settings, argparse.Namespace], int], help_: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help_, description=help_)
        added.set_defaults(command=command)
        return added

    up = add("up", _up, "The whole product on this machine; needs no other service.")
    up.add_argument("--dashboard-port", type=int, default=DASHBOARD_PORT)
    for server in (up, add("serve", _serve, "The API alone.")):
        server.add_argument("--host", default="127.0.0.1")
        server.add_argument("--port", type=int, default=API_PORT)
        server.add_argument(
            "--workers", type=int, default=1, help="server processes; more than 1 need REDIS_URL"
        )
    dashboard = add("dashboard", _dashboard, "The dashboard of an API (BACKEND).")
    dashboard.add_argument("--host", default="127.0.0.1")
    dashboard.add_argument("--port", type=int, default=DASHBOARD_PORT)
    demo = add("demo", _demo, "Simulated workers that report to an API, until Ctrl-C.")
    demo.add_argument("--url", help="the API; BACKEND unless given")
    demo.add_argument("--workers", type=int, default=12)
    demo.add_argument("--speed", type=float, default=1.0, help="2 is twice as fast")
    demo.add_argument("--seconds", type=float, help="end after so long")
    demo.add_argument("--seed", type=int, default=1, help="of what happens when")
    demo.add_argument(
        "--seed-processes",
        type=int,
        metavar="N",
        help="instead: write N processes of the last 30 days to the database, in bulk",
    )
    add("migrate", _migrate, "Brings the database to this version; `serve` does it at start.")
    add("export-schema", _export_schema, "Prints the GraphQL schema.")
    purge = add("purge", _purge, "Removes old processes now, and says how many.")
    purge.add_argument("--days", type=float, help="older than this; MONITOR_RETENTION_DAYS")
    purge.add_argument(
        "--processes", type=int, help="beyond so many per worker; MONITOR_RETENTION_PROCESSES"
    )
    purge.add_argument("--dry-run", action="store_true", help="only say how many")
    purge.add_argument(
        "--compact", action="store_true", help="write the tables anew, which frees disk space"
    )
    check = add(
        "check",
        _check,
        "Compares every counter with a recount, in a database of this version.",
    )
    check.add_argument("--repair", action="store_true", help="write the recount where they differ")
    return parser


def _up(settings: Settings, options: argparse.Namespace) -> int:
    host, port = options.host, options.dashboard_port
    check_port(host, port, "--dashboard-port")
    beside = settings.model_copy(
        update={"token": ensure_token(settings), "backend": f"{reachable(host)}:{options.port}"}
    )
    # A process of its own: drawing pages never holds up a report.
    dashboard = Companion("dashboard", serve_beside, beside, host, port)
    try:
        status = _serve(settings, options, f"http://{host}:{port}", dashboard.watch)
    finally:
        dashboard.stop()
    return 1 if dashboard.failed else status


def serve_beside(settings: Settings, host: str, port: int, started: Connection) -> None:
    """The dashboard in a process beside the API."""
    configure_logging(settings)
    # Its libraries take a second to import, which the API need not have.
    from app.operators import serve_dashboard

    sys.exit(serve_dashboard(settings, host, port, lambda: started.send(None)))


def reachable(host: str) -> str:
    """Where a server that listens there is found on this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)


def _serve(
    settings: Settings,
    options: argparse.Namespace,
    dashboard: str = "",
    on_started: Callable[[], None] = lambda: None,
) -> int:
    if options.workers < 1:
        raise SettingsError("--workers: at least 1 server process is needed.")
    if options.workers > 1 and not settings.redis_url:
        raise SettingsError(
            "--workers: several server processes need a shared live feed: set REDIS_URL "
            "(redis://host:6379), or use --workers 1."
        )
    check_port(options.host, options.port)
    ensure_token(settings)
    warn_of_weak_tokens(settings)
    asyncio.run(_migrate_database(settings))
    banner = create_banner(settings, f"http://{options.host}:{options.port}", dashboard)
    connections = Connections(connection_limit(settings.max_connections))
    proxies = settings.trusted_proxies
    arguments = serving_options(options.host, options.port, connections, proxies) | {
        "app": FACTORY,
        "factory": True,
        "workers": options.workers,
    }

    def announce() -> None:
        _say(banner)
        on_started()

    try:
        started = serve(uvicorn.Config(**arguments), announce)
    except KeyboardInterrupt:
        return 0  # Ctrl-C is how one ends it
    return 0 if started else 1


def _dashboard(settings: Settings, options: argparse.Namespace) -> int:
    check_port(options.host, options.port)
    # Its libraries take a second to import, which the other commands need not wait for.
    from app.operators import serve_dashboard

    base = f"http://{options.host}:{options.port}"
    text = f"\nDashboard  {base}   (of the API at {settings.backend})\n\n"
    return serve_dashboard(settings, options.host, options.port, lambda: _say(text))


def _demo(settings: Settings, options: argparse.Namespace) -> int:
    if options.workers < 1 or not 0 < options.speed <= MAX_SPEED:
        raise SettingsError(f"--workers: at least 1; --speed: above 0, up to {MAX_SPEED}.")
    if options.seed_processes is not None:
        return _seed(settings, options)
    # Its HTTP client takes a while to import, which the other commands need not wait for.
    from app.demo import run_demo

    return run_demo(
        settings,
        url=options.url,
        workers=options.workers,
        speed=options.speed,
        seed=options.seed,
        seconds=options.seconds,
    )


def _seed(settings: Settings, options: argparse.Namespace) -> int:
    if options.seed_processes < 1:
        raise SettingsError("--seed-processes: at least 1.")
    return run_seeding(
        settings,
        processes=options.seed_processes,
        workers=options.workers,
        seed=options.seed,
    )


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def check_port(host: str, port: int, option: str = "--port") -> None:
    """Raises SettingsError when nobody could listen there."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except (OSError, OverflowError) as error:
        raise SettingsError(
            f"--host/{option}: cannot listen on {host}:{port}: {error}. "
            f"Choose another with {option}."
        ) from error


def _migrate(settings: Settings, _: argparse.Namespace) -> int:
    asyncio.run(_migrate_database(settings))
    return 0


async def _migrate_database(settings: Settings) -> None:
    database = Database(settings.resolved_database_url)
    try:
        await migrate(database)
    finally:
        await database.close()


def _export_schema(_: Settings, __: argparse.Namespace) -> int:
    _say(create_schema().as_str() + "\n")
    return 0


def _purge(settings: Settings, options: argparse.Namespace) -> int:
    days = settings.retention_days if options.days is None else options.days
    processes = settings.retention_processes if options.processes is None else options.processes
    if days is not None and not 0 < days <= MAX_DAYS:
        raise SettingsError(f"--days: above 0, up to {MAX_DAYS}.")
    if processes is not None and not 1 <= processes <= MAX_PROCESSES:
        raise SettingsError(f"--processes: at least 1, up to {MAX_PROCESSES}.")
    policy = Policy(days, processes)
    if not policy.removes_anything and not options.compact:
        raise SettingsError(
            "purge: nothing says what is old: set MONITOR_RETENTION_DAYS or "
            "MONITOR_RETENTION_PROCESSES, or use --days or --processes."
        )
    return run_purge(settings, policy, dry_run=options.dry_run, compacting=options.compact)


def _check(settings: Settings, options: argparse.Namespace) -> int:
    return run_check(settings, repair=options.repair)
