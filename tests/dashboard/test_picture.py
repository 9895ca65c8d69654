"""A first picture of a page is painted before its code runs, and makes way for the page."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.dashboard.conftest import DESKTOP
from tests.dashboard.locators import connection
from tests.dashboard.reporter import Reporter
from tests.servers import DashboardServer

CODE = "**/_dash-component-suites/**"
PICTURE = ".picture"
# Where things are, of the picture as of the page.
PLACES = """(root) => {
  const panels = ".panel, .panel-head h2, .segments, .pager";
  const parts = ".tile, .facts, .bar-row, .chip, svg text";
  const cells = ".picture-row > :first-child, .ag-cell.ag-column-first";
  const heads = ".picture-head > *, .ag-header-cell"; // AG Grid has them in any order
  const edgeOf = (one) => one.closest(".panel")?.getBoundingClientRect().right ?? innerWidth;
  const seen = (one) => {
    const { left, top, width } = one.getBoundingClientRect();
    return width && top < innerHeight - 40 && left < edgeOf(one); // not of a table that just begins
  };
  const named = [panels, parts, cells, heads].join(",");
  const found = [...document.querySelector(root).querySelectorAll(named)];
  const textOf = (one) => one.textContent.trim().replace(/\\d+ s ago/, "ago");
  const nameOf = (one) => (one.matches(".panel") ? one.className : textOf(one));
  const place = (one) => {
    const { left, top } = one.getBoundingClientRect();
    return [nameOf(one), left, top];
  };
  const isTime = (one) => /^\\d\\d:\\d\\d$/.test(one.textContent); // of an axis: it goes on
  return found.filter((one) => seen(one) && !isTime(one)).map(place);
}"""
STATE = """(root) => {
  const { dataset } = document.querySelector(`${root} .dashboard`);
  const text = (name) => document.querySelector(`${root} ${name}`).textContent;
  return [dataset.view, dataset.level, text(".trail"), text(".views [aria-current]")];
}"""


@pytest.fixture(autouse=True)
def pages_that_live() -> None:
    """Not waited for here."""


@asynccontextmanager
async def without_code(browser: Browser, dashboard: DashboardServer) -> AsyncIterator[Page]:
    """A tab whose page never lives."""
    context = await browser.new_context(viewport=DESKTOP, base_url=dashboard.url)  # type: ignore[arg-type]
    tab = await context.new_page()
    await tab.route(CODE, lambda route: route.abort())
    yield tab
    await context.close()


async def lives(tab: Page) -> None:
    await expect(tab.locator(PICTURE)).to_have_count(0)
    await expect(connection(tab)).to_have_text("Live")


def moved(one: list[Any], other: list[Any]) -> list[Any]:
    """What is elsewhere than in the other one, by more than rounding."""
    places = numbered(other)
    return [
        (name, (left, top), places.get(name))
        for name, (left, top) in numbered(one).items()
        if name not in places or max(abs(left - places[name][0]), abs(top - places[name][1])) > 2
    ]


def numbered(found: list[Any]) -> dict[tuple[str, int], tuple[float, float]]:
    """Where each is, of those of one text the first from above as number 0."""
    places: dict[tuple[str, int], tuple[float, float]] = {}
    seen: Counter[str] = Counter()
    for text, left, top in sorted(found, key=lambda it: (it[2], it[1])):
        places[text, seen[text]] = (left, top)
        seen[text] += 1
    return places


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/?view=workers&presence=finished",
        "/?view=runs&status=failed&period=7d",
        "/?view=failures",
        "/?pipeline={pipeline}",
        "/?worker={worker}",
        "/?process={process}",
        "/?worker={worker}&process={process}",
    ],
)
async def test_nothing_moves_when_it_makes_way(
    tab: Page, browser: Browser, dashboard: DashboardServer, reporter: Reporter, address: str
) -> None:
    worker = reporter.register("still")
    reporter.succeed(worker)
    run = reporter.fail(worker, "no such table")
    await tab.goto("/?view=overview")
    link = tab.get_by_role("gridcell", name="still", exact=True)
    pipeline = await link.locator("xpath=..").get_attribute("row-id")
    address = address.format(worker=worker, process=run.id, pipeline=pipeline)
    await tab.goto(address)
    await lives(tab)
    await tab.wait_for_function("document.querySelector('.ag-row, .ag-overlay-no-rows-center')")
    async with without_code(browser, dashboard) as other:
        await other.goto(address)
        await expect(other.locator(".picture-table:visible").first).to_be_visible()
        assert await other.evaluate(STATE, PICTURE) == await tab.evaluate(
            STATE, "#react-entry-point"
        )
        pictured = await other.evaluate(PLACES, PICTURE)
    assert pictured
    assert moved(pictured, await tab.evaluate(PLACES, "#react-entry-point")) == []


async def test_it_has_the_rows_of_the_page(
    tab: Page, browser: Browser, dashboard: DashboardServer, reporter: Reporter
) -> None:
    run = reporter.succeed(reporter.register("alike"))
    address = f"/?process={run.id}"
    await tab.goto(address)
    await lives(tab)
    async with without_code(browser, dashboard) as other:
        await other.goto(address)
        for pictured, real in [("tasks", "tasks"), ("processes", "processes")]:
            rows = other.locator(f'[data-id="{pictured}-place"] .picture-row')
            cells = await rows.evaluate_all(
                "(all) => all.map((row) => [...row.children].map((it) => it.textContent))"
            )
            shown = tab.locator(f"#{real} .ag-row")
            assert cells
            assert cells == await shown.evaluate_all(
                "(all) => all.map((row) => [...row.children].map((it) => it.textContent))"
            )
        await expect(other.locator(".picture .bar-row")).to_have_count(3)


async def test_it_says_that_it_is_not_live_when_the_code_does_not_come(
    browser: Browser, dashboard: DashboardServer
) -> None:
    async with without_code(browser, dashboard) as tab:
        await tab.goto("/")
        await expect(tab.locator(".picture .connection")).to_have_text("Connecting …")
        notice = tab.get_by_text("This page is not live")
        await expect(notice).to_be_hidden()
        await expect(notice).to_be_visible()


async def test_it_makes_way_for_a_page_that_hears_nothing(tab: Page) -> None:
    await tab.add_init_script("delete window.SharedWorker")  # no socket, and rows after seconds
    await tab.route("**/_dash-update-component", lambda route: route.abort())
    await tab.goto("/")
    await expect(tab.locator("#dashboard")).to_be_visible()
    await expect(tab.locator(PICTURE)).to_have_count(0)


async def test_it_has_the_colours_and_the_zone_that_were_chosen(
    browser: Browser, dashboard: DashboardServer, reporter: Reporter
) -> None:
    reporter.register("coloured")
    async with without_code(browser, dashboard) as tab:
        for name, value in (("theme", "dark"), ("zone", "utc")):
            await tab.add_init_script(f"localStorage.setItem('monitor-{name}', '{value}')")
        await tab.goto("/?view=workers")
        await expect(tab.locator("html")).to_have_attribute("data-scheme", "dark")
        await expect(tab.locator(".picture .choice").nth(0)).to_have_value("utc")
        ground = "getComputedStyle(document.querySelector('.picture .panel')).backgroundColor"
        assert await tab.evaluate(ground) == "rgb(28, 32, 39)"


async def test_nobody_can_use_it(browser: Browser, dashboard: DashboardServer) -> None:
    async with without_code(browser, dashboard) as tab:
        await tab.goto("/")
        await expect(tab.locator(".picture-head").first).to_be_visible()
        await expect(tab.get_by_role("link")).to_have_count(0)
        await tab.keyboard.press("Tab")
        assert await tab.evaluate("document.activeElement === document.body")


async def test_a_module_that_never_comes_leaves_no_blank_page(
    browser: Browser, dashboard: DashboardServer
) -> None:
    async with without_code(browser, dashboard) as tab:
        await tab.route("**/scripts/picture.js", lambda _: asyncio.sleep(0))  # no answer
        await tab.goto("/", wait_until="commit")
        await expect(tab.locator(".picture .views")).to_be_visible()
        await expect(tab.get_by_text("This page is not live")).to_be_visible()
