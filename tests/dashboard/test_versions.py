"""A pipeline's steps and versions: distributions, flaky steps, two versions side by side."""

import re
from collections.abc import Sequence

import pytest
from playwright.async_api import Page, expect

from dashboard.boards.mirror import Mirror
from tests.dashboard.history import History
from tests.dashboard.locators import connection
from tests.dashboard.reporter import Reporter
from tests.dashboard.test_conditions import serious_faults
from tests.dashboard.test_pipelines import pipeline_of
from tests.dashboard.test_reach import open_at

MANY = 200
# What is compared is not told as it happens.
COMPARED = "Refreshed every 15 s: versions"
TIMES = "\N{MULTIPLICATION SIGN}"


async def release(
    history: History, reporter: Reporter, name: str, *versions: str, slower: Sequence[float] = ()
) -> None:
    """Versions of a pipeline, the newest last, each of which takes so many times as long."""
    for version, times in zip(versions, slower or [1.0] * len(versions), strict=True):
        reporter.register(name, version=version)
        await history.ran(name, None, *[100 * times] * MANY, version=version)
        await history.ran(name, "extract", *[10.0] * MANY, version=version)
        await history.ran(name, "transform", *[80 * times] * MANY, version=version)


async def test_each_step_has_its_distribution_and_its_share_of_failures(
    tab: Page, reporter: Reporter, history: History, mirror: Mirror
) -> None:
    await release(history, reporter, "distributed", "v1")
    await history.ran("distributed", "transform", *[5.0] * 50, outcome="failed")
    await open_at(tab, f"/?pipeline={await pipeline_of(mirror, 'distributed')}")
    steps = tab.get_by_role("region", name="Steps")
    transform = steps.get_by_role("row", name=re.compile("^2 transform"))
    await expect(transform.locator("td")).to_have_text(
        ["250", "20.0%", "1 min 23 s", "1 min 23 s", ""]
    )
    await expect(transform.get_by_role("img")).to_have_attribute(
        "aria-label", re.compile(r"^200 that succeeded took 1 min 19 s to 1 min 2")
    )
    await expect(transform.locator(".flaky")).to_have_text("flaky")
    await expect(tab.locator("#pipeline-steps")).to_contain_text(
        "transform is flaky: it fails and succeeds by turns. Failed were 50 of 250 in v1."
    )
    await expect(steps.locator(".flaky")).to_have_count(1)
    # Of what never ended there is none.
    await expect(
        steps.get_by_role("row", name=re.compile("^3 load")).get_by_role("img")
    ).to_have_count(0)


