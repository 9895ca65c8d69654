"""What an operator sees and does, in a real browser."""

import re

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from dashboard.boards.lists import PAGE_SIZE
from monitor.ids import pipeline_id
from tests.conftest import TOKEN
from tests.dashboard.locators import connection, row
from tests.dashboard.reporter import Reporter
from tests.servers import DashboardServer, MonitorServer


async def test_a_failed_run_is_understood_through_the_three_levels(
    tab: Page, reporter: Reporter
) -> None:
    worker = reporter.register("nightly-etl")
    reporter.succeed(worker)
    reporter.fail(worker, "no column 'customer_id'")
    run = reporter.fail(worker, "no column 'customer_id' in row 1204")
    await tab.goto("/?view=workers")
    await row(tab, "workers", worker).click()
    await row(tab, "processes", run.id).click()
    failure = tab.get_by_role("region", name="Failure")
    await expect(failure).to_contain_text("Failed at step 2, transform")
    await expect(failure).to_contain_text("no column 'customer_id' in row 1204")
    await expect(failure).to_contain_text('File "/srv/etl/transform.py", line 112, in normalise')
    await expect(failure).to_contain_text("1 of the 2 other latest runs failed, at this step, too.")
    await expect(tab.locator(".timeline .bar-row")).to_have_count(3)
    await expect(row(tab, "tasks", run.tasks[2])).to_contain_text("Pending")
    await expect(tab.locator(".comparison tbody tr")).to_have_count(3)


async def test_back_and_forward_walk_the_levels_and_a_copied_link_opens_the_same(
    tab: Page, browser: Browser, reporter: Reporter
) -> None:
    worker = reporter.register("walked")
    run = reporter.fail(worker, "walked into a fault")
    await tab.goto("/?view=workers")
    await row(tab, "workers", worker).click()
    await row(tab, "processes", run.id).click()
    await expect(tab.locator(".failure-message")).to_have_text("walked into a fault")
    link = tab.url
    await tab.go_back()
    await expect(tab.locator("#process-panel")).to_be_hidden()
    await expect(row(tab, "processes", run.id)).to_be_visible()
    await tab.go_back()
    await expect(tab.locator("#processes-panel")).to_be_hidden()
    await tab.go_forward()
    await tab.go_forward()
    await expect(tab.locator(".failure-message")).to_be_visible()
    other = await browser.new_page()
    await other.goto(link)
    await expect(other.locator(".failure-message")).to_have_text("walked into a fault")
    await expect(row(other, "workers", worker)).to_have_attribute("aria-selected", "true")
    await other.close()


async def test_a_process_alone_finds_its_pipeline(tab: Page, reporter: Reporter) -> None:
    worker = reporter.register("found")
    run = reporter.succeed(worker)
    await tab.goto(f"/?process={run.id}")
    await expect(row(tab, "processes", run.id)).to_have_attribute("aria-selected", "true")
    await expect(tab.locator("#processes-title")).to_have_text("Runs of found")


@pytest.mark.parametrize("word", ["constructor", "toString", "__proto__", "no-view"])
async def test_a_view_that_is_none_is_the_overview(
    tab: Page, reporter: Reporter, word: str
) -> None:
    reporter.register("seen-anyway")
    await tab.goto(f"/?view={word}&name=seen-anyway")
    await expect(row(tab, "pipelines", pipeline_id("seen-anyway"))).to_be_visible()
    await expect(tab.locator("#dashboard")).to_have_attribute("data-view", "overview")


async def test_a_run_whose_steps_are_done_changes_its_look_when_it_ends(
    tab: Page, reporter: Reporter
) -> None:
    worker = reporter.register("done")
    run = reporter.start(worker)
    for position in (1, 2, 3):
        reporter.report(run, position, "success")
    await tab.goto(f"/?worker={worker}")
    progress = row(tab, "processes", run.id).locator(".progress")
    await expect(progress).to_have_text("100%")
    await expect(progress).to_have_class("progress status-running")
    await expect(connection(tab)).to_have_text("Live")
    reporter.end(run)
    await expect(progress).to_have_class("progress status-success")


async def test_a_pipeline_says_how_many_of_its_runs_are_running(
    tab: Page, reporter: Reporter
) -> None:
    worker = reporter.register("busy")
    reporter.fail(worker, "no rows")
    reporter.start(worker)
    await tab.goto("/")
    now = row(tab, "pipelines", pipeline_id("busy")).locator("[col-id=status]")
    await expect(now).to_contain_text("1 running")
    await expect(connection(tab)).to_have_text("Live")
    reporter.start(worker)
    await expect(now).to_contain_text("2 running")


