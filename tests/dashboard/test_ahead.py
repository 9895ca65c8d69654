"""What a page will show is asked for while the browser loads the code."""

import asyncio
import re

import httpx
import pytest
from playwright.async_api import Page, expect
from starlette.responses import PlainTextResponse

from dashboard.ahead import Ahead
from dashboard.boards.mirror import Mirror
from dashboard.callbacks import MAX_SEARCH_CHARACTERS
from dashboard.view.views import Views
from tests.dashboard.locators import connection
from tests.dashboard.reporter import Reporter


def browser_of(mirror: Mirror, accept: str = "text/html,*/*;q=0.8") -> httpx.AsyncClient:
    app = Ahead(PlainTextResponse("document"), Views(mirror))
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(
        transport=transport, base_url="http://dashboard", headers={"Accept": accept}
    )


async def test_the_boards_of_a_process_are_open_when_its_document_is_there(
    mirror: Mirror, reporter: Reporter
) -> None:
    run = reporter.succeed(reporter.register("ahead"))
    async with browser_of(mirror) as browser:
        assert (await browser.get(f"/?process={run.id}")).text == "document"
    async with asyncio.timeout(30):
        # It is found first, and then the runs of its pipeline.
        while not (process := mirror.process(run.id)).is_loaded or not process.pipeline:  # noqa: ASYNC110  # a board tells only who listens
            await asyncio.sleep(0.01)
        runs = mirror.runs(process.pipeline["id"])
        while not runs.is_loaded:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.01)
    assert [each["id"] for each in runs.runs] == [run.id]


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/health", "text/html"),
        ("/?" + "x" * (MAX_SEARCH_CHARACTERS + 1), "text/html"),
        ("/", "image/*"),
        ("/", "*/*"),
    ],
)
async def test_nothing_is_opened_for_anything_else(mirror: Mirror, path: str, accept: str) -> None:
    async with browser_of(mirror, accept) as browser:
        assert (await browser.get(path)).text == "document"
    assert mirror._boards == {}


async def test_a_page_draws_only_the_tables_in_sight(tab: Page) -> None:
    await tab.goto("/")
    await expect(connection(tab)).to_have_text("Live")
    await expect(tab.locator(".ag-root")).to_have_count(1)
    await tab.get_by_role("link", name="Workers").first.click()
    await expect(tab.locator("#workers .ag-root")).to_be_visible()
    await expect(tab.locator(".ag-root")).to_have_count(2)


async def test_choices_in_sight_are_made_by_the_keyboard(tab: Page) -> None:
    await tab.goto("/?view=runs&status=failed")
    segments = tab.locator("#state")
    await expect(segments.get_by_role("radio", name="Failed")).to_have_attribute(
        "aria-checked", "true"
    )
    await segments.get_by_role("radio", name="Failed").focus()
    await tab.keyboard.press("ArrowLeft")
    chosen = segments.get_by_role("radio", name="Stalled")
    await expect(chosen).to_be_focused()
    await expect(chosen).to_have_attribute("aria-checked", "true")
    await expect(tab).to_have_url(re.compile("status=stalled"))
    await tab.go_back()
    await expect(segments.get_by_role("radio", name="Failed")).to_have_attribute(
        "aria-checked", "true"
    )
