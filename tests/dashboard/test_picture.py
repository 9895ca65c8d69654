"""A first picture of a page is painted before its code runs, and makes way for the page."""

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
  const parts = ".panel, .panel-head h2, .tile, .facts, .bar-row, .chip, .segments, svg text, .pager";
  const cells = ".picture-row > :first-child, .ag-cell.ag-column-first";
  const heads = ".picture-head > :last-child, .ag-header-cell:last-child";
  const seen = (one) => one.getBoundingClientRect().width && one.getBoundingClientRect().top < innerHeight;
  const found = [...document.querySelector(root).querySelectorAll([parts, cells, heads].join(","))];
  const place = (one) => {
    const { left, top } = one.getBoundingClientRect();
    return [one.textContent, left, top];
  };
  return found.filter(seen).map(place);
}"""
STATE = """(root) => {
  const { dataset } = document.querySelector(`${root} .dashboard`);
  const text = (name) => document.querySelector(`${root} ${name}`).textContent;
  return [dataset.view, dataset.level, text(".trail"), text(".views [aria-current]")];
}"""


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
    places = {text: (left, top) for text, left, top in other}
    return [
        (text, (left, top), places.get(text))
        for text, left, top in one
        if text not in places or max(abs(left - places[text][0]), abs(top - places[text][1])) > 2
    ]


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
        await expect(other.locator(".picture-table").first).to_be_visible()
        assert await other.evaluate(STATE, PICTURE) == await tab.evaluate(
            STATE, "#react-entry-point"
        )
        pictured = await other.evaluate(PLACES, PICTURE)
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
        notice = tab.get_by_text("This page is not live yet")
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
        await tab.context.add_init_script(
            "localStorage.setItem('monitor-theme', 'dark'); localStorage.setItem('monitor-zone', 'utc')"
        )
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
