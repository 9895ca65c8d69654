"""Pipelines in a real browser: what is wrong first, and from there to the run that explains it."""

import re

from playwright.async_api import Page, expect

from dashboard.address import PipelineList
from dashboard.boards.mirror import Mirror
from dashboard.boards.pipelines import PipelinesBoard
from tests.dashboard.locators import connection, nothing_to_show, row
from tests.dashboard.reporter import Reporter


async def pipeline_of(mirror: Mirror, name: str) -> str:
    """The id of a pipeline."""
    board = PipelinesBoard(PipelineList(name=name))
    await board.load(mirror.api)
    [pipeline] = [node["id"] for node in board.nodes.values() if node["name"] == name]
    return str(pipeline)


async def test_scripts_that_register_anew_are_one_pipeline_and_what_fails_stands_first(
    tab: Page, reporter: Reporter, mirror: Mirror
) -> None:
    for _ in range(3):
        reporter.succeed(reporter.register("a-nightly-script"))
    reporter.fail(reporter.register("z-failing-script"), "boom")
    healthy = await pipeline_of(mirror, "a-nightly-script")
    failing = await pipeline_of(mirror, "z-failing-script")
    await tab.goto("/?name=-script")
    rows = tab.locator("#pipelines .ag-center-cols-container .ag-row")
    await expect(rows).to_have_count(2)
    await expect(row(tab, "pipelines", failing)).to_have_attribute("row-index", "0")
    await expect(row(tab, "pipelines", failing)).to_contain_text("Failed")
    await expect(row(tab, "pipelines", failing)).to_contain_text("0.0%")
    await expect(row(tab, "pipelines", healthy).locator(".tick-success")).to_have_count(3)
    await expect(row(tab, "pipelines", healthy)).to_contain_text("100.0%")
    await tab.locator("#condition").get_by_text("Failing").click()
    await expect(tab).to_have_url(re.compile("show=failing"))
    await expect(rows).to_have_count(1)


async def test_a_run_is_seen_on_the_overview_as_it_happens(
    tab: Page, reporter: Reporter, mirror: Mirror
) -> None:
    worker = reporter.register("seen-at-work")
    pipeline = row(tab, "pipelines", await pipeline_of(mirror, "seen-at-work"))
    await tab.goto("/?name=seen-at")
    await expect(pipeline).to_contain_text("Idle")
    await expect(connection(tab)).to_have_text("Live")
    run = reporter.start(worker)
    await expect(pipeline.locator(".tick-running")).to_have_count(1)
    await expect(pipeline).to_contain_text("Running")
    reporter.end(run)
    await expect(pipeline.locator(".tick-success")).to_have_count(1)
    await expect(pipeline).to_contain_text("Succeeded")
    reporter.register("seen-at-last")
    await expect(tab.locator("#pipelines").get_by_text("seen-at-last")).to_be_visible()


async def test_a_tick_leads_to_its_run_and_back(
    tab: Page, reporter: Reporter, mirror: Mirror
) -> None:
    worker = reporter.register("ticked")
    failed = reporter.fail(worker, "the one to look at")
    reporter.succeed(worker)
    pipeline = row(tab, "pipelines", await pipeline_of(mirror, "ticked"))
    await tab.goto("/?name=ticked")
    tick = pipeline.locator(".tick").first
    await expect(tick).to_have_attribute("title", re.compile(r"^Failed, started .*, took \d+ ms$"))
    await tick.click()
    await expect(tab.locator(".failure-message")).to_have_text("the one to look at")
    await expect(row(tab, "processes", failed.id)).to_have_attribute("aria-selected", "true")
    await tab.go_back()
    await expect(pipeline).to_be_visible()


async def test_the_page_of_a_pipeline_has_the_runs_of_all_its_workers(
    tab: Page, reporter: Reporter, mirror: Mirror
) -> None:
    workers = [reporter.register("many-workers", version=version) for version in ("v1", "v2")]
    old, new = reporter.succeed(workers[0]), reporter.fail(workers[1], "broken in v2")
    await tab.goto("/?name=many-workers")
    await row(tab, "pipelines", await pipeline_of(mirror, "many-workers")).click()
    await expect(tab.locator("#processes-title")).to_have_text("Runs of many-workers")
    for run in (old, new):
        await expect(row(tab, "processes", run.id)).to_be_visible()
    for worker in workers:
        await expect(row(tab, "workers", worker)).to_contain_text("Alive")
    page = tab.locator("#pipeline-panel")
    await expect(page).to_contain_text("2, of them 0 running")
    await expect(page).to_contain_text("50.0% of 2")
    grid = page.locator(".outcomes tbody tr")
    await expect(grid).to_have_count(3)
    await expect(grid.nth(1).locator("td")).to_have_text(["✓", "✕"])
    await expect(page.get_by_role("row", name="2 transform")).to_contain_text(["✓", "50.0%"])
    await expect(page.get_by_role("img", name=re.compile("^Runtimes by the hour"))).to_be_visible()
    await page.get_by_role("link", name="v2", exact=True).click()
    await expect(row(tab, "processes", old.id)).to_have_count(0)
    await expect(row(tab, "processes", new.id)).to_be_visible()
    await tab.get_by_role("button", name="Version v2 ✕").click()
    await expect(row(tab, "processes", old.id)).to_be_visible()


