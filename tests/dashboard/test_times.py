"""The time shown: its zone, its length, and zooming into a part of it."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Browser, Page, expect

from dashboard.address import Address, Span
from tests.dashboard.locators import connection, row
from tests.dashboard.reporter import Reporter
from tests.servers import DashboardServer

SINCE, UNTIL = "2026-11-28T10:00:00Z", "2026-11-28T12:00:00+01:00"


def test_a_span_is_two_instants_with_their_offsets() -> None:
    span = Address.parse(f"?since={SINCE}&until={UNTIL.replace('+', '%2B')}").span
    assert span == Span(
        datetime(2026, 11, 28, 10, tzinfo=UTC), datetime(2026, 11, 28, 11, tzinfo=UTC)
    )
    assert span.slot == timedelta(minutes=1)
    assert span.until.tzinfo is UTC


@pytest.mark.parametrize(
    "search",
    [
        "?since=2026-11-28T10:00:00Z",
        "?since=x&until=y",
        "?since=2026-11-28T10:00:00Z&until=2026-11-28T10:00:00Z",
        "?since=2026-11-28T10:00:00Z&until=2026-11-28T11:00:00",
        "?since=2026-11-28T10:00:00&until=2026-11-28T11:00:00",
        "?since=0001-01-01T00:00:00Z&until=9999-12-31T00:00:00Z",
        # Of these there is no such instant in UTC, or nothing before or after.
        "?since=9999-12-30T00:00:00-14:00&until=9999-12-31T23:00:00-14:00",
        "?since=0001-01-01T00:00:00%2B14:00&until=0001-01-02T00:00:00%2B14:00",
        "?since=0001-01-01T00:00:00Z&until=0001-01-02T00:00:00Z",
        "?since=9999-12-30T00:00:00Z&until=9999-12-31T23:59:59Z",
    ],
)
def test_what_is_no_span_counts_as_not_given(search: str) -> None:
    assert Address.parse(search).span is None


@pytest.mark.parametrize(
    ("length", "minutes"), [(60, 1), (121, 5), (60 * 24 * 7, 120), (60 * 24 * 800, 10080)]
)
def test_a_span_has_no_more_slots_than_can_be_told_apart(length: int, minutes: int) -> None:
    since = datetime(2024, 1, 1, tzinfo=UTC)
    assert Span(since, since + timedelta(minutes=length)).slot == timedelta(minutes=minutes)


async def test_times_are_written_in_utc_or_in_the_zone_of_the_browser(
    browser: Browser, dashboard: DashboardServer, reporter: Reporter
) -> None:
    run = reporter.succeed(reporter.register("in-a-zone"))
    context = await browser.new_context(
        base_url=dashboard.url, timezone_id="Pacific/Auckland", locale="en-GB"
    )
    tab = await context.new_page()
    await tab.goto(f"/?process={run.id}")
    started = tab.locator("#facts time")
    at = await started.get_attribute("datetime")
    assert at
    here = datetime.fromisoformat(at) + timedelta(hours=13)
    await expect(started).to_have_text(re.compile(rf"{here:%H:%M:%S}$"))
    await tab.locator("#zone").select_option("UTC")
    utc = re.compile(rf"{datetime.fromisoformat(at):%H:%M:%S} UTC$")
    await expect(started).to_have_text(utc)
    await tab.reload()
    await expect(started).to_have_text(utc)
    await context.close()


async def test_dragging_over_the_chart_zooms_into_it_and_the_lists(
    tab: Page, reporter: Reporter
) -> None:
    worker = reporter.register("zoomed")
    run = reporter.succeed(worker)
    await tab.goto(f"/?worker={worker}")
    await expect(row(tab, "processes", run.id)).to_be_visible()
    slots = tab.locator("#activity .slot")
    await slots.nth(5).hover()
    await tab.mouse.down()
    await slots.nth(20).hover()
    await expect(tab.locator("#activity .slot.dragged")).to_have_count(16)
    await tab.mouse.up()
    await expect(tab).to_have_url(re.compile("since=.*until="))
    await expect(row(tab, "processes", run.id)).to_have_count(0)
    await expect(slots).to_have_count(16)
    await expect(tab.locator("#range")).to_have_value("custom")
    await tab.get_by_role("button", name=re.compile(" to .*✕$")).click()
    await expect(row(tab, "processes", run.id)).to_be_visible()
    await expect(slots).to_have_count(60)


async def test_a_span_is_chosen_by_its_ends(tab: Page) -> None:
    await tab.goto("/")
    await expect(connection(tab)).to_have_text("Live")
    await tab.locator("#range").select_option("Custom …")
    dialog = tab.get_by_role("dialog", name="Time shown")
    await dialog.get_by_label("From").fill("2026-11-20T10:00")
    await dialog.get_by_label("Until").fill("2026-11-20T09:00")
    await dialog.get_by_role("button", name="Show").click()
    await expect(dialog).to_contain_text("It has to begin before it ends.")
    await dialog.get_by_label("Until").fill("2026-11-22T10:00")
    await dialog.get_by_role("button", name="Show").click()
    await expect(tab.locator("#activity .slot")).to_have_count(48)
    await tab.locator("#range").select_option("30 days")
    await expect(tab.locator("#activity .slot")).to_have_count(60)
    await expect(tab).not_to_have_url(re.compile("since="))
