"""What a browser loads for a tab, and in which order."""

import re
from socket import gethostname
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Page, Route, expect

from dashboard.view.document import ASSETS, PICTURE_SCRIPTS, TABLES_CODE, assets_path
from tests.dashboard.locators import connection
from tests.servers import DashboardServer


def test_every_module_is_asked_for_at_once_under_a_path_of_its_version(
    dashboard: DashboardServer,
) -> None:
    document = httpx.get(dashboard.url).text
    preloaded = re.findall(r'<link rel="modulepreload" href="([^"]+)">', document)
    modules = {path.name for path in (ASSETS / "scripts").iterdir()}
    assert set(preloaded) == {f"/{assets_path()}/scripts/{name}" for name in modules}
    assert {f"assets/{version}" for version in re.findall(r'"/assets/([^/]+)/', document)} == {
        assets_path()
    }
    for path in preloaded:
        answer = httpx.get(dashboard.url + path)
        assert answer.headers["Content-Type"].startswith("text/javascript")
        assert "immutable" in answer.headers["Cache-Control"]


def test_what_draws_the_picture_needs_nothing_that_comes_later() -> None:
    needed, found = ["picture.js", "start.js"], set[str]()
    while needed:
        found.add(name := needed.pop())
        source = (ASSETS / "scripts" / name).read_text()
        needed += set(re.findall(r'from "\./([^"]+)"', source)) - found
    assert found == set(PICTURE_SCRIPTS)


async def test_nothing_is_drawn_before_a_late_module_is_there(tab: Page) -> None:
    drawn: list[int] = []

    async def hold(route: Route) -> None:
        await tab.locator("#_dash-renderer").wait_for(state="attached")
        # All that can be done without the module is done.
        await tab.evaluate("new Promise((done) => requestIdleCallback(done))")
        drawn.append(await tab.locator("#dashboard").count())
        await route.continue_()

    await tab.route("**/scripts/rows.js", hold)
    await tab.goto("/")
    await expect(connection(tab)).to_have_text("Live", timeout=30_000)
    assert drawn == [0]


async def test_everything_is_asked_for_once_and_before_the_code_runs(tab: Page) -> None:
    asked: list[str] = []
    tab.on("request", lambda sent: asked.append(urlsplit(sent.url).path))
    await tab.goto("/")
    await expect(connection(tab)).to_have_text("Live", timeout=30_000)
    assert len(asked) == len(set(asked))
    code = [path for path in asked if path.endswith(".js") and "/scripts/" not in path]
    assert asked.index("/_dash-layout") < asked.index(code[0])
    assert TABLES_CODE in code
    assert not [path for path in code if "polyfill" in path or "dash_table" in path]
    assert not [path for path in asked if path.endswith(".css")]


@pytest.mark.parametrize(
    "path",
    [
        "/_dash-component-suites/nope/x.js",
        "/_dash-component-suites/dash/nope.js",
        "/assets/0123456789abcdef/scripts/main.js",
        f"/{assets_path()}/scripts/nope.js",
    ],
)
def test_an_unknown_asset_is_not_found(dashboard: DashboardServer, path: str) -> None:
    assert httpx.get(dashboard.url + path).status_code == 404


def test_every_answer_allows_only_this_server(dashboard: DashboardServer) -> None:
    policy = httpx.get(dashboard.url).headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-eval" not in policy
    assert "http" not in policy


def test_the_dashboard_answers_by_no_name_of_others(dashboard: DashboardServer) -> None:
    for host, status in [("evil.example", 421), (f"{gethostname()}:8050", 200)]:
        assert httpx.get(dashboard.url, headers={"Host": host}).status_code == status


def test_code_travels_compressed(dashboard: DashboardServer) -> None:
    tables = f"{dashboard.url}{TABLES_CODE}"
    with httpx.stream("GET", tables, headers={"Accept-Encoding": "gzip"}) as answer:
        sent = sum(map(len, answer.iter_raw()))
    assert answer.headers["Content-Encoding"] == "gzip"
    assert sent < len(httpx.get(tables, headers={"Accept-Encoding": "identity"}).content) / 2
