"""What an operator sees and does, in a real browser."""

import re

import httpx
from playwright.async_api import Browser, Locator, Page, expect

from dashboard.boards.processes import PAGE_SIZE
from tests.conftest import TOKEN
from tests.dashboard.reporter import Reporter
from tests.servers import DashboardServer, MonitorServer


def row(page: Page, table: str, id_: str) -> Locator:
    """The row of a table, without what AG Grid pins beside it."""
    return page.locator(f'#{table} .ag-row[row-id="{id_}"]')


def connection(page: Page) -> Locator:
    return page.locator("#connection")


async def test_a_failed_run_is_understood_through_the_three_levels(
    page: Page, reporter: Reporter
) -> None:
    worker = reporter.register("nightly-etl")
    reporter.succeed(worker)
    reporter.fail(worker, "no column 'customer_id'")
    run = reporter.fail(worker, "no column 'customer_id' in row 1204")
    await page.goto("/")
    await row(page, "workers", worker).click()
    await row(page, "processes", run.id).click()
    failure = page.get_by_role("region", name="Failure")
    await expect(failure).to_contain_text("Failed at step 2, transform")
    await expect(failure).to_contain_text("no column 'customer_id' in row 1204")
    await expect(failure).to_contain_text('File "/srv/etl/transform.py", line 112, in normalise')
    await expect(failure).to_contain_text("1 of the 2 other latest runs failed, 1 at this step.")
    await expect(page.locator(".timeline .bar-row")).to_have_count(3)
    await expect(row(page, "tasks", run.tasks[2])).to_contain_text("Pending")
    await expect(page.locator(".comparison tbody tr")).to_have_count(3)


async def test_back_and_forward_walk_the_levels_and_a_copied_link_opens_the_same(
    page: Page, browser: Browser, reporter: Reporter
) -> None:
    worker = reporter.register("walked")
    run = reporter.fail(worker, "walked into a fault")
    await page.goto("/")
    await row(page, "workers", worker).click()
    await row(page, "processes", run.id).click()
    await expect(page.locator(".failure-message")).to_have_text("walked into a fault")
    link = page.url
    await page.go_back()
    await expect(page.locator("#process-panel")).to_be_hidden()
    await expect(row(page, "processes", run.id)).to_be_visible()
    await page.go_back()
    await expect(page.locator("#processes-panel")).to_be_hidden()
    await page.go_forward()
    await page.go_forward()
    await expect(page.locator(".failure-message")).to_be_visible()
    other = await browser.new_page()
    await other.goto(link)
    await expect(other.locator(".failure-message")).to_have_text("walked into a fault")
    await expect(row(other, "workers", worker)).to_have_attribute("aria-selected", "true")
    await other.close()


async def test_a_process_alone_finds_its_worker(page: Page, reporter: Reporter) -> None:
    worker = reporter.register("found")
    run = reporter.succeed(worker)
    await page.goto(f"/?process={run.id}")
    await expect(row(page, "processes", run.id)).to_have_attribute("aria-selected", "true")
    await expect(page.locator("#processes-title")).to_have_text("Processes of found")


async def test_reports_move_the_page_without_reload(page: Page, reporter: Reporter) -> None:
    worker = reporter.register("moving")
    await page.goto(f"/?worker={worker}")
    await expect(connection(page)).to_have_text("Live")
    run = reporter.start(worker)
    await expect(row(page, "processes", run.id)).to_contain_text("Running")
    await row(page, "processes", run.id).click()
    reporter.report(run, 1, "start")
    await expect(row(page, "tasks", run.tasks[0])).to_contain_text("Running")
    reporter.report(run, 1, "success")
    await expect(row(page, "processes", run.id)).to_contain_text("33%")
    reporter.end(run)
    await expect(row(page, "processes", run.id)).to_contain_text("Succeeded")
    await expect(page.locator(".facts")).to_contain_text("Succeeded")


async def test_a_page_keeps_nothing_of_what_it_was_told_before(
    page: Page, reporter: Reporter
) -> None:
    worker = reporter.register("told-often")
    await page.goto(f"/?worker={worker}")
    runs = row(page, "workers", worker).locator('[col-id="total"]')
    for number in range(1, 11):
        reporter.start(worker)
        await expect(runs).to_have_text(str(number))
    assert await page.evaluate("window.store.getState().history.past.length") < 10


async def test_a_table_is_drawn_anew_now_and_then_and_stays_as_it_was(
    page: Page, reporter: Reporter
) -> None:
    worker = reporter.register("drawn-anew")
    await page.goto(f"/?worker={worker}&name=drawn-anew")
    drawn = row(page, "workers", worker)
    await expect(drawn).to_have_attribute("aria-selected", "true")
    await drawn.locator('[col-id="name"]').focus()
    await page.keyboard.press("ArrowRight")
    await expect(drawn.locator('[col-id="status"]')).to_be_focused()
    await drawn.evaluate("row => row.dataset.drawn = 'first'")
    await page.evaluate(
        """async (id) => {
            const row = window.dash_ag_grid.getApi("workers").getRowNode(id).data;
            const tables = { workers: { update: [row] } };
            const status = { live: true, now: Date.now(), health: "ok" };
            for (let number = 0; number < 2000; number++)
                await window.dash_clientside.monitor.take({ number: null, status, tables });
        }""",
        worker,
    )
    await expect(drawn).not_to_have_attribute("data-drawn", "first")
    await expect(drawn).to_have_attribute("aria-selected", "true")
    await expect(drawn.locator('[col-id="status"]')).to_be_focused()