async def test_all_runs_and_workers_can_be_narrowed_to_a_pipeline(
    tab: Page, reporter: Reporter, mirror: Mirror
) -> None:
    worker, other = reporter.register("narrowed-to"), reporter.register("of-another")
    run, of_other = reporter.succeed(worker), reporter.succeed(other)
    await tab.goto(f"/?pipeline={await pipeline_of(mirror, 'narrowed-to')}")
    await tab.locator("#pipeline-panel").get_by_role("link", name="all runs").click()
    await expect(row(tab, "processes", run.id)).to_contain_text("narrowed-to")
    await expect(row(tab, "processes", of_other.id)).to_have_count(0)
    await tab.get_by_role("button", name="Pipeline narrowed-to ✕").click()
    await expect(row(tab, "processes", of_other.id)).to_be_visible()
    await tab.go_back()
    await tab.go_back()
    await tab.locator("#pipeline-panel").get_by_role("link", name="all workers").click()
    await expect(row(tab, "workers", worker)).to_be_visible()
    await expect(row(tab, "workers", other)).to_have_count(0)


async def test_tiles_lead_to_what_they_count(tab: Page, reporter: Reporter) -> None:
    worker = reporter.register("counted-by-a-tile")
    failed, running = reporter.fail(worker, "boom"), reporter.start(worker)
    await tab.goto("/")
    await tab.get_by_role("link", name=re.compile("^Failed, last hour")).click()
    await expect(row(tab, "processes", failed.id)).to_contain_text("counted-by-a-tile")
    await expect(row(tab, "processes", running.id)).to_have_count(0)
    await tab.go_back()
    await tab.get_by_role("link", name=re.compile(r"^Running \d")).click()
    await expect(row(tab, "processes", running.id)).to_be_visible()
    await expect(row(tab, "processes", failed.id)).to_have_count(0)
    # One that starts meanwhile is told without its pipeline, which is asked for.
    later = reporter.start(worker)
    await expect(row(tab, "processes", later.id)).to_contain_text("counted-by-a-tile")
    reporter.end(later)
    await expect(row(tab, "processes", later.id)).to_have_count(0)
    await tab.goto("/")
    await tab.get_by_role("link", name=re.compile("^Stalled")).click()
    await expect(nothing_to_show(tab, "processes")).to_be_visible()


async def test_workers_of_a_pipeline_lead_to_their_own_runs(
    tab: Page, reporter: Reporter, mirror: Mirror
) -> None:
    worker, other = (reporter.register("with-two") for _ in range(2))
    run, of_other = reporter.succeed(worker), reporter.succeed(other)
    await tab.goto(f"/?pipeline={await pipeline_of(mirror, 'with-two')}")
    await row(tab, "workers", worker).click()
    await expect(row(tab, "processes", run.id)).to_be_visible()
    await expect(row(tab, "processes", of_other.id)).to_have_count(0)
    facts = tab.locator("#worker-facts")
    await expect(facts).to_contain_text("Alive")
    await facts.get_by_role("link", name="with-two").click()
    await expect(row(tab, "processes", of_other.id)).to_be_visible()


async def test_a_run_whose_start_was_lost_says_so(
    tab: Page, reporter: Reporter, mirror: Mirror
) -> None:
    before = reporter.succeed(reporter.register("lost-a-start"))
    await tab.goto(f"/?pipeline={await pipeline_of(mirror, 'lost-a-start')}")
    await expect(row(tab, "processes", before.id)).to_be_visible()
    # The client goes on under the ids that it knows.
    reporter.report(before, 1, "start")
    running = tab.locator("#processes .ag-row").filter(has_text="Running")
    await expect(running).to_have_count(1)
    await running.click()
    await expect(tab.locator("#facts")).to_contain_text("Recovered: its worker never heard")
    await expect(row(tab, "processes", before.id)).to_contain_text("Succeeded")
