"""Builds the application from settings: every part is made here, and ends here."""

import asyncio
import gc
import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from app.attempts import Attempts
from app.connections import MAX_REQUEST_BYTES, STATISTICS, ConnectionStatistics
from app.endpoints import add_endpoints
from app.metrics import Metrics, RequestMetricsMiddleware
from app.middleware import (
    BodyLimitMiddleware,
    CallerMiddleware,
    DefectMiddleware,
    answer_defect,
)
from app.server import FIGURES_FOLDER, end_with_parent
from app.settings import Settings, ensure_token, load_settings
from compat_rest.reports import ReportsMiddleware
from compat_rest.router import TOTAL_COUNT, create_routes
from db.migrate import migrate
from db.session import Database
from graph.execution.engine import Engine
from graph.fanout.channels import Channels
from graph.fanout.patience import DEFAULT_PATIENCE, Patience
from graph.schema import create_schema
from graph.transports.explorer import create_explorer_router
from graph.transports.http import HttpEndpoint
from graph.transports.websocket import SocketEndpoint
from monitor.auth import Authenticator
from monitor.feed.backlog import count_outbox
from monitor.feed.installation import read_installation
from monitor.feed.live import Live
from monitor.feed.log import Feed
from monitor.feed.memory import MemoryFeed
from monitor.feed.redis import RedisFeed
from monitor.feed.relay import Relay
from monitor.monitor import Monitor
from monitor.reading.usual import Usual
from monitor.upkeep.failure_telling import FAILURES
from monitor.upkeep.grouping import Grouping
from monitor.upkeep.overtime import Overtime
from monitor.upkeep.presence import Presence
from monitor.upkeep.purging import Policy
from monitor.upkeep.retention import Retention
from monitor.upkeep.telling import Telling
from monitor.writing.transactions import Transactions

logger = logging.getLogger(__name__)

# All, so that GraphQL itself answers those it does not know.
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class Application(FastAPI):
    """FastAPI, and around all of it the short way of `reports`."""

    def __init__(self, *, reports: Callable[[ASGIApp], ASGIApp], **options: Any) -> None:
        super().__init__(**options)
        self._serve = reports(super().__call__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._serve(scope, receive, send)


def create_app_from_environment() -> FastAPI:
    """For servers that import the application by name."""
    configure_logging(settings := load_settings())
    end_with_parent()
    folder = os.environ.get(FIGURES_FOLDER)
    app = create_app(settings, figures=Path(folder) if folder else None)
    # What is loaded stays: the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    return app


def configure_logging(settings: Settings) -> None:
    """One line per record on stderr."""
    logging.basicConfig(
        level=settings.log_level,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        force=True,
    )
    # Uvicorn would say a line for every socket, alembic three for every start.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # Its DEBUG is each statement with what it was given: what people report is not for the log.
    logging.getLogger("aiosqlite").setLevel(logging.INFO)


def create_app(
    settings: Settings, *, patience: Patience = DEFAULT_PATIENCE, figures: Path | None = None
) -> FastAPI:
    """The API: REST, GraphQL, health and metrics; connects and migrates when it starts.

    Args:
        figures: the folder that the server processes of a port share for their figures
    """
    metrics = Metrics(figures)
    database = Database(settings.resolved_database_url)
    feed = create_feed(settings, database)
    relay = Relay(database, feed)
    telling = Telling(database, on_told=relay.wake)
    failure_telling = Telling(database, on_told=relay.wake, kind=FAILURES)

    def wake() -> None:
        relay.wake()
        telling.wake()
        failure_telling.wake()

    transactions = Transactions(database, on_commit=wake, on_commit_seconds=metrics.commits.observe)
    usual = Usual(database)
    monitor = Monitor(database, transactions, Live(feed), usual)
    overtime = Overtime(database, transactions, usual)
    presence = Presence(
        database,
        transactions,
        usual,
        offline_after=timedelta(seconds=settings.offline_after_seconds),
        silent_step=timedelta(seconds=settings.silent_step_seconds),
    )

    retention = Retention(
        database,
        transactions,
        Policy(settings.retention_days, settings.retention_processes),
        archive_after=settings.archive_after,
        audit_for=settings.audit_for,
        failures_for=settings.failures_for,
    )

    grouping = Grouping(database, transactions)
    connections = ConnectionStatistics()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, object]]:
        await migrate(database)
        await relay.start()
        works = (
            *(relay, monitor.live, telling, failure_telling),
            *(presence, overtime, retention, grouping),
        )
        loops = [
            asyncio.create_task(work.run(), name=type(work).__name__) for work in (*works, metrics)
        ]
        try:
            yield {STATISTICS: connections}
        finally:
            await transactions.close()
            await _cancel(loops)
            metrics.close()
            await feed.close()
            await database.close()

    attempts = Attempts()
    authenticator = Authenticator(ensure_token(settings), settings.read_token, attempts)
    rest = create_routes(monitor, authenticator)
    app = Application(
        title="Process Monitor",
        version="1.1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # Asked about with each request, and what it tells has in it what people report.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        middleware=[
            Middleware(RequestMetricsMiddleware, requests=metrics.requests),
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type", "Last-Event-ID"],
                expose_headers=[TOTAL_COUNT, "Retry-After"],
            ),
            Middleware(DefectMiddleware),
            Middleware(CallerMiddleware),
            Middleware(BodyLimitMiddleware, limit=MAX_REQUEST_BYTES),
        ],
        reports=partial(
            ReportsMiddleware,
            routes=rest,
            observe=metrics.requests.observe,
            defect=answer_defect,
        ),
    )
    app.state.monitor = monitor
    engine = Engine(create_schema(), timeout_seconds=settings.request_timeout_seconds)
    app.state.channels = channels = Channels(engine, monitor)
    sockets = SocketEndpoint(engine, monitor, authenticator, channels, patience)
    http = HttpEndpoint(engine, monitor, authenticator, channels, patience)
    app.router.routes += rest
    app.router.routes += create_explorer_router().routes
    app.router.routes += [
        Route("/graphql", http.handle, methods=METHODS),
        WebSocketRoute("/graphql", sockets),
    ]
    told = channels.statistics
    metrics.read(
        counters={
            "executions": lambda: told.executions,
            "deliveries": lambda: told.deliveries,
            "lags": lambda: told.lags,
            "commits": lambda: transactions.commits,
            "operations": lambda: transactions.operations,
        },
        levels={
            "open_connections": lambda: connections.open,
            "open_sockets": lambda: sockets.open_sockets,
            "open_subscriptions": lambda: channels.open_subscriptions,
            "channels": lambda: channels.open_channels,
            "write_queue_length": lambda: transactions.queue_length,
        },
        peaks={"write_queue_age_seconds": lambda: transactions.oldest_seconds},
        refusals=(transactions.statistics.refusals, connections.refusals, attempts.refusals),
        backlog=lambda: count_outbox(database),
    )
    add_endpoints(app, monitor, authenticator, metrics, lambda: relay.problem)
    return app


def create_feed(settings: Settings, database: Database) -> Feed:
    """In Redis when there is one, else in memory."""
    if settings.redis_url:
        return RedisFeed(
            settings.redis_url,
            installation=partial(read_installation, database),
            length=settings.feed_length,
            max_bytes=settings.feed_bytes,
        )
    return MemoryFeed(length=settings.feed_length, max_bytes=settings.feed_bytes)


async def _cancel(loops: Sequence[asyncio.Task[None]]) -> None:
    """Ends the loops; one that loses its cancellation in a library is cancelled again."""
    pending = set(loops)
    while pending:
        for loop in pending:
            loop.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.1)