async def test_a_run_that_ends_meanwhile_appears_beside_the_one_that_is_looked_at(
    page: Page, reporter: Reporter
) -> None:
    worker = reporter.register("compared")
    run = reporter.fail(worker, "looked at")
    await page.goto(f"/?worker={worker}&process={run.id}")
    failure = page.get_by_role("region", name="Failure")
    await expect(failure).to_contain_text("No other run of this worker has ended yet.")
    later = reporter.succeed(worker)
    await expect(failure).to_contain_text("The other latest run of this worker succeeded.")
    await page.get_by_title("Show this run").click()
    await expect(page).to_have_url(re.compile(later.id))
    await expect(page.locator(".facts")).to_contain_text("Succeeded")


async def test_filter_selection_and_sorting_stay_while_rows_change(
    page: Page, reporter: Reporter
) -> None:
    kept, hidden = reporter.register("kept-in-sight"), reporter.register("out-of-sight")
    await page.goto("/")
    await page.locator("#name").fill("kept")
    await expect(row(page, "workers", hidden)).to_have_count(0)
    await row(page, "workers", kept).click()
    await expect(page).to_have_url(re.compile("name=kept"))
    reporter.fail(kept, "boom boom")
    reporter.fail(hidden, "boom boom")
    await expect(row(page, "workers", kept).locator('[col-id="failed"]')).to_have_text("1")
    await expect(row(page, "workers", kept)).to_have_attribute("aria-selected", "true")
    await expect(row(page, "workers", hidden)).to_have_count(0)
    await expect(page.locator("#name")).to_have_value("kept")


async def test_processes_are_filtered_and_errors_come_first(page: Page, reporter: Reporter) -> None:
    worker = reporter.register("ordered")
    failed = reporter.fail(worker, "early fault")
    newer = reporter.succeed(worker)
    await page.goto(f"/?worker={worker}")
    rows = page.locator("#processes .ag-center-cols-container .ag-row")
    await expect(rows).to_have_count(2)
    await expect(row(page, "processes", newer.id)).to_have_attribute("row-index", "0")
    await page.goto(f"/?worker={worker}&order=errors")
    await expect(row(page, "processes", failed.id)).to_have_attribute("row-index", "0")
    await page.locator("#state").get_by_text("Failed").click()
    await expect(page).to_have_url(re.compile("status=failed"))
    await expect(rows).to_have_count(1)
    await expect(row(page, "processes", failed.id)).to_be_visible()


async def test_older_processes_are_on_the_next_page(page: Page, reporter: Reporter) -> None:
    worker = reporter.register("prolific")
    oldest = reporter.start(worker)
    for _ in range(PAGE_SIZE):
        reporter.start(worker)
    await page.goto(f"/?worker={worker}")
    await expect(row(page, "processes", oldest.id)).to_have_count(0)
    await page.get_by_role("button", name="Older").click()
    await expect(row(page, "processes", oldest.id)).to_be_visible()
    await expect(page.locator("#page-note")).to_have_text("An older page")
    await page.reload()
    await expect(row(page, "processes", oldest.id)).to_be_visible()
    await page.get_by_role("button", name="First page").click()
    await expect(row(page, "processes", oldest.id)).to_have_count(0)
    await expect(page).not_to_have_url(re.compile("page="))


async def test_a_row_is_opened_by_keyboard(page: Page, reporter: Reporter) -> None:
    worker = reporter.register("by-keyboard")
    await page.goto("/?name=by-keyboard")
    await row(page, "workers", worker).locator('[col-id="name"]').focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#processes-title")).to_have_text("Processes of by-keyboard")


async def test_further_tabs_cost_the_api_nothing(
    page: Page, api: MonitorServer, dashboard: DashboardServer, reporter: Reporter
) -> None:
    worker = reporter.register("seen-thrice")
    link = f"{dashboard.url}/?worker={worker}"
    await page.goto(link)
    await expect(row(page, "workers", worker)).to_be_visible()
    await expect(connection(page)).to_have_text("Live")
    alone = subscriptions(api)
    others = [await page.context.new_page() for _ in range(2)]
    for other in others:
        await other.goto(link)
        await expect(row(other, "workers", worker)).to_be_visible()
        await expect(connection(other)).to_have_text("Live")
    run = reporter.start(worker)
    for shown in (page, *others):
        await expect(row(shown, "processes", run.id)).to_be_visible()
    # Fewer, when views of earlier pages were closed meanwhile.
    assert subscriptions(api) <= alone


def subscriptions(api: MonitorServer) -> float:
    """How many the API serves."""
    text = httpx.get(f"{api.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    found = re.search(r"^process_monitor_open_subscriptions (\S+)$", text, re.MULTILINE)
    assert found, text
    return float(found[1])