async def test_reports_move_the_tab_without_reload(tab: Page, reporter: Reporter) -> None:
    worker = reporter.register("moving")
    await tab.goto(f"/?worker={worker}")
    await expect(connection(tab)).to_have_text("Live")
    run = reporter.start(worker)
    await expect(row(tab, "processes", run.id)).to_contain_text("Running")
    await row(tab, "processes", run.id).click()
    reporter.report(run, 1, "start")
    await expect(row(tab, "tasks", run.tasks[0])).to_contain_text("Running")
    reporter.report(run, 1, "success")
    await expect(row(tab, "processes", run.id)).to_contain_text("33%")
    reporter.end(run)
    await expect(row(tab, "processes", run.id)).to_contain_text("Succeeded")
    await expect(tab.locator("#facts")).to_contain_text("Succeeded")


async def test_a_tab_keeps_nothing_of_what_it_was_told_before(
    tab: Page, reporter: Reporter
) -> None:
    worker = reporter.register("told-often")
    await tab.goto(f"/?worker={worker}")
    runs = row(tab, "workers", worker).locator('[col-id="total"]')
    for number in range(1, 11):
        reporter.start(worker)
        await expect(runs).to_have_text(str(number))
    assert await tab.evaluate("window.store.getState().history.past.length") < 10


async def test_a_table_is_drawn_anew_now_and_then_and_stays_as_it_was(
    tab: Page, reporter: Reporter
) -> None:
    worker = reporter.register("drawn-anew")
    await tab.goto(f"/?worker={worker}&name=drawn-anew")
    drawn = row(tab, "workers", worker)
    await expect(drawn).to_have_attribute("aria-selected", "true")
    await drawn.locator('[col-id="name"]').focus()
    await tab.keyboard.press("ArrowRight")
    await expect(drawn.locator('[col-id="status"]')).to_be_focused()
    await drawn.evaluate("row => row.dataset.drawn = 'first'")
    await tab.evaluate(
        """async (id) => {
            const row = window.dash_ag_grid.getApi("workers").getRowNode(id).data;
            const tables = { workers: JSON.stringify({ update: [row] }) };
            const status = { live: true, now: Date.now(), health: "ok" };
            const told = { status, props: [], tables, search: location.search, loading: [] };
            for (let number = 0; number < 2000; number++)
                await window.dash_clientside.monitor.take({ number: null, ...told });
        }""",
        worker,
    )
    await expect(drawn).not_to_have_attribute("data-drawn", "first")
    await expect(drawn).to_have_attribute("aria-selected", "true")
    await expect(drawn.locator('[col-id="status"]')).to_be_focused()


async def test_a_run_that_ends_meanwhile_appears_beside_the_one_that_is_looked_at(
    tab: Page, reporter: Reporter
) -> None:
    worker = reporter.register("compared")
    run = reporter.fail(worker, "looked at")
    await tab.goto(f"/?worker={worker}&process={run.id}")
    failure = tab.get_by_role("region", name="Failure")
    await expect(failure).to_contain_text("No other run of this pipeline has ended yet.")
    later = reporter.succeed(worker)
    await expect(failure).to_contain_text("The other latest run of this pipeline succeeded.")
    await tab.get_by_title("Show this run").click()
    await expect(tab).to_have_url(re.compile(later.id))
    await expect(tab.locator("#facts")).to_contain_text("Succeeded")


async def test_what_the_tab_draws_of_its_tasks_changes_with_them(
    tab: Page, reporter: Reporter
) -> None:
    worker = reporter.register("drawn-by-the-tab", [f"step {n}" for n in range(1, 121)])
    reporter.end(reporter.start(worker))
    run = reporter.start(worker)
    await tab.goto(f"/?worker={worker}&process={run.id}")
    bars = tab.locator(".timeline .bar-row")
    await expect(bars).to_have_count(120, timeout=15_000)
    await expect(bars.nth(118)).to_contain_text("119 step 119")
    this_run = tab.locator('.comparison [data-step="7"]')
    await expect(this_run).to_have_text("")
    reporter.report(run, 7, "start")
    await expect(bars.nth(6)).to_have_class("bar-row status-running")
    reporter.report(run, 7, "error", "disk full")
    reporter.report(run, 9, "success", "9 rows")
    await expect(this_run).to_contain_text("✕")
    await expect(bars.nth(6)).to_have_class("bar-row status-error")
    reported = tab.locator("#reports details")
    await expect(reported).to_have_count(1)
    await expect(reported).to_contain_text("9 step 9: details")
    await expect(tab.locator("#failure")).to_contain_text("disk full")
    await expect(tab.get_by_text("The first 100 of 120 steps.")).to_be_visible()


