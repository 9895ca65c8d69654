"""Finding a pipeline by its name and anything by its id, from wherever one is."""

import asyncio
import json
import re
from typing import Any, cast

import httpx
import pytest
from playwright.async_api import Page, expect
from starlette.requests import Request

from dashboard import finding
from dashboard.api import Api, ApiGone
from tests.dashboard.locators import connection, row
from tests.dashboard.reporter import Reporter
from tests.servers import DashboardServer


async def open_search(tab: Page, key: str = "Control+k") -> None:
    await tab.goto("/")
    await expect(connection(tab)).to_have_text("Live")
    await tab.keyboard.press(key)
    await expect(tab.get_by_role("dialog", name="Find")).to_be_visible()


@pytest.mark.parametrize("key", ["Control+k", "/"])
async def test_a_pipeline_is_found_by_a_part_of_its_name(
    tab: Page, reporter: Reporter, key: str
) -> None:
    for name in ("Sought-One", "sought-two", "another"):
        reporter.register(name)
    await open_search(tab, key)
    await tab.keyboard.type("SOUGHT")
    options = tab.get_by_role("dialog").get_by_role("option")
    await expect(options).to_have_text([re.compile("Sought-One"), re.compile("sought-two")])
    await tab.keyboard.press("ArrowDown")
    await expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    await tab.keyboard.press("Enter")
    await expect(tab.locator("#pipeline-title")).to_have_text("sought-two")
    await expect(tab.get_by_role("dialog")).to_have_count(0)


async def test_a_run_a_task_and_a_worker_are_found_by_their_ids(
    tab: Page, reporter: Reporter
) -> None:
    worker = reporter.register("found-by-id")
    run = reporter.succeed(worker)
    for id_, place in (
        (run.id, row(tab, "processes", run.id)),
        (run.tasks[1], row(tab, "tasks", run.tasks[1])),
        (worker, row(tab, "workers", worker)),
    ):
        await open_search(tab)
        await tab.keyboard.type(f" {id_} ")
        await tab.keyboard.press("Enter")
        await expect(place).to_be_visible()


async def test_what_is_not_there_is_said(tab: Page) -> None:
    await open_search(tab)
    await tab.keyboard.type("no such thing <b>")
    await expect(tab.get_by_role("dialog")).to_contain_text("Nothing found")
    await tab.keyboard.press("Escape")
    await expect(tab.get_by_role("dialog")).to_have_count(0)


def test_what_cannot_be_searched_is_refused(dashboard: DashboardServer) -> None:
    answer = httpx.get(f"{dashboard.url}/find", params={"text": "x" * 257})
    assert (answer.status_code, answer.json()) == (
        400,
        {"detail": "text: 256 characters at most"},
    )
    for text in ("\0", "process_" + "x" * 90, "%", "'\"`;--", "\N{PILE OF POO}"):
        answer = httpx.get(f"{dashboard.url}/find", params={"text": text})
        assert (answer.status_code, answer.json()) == (200, {"found": []})


async def test_failures_and_runs_are_found_by_the_words_of_their_errors(
    tab: Page, reporter: Reporter
) -> None:
    worker = reporter.register("found-by-words")
    reporter.fail(worker, "no rows of customer Müller-4711 in batch 17")
    sought = reporter.fail(worker, "no rows of customer Groß-0815 in batch 18")
    await open_search(tab)
    await tab.keyboard.type("batch NO rows cust")
    options = tab.get_by_role("dialog").get_by_role("option")
    await expect(options).to_have_text(
        [
            re.compile(r"no rows of customer .*Failure.*found-by-words · transform"),
            re.compile(r"Groß-0815 in batch 18.*Run.*found-by-words · .*\d"),
            re.compile(r"Müller-4711 in batch 17.*Run.*found-by-words · .*\d"),
        ]
    )
    await tab.get_by_role("dialog").get_by_role("combobox").fill("groß 08")
    await expect(options).to_have_count(1)
    await tab.keyboard.press("Enter")
    await expect(row(tab, "processes", sought.id)).to_be_visible()
    await expect(tab).to_have_url(re.compile(f"process={sought.id}"))


async def test_a_failure_leads_to_its_address(tab: Page, reporter: Reporter) -> None:
    reporter.fail(reporter.register("found-fault"), "unheard-of zyx")
    await open_search(tab)
    await tab.keyboard.type("zyx unheard")
    failure = tab.get_by_role("dialog").get_by_role("option", name="Failure")
    await expect(failure).to_have_attribute("data-search", re.compile(r"\?failure=failure_"))


async def test_what_cannot_be_searched_by_words_leaves_the_pipelines(
    tab: Page, reporter: Reporter
) -> None:
    text = " ".join(f"{a}{b}" for a in "abcdefgh" for b in "klmnopqrs")
    reporter.register(f"of many words {text}")
    await open_search(tab)
    await tab.get_by_role("dialog").get_by_role("combobox").fill(text)
    await expect(tab.get_by_role("dialog").get_by_role("option")).to_have_count(1)
    await expect(tab.get_by_role("dialog")).to_contain_text("at most 64")


class SlowToSearch:
    """An API whose search gives no answer, or none in time."""

    def __init__(self, problem: Exception | None) -> None:
        self._problem = problem

    async def query(self, name: str, **_: object) -> dict[str, Any]:
        if name == "search":
            if self._problem is None:
                await asyncio.Event().wait()
            else:
                raise self._problem
        return {"pipelines": {"edges": []}, "node": None}


@pytest.mark.parametrize("problem", [None, ApiGone("the API does not answer")])
async def test_names_are_found_when_words_cannot_be_searched(
    problem: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "SEARCH_SECONDS", 0.01)
    request = Request({"type": "http", "query_string": b"text=rows", "headers": []})
    api = cast(Api, SlowToSearch(problem))
    answer = await finding.Finding(api).answer(request)
    assert answer.status_code == 200
    told = json.loads(bytes(answer.body))
    assert told["found"] == []
    assert told["note"].startswith("Failures and runs")
