"""What a page will show is asked for while the browser loads the code."""

import asyncio
import re
import time
import zlib

import httpx
import pytest
from playwright.async_api import Page, expect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.ahead import PICTURE_SECONDS, Ahead
from dashboard.api import Api
from dashboard.boards.mirror import Mirror
from dashboard.callbacks import MAX_SEARCH_CHARACTERS
from dashboard.view.document import PICTURE
from dashboard.view.layout import create_layout
from dashboard.view.picture import Pictures
from dashboard.view.views import Views
from tests.dashboard.locators import connection
from tests.dashboard.reporter import Reporter
from tests.servers import DashboardServer


def ahead_of(mirror: Mirror, document: str = "document") -> Ahead:
    pictures = Pictures(create_layout(has_sign_in=False))
    return Ahead(PlainTextResponse(document), Views(mirror), pictures)


def browser_of(app: ASGIApp, accept: str = "text/html,*/*;q=0.8") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(
        transport=transport, base_url="http://dashboard", headers={"Accept": accept}
    )


async def test_the_boards_of_a_process_are_open_when_its_document_is_there(
    mirror: Mirror, reporter: Reporter
) -> None:
    run = reporter.succeed(reporter.register("ahead"))
    async with browser_of(ahead_of(mirror)) as browser:
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
    async with browser_of(ahead_of(mirror), accept) as browser:
        assert (await browser.get(path)).text == "document"
    assert mirror._boards == {}


Came = list[tuple[float, bytes]]


async def parts_of(app: ASGIApp, *headers: tuple[bytes, bytes], into: Came | None = None) -> Came:
    """The parts of a document, each with how many seconds it took to come."""
    begun, parts = time.monotonic(), [] if into is None else into

    async def take(message: Message) -> None:
        if message["type"] == "http.response.body":
            parts.append((time.monotonic() - begun, message["body"]))

    async def tell() -> Message:
        raise AssertionError("it has no body")

    asked = [(b"accept", b"text/html"), *headers]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": asked}
    await app(scope, tell, take)
    return parts


async def test_the_head_does_not_wait_for_the_picture() -> None:
    silent = Mirror(Api("http://127.0.0.1:9", "nobody answers there"))
    app = ahead_of(silent, f"head{PICTURE}rest")
    (at_once, head), (later, rest) = await parts_of(app)
    assert head == b"head"
    assert at_once < PICTURE_SECONDS <= later
    assert b'"isLoading":true' in rest
    assert rest.endswith(b"rest")


async def test_each_part_can_be_read_when_it_is_there(mirror: Mirror) -> None:
    app = ahead_of(mirror, f"head{PICTURE}rest")
    (_, head), (_, rest) = await parts_of(app, (b"accept-encoding", b"gzip"))
    reading = zlib.decompressobj(zlib.MAX_WBITS + 16)
    assert reading.decompress(head) == b"head"
    assert b"picture" in reading.decompress(rest)
    assert reading.eof


async def test_a_picture_that_fails_costs_no_page(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> str:
        raise ValueError("a defect")

    monkeypatch.setattr(Pictures, "draw", fail)
    parts = await parts_of(ahead_of(mirror, f"head{PICTURE}rest"))
    assert [part for _, part in parts] == [b"head", b"rest"]
    assert "no picture" in caplog.text


async def test_what_is_no_document_passes_as_it_is(mirror: Mirror) -> None:
    pictures = Pictures(create_layout(has_sign_in=False))
    refusal = PlainTextResponse("not now", 503, {"Retry-After": "1"})
    async with browser_of(Ahead(refusal, Views(mirror), pictures)) as browser:
        answer = await browser.get("/")
    assert (answer.status_code, answer.text) == (503, "not now")
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["Content-Length"] == "7"
    assert "Content-Encoding" not in answer.headers


async def test_an_answer_whose_application_fails_is_sent(mirror: Mirror) -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("a defect", 500)(scope, receive, send)
        raise ValueError("a defect")

    app = Ahead(fail, Views(mirror), Pictures(create_layout(has_sign_in=False)))
    sent: Came = []
    with pytest.raises(ValueError, match="a defect"):
        await parts_of(app, into=sent)
    assert [part for _, part in sent] == [b"a defect"]


def test_the_document_has_the_first_rows(dashboard: DashboardServer, reporter: Reporter) -> None:
    run = reporter.succeed(reporter.register("in-the-document"))
    html = {"Accept": "text/html"}
    for _ in range(50):  # the first one may come before the dashboard has a socket to the API
        document = httpx.get(f"{dashboard.url}/?process={run.id}", headers=html).text
        if '"name":"transform"' in document:
            break
    assert '"name":"transform"' in document
    assert document.count('class="picture"') == 1
    assert httpx.head(dashboard.url, headers=html).status_code == 200


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
