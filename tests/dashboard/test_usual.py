"""What is usual beside what runs: shades, overtime as it begins, and when it will end."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from db.session import Database
from tests.conftest import TOKEN
from tests.dashboard.history import History
from tests.dashboard.locators import connection, row
from tests.dashboard.reporter import Reporter, Run
from tests.dashboard.test_conditions import product, serious_faults
from tests.dashboard.test_reach import open_at
from tests.servers import DashboardServer

USUAL = {"extract": 1000.0, "transform": 7200.0, "load": 600.0}
ENOUGH = 5
BEYOND = re.compile(r"^2 h 5\d min over what is usual$")
# A board that is live is not asked for again by itself: what comes at all was told.
TOLD_MILLISECONDS = 15_000
LOST_MILLISECONDS = 40 * 60 * 1000


async def ran(history: History, pipeline: str, **seconds: float) -> None:
    """Its steps usually took so long, and the slowest of their runs twice as long."""
    for step, each in seconds.items():
        await history.ran(pipeline, step, *[each] * ENOUGH, 2 * each)


async def overrun(history: History, reporter: Reporter, pipeline: str) -> Run:
    """A process whose first step has been running for hours, and usually takes a minute."""
    await ran(history, pipeline, extract=30.0, transform=7200.0, load=600.0)
    await history.ran(pipeline, None, *[60.0] * ENOUGH)
    run = reporter.start(reporter.register(pipeline))
    reporter.report(run, 1, "start")
    return run


def bar(tab: Page, position: int) -> Locator:
    return tab.locator("#timeline .bar-row").nth(position - 1)


async def left_and_right(part: Locator) -> tuple[float, float]:
    box = await part.bounding_box()
    assert box
    return box["x"], box["x"] + box["width"]


async def test_overtime_is_seen_on_open_pages_when_it_begins_and_no_more_when_it_ends(
    tab: Page, reporter: Reporter, history: History
) -> None:
    run = await overrun(history, reporter, "seen-in-overtime")
    await open_at(tab, f"/?process={run.id}")
    runs = await tab.context.new_page()
    await open_at(runs, "/?view=runs&status=running")
    await expect(tab.locator("#facts")).to_contain_text("usually about 58.9 s")
    await expect(tab.locator("#facts")).to_contain_text("Running")
    await expect(row(runs, "processes", run.id)).to_contain_text("Running")
    await history.begin(run, 1, ago=timedelta(hours=3))
    overtime = row(runs, "processes", run.id).get_by_text("Overtime")
    await expect(overtime).to_be_visible(timeout=TOLD_MILLISECONDS)
    await expect(tab.locator("#facts .status")).to_have_text("Overtime")
    await expect(tab.locator("#facts .beyond")).to_have_text(BEYOND)
    await expect(bar(tab, 1).locator(".beyond")).to_have_text(BEYOND)
    await expect(row(tab, "tasks", run.tasks[0])).to_contain_text("Overtime")
    await expect(bar(tab, 2).locator(".beyond")).to_be_hidden()
    reporter.report(run, 1, "success")
    await expect(row(tab, "tasks", run.tasks[0])).to_contain_text("Succeeded")
    await expect(bar(tab, 1).locator(".beyond")).to_be_hidden()
    reporter.end(run)
    await expect(tab.locator("#facts .status")).to_have_text("Succeeded")
    await expect(tab.locator("#facts .beyond")).to_have_count(0)
    await expect(row(runs, "processes", run.id)).to_have_count(0)


async def test_a_run_in_overtime_has_a_tick_of_its_own(
    tab: Page, reporter: Reporter, history: History
) -> None:
    run = await overrun(history, reporter, "ticked-in-overtime")
    await history.begin(run, 1, ago=timedelta(hours=3))
    await open_at(tab, f"/?process={run.id}")
    await expect(tab.locator("#facts .status")).to_have_text("Overtime")
    await open_at(tab, "/?name=ticked-in-overtime")
    tick = tab.locator("#pipelines .tick")
    await expect(tick).to_have_class("tick tick-overtime")
    await expect(tick).to_have_attribute("title", re.compile("^Overtime, started "))


async def test_what_is_usual_is_a_shade_from_the_median_to_nearly_all(
    tab: Page, reporter: Reporter, history: History
) -> None:
    await ran(history, "shaded", **USUAL)
    run = reporter.start(reporter.register("shaded"))
    reporter.report(run, 1, "start")
    await open_at(tab, f"/?process={run.id}")
    shade, running = bar(tab, 1).locator(".usual"), bar(tab, 1).locator(".bar")
    await expect(shade).to_be_visible()
    await expect(tab.locator("#usual-key")).to_contain_text("when a step usually ends")
    await expect(bar(tab, 1)).to_have_attribute("title", re.compile(r"^Usually 1\d min .* to 3\d"))
    begin, end = await left_and_right(bar(tab, 1).locator(".bar-track"))
    median, nearly_all = await left_and_right(shade)
    assert nearly_all == pytest.approx(end, abs=2)
    assert (median - begin) / (end - begin) == pytest.approx(0.5, abs=0.1)
    assert (await left_and_right(running))[1] < median
    # What waits has no place yet; how long it takes is known.
    await expect(bar(tab, 2).locator(".usual")).to_be_hidden()
    waits = bar(tab, 3).locator(".bar-time")
    await expect(waits).to_have_text(re.compile(r"^≈ (9|10) min \d\d s$"))
    # What has not run when its process ends will not run any more.
    reporter.end(run)
    await expect(waits).to_have_text("")


async def test_where_nothing_is_usual_yet_nothing_is_said_of_it(
    tab: Page, reporter: Reporter
) -> None:
    run = reporter.start(reporter.register("never-ran"))
    reporter.report(run, 1, "start")
    await open_at(tab, f"/?process={run.id}")
    await expect(bar(tab, 1).locator(".bar")).to_be_visible()
    await expect(bar(tab, 1).locator(".usual")).to_be_hidden()
    await expect(tab.locator("#usual-key")).to_be_hidden()
    await expect(tab.locator("#facts")).not_to_contain_text("usual")
    await expect(tab.locator("#facts [data-ends]")).to_have_count(0)


async def test_the_expected_end_is_told_anew_with_each_step_in_the_zone_of_the_reader(
    browser: Browser, dashboard: DashboardServer, reporter: Reporter, history: History
) -> None:
    await ran(history, "expected", **USUAL)
    run = reporter.start(reporter.register("expected"))
    reporter.report(run, 1, "start")
    context = await browser.new_context(
        base_url=dashboard.url, timezone_id="Pacific/Auckland", locale="en-GB"
    )
    tab = await context.new_page()
    await open_at(tab, f"/?process={run.id}")
    ends = tab.locator("#facts [data-ends]")
    said = await told(ends)
    first = datetime.fromisoformat(said)
    assert first - datetime.now(UTC) == pytest.approx(timedelta(seconds=8800), rel=0.1)
    here = first.astimezone(ZoneInfo("Pacific/Auckland"))
    await expect(ends).to_have_text(re.compile(rf"^ends about (.* )?{here:%H:%M}$"))
    reporter.report(run, 1, "success")
    reporter.report(run, 2, "start")
    await expect(ends).not_to_have_attribute("data-ends", said)
    then = datetime.fromisoformat(await told(ends))
    assert first - then == pytest.approx(timedelta(seconds=1000), rel=0.1)
    await tab.locator("#zone").select_option("UTC")
    await expect(ends).to_have_text(re.compile(rf"^ends about (.* )?{then:%H:%M} UTC$"))
    reporter.end(run)
    await expect(ends).to_have_count(0)
    await context.close()


async def told(ends: Locator) -> str:
    end = await ends.get_attribute("data-ends")
    assert end
    return end


async def test_while_nothing_is_heard_nothing_is_counted_on_or_claimed(
    browser: Browser, tmp_path: Path
) -> None:
    with product(tmp_path) as (api, dashboard):
        database = Database(api.sqlite_url)
        authorization = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=api.url, headers=authorization, timeout=10) as http:
            history, reporter = History(database), Reporter(http)
            run = await overrun(history, reporter, "unheard")
            await ran(history, "unheard-in-time", extract=600.0, transform=600.0, load=300.0)
            in_time = reporter.start(reporter.register("unheard-in-time"))
            reporter.report(in_time, 1, "start")
        await history.begin(run, 1, ago=timedelta(hours=3))
        await database.close()
        context = await browser.new_context(base_url=dashboard.url)
        late, waiting = await context.new_page(), await context.new_page()
        for tab, process in ((late, run), (waiting, in_time)):
            await tab.clock.install()
            await open_at(tab, f"/?process={process.id}")
        await expect(late.locator("#facts .beyond")).to_have_text(BEYOND)
        await expect(waiting.locator("#facts")).to_contain_text("ends about ")
        dashboard.kill()
        for tab in (late, waiting):
            await tab.clock.fast_forward(LOST_MILLISECONDS)
            await expect(connection(tab)).to_contain_text("Connection lost")
        await expect(late.locator("#facts .beyond")).to_have_text(BEYOND)
        await expect(bar(late, 1).locator(".beyond")).to_have_text(BEYOND)
        await expect(waiting.locator("#facts")).not_to_contain_text("ends about")
        await expect(waiting.locator("#facts")).not_to_contain_text("over by now")
        await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious_in_overtime_and_it_fits_a_telephone(
    tab: Page, reporter: Reporter, history: History, scheme: str
) -> None:
    await tab.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    run = await overrun(history, reporter, f"overtime-for-axe-{scheme}")
    await history.begin(run, 1, ago=timedelta(hours=3))
    await open_at(tab, f"/?process={run.id}")
    await expect(bar(tab, 1).locator(".beyond")).to_have_text(BEYOND)
    assert await serious_faults(tab) == []
    await tab.set_viewport_size({"width": 390, "height": 844})
    await expect(bar(tab, 1).locator(".beyond")).to_be_in_viewport()
    assert await tab.evaluate("document.documentElement.scrollWidth") <= 390
