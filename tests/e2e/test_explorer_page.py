"""The explorer in a real browser, on a closed network."""

from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import Browser, Page, expect

from tests.conftest import TOKEN
from tests.servers import MonitorServer


async def test_the_explorer_asks_for_the_token_and_runs_queries_without_other_hosts(
    tmp_path: Path, browser: Browser
) -> None:
    server = MonitorServer(tmp_path, {"TOKEN": TOKEN})
    server.start()
    page = await browser.new_page()
    hosts: set[str] = set()
    faults: list[str] = []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("websocket", lambda socket: hosts.add(urlsplit(socket.url).netloc))
    page.on("console", lambda message: _note(faults, message.type, message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    await page.goto(f"{server.url}/graphql")
    await expect(page.locator("#hint")).to_be_visible()
    await _enter_token(page)
    await page.locator(".graphiql-execute-button").click()
    await expect(page.locator(".result-window")).to_contain_text("workersOnline")
    await expect(page.locator("#hint")).to_be_hidden()
    await page.close()
    server.stop()
    assert hosts == {f"127.0.0.1:{server.port}"}
    assert faults == []


def _note(faults: list[str], kind: str, text: str) -> None:
    # Before there is a token, asking for the schema is refused: the browser says so by itself.
    if kind == "error" and "401" not in text:
        faults.append(text)


async def _enter_token(page: Page) -> None:
    await page.locator("#token").fill(TOKEN)
    await page.locator("#token").press("Enter")
