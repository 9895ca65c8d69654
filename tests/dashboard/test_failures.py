"""Failures in a real browser: what is new or back, where in the code, and in which runs."""

import csv
import io
import re

from playwright.async_api import Page, expect

from dashboard.boards.mirror import Mirror
from tests.dashboard.alike import fail_with, failures_of, make_of
from tests.dashboard.locators import connection, nothing_to_show, row
from tests.dashboard.reporter import Reporter
from tests.dashboard.test_finding import open_search
from tests.dashboard.test_pipelines import pipeline_of
from tests.servers import MonitorServer


async def test_failures_are_listed_and_narrowed_by_text_status_and_pipeline(
    tab: Page, reporter: Reporter, mirror: Mirror, api: MonitorServer
) -> None:
    worker = reporter.register("listed")
    for message in ("listed: no Table", "listed: no chair", "listed: no lamp"):
        fail_with(reporter, worker, message)
    fail_with(reporter, reporter.register("of-another"), "listed: no house")
    ids = await failures_of(mirror, text="listed: no")
    make_of(api, "resolveFailure", ids["listed: no chair"])
    await tab.goto("/")
    await tab.locator("#views").get_by_role("link", name="Failures").click()
    await tab.get_by_label("Search failures by text").fill("LISTED: no")
    rows = tab.locator("#failures .ag-center-cols-container .ag-row")
    await expect(rows).to_have_count(4)
    await expect(tab).to_have_url(re.compile("view=failures.*text=LISTED"))
    await expect(row(tab, "failures", ids["listed: no chair"])).to_have_attribute("row-index", "3")
    table = row(tab, "failures", ids["listed: no Table"])
    await expect(table).to_contain_text("New")
    await expect(table).to_contain_text("extract")
    await expect(table.get_by_role("img", name=re.compile("^1 in the last 24 h"))).to_be_visible()
    await tab.locator("#failure-state").get_by_text("Resolved").click()
    await expect(rows).to_have_count(1)
    await expect(tab).to_have_url(re.compile("state=resolved"))
    await tab.locator("#failure-state").get_by_text("Regressed").click()
    await expect(nothing_to_show(tab, "failures")).to_have_text("No failure to show.")
    await tab.goto(f"/?view=failures&pipeline={await pipeline_of(mirror, 'listed')}&text=listed")
    await expect(rows).to_have_count(3)
    await tab.get_by_role("button", name="Pipeline listed ✕").click()
    await expect(rows).to_have_count(4)
    await (
        row(tab, "failures", ids["listed: no house"]).get_by_role("link", name="of-another").click()
    )
    await expect(tab.locator("#pipeline-title")).to_have_text("of-another")


async def test_new_failures_and_what_comes_again_arrive_on_an_open_page(
    tab: Page, reporter: Reporter, mirror: Mirror, api: MonitorServer
) -> None:
    worker = reporter.register("arriving")
    fail_with(reporter, worker, "arrived first")
    await tab.goto("/?view=failures&text=arrived")
    await expect(connection(tab)).to_have_text("Live")
    rows = tab.locator("#failures .ag-center-cols-container .ag-row")
    await expect(rows).to_have_count(1)
    fail_with(reporter, worker, "arrived second")
    await expect(rows).to_have_count(2)
    ids = await failures_of(mirror, text="arrived")
    first, second = (row(tab, "failures", ids[f"arrived {each}"]) for each in ("first", "second"))
    await expect(second).to_have_attribute("row-index", "0")
    await expect(second).to_contain_text("New")
    await expect(second).to_contain_text("arriving")
    make_of(api, "resolveFailure", ids["arrived first"])
    await expect(first).to_contain_text("Resolved")
    fail_with(reporter, worker, "arrived first")
    await expect(first).to_contain_text("Regressed")
    await expect(first.locator("[col-id=count]")).to_have_text("2")
    await expect(first).to_have_attribute("row-index", "0")


