"""The API and its dashboard as programs of their own, and pages in a real browser."""

from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Browser, ConsoleMessage, Page

from dashboard.door.gate import Gate
from tests.conftest import TOKEN
from tests.dashboard.door.doorway import PASSWORD, POLICY, Clock, Delays, client_of, echo
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


def is_fault(said: ConsoleMessage) -> bool:
    """Dash says by itself that it does without WebSocket, which is what is tested then."""
    return said.type in ("error", "warning") and "SharedWorker not supported" not in said.text


@pytest.fixture
async def page(browser: Browser, dashboard: DashboardServer) -> AsyncIterator[Page]:
    """A page that may call nobody but the dashboard, and has nothing to complain about."""
    context = await browser.new_context(viewport=DESKTOP, base_url=dashboard.url)  # type: ignore[arg-type]
    page = await context.new_page()
    hosts: set[str] = set()
    faults: list[str] = []
    context.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("websocket", lambda socket: hosts.add(urlsplit(socket.url).netloc))
    page.on(
        "console",
        lambda said: faults.append(said.text) if is_fault(said) else None,
    )
    page.on("pageerror", lambda error: faults.append(f"{error} {error.stack}"))
    yield page
    await context.close()
    assert hosts <= {f"127.0.0.1:{dashboard.port}", ""}
    assert faults == []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def delays() -> Delays:
    return Delays()


@pytest.fixture
def gate(clock: Clock, delays: Delays) -> Gate:
    return Gate(echo, password=PASSWORD, policy=POLICY, now=clock, delay=delays)


@pytest.fixture
async def client(gate: Gate) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(gate) as client:
        yield client
