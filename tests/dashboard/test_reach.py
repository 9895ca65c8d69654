"""What a tab offers over plain HTTP."""

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.conftest import CHROMIUM, CHROMIUM_FLAGS, TOKEN
from tests.dashboard.locators import connection
from tests.dashboard.reporter import Reporter
from tests.servers import DashboardServer, MonitorServer, find_program

NAME = "monitor.example"
# For all that a tab loads at first, which is not what is looked at here.
LOAD_MILLISECONDS = 30_000


@pytest.fixture(scope="module")
def named(
    api: MonitorServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DashboardServer]:
    """A dashboard that answers by a name."""
    settings = {
        "TOKEN": TOKEN,
        "BACKEND": f"127.0.0.1:{api.port}",
        "MONITOR_DASHBOARD_HOSTS": NAME,
    }
    server = DashboardServer(tmp_path_factory.mktemp("named"), settings)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def plain(named: DashboardServer) -> AsyncIterator[Page]:
    """A tab over plain HTTP, by a name: browsers trust no such page with the clipboard."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_program(*CHROMIUM),
            args=[*CHROMIUM_FLAGS, f"--host-resolver-rules=MAP {NAME} 127.0.0.1"],
        )
        yield await browser.new_page(base_url=f"http://{NAME}:{named.port}")
        await browser.close()


async def open_at(tab: Page, address: str) -> None:
    """Opens an address, and returns when the tab is live."""
    await tab.goto(address)
    await expect(connection(tab)).to_have_text("Live", timeout=LOAD_MILLISECONDS)


async def test_over_plain_http_the_text_is_selected_to_be_copied(
    plain: Page, reporter: Reporter
) -> None:
    worker = reporter.register("in-the-clear")
    run = reporter.fail(worker, "no column 'customer_id'")
    await open_at(plain, f"/?worker={worker}&process={run.id}")
    assert not await plain.evaluate("isSecureContext")
    button = plain.locator(".facts .copy")
    await button.click()
    await expect(button).to_have_text("Press Ctrl+C to copy")
    await expect(plain.get_by_role("textbox", name="Selected")).to_be_focused()
    assert await plain.evaluate("getSelection().toString()") == run.id
    await plain.locator("#name").focus()
    await expect(button).to_have_text("Copy id")
    await expect(plain.get_by_role("textbox", name="Selected")).to_have_count(0)


async def test_a_button_has_its_own_words_again_after_copying_twice(
    tab: Page, reporter: Reporter
) -> None:
    worker = reporter.register("copied")
    run = reporter.fail(worker, "copied fault")
    await tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await open_at(tab, f"/?worker={worker}&process={run.id}")
    button = tab.locator(".facts .copy")
    await expect(button).to_have_text("Copy id")
    await tab.clock.install()
    for _ in range(2):
        await button.click()
        await expect(button).to_have_text("Copied")
    assert await tab.evaluate("navigator.clipboard.readText()") == run.id
    await tab.clock.fast_forward(2000)
    await expect(button).to_have_text("Copy id")
