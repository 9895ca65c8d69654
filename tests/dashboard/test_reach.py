"""What a tab offers to keyboards and screen readers, over plain HTTP, and with another Dash."""

import re
from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from tests.conftest import CHROMIUM, CHROMIUM_FLAGS, TOKEN
from tests.dashboard.locators import connection, row
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


async def open_at(tab: Page, address: str, says: str = "Live") -> None:
    """Opens an address, and returns when the tab is live, or says what else is to be waited for."""
    await tab.goto(address)
    await expect(connection(tab)).to_have_text(says, timeout=LOAD_MILLISECONDS)


async def test_over_plain_http_the_text_is_selected_to_be_copied(
    plain: Page, reporter: Reporter
) -> None:
    worker = reporter.register("in-the-clear")
    run = reporter.fail(worker, "no column 'customer_id'")
    await open_at(plain, f"/?worker={worker}&process={run.id}")
    assert not await plain.evaluate("isSecureContext")
    button = plain.locator("#facts .copy")
    await button.click()
    await expect(button).to_have_text("Press Ctrl+C to copy")
    await expect(plain.get_by_role("textbox", name="Selected")).to_be_focused()
    assert await plain.evaluate("getSelection().toString()") == run.id
    await plain.locator("#worker-name").focus()
    await expect(button).to_have_text("Copy id")
    await expect(plain.get_by_role("textbox", name="Selected")).to_have_count(0)


async def test_a_button_has_its_own_words_again_after_copying_twice(
    tab: Page, reporter: Reporter
) -> None:
    worker = reporter.register("copied")
    run = reporter.fail(worker, "copied fault")
    await tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await open_at(tab, f"/?worker={worker}&process={run.id}")
    button = tab.locator("#facts .copy")
    await expect(button).to_have_text("Copy id")
    await tab.clock.install()
    for _ in range(2):
        await button.click()
        await expect(button).to_have_text("Copied")
    assert await tab.evaluate("navigator.clipboard.readText()") == run.id
    await tab.clock.fast_forward(2000)
    await expect(button).to_have_text("Copy id")


async def test_the_title_names_what_is_looked_at(tab: Page, reporter: Reporter) -> None:
    worker = reporter.register("in-the-title")
    run = reporter.succeed(worker)
    await open_at(tab, "/?view=workers")
    await expect(tab).to_have_title("Process Monitor")
    await row(tab, "workers", worker).click()
    await expect(tab).to_have_title("in-the-title · Process Monitor")
    await row(tab, "processes", run.id).click()
    await expect(tab).to_have_title(f"Run …{run.id[-8:]} · in-the-title · Process Monitor")
    await tab.get_by_role("link", name="Overview").click()
    await expect(tab).to_have_title("Process Monitor")


async def test_the_search_has_a_label(tab: Page, reporter: Reporter) -> None:
    worker, other = reporter.register("sought"), reporter.register("not-looked-for")
    await open_at(tab, "/?view=workers")
    await expect(row(tab, "workers", other)).to_be_visible()
    await tab.get_by_label("Search workers by name").focus()
    await tab.keyboard.type("sought")
    await expect(row(tab, "workers", other)).to_have_count(0)
    await expect(row(tab, "workers", worker)).to_be_visible()


async def test_the_slots_of_the_chart_are_read_by_keyboard(tab: Page, reporter: Reporter) -> None:
    worker = reporter.register("charted")
    reporter.fail(worker, "charted fault")
    await open_at(tab, f"/?worker={worker}")
    chart = tab.get_by_role("slider", name=re.compile(r"^Activity: 1 process started"))
    await expect(chart).to_have_attribute("aria-valuemax", "59")
    said = tab.locator(".chart-said")
    await expect(said).to_be_hidden()
    await chart.focus()
    await expect(said).to_be_visible()
    read = set()
    for _ in range(3):  # the minute may change meanwhile
        words = await chart.get_attribute("aria-valuetext")
        await expect(said).to_have_text(words or "")
        read.add((words or "").partition(": ")[2])
        await tab.keyboard.press("ArrowLeft")
        await expect(chart).not_to_have_attribute("aria-valuetext", words or "")
    assert read == {"1 started, 0 succeeded, 1 failed", "0 started, 0 succeeded, 0 failed"}
    await tab.keyboard.press("Home")
    await expect(chart).to_have_attribute("aria-valuenow", "0")
    await tab.keyboard.press("End")
    await expect(chart).to_have_attribute("aria-valuenow", "59")
    await tab.locator("#activity .slot").nth(10).click(force=True)
    await expect(chart).to_have_attribute("aria-valuenow", "10")
    await expect(tab.locator("#activity .slot.marked")).to_have_count(1)


LACKING = {
    "window.store": "Object.defineProperty(window, 'store', { get() {}, set() {} });",
    "dash_clientside.set_props": """
        window.dash_clientside = {};
        Object.defineProperty(window.dash_clientside, "set_props", { get() {}, set() {} });""",
    "dash_ag_grid.getApi": """
        let tables;
        const get = (of, name) => (name === "getApi" ? undefined : of[name]);
        Object.defineProperty(window, "dash_ag_grid", {
            get: () => tables,
            set: (given) => (tables = new Proxy(given, { get })),
        });""",
}


class Said:
    """What a tab says in its console."""

    def __init__(self, tab: Page) -> None:
        self.loads = 0
        self.lacking: list[str] = []
        self.faults: list[str] = []
        tab.on("domcontentloaded", self._load)
        tab.on("console", self._hear)
        tab.on("pageerror", lambda error: self.faults.append(str(error)))

    def _load(self, _: Page) -> None:
        self.loads += 1

    def _hear(self, said: ConsoleMessage) -> None:
        if "is not as this dashboard knows it" in said.text:
            self.lacking.append(said.text.partition(" ")[0])


@pytest.mark.parametrize("lacking", LACKING)
async def test_without_a_part_of_dash_the_tab_goes_on_and_says_so_once(
    browser: Browser, dashboard: DashboardServer, reporter: Reporter, lacking: str
) -> None:
    worker = reporter.register(f"without {lacking}")
    tab = await browser.new_page(base_url=dashboard.url)
    said = Said(tab)
    await tab.add_init_script(LACKING[lacking])
    await open_at(tab, "/?view=workers")
    await row(tab, "workers", worker).click()
    await expect(tab).to_have_url(re.compile(f"worker={worker}"))
    await expect(connection(tab)).to_have_text("Live")
    run = reporter.start(worker)
    await expect(row(tab, "processes", run.id)).to_contain_text("Running")
    reporter.end(run)
    await expect(row(tab, "processes", run.id)).to_contain_text("Succeeded")
    # The address is changed by loading anew when Dash cannot.
    assert said.loads == (2 if "set_props" in lacking else 1)
    assert set(said.lacking) == {lacking}
    assert len(said.lacking) <= said.loads
    assert said.faults == []
    await tab.close()