async def test_the_page_of_a_failure_says_where_it_is_and_has_its_runs(
    tab: Page, reporter: Reporter, mirror: Mirror
) -> None:
    old = reporter.register("told-in-full", version="v1")
    new = reporter.register("told-in-full", version="v2")
    runs = [reporter.fail(worker, "page 12 of 17 is missing") for worker in (old, new)]
    other = fail_with(reporter, new, "something else")
    [id_] = (await failures_of(mirror, text="page <n> of <n> is missing")).values()
    await tab.goto("/?view=failures&text=is missing")
    await row(tab, "failures", id_).click()
    page = tab.locator("#alike-panel")
    await expect(page.locator(".failure-title")).to_have_text("page <n> of <n> is missing")
    await expect(page).to_contain_text("seen 2 times")
    await expect(page).to_contain_text(re.compile("First seen.*in v1.*Last seen.*in v2"))
    await expect(page.locator(".example-message")).to_have_text("page 12 of 17 is missing")
    await expect(page.locator(".frame-own")).to_have_text("normalise/srv/etl/transform.py:112")
    await expect(page.get_by_role("img", name="Last 24 hours: 2 times")).to_be_visible()
    for run in runs:
        await expect(row(tab, "processes", run.id)).to_be_visible()
    await expect(row(tab, "processes", other.id)).to_have_count(0)
    last = reporter.fail(new, "page 1 of 17 is missing")
    await expect(row(tab, "processes", last.id)).to_be_visible()
    await expect(page).to_contain_text("seen 3 times")
    await expect(page.locator(".example-message")).to_have_text("page 1 of 17 is missing")
    await page.get_by_role("link", name="v1", exact=True).click()
    await expect(row(tab, "processes", last.id)).to_have_count(0)
    await row(tab, "processes", runs[0].id).click()
    await expect(tab.locator("#facts")).to_contain_text("version v1")
    await expect(tab).to_have_title(re.compile("^Run .* · page <n> of <n> is missing · Process"))
    await tab.locator("#trail").get_by_role("link", name="page <n>").click()
    await expect(page.locator(".failure-title")).to_be_visible()


async def test_a_failed_run_says_how_often_that_was_seen(
    tab: Page, reporter: Reporter, mirror: Mirror, api: MonitorServer
) -> None:
    worker = reporter.register("seen-before", version="v7")
    run = fail_with(reporter, worker, "seen before")
    await tab.goto(f"/?process={run.id}")
    said = tab.locator(".failure-alike")
    await expect(said).to_contain_text("Seen for the first time, in v7")
    fail_with(reporter, worker, "seen before")
    await expect(said).to_contain_text(re.compile(r"Seen 2 times since .*, first in v7"))
    [id_] = (await failures_of(mirror, text="seen before")).values()
    make_of(api, "muteFailure", id_)
    await expect(said).to_contain_text("Muted")
    await said.get_by_role("link").click()
    await expect(tab.locator(".failure-title")).to_have_text("seen before")


async def test_the_page_of_a_pipeline_has_its_latest_failures_and_the_way_to_all(
    tab: Page, reporter: Reporter, mirror: Mirror
) -> None:
    worker = reporter.register("with-failures")
    titles = [f"in way {letter}" for letter in "abcdefg"]
    for title in titles:
        fail_with(reporter, worker, title)
    await tab.goto(f"/?pipeline={await pipeline_of(mirror, 'with-failures')}")
    page = tab.locator("#pipeline-failures")
    await expect(page.locator("li .link")).to_have_text(titles[:1:-1])
    fail_with(reporter, worker, "in way h")
    await expect(page.locator("li .link").first).to_have_text("in way h")
    await page.get_by_role("link", name="all failures of this pipeline").click()
    rows = tab.locator("#failures .ag-center-cols-container .ag-row")
    await expect(rows).to_have_count(8)


async def test_a_failure_is_found_by_its_id_and_saved_in_a_file(
    tab: Page, reporter: Reporter, mirror: Mirror
) -> None:
    fail_with(reporter, reporter.register("saved"), "to be saved")
    [id_] = (await failures_of(mirror, text="to be saved")).values()
    await open_search(tab)
    await tab.keyboard.type(id_)
    await tab.keyboard.press("Enter")
    await expect(tab.locator(".failure-title")).to_have_text("to be saved")
    await tab.goto("/?view=failures&text=to be saved")
    await expect(row(tab, "failures", id_)).to_be_visible()
    async with tab.expect_download() as saving:
        await tab.locator('[data-pager="failures"]').get_by_role("link", name="CSV").click()
    text = (await (await saving.value).path()).read_text()
    [saved] = csv.DictReader(io.StringIO(text))
    assert saved.items() >= {
        ("id", id_),
        ("title", "to be saved"),
        ("status", "OPEN"),
        ("pipeline", "saved"),
        ("count", "1"),
    }
    assert "hours" not in saved


async def test_a_failure_that_there_is_none_of_says_so(tab: Page) -> None:
    await tab.goto("/?failure=failure_1")
    await expect(tab.locator("#alike-panel")).to_contain_text("There is no such failure.")
