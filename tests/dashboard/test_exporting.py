"""Lists as files: all that the filter lets through."""

import csv
import io
import json

import httpx
import pytest
from playwright.async_api import Page, expect

from dashboard import exporting
from dashboard.address import Address
from dashboard.boards.mirror import Mirror
from dashboard.exporting import Exporting
from tests.dashboard.locators import row
from tests.dashboard.reporter import Reporter
from tests.servers import DashboardServer


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


async def test_a_list_is_saved_as_it_is_filtered(tab: Page, reporter: Reporter) -> None:
    worker = reporter.register("exported")
    failed, _ = reporter.fail(worker, "boom"), reporter.succeed(worker)
    await tab.goto(f"/?worker={worker}&status=failed")
    await expect(row(tab, "processes", failed.id)).to_be_visible()
    async with tab.expect_download() as saving:
        await tab.locator('[data-pager="processes"]').get_by_role("link", name="CSV").click()
    file = await saving.value
    assert file.suggested_filename == "processes.csv"
    [saved] = rows_of((await file.path()).read_text())
    assert (saved["id"], saved["status"]) == (failed.id, "ERROR")


def test_every_list_is_there_as_csv_and_json(
    dashboard: DashboardServer, reporter: Reporter
) -> None:
    worker = reporter.register("=cmd|' /C calc'!A0")
    run = reporter.succeed(worker)
    for table, id_ in (("workers", worker), ("processes", run.id), ("pipelines", None)):
        about = {"table": table, "name": "=cmd", "worker": worker if table == "processes" else ""}
        [one] = rows_of(
            httpx.get(f"{dashboard.url}/export", params={**about, "format": "csv"}).text
        )
        [same] = httpx.get(f"{dashboard.url}/export", params={**about, "format": "json"}).json()
        assert one["id"] == same["id"]
        assert id_ in (None, one["id"])
        # No spreadsheet takes it for a formula.
        assert one.get("name", "'=cmd").startswith("'=cmd")
        assert "ticks" not in same


@pytest.mark.parametrize(
    ("about", "field"),
    [({"table": "x", "format": "csv"}, "table"), ({"table": "workers", "format": "x"}, "format")],
)
def test_what_cannot_be_exported_is_refused(
    dashboard: DashboardServer, about: dict[str, str], field: str
) -> None:
    answer = httpx.get(f"{dashboard.url}/export", params=about)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(f"{field}: must be one of ")


async def test_pages_follow_each_other_and_what_is_cut_off_is_said(
    mirror: Mirror, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PAGE_SIZE", 2)
    monkeypatch.setattr(exporting, "MAX_ROWS", 4)
    ids = [reporter.register("in-pages") for _ in range(5)][::-1]
    address = Address.parse("?name=in-pages")
    pages = [page async for page in Exporting(mirror.api)._pages("workers", address)]
    assert [row["id"] for page in pages[:2] for row in page] == ids[:4]
    assert json.loads(exporting._objects(pages[2])) == {"more": exporting.CUT}
