"""Signing in and out in a tab, and what happens when a session ends under it."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.conftest import TOKEN
from tests.dashboard.locators import connection, row
from tests.dashboard.reporter import Reporter
from tests.servers import DashboardServer, MonitorServer

PASSWORD = "tres tristes ñandúes"
# Until a tab that hears nothing says that its connection is lost, and asks why.
LOST_MILLISECONDS = 30_000


def locked_dashboard(api: MonitorServer, folder: Path, password: str) -> DashboardServer:
    settings = {
        "TOKEN": TOKEN,
        "BACKEND": f"http://127.0.0.1:{api.port}",
        "MONITOR_DASHBOARD_PASSWORD": password,
    }
    return DashboardServer(folder, settings)


@pytest.fixture
def locked(api: MonitorServer, tmp_path: Path) -> Iterator[DashboardServer]:
    """A dashboard with a password."""
    server = locked_dashboard(api, tmp_path, PASSWORD)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def context(browser: Browser, locked: DashboardServer) -> AsyncIterator[BrowserContext]:
    """A browser that knows nobody yet."""
    context = await browser.new_context(base_url=locked.url)
    yield context
    await context.close()


async def sign_in(tab: Page, password: str = PASSWORD) -> None:
    await tab.get_by_label("Password").fill(password)
    await tab.keyboard.press("Enter")


async def session_of(context: BrowserContext) -> dict[str, str]:
    [cookie] = await context.cookies()
    return {cookie["name"]: cookie["value"]}


async def test_nobody_sees_a_picture_of_a_page_who_has_not_signed_in(
    locked: DashboardServer, context: BrowserContext
) -> None:
    html = {"Accept": "text/html"}
    async with httpx.AsyncClient(base_url=locked.url, headers=html) as stranger:
        refused = await stranger.get("/", follow_redirects=True)
    assert refused.url.path == "/sign-in"
    assert "picture" not in refused.text
    tab = await context.new_page()
    await tab.goto("/")
    await sign_in(tab)
    await expect(connection(tab)).to_have_text("Live")
    cookies = await session_of(context)
    async with httpx.AsyncClient(base_url=locked.url, headers=html, cookies=cookies) as signed_in:
        let_in = await signed_in.get("/")
    assert 'class="picture"' in let_in.text


async def test_with_a_password_one_signs_in_and_comes_where_one_wanted(
    context: BrowserContext, reporter: Reporter
) -> None:
    worker = reporter.register("behind-a-password")
    tab = await context.new_page()
    await tab.goto(f"/?worker={worker}")
    await expect(tab).to_have_url(re.compile("/sign-in"))
    await sign_in(tab, "wrong")
    await expect(tab.get_by_text("The password is not right.")).to_be_visible()
    await sign_in(tab)
    await expect(row(tab, "workers", worker)).to_have_attribute("aria-selected", "true")
    await expect(connection(tab)).to_have_text("Live")
    assert TOKEN not in await tab.content()


async def test_one_signs_out_of_all_tabs_and_the_cookie_is_worth_nothing_afterwards(
    context: BrowserContext, locked: DashboardServer, reporter: Reporter
) -> None:
    worker = reporter.register("signed-out")
    tab, other = await context.new_page(), await context.new_page()
    await tab.goto("/")
    await sign_in(tab)
    await expect(connection(tab)).to_have_text("Live")
    await other.goto(f"/?worker={worker}")
    await expect(connection(other)).to_have_text("Live")
    session = await session_of(context)
    await tab.get_by_role("button", name="Sign out").click()
    await expect(tab.get_by_label("Password")).to_be_visible()
    async with httpx.AsyncClient(cookies=session) as thief:
        assert (await thief.get(locked.url)).status_code == 401
    await expect(other.get_by_label("Password")).to_be_visible(timeout=LOST_MILLISECONDS)
    await sign_in(other)
    await expect(row(other, "workers", worker)).to_have_attribute("aria-selected", "true")
    await expect(connection(other)).to_have_text("Live")


async def test_a_session_that_ends_under_a_tab_leads_to_the_form_and_back(
    context: BrowserContext, api: MonitorServer, locked: DashboardServer, reporter: Reporter
) -> None:
    worker = reporter.register("outlives-its-session")
    address = f"/?name=outlives&worker={worker}&status=failed"
    tab = await context.new_page()
    await tab.goto(address)
    await sign_in(tab)
    await expect(connection(tab)).to_have_text("Live")
    locked.stop()
    changed = locked_dashboard(api, locked.log.parent, "another password")
    changed.port, changed.url = locked.port, locked.url
    changed.start()
    try:
        await expect(tab.get_by_label("Password")).to_be_visible(timeout=LOST_MILLISECONDS)
        await sign_in(tab, "another password")
        await expect(tab).to_have_url(locked.url + address)
        await expect(row(tab, "workers", worker)).to_have_attribute("aria-selected", "true")
        await expect(connection(tab)).to_have_text("Live")
    finally:
        changed.stop()


async def test_an_open_tab_prolongs_its_session(
    context: BrowserContext, locked: DashboardServer
) -> None:
    tab = await context.new_page()
    await tab.clock.install()
    await tab.goto("/")
    await sign_in(tab)
    await expect(connection(tab)).to_have_text("Live")
    async with tab.expect_response(locked.url + "/") as answered:
        await tab.clock.fast_forward("01:00:01")
    assert (await answered.value).status == 200


async def test_without_a_password_there_is_nothing_to_sign_out_of(tab: Page) -> None:
    await tab.goto("/")
    await expect(connection(tab)).to_have_text("Live")
    await expect(tab.get_by_role("button", name="Sign out")).to_have_count(0)