async def test_filter_selection_and_sorting_stay_while_rows_change(
    tab: Page, reporter: Reporter
) -> None:
    kept, hidden = reporter.register("kept-in-sight"), reporter.register("out-of-sight")
    await tab.goto("/?view=workers")
    await tab.locator("#worker-name").fill("kept")
    await expect(row(tab, "workers", hidden)).to_have_count(0)
    await row(tab, "workers", kept).click()
    await expect(tab).to_have_url(re.compile("name=kept"))
    reporter.fail(kept, "boom boom")
    reporter.fail(hidden, "boom boom")
    await expect(row(tab, "workers", kept).locator('[col-id="failed"]')).to_have_text("1")
    await expect(row(tab, "workers", kept)).to_have_attribute("aria-selected", "true")
    await expect(row(tab, "workers", hidden)).to_have_count(0)
    await expect(tab.locator("#worker-name")).to_have_value("kept")


async def test_processes_are_filtered_and_errors_come_first(tab: Page, reporter: Reporter) -> None:
    worker = reporter.register("ordered")
    failed = reporter.fail(worker, "early fault")
    newer = reporter.succeed(worker)
    await tab.goto(f"/?worker={worker}")
    rows = tab.locator("#processes .ag-center-cols-container .ag-row")
    await expect(rows).to_have_count(2)
    await expect(row(tab, "processes", newer.id)).to_have_attribute("row-index", "0")
    await tab.goto(f"/?worker={worker}&order=errors")
    await expect(row(tab, "processes", failed.id)).to_have_attribute("row-index", "0")
    await tab.locator("#state").get_by_text("Failed").click()
    await expect(tab).to_have_url(re.compile("status=failed"))
    await expect(rows).to_have_count(1)
    await expect(row(tab, "processes", failed.id)).to_be_visible()


async def test_older_processes_are_on_the_next_page(tab: Page, reporter: Reporter) -> None:
    worker = reporter.register("prolific")
    oldest = reporter.start(worker)
    for _ in range(PAGE_SIZE):
        reporter.start(worker)
    await tab.goto(f"/?worker={worker}")
    await expect(row(tab, "processes", oldest.id)).to_have_count(0)
    pager = tab.locator('[data-pager="processes"]')
    await pager.get_by_role("button", name="Older").click()
    await expect(row(tab, "processes", oldest.id)).to_be_visible()
    await expect(pager).to_contain_text("A later page")
    await tab.reload()
    await expect(row(tab, "processes", oldest.id)).to_be_visible()
    await pager.get_by_role("button", name="First page").click()
    await expect(row(tab, "processes", oldest.id)).to_have_count(0)
    await expect(tab).not_to_have_url(re.compile("start="))


async def test_a_row_is_opened_by_keyboard(tab: Page, reporter: Reporter) -> None:
    worker = reporter.register("by-keyboard")
    await tab.goto("/?view=workers&name=by-keyboard")
    await row(tab, "workers", worker).locator('[col-id="name"]').focus()
    await tab.keyboard.press("Enter")
    await expect(tab.locator("#processes-title")).to_have_text("Runs of by-keyboard")


async def test_further_tabs_cost_the_api_nothing(
    tab: Page, api: MonitorServer, dashboard: DashboardServer, reporter: Reporter
) -> None:
    worker = reporter.register("seen-thrice")
    link = f"{dashboard.url}/?worker={worker}"
    await tab.goto(link)
    await expect(row(tab, "workers", worker)).to_be_visible()
    await expect(connection(tab)).to_have_text("Live")
    alone = subscriptions(api)
    others = [await tab.context.new_page() for _ in range(2)]
    for other in others:
        await other.goto(link)
        await expect(row(other, "workers", worker)).to_be_visible()
        await expect(connection(other)).to_have_text("Live")
    run = reporter.start(worker)
    for shown in (tab, *others):
        await expect(row(shown, "processes", run.id)).to_be_visible()
    # Fewer, when views of earlier tabs were closed meanwhile.
    assert subscriptions(api) <= alone


def subscriptions(api: MonitorServer) -> float:
    """How many the API serves."""
    text = httpx.get(f"{api.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    found = re.search(r"^process_monitor_open_subscriptions (\S+)$", text, re.MULTILINE)
    assert found, text
    return float(found[1])
