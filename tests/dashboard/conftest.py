"""The API and its dashboard as programs of their own, and tabs in a real browser."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Response

from dashboard.api import Api
from dashboard.boards.mirror import Mirror
from dashboard.supervision import end
from db.session import Database
from tests.conftest import TOKEN
from tests.dashboard.history import History
from tests.dashboard.reporter import Reporter
from tests.servers import DashboardServer, MonitorServer

DESKTOP = {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MonitorServer]:
    server = MonitorServer(
        tmp_path_factory.mktemp("api"),
        {"TOKEN": TOKEN, "MONITOR_OFFLINE_AFTER_SECONDS": "3600"},
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def dashboard(
    api: MonitorServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DashboardServer]:
    server = DashboardServer(
        tmp_path_factory.mktemp("dashboard"),
        {"TOKEN": TOKEN, "BACKEND": f"127.0.0.1:{api.port}"},
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture
def reporter(api: MonitorServer) -> Iterator[Reporter]:
    """A worker program that reports to the API."""
    with httpx.Client(
        base_url=api.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10
    ) as http:
        yield Reporter(http)


@pytest.fixture
async def history(api: MonitorServer) -> AsyncIterator[History]:
    """What ended before the API was started."""
    database = Database(api.sqlite_url)
    yield History(database)
    await database.close()


@pytest.fixture(autouse=True)
def pages_that_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """A visit is over when the first picture has made way: it has texts and classes of the page."""
    for visit in ("goto", "reload"):
        monkeypatch.setattr(Page, visit, until_it_lives(getattr(Page, visit)))


def until_it_lives(visit: Callable[..., Awaitable[Response | None]]) -> Callable[..., Any]:
    async def visit_and_wait(page: Page, *args: Any, **options: Any) -> Response | None:
        answer = await visit(page, *args, **options)
        await page.locator(".picture").wait_for(state="detached")
        return answer

    return visit_and_wait


def is_fault(said: ConsoleMessage) -> bool:
    """Dash says by itself that it does without WebSocket, which is what is tested then."""
    return said.type in ("error", "warning") and "SharedWorker not supported" not in said.text


@pytest.fixture
async def mirror(api: MonitorServer) -> AsyncIterator[Mirror]:
    """Boards of the API, followed as in the dashboard."""
    mirror = Mirror(Api(api.url, TOKEN))
    running = asyncio.create_task(mirror.run())
    yield mirror
    await end(running)


@pytest.fixture
async def tab(browser: Browser, dashboard: DashboardServer) -> AsyncIterator[Page]:
    """A tab that may call nobody but the dashboard, and has nothing to complain about."""
    context = await browser.new_context(viewport=DESKTOP, base_url=dashboard.url)  # type: ignore[arg-type]
    tab = await context.new_page()
    hosts: set[str] = set()
    faults: list[str] = []
    context.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    tab.on("websocket", lambda socket: hosts.add(urlsplit(socket.url).netloc))
    tab.on(
        "console",
        lambda said: faults.append(said.text) if is_fault(said) else None,
    )
    tab.on("pageerror", lambda error: faults.append(f"{error} {error.stack}"))
    yield tab
    await context.close()
    assert hosts <= {f"127.0.0.1:{dashboard.port}", ""}
    assert faults == []
