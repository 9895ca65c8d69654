"""The first picture of a page: what is known of it, as text that harms nobody."""

import html
import json
import re
import time
from typing import Any
from unittest.mock import Mock

import pytest

from dashboard.address import Address
from dashboard.boards.mirror import Mirror
from dashboard.tabs import loaded
from dashboard.view.layout import create_layout
from dashboard.view.picture import MOST_BARS, MOST_KEPT, MOST_ROWS, Pictures
from dashboard.view.view import View
from tests.dashboard.reporter import Reporter

SECONDS = 30
NOW = 1_800_000_000.25  # seconds since 1970


async def view_of(mirror: Mirror, search: str) -> View:
    """A view whose boards are loaded."""
    view = await loaded(View(mirror, Address.parse(search)), SECONDS)
    return view if view.is_settled else await view_of(mirror, search)


def draw(view: View) -> str:
    return Pictures(create_layout(has_sign_in=False)).draw(view, NOW)


def told_by(picture: str) -> dict[str, Any]:
    """What it has for the script that draws its tables."""
    [told] = re.findall(r'<script type="application/json">(.*?)</script>', picture, re.DOTALL)
    read: dict[str, Any] = json.loads(told)
    return read


async def test_it_has_rows_and_tiles_but_no_ids(mirror: Mirror, reporter: Reporter) -> None:
    run = reporter.succeed(reporter.register("pictured"))
    picture = draw(await view_of(mirror, f"?process={run.id}"))
    assert [row["name"] for row in told_by(picture)["tables"]["tasks"]["rows"]] == [
        *("extract", "transform", "load")
    ]
    assert 'data-level="2" data-view="pipeline"' in picture
    assert "100% of its tasks ended" in picture
    assert "Connecting …" in picture
    assert " id=" not in picture


async def test_it_says_what_is_not_known_yet(mirror: Mirror) -> None:
    table = told_by(draw(View(mirror, Address.parse("?view=workers&name=x"))))["tables"]["workers"]
    assert table["isLoading"]
    assert table["rows"] == []


async def test_what_is_reported_stays_text(mirror: Mirror, reporter: Reporter) -> None:
    name = "</script><script>alert(1)</script>\"'<!--"
    run = reporter.fail(reporter.register(name), name)
    picture = draw(await view_of(mirror, f"?process={run.id}"))
    assert told_by(picture)["shown"]["pipelineName"] == name
    assert "&lt;script&gt;alert(1)" in picture
    assert picture.count("<script") == picture.count("</script>") == 1
    assert "<!--" not in picture


async def test_it_has_as_many_rows_as_a_screen(mirror: Mirror, reporter: Reporter) -> None:
    worker = reporter.register("busy")
    runs = [reporter.start(worker).id for _ in range(MOST_ROWS + 1)]
    picture = draw(await view_of(mirror, f"?worker={worker}"))
    rows = told_by(picture)["tables"]["processes"]["rows"]
    # The newest first.
    assert [row["id"] for row in rows] == runs[:0:-1]


async def test_it_is_drawn_once_for_all_who_open_the_same(
    mirror: Mirror, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = reporter.register("shared")
    search = f"?worker={worker}"
    pictures = Pictures(create_layout(has_sign_in=False))
    drawing = Mock(wraps=pictures._draw)
    monkeypatch.setattr(pictures, "_draw", drawing)
    first, second = await view_of(mirror, search), await view_of(mirror, search)
    assert first is not second
    assert pictures.draw(first, NOW) == pictures.draw(second, NOW)
    assert drawing.call_count == 1
    first.boards[0].touch()
    pictures.draw(second, NOW)
    assert drawing.call_count == 2
    for name in range(MOST_KEPT):
        pictures.draw(View(mirror, Address.parse(f"?view=workers&name={name}")), NOW)
    pictures.draw(second, NOW)
    assert drawing.call_count == 3 + MOST_KEPT


async def test_it_says_how_far_it_can_be_trusted(mirror: Mirror, reporter: Reporter) -> None:
    view = await view_of(mirror, f"?worker={reporter.register('doubted')}")
    assert view.processes
    view.processes.problem = "connection refused"
    [told] = re.findall('data-now="1800000000250" data-panels="([^"]*)"', draw(view))
    panel = json.loads(html.unescape(told))["processes"]
    assert panel["state"] == "stale"
    assert panel["problem"] == "connection refused"
    assert panel["asOf"] == pytest.approx(time.time() * 1000, abs=SECONDS * 1000)


async def test_it_draws_a_timeline_only_of_all_bars(mirror: Mirror, reporter: Reporter) -> None:
    names = [f"step {number}" for number in range(MOST_BARS + 1)]
    for steps in (names, names[1:]):
        run = reporter.start(reporter.register(f"long {len(steps)}", steps))
        table = told_by(draw(await view_of(mirror, f"?process={run.id}")))["tables"]["tasks"]
        assert table["isWhole"] == (len(steps) <= MOST_BARS)
        assert len(table["rows"]) == MOST_BARS
