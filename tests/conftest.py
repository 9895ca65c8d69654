"""Fixtures: private servers once per session, a clean database and a running app per test."""

import asyncio
import gc
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from playwright.async_api import Browser, async_playwright, expect

from app.factory import create_app
from app.settings import Settings
from db import models, session
from db.migrate import migrate
from db.session import Database
from monitor.feed import redis as redis_feed
from monitor.writing.job import UNHURRIED
from monitor.writing.transactions import Transactions
from tests.client import Client
from tests.servers import MariaDb, RedisServer, find_program

TOKEN = "full-access-token"
READ_TOKEN = "read-only-token"
CHROMIUM = ("chromium", "google-chrome", "chromium-browser")
# Machines stand still for seconds; what is awaited comes or does not.
EXPECT_MILLISECONDS = 20_000
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]


MEMORY = Path("/dev/shm")
MEMORY_BYTES = 8 * 1024**3


def pytest_configure() -> None:
    # The databases of the tests, where there is room for them: a disk that stalls for seconds under
    # a dozen of servers is no fault of what is tested.
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_BYTES:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None
    # What Hypothesis notes of our code does not belong into the tree.
    notes = Path(tempfile.gettempdir(), f"hypothesis-{os.getuid()}")
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(notes))


def pytest_collection_finish() -> None:
    # What is imported stays: collecting it after every few tests took a fifth of the suite's time.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """A MariaDB server; durable commits would only make the suite slow."""
    server = MariaDb(tmp_path_factory.mktemp("mariadb"))
    server.install()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium; each test opens contexts of its own in it."""
    expect.set_options(timeout=EXPECT_MILLISECONDS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_program(*CHROMIUM), args=CHROMIUM_FLAGS
        )
        yield browser
        await browser.close()


_numbers = count(1)


@pytest.fixture(params=["sqlite", "mariadb"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables, on SQLite and on MariaDB."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    server: MariaDb = request.getfixturevalue("mariadb")
    name = f"empty_{next(_numbers)}"
    server.execute(f"CREATE DATABASE {name}")
    return server.url(name)


@pytest.fixture
async def empty_database(empty_database_url: str) -> AsyncIterator[Database]:
    database = Database(empty_database_url)
    yield database
    await database.close()


def _migrate(url: str) -> None:
    async def run() -> None:
        database = Database(url)
        await migrate(database)
        await database.close()

    asyncio.run(run())


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_mariadb(mariadb: MariaDb) -> MariaDb:
    """A server with a migrated database named `suite`."""
    mariadb.execute("CREATE DATABASE suite")
    _migrate(mariadb.url("suite"))
    return mariadb


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a migrated, empty database, on SQLite and on MariaDB."""
    if request.param == "sqlite":
        path = tmp_path / "monitor.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    server: MariaDb = request.getfixturevalue("migrated_mariadb")
    tables = [table.name for table in reversed(models.metadata.sorted_tables)]
    server.execute("USE suite; " + "; ".join(f"DELETE FROM {table}" for table in tables))
    return server.url("suite")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(
        _env_file=None,
        database_url=database_url,
        token=[TOKEN],
        read_token=[READ_TOKEN],
        MONITOR_DATA_DIR=tmp_path,
        # What a test stores is old, and looked after while it runs.
        MONITOR_ARCHIVE_AFTER_DAYS=0,
    )


# Of sessions of MariaDB, after what the product sets.
PATIENTLY = ", idle_transaction_timeout=60"


@pytest.fixture(autouse=True)
def unhurried(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports, transactions and Redis have all the time they need, but where that is what is
    tested: a machine that stands still for seconds under a dozen of servers is no fault of what is
    reported.
    """
    if request.node.get_closest_marker("in_time") is None:
        defaults = Transactions.__init__.__kwdefaults__
        assert defaults is not None
        monkeypatch.setitem(defaults, "deadlines", UNHURRIED)
        monkeypatch.setattr(session, "_MARIADB_SESSION", session._MARIADB_SESSION + PATIENTLY)
        monkeypatch.setattr(redis_feed, "_ANSWER_SECONDS", 30.0)


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[Client]:
    """The app with its lifespan, behind a client that speaks to it in memory."""
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://monitor") as http:
            yield Client(http, TOKEN)


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[Client]:
    """A client with full access to a monitor of its own, on both databases."""
    async with serving(create_app(settings)) as client:
        yield client
