"""A tab under conditions: servers gone, no WebSocket, small, dark."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.conftest import TOKEN
from tests.dashboard.locators import connection, row
from tests.dashboard.reporter import Reporter
from tests.servers import DashboardServer, MonitorServer, RedisServer

AXE = Path(__file__).parents[1] / "node" / "node_modules" / "axe-core" / "axe.min.js"
AXE_SECONDS = 30_000


@contextmanager
def product(folder: Path, **settings: str) -> Iterator[tuple[MonitorServer, DashboardServer]]:
    """An API and its dashboard, to be ended and started again."""
    api = MonitorServer(folder / "api", {"TOKEN": TOKEN, **settings})
    dashboard = DashboardServer(
        folder / "dashboard", {"TOKEN": TOKEN, "BACKEND": f"127.0.0.1:{api.port}"}
    )
    api.start()
    dashboard.start()
    try:
        yield api, dashboard
    finally:
        dashboard.stop()
        api.stop()


async def test_the_tab_says_that_the_api_is_gone_and_recovers(
    browser: Browser, tmp_path: Path
) -> None:
    with product(tmp_path) as (api, dashboard):
        tab = await browser.new_page()
        await tab.goto(f"{dashboard.url}/?view=workers")
        await expect(connection(tab)).to_have_text("Live")
        api.kill()
        await expect(connection(tab)).to_contain_text("No connection to the API", timeout=15_000)
        await expect(connection(tab)).to_contain_text("Data as of")
        await expect(tab.locator('[data-panel="workers"]')).to_contain_text("As of")
        api.start()
        await expect(connection(tab)).to_have_text("Live", timeout=30_000)
        with httpx.Client(
            base_url=api.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10
        ) as http:
            worker = Reporter(http).register("after-the-restart")
        await expect(row(tab, "workers", worker)).to_be_visible(timeout=15_000)
        dashboard.kill()
        await expect(connection(tab)).to_contain_text("Connection lost", timeout=30_000)
        dashboard.start()
        await expect(connection(tab)).to_have_text("Live", timeout=30_000)
        await tab.close()


async def test_the_tab_says_that_changes_come_late_without_the_live_feed(
    browser: Browser, tmp_path: Path
) -> None:
    redis = RedisServer(tmp_path / "redis")
    redis.start()
    with product(tmp_path, REDIS_URL=redis.url) as (_, dashboard):
        tab = await browser.new_page()
        await tab.goto(dashboard.url)
        await expect(connection(tab)).to_have_text("Live")
        redis.stop()
        await expect(connection(tab)).to_contain_text("Changes come late", timeout=20_000)
        redis.start()
        await expect(connection(tab)).to_have_text("Live", timeout=30_000)
        await tab.close()
    redis.stop()


async def test_without_websocket_the_tab_is_refreshed_and_says_so(
    tab: Page, reporter: Reporter
) -> None:
    worker = reporter.register("refreshed")
    await tab.add_init_script("delete window.SharedWorker")
    await tab.clock.install()
    await tab.goto(f"/?worker={worker}")
    await expect(row(tab, "workers", worker)).to_be_visible(timeout=10_000)
    await expect(connection(tab)).to_have_text("Refreshed every 15 s")
    live = await tab.context.new_page()
    await live.goto(f"/?worker={worker}")
    await expect(connection(live)).to_have_text("Live")
    run = reporter.start(worker)
    await expect(row(live, "processes", run.id)).to_contain_text("Running")
    await expect(row(tab, "processes", run.id)).to_have_count(0)
    await tab.clock.fast_forward(16_000)
    await expect(row(tab, "processes", run.id)).to_contain_text("Running")


async def test_it_follows_the_system_and_remembers_the_choice_of_colours(tab: Page) -> None:
    await tab.emulate_media(color_scheme="dark")
    await tab.goto("/")
    html = tab.locator("html")
    await expect(html).to_have_attribute("data-scheme", "dark")
    await tab.emulate_media(color_scheme="light")
    await expect(html).to_have_attribute("data-scheme", "light")
    await tab.locator("#theme").select_option("Dark")
    await expect(html).to_have_attribute("data-scheme", "dark")
    await tab.reload()
    await expect(html).to_have_attribute("data-scheme", "dark")


async def test_at_390_pixels_there_is_one_level_at_a_time(tab: Page, reporter: Reporter) -> None:
    await tab.set_viewport_size({"width": 390, "height": 844})
    worker = reporter.register("pocket")
    run = reporter.fail(worker, "a fault that is longer than a telephone is wide, by far")
    await tab.goto("/?view=workers&name=pocket")
    await row(tab, "workers", worker).click()
    await expect(tab.locator("#workers-panel")).to_be_hidden()
    await row(tab, "processes", run.id).click()
    await expect(tab.locator("#processes-panel")).to_be_hidden()
    await expect(tab.locator(".failure-message")).to_be_in_viewport()
    assert await tab.evaluate("document.documentElement.scrollWidth") <= 390
    await tab.locator("#trail").get_by_role("link", name="pocket").click()
    await expect(row(tab, "processes", run.id)).to_be_visible()
    await tab.locator("#trail").get_by_role("link", name="Workers").click()
    await expect(row(tab, "workers", worker)).to_be_visible()
    assert await tab.evaluate("document.documentElement.scrollWidth") <= 390


VIEWS = (
    *("/", "/?view=runs", "/?view=workers", "/?view=failures"),
    *("/?pipeline={pipeline}", "/?worker={worker}", "/?failure={failure}"),
)
DEEP = (
    *("/?worker={worker}&process={run}", "/?view=runs&process={run}", "/?process={run}"),
    "/?failure={failure}&process={run}",
)


async def open_views(tab: Page, reporter: Reporter, name: str) -> AsyncIterator[str]:
    """Opens one view after the other, each with what it is to show in sight."""
    worker = reporter.register(name)
    run = reporter.fail(worker, "a fault that is longer than a telephone is wide, by far")
    await tab.goto(f"/?process={run.id}")
    link = tab.locator("#facts").get_by_role("link", name=name)
    alike = tab.locator(".failure-alike").get_by_role("link")
    pipeline, failure = [await led_to(link, "pipeline"), await led_to(alike, "failure")]
    ids = {"pipeline": pipeline, "worker": worker, "run": run.id, "failure": failure}
    for view in (*VIEWS, *DEEP):
        await tab.goto(view.format(**ids))
        if "process" in view:
            await expect(tab.locator(".failure-message")).to_be_visible()
        elif "failure=" in view:
            await expect(tab.locator(".example-message")).to_be_visible()
        else:
            await expect(tab.locator(".ag-row:visible").first).to_be_visible()
        if "pipeline" in view:
            await expect(tab.locator(".outcomes")).to_be_visible()
            await expect(tab.locator("#runtimes-chart")).to_be_attached()
        yield view


async def led_to(link: Locator, parameter: str) -> str:
    """What the address of a link says."""
    return parse_qs(str(await link.get_attribute("href"))[1:])[parameter][0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious(tab: Page, reporter: Reporter, scheme: str) -> None:
    await tab.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    async for view in open_views(tab, reporter, f"accessible-{scheme}"):
        assert await serious_faults(tab) == [], view
    await tab.keyboard.press("Control+k")
    await expect(tab.get_by_role("dialog").get_by_role("option").first).to_be_visible()
    assert await serious_faults(tab) == []
    await tab.keyboard.type("normalise")  # a function in each of the tracebacks
    await expect(tab.locator(".finder small").first).to_be_visible()
    assert await serious_faults(tab) == []


async def serious_faults(tab: Page) -> list[str]:
    """What axe-core finds."""
    await tab.evaluate(AXE.read_text())
    found = await tab.evaluate("axe.run()")
    return [
        f"{fault['id']}: {node['html'][:200]} {node['failureSummary']}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"][:3]
    ]


async def test_no_view_is_wider_than_a_telephone(tab: Page, reporter: Reporter) -> None:
    await tab.set_viewport_size({"width": 390, "height": 844})
    async for view in open_views(tab, reporter, "narrow"):
        assert await tab.evaluate("document.documentElement.scrollWidth") <= 390, view