async def test_two_versions_are_compared_and_the_address_says_which(
    tab: Page, reporter: Reporter, history: History, mirror: Mirror
) -> None:
    await release(history, reporter, "released", "v1.2", "v1.3", "v1.4", slower=[1, 1, 2])
    await history.ran("released", None, *[50.0] * MANY, version="v1.4", outcome="failed")
    pipeline = await pipeline_of(mirror, "released")
    await open_at(tab, f"/?pipeline={pipeline}")
    await expect(tab.locator("#compared-box")).to_be_hidden()
    await tab.get_by_role("link", name="Compare v1.4 with v1.3").click()
    await expect(tab).to_have_url(re.compile("compare=v1.4&against=v1.3$"))
    verdict = tab.locator(".verdict")
    await expect(verdict).to_have_text(
        re.compile(r"^v1\.4 against v1\.3: takes 2 times as long .*; succeeds less often .*\.$")
    )
    await expect(tab.locator('[data-panel="versions"]')).to_have_text("Refreshed every 15 s")
    await expect(tab.locator('[data-panel="pipeline"]')).to_have_text("")
    table = tab.get_by_role("region", name="Versions side by side")
    whole, extract, transform, load = (table.locator("tbody").nth(place) for place in range(4))
    await expect(whole.locator(".compare td")).to_have_text(
        [
            *("v1.4", "3 min 18 s", f"▲ {TIMES}2.00", "3 min 18 s", f"▲ {TIMES}2.00"),
            "50.0% of 400",
            "",
            "45% to 55%",
        ]
    )
    await expect(whole.locator(".against td")).to_have_text(
        [*("v1.3", "1 min 39 s", "", "1 min 39 s", ""), "100.0% of 200", "", "98% to 100%"]
    )
    await expect(extract.locator(".shift").first).to_have_text(f"{TIMES}1.00")
    await expect(transform.locator(".slower").first).to_have_text(f"▲ {TIMES}2.00")
    await expect(load.locator(".shift").first).to_have_text("too few")
    # Another one is chosen, and the address can be shared.
    await tab.locator("#compare").select_option("v1.2")
    await expect(tab).to_have_url(re.compile("compare=v1.2&against=v1.3"))
    await expect(verdict).to_contain_text("v1.2 against v1.3: takes about as long")
    shared = await tab.context.new_page()
    await open_at(shared, tab.url, COMPARED)
    await expect(shared.locator(".verdict")).to_contain_text("v1.2 against v1.3")
    await expect(shared.locator("#compare")).to_have_value("v1.2")
    await shared.get_by_role("button", name="Close").click()
    await expect(shared.locator("#compared-box")).to_be_hidden()
    await expect(shared).to_have_url(re.compile(f"pipeline={pipeline}$"))
    await expect(connection(shared)).to_have_text("Live")


async def test_of_few_runs_nothing_is_concluded(
    tab: Page, reporter: Reporter, mirror: Mirror
) -> None:
    for version in ("v1", "v2"):
        reporter.succeed(reporter.register("too-few", version=version))
    pipeline = await pipeline_of(mirror, "too-few")
    await open_at(tab, f"/?pipeline={pipeline}&compare=v2&against=v1", COMPARED)
    await expect(tab.locator(".verdict")).to_have_text("v2 against v1: not enough runs to tell.")
    await expect(tab.locator(".versions .shift").first).to_have_text("too few")


@pytest.mark.parametrize(
    ("search", "said", "fresh"),
    [
        ("compare=v1", "Choose two versions.", "Live"),
        ("against=v1", "Choose two versions.", "Live"),
        ("compare=v1&against=v1", "Choose two different versions.", "Live"),
        (
            f"compare={'v' * 200}&against=v1",
            "Not loaded: version: ",
            "Not up to date: versions",
        ),
    ],
)
async def test_what_cannot_be_compared_says_why(
    tab: Page, reporter: Reporter, mirror: Mirror, search: str, said: str, fresh: str
) -> None:
    reporter.register("not-comparable")
    pipeline = await pipeline_of(mirror, "not-comparable")
    await open_at(tab, f"/?pipeline={pipeline}&{search}", fresh)
    await expect(tab.locator("#compared")).to_contain_text(said)
    await expect(tab.get_by_role("link", name=re.compile("^Compare "))).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious_side_by_side_and_it_fits_a_telephone(
    tab: Page, reporter: Reporter, history: History, mirror: Mirror, scheme: str
) -> None:
    await tab.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    name = f"versions-for-axe-{scheme}"
    await release(history, reporter, name, "v1", "v2", slower=[1, 2])
    await history.ran(name, "transform", *[5.0] * 50, outcome="failed")
    address = f"/?pipeline={await pipeline_of(mirror, name)}&compare=v2&against=v1"
    await open_at(tab, address, COMPARED)
    await expect(tab.locator(".versions .slower").first).to_be_visible()
    await expect(tab.locator(".flaky")).to_be_visible()
    assert await serious_faults(tab) == []
    await tab.set_viewport_size({"width": 390, "height": 844})
    await expect(tab.locator("#workers-title")).to_be_attached()
    assert await serious_faults(tab) == []
    assert await tab.evaluate("document.documentElement.scrollWidth") <= 390
