"""What a tab says while something is not known, not right, or not told as it happens."""

import asyncio
import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from dashboard.address import Start
from dashboard.api import MAX_SUBSCRIPTIONS
from tests.conftest import TOKEN
from tests.dashboard.locators import connection, nothing_to_show, row
from tests.dashboard.reporter import Reporter
from tests.servers import DashboardServer, MonitorServer

# What a task has at most; the API answers sixteen times as many.
DETAILS_BYTES = 1024 * 1024
# Notes each text that a table shows in place of rows, as long as the tab is open.
WATCH = """
window.claims = new Set();
const look = () => {
    for (const none of document.querySelectorAll(".ag-overlay-no-rows-center"))
        if (none.checkVisibility()) window.claims.add(none.textContent);
    requestAnimationFrame(look);
};
look();
"""


async def test_a_list_that_cannot_be_loaded_says_why_and_is_not_live(
    tab: Page, reporter: Reporter
) -> None:
    worker = reporter.register("not-loaded")
    start = Start(0, "garbage")
    await tab.goto(f"/?worker={worker}&start={start}")
    said = tab.locator('[data-panel="processes"]')
    await expect(said).to_contain_text("Not loaded: after: is not a cursor", timeout=15_000)
    await expect(connection(tab)).to_have_text("Not up to date: processes")
    await expect(tab.locator('[data-panel="workers"]')).to_have_text("")
    await expect(nothing_to_show(tab, "processes")).to_have_count(0)
    await tab.get_by_role("button", name="First page").click()
    await expect(connection(tab)).to_have_text("Live", timeout=15_000)
    await expect(said).to_have_text("")


async def test_nothing_is_claimed_before_it_is_known(tab: Page, reporter: Reporter) -> None:
    worker = reporter.register("claimed")
    run, other = reporter.fail(worker, "boom"), reporter.succeed(worker)
    await tab.add_init_script(WATCH)
    await tab.goto(f"/?process={other.id}")
    await expect(row(tab, "tasks", other.tasks[0])).to_be_visible(timeout=15_000)
    await tab.get_by_role("link", name="Workers").click()
    await row(tab, "workers", worker).click()
    await row(tab, "processes", run.id).click()
    await expect(row(tab, "tasks", run.tasks[0])).to_be_visible(timeout=15_000)
    await row(tab, "processes", other.id).click()
    await expect(row(tab, "tasks", other.tasks[0])).to_be_visible(timeout=15_000)
    assert await tab.evaluate("[...window.claims]") == []
    empty = reporter.register("claimed-without-processes")
    await tab.goto(f"/?worker={empty}")
    await expect(nothing_to_show(tab, "processes")).to_be_visible(timeout=15_000)


async def test_a_process_whose_details_are_too_large_together_is_shown_without_them(
    tab: Page, reporter: Reporter
) -> None:
    steps = [f"step {number}" for number in range(1, 20)]
    run = reporter.start(reporter.register("too-large", steps))
    for position in range(1, 18):
        reporter.report(run, position, "success", "x" * DETAILS_BYTES)
    reporter.report(run, 18, "error", "it went wrong")
    await tab.goto(f"/?process={run.id}")
    await expect(row(tab, "tasks", run.tasks[16])).to_contain_text("Succeeded", timeout=15_000)
    await expect(tab.locator("#facts")).to_contain_text("too large to be shown together")
    await expect(tab.locator("#failure")).to_contain_text("it went wrong")
    await expect(connection(tab)).to_have_text("Live", timeout=15_000)
    # What is told from then on is shown as ever.
    reporter.report(run, 19, "success", "all is well")
    await expect(row(tab, "tasks", run.tasks[18])).to_contain_text("Succeeded")
    await expect(tab.locator("#reports")).to_contain_text("19 step 19: details")
    await expect(tab.locator("#reports details")).to_have_count(1)


@pytest.fixture
def crowded(
    api: MonitorServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DashboardServer]:
    """A dashboard of its own: it shows more than its socket takes."""
    server = DashboardServer(
        tmp_path_factory.mktemp("crowded"), {"TOKEN": TOKEN, "BACKEND": f"127.0.0.1:{api.port}"}
    )
    server.start()
    yield server
    server.stop()


async def show(http: httpx.AsyncClient, worker: str) -> None:
    """Has the dashboard show a worker, as a tab without a socket does."""
    about = {"tab": worker, "number": 1, "search": f"?worker={worker}"}
    asked = {"id": "poll", "property": "data", "value": about}
    callback = next(
        each
        for each in (await http.get("/_dash-dependencies")).json()
        if [one["id"] for one in each["inputs"]] == ["poll"]
    )
    body = {
        "output": callback["output"],
        "outputs": [],
        "inputs": [asked],
        "changedPropIds": ["poll.data"],
    }
    (await http.post("/_dash-update-component", json=body)).raise_for_status()


async def test_what_is_beyond_the_subscriptions_of_the_socket_says_that_it_is_refreshed(
    browser: Browser, crowded: DashboardServer, reporter: Reporter
) -> None:
    worker = reporter.register("beyond")
    async with httpx.AsyncClient(base_url=crowded.url, timeout=60) as http:
        await asyncio.gather(*(show(http, f"worker_{n}") for n in range(MAX_SUBSCRIPTIONS)))
    tab = await browser.new_page()
    await tab.goto(f"{crowded.url}/?worker={worker}")
    await expect(tab.locator('[data-panel="processes"]')).to_have_text(
        "Refreshed every 15 s", timeout=15_000
    )
    await expect(connection(tab)).to_have_text(re.compile("^Refreshed every 15 s.*processes"))
    await tab.close()
