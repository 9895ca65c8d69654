"""Makes the pictures of the README: `python -m tests.screenshots FOLDER`."""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
from playwright.async_api import async_playwright, expect

from dashboard.view.words import NOTHING
from tests.conftest import CHROMIUM, CHROMIUM_FLAGS, TOKEN
from tests.servers import DashboardServer, MonitorServer, find_program

DEMO_SECONDS = 100
DEMO_SPEED = 4
PHONE_WIDTH = 390
FAILED = """{
  tasks(first: 1, filter: {status: [ERROR]}, orderBy: {field: UPDATED_AT, direction: DESC}) {
    edges { node { process { id pipeline { id } } } }
  }
}"""


def fill(api: MonitorServer, folder: Path) -> tuple[str, str]:
    """Lets the demo's workers report for a while; the ids of a process that failed, and of its
    pipeline.
    """
    options = ("--url", api.url, "--speed", str(DEMO_SPEED), "--seconds", str(DEMO_SECONDS))
    subprocess.run(
        [sys.executable, "-m", "app", "demo", *options],
        env={"PATH": "/usr/bin:/bin", "TOKEN": TOKEN, "MONITOR_DATA_DIR": str(folder)},
        check=True,
    )
    told = httpx.post(
        f"{api.url}/graphql",
        json={"query": FAILED},
        headers={"Authorization": f"Bearer {TOKEN}"},
    ).json()
    process = told["data"]["tasks"]["edges"][0]["node"]["process"]
    return str(process["id"]), str(process["pipeline"]["id"])


async def draw(dashboard: DashboardServer, process: str, pipeline: str, folder: Path) -> None:
    """Overview, a pipeline and a failed process, light and dark, wide and on a telephone."""
    pictures = [
        ("overview", "/", "light", 1440, 900),
        ("pipeline", f"/?pipeline={pipeline}", "light", 1440, 1000),
        ("failure", f"/?process={process}", "dark", 1440, 900),
        ("telephone", f"/?process={process}", "light", PHONE_WIDTH, 844),
    ]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_program(*CHROMIUM), args=CHROMIUM_FLAGS
        )
        for name, address, scheme, width, height in pictures:
            page = await browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme=scheme,  # type: ignore[arg-type]
            )
            await page.goto(dashboard.url + address)
            await expect(page.locator("#connection")).to_have_text("Live")
            if "process" in address:
                await expect(page.locator(".failure-message")).to_be_visible()
            if "pipeline" in address:
                await expect(page.locator("#runtimes-chart canvas")).to_be_visible()
                await expect(page.locator(".outcomes")).to_be_visible()
            await expect(page.locator(".tile-value").first).not_to_have_text(NOTHING)
            if width > PHONE_WIDTH:
                await expect(page.locator("#activity svg")).to_be_attached()
            if "process" in address and width > PHONE_WIDTH:  # there it is out of sight
                await expect(page.locator("#processes .ag-row-selected")).to_be_attached()
            await page.screenshot(path=folder / f"{name}.png")
            print(f"==> {folder / name}.png")  # noqa: T201  # it is a command
        await browser.close()


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        api = MonitorServer(Path(scratch), {"TOKEN": TOKEN})
        api.start()
        backend = f"127.0.0.1:{api.port}"
        dashboard = DashboardServer(Path(scratch), {"TOKEN": TOKEN, "BACKEND": backend})
        dashboard.start()
        try:
            asyncio.run(draw(dashboard, *fill(api, Path(scratch)), folder))
        finally:
            dashboard.stop()
            api.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
