"""What tabs are told of a change: that alone, made once for all that show the same."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.async_api import Page, expect

from dashboard.address import Address, WorkerList
from dashboard.api import Api
from dashboard.boards.board import Board
from dashboard.boards.mirror import Mirror, listening
from dashboard.boards.rows import Node, Row
from dashboard.boards.workers import WorkersBoard
from dashboard.tabs import Tab
from dashboard.view.view import View
from dashboard.view.views import Views
from tests.dashboard.locators import connection, row
from tests.dashboard.reporter import Reporter
from tests.dashboard.waiting import until

STEPS = 2000
# A row, and what every tab is told each time.
MOST_CHARACTERS = 1200


class Socket:
    """A tab's, that keeps what it is told."""

    is_shutdown = False

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def set_prop_sync(self, component_id: str, prop_name: str, value: Any) -> None:
        assert (component_id, prop_name) == ("told", "data")
        self.told.append(value)

    async def get_prop(self, component_id: str, prop_name: str, timeout: float = 0) -> object:  # noqa: ASYNC109  # Dash has it so
        raise NotImplementedError


class Opened:
    """Tabs that look at the same address."""

    def __init__(self, views: Views, address: str, tabs: int) -> None:
        self.view = views.open(Address.parse(address))
        self.sockets = [Socket() for _ in range(tabs)]
        self._tabs = [Tab(views, socket) for socket in self.sockets]
        for _ in range(2):  # its first rows, then all of them
            self.tell()

    def tell(self) -> list[dict[str, Any]]:
        """What each is told now."""
        for tab in self._tabs:
            tab._tell(self.view)
        return [socket.told[-1] for socket in self.sockets]


@contextmanager
def kept_open(*boards: Board | None) -> Iterator[asyncio.Event]:
    wake = asyncio.Event()
    with listening([board for board in boards if board], wake):
        yield wake


@pytest.fixture
async def unfollowed() -> AsyncIterator[Mirror]:
    """Boards that nobody changes but the test."""
    mirror = Mirror(Api("http://127.0.0.1:1", "nobody"))
    yield mirror
    for task in mirror._tasks.values():
        task.cancel()


class CountingWorkers(WorkersBoard):
    """Counts how often a row is made."""

    made = 0

    def row(self, node: Node) -> Row:
        self.made += 1
        return super().row(node)


AT = "2026-01-01T00:00:00.000Z"
WORKER: Node = {
    "version": "v1",
    "revision": 1,
    "liveness": "ALIVE",
    "livenessReason": "",
    "registeredAt": AT,
    "lastSeenAt": AT,
    "counts": dict.fromkeys(("total", "running", "succeeded", "failed"), 0),
    "averageRuntimeSeconds": None,
}


def worker(number: int, **changed: Any) -> Node:
    return WORKER | {"id": f"worker_{number}", "name": f"worker {number}"} | changed


@pytest.mark.parametrize("tabs", [1, 3])
async def test_however_many_look_a_change_is_drawn_and_encoded_once(
    unfollowed: Mirror, tabs: int
) -> None:
    board = CountingWorkers(WorkerList())
    unfollowed._open(WorkerList(), lambda: board)
    board.nodes = {f"worker_{number}": worker(number) for number in range(50)}
    board.is_loaded = True
    views = Views(unfollowed)
    address = Address.parse("?view=workers")
    view = views.open(address)
    with listening(view.boards, asyncio.Event()):
        opened = Opened(views, "?view=workers", tabs)
        assert opened.view is view
        assert board.made == 50
        board.nodes["worker_7"] = worker(7, liveness="LOST")
        board.touch()
        told = opened.tell()
    assert board.made == 100
    [change] = {id(each["tables"]["workers"]): each["tables"]["workers"] for each in told}.values()
    assert [row["id"] for row in json.loads(change)["update"]] == ["worker_7"]
    assert {id(text) for each in told for *_, text in each["props"]} <= {
        id(drawn.text) for drawn in view.frame().props.values()
    }


async def test_what_did_not_change_is_not_told_again(unfollowed: Mirror) -> None:
    views = Views(unfollowed)
    view = views.open(Address.parse("?view=workers"))
    with listening(view.boards, asyncio.Event()):
        opened = Opened(views, "?view=workers", 1)
        for board in view.boards:
            board.touch()
        [told] = opened.tell()
    assert (told["props"], told["tables"]) == ([], {})
    assert "panels" not in told["status"]


async def test_rows_that_go_out_of_sight_are_removed_and_no_table_that_never_was_is_told_of(
    unfollowed: Mirror,
) -> None:
    unfollowed.workers(WorkerList()).nodes = {"worker_1": worker(1)}
    views, socket = Views(unfollowed), Socket()
    tab = Tab(views, socket)
    tab._tell(views.open(Address.parse("?view=workers")))
    assert socket.told[-1]["tables"].keys() == {"workers"}
    tab._tell(views.open(Address.parse("?view=runs")))
    tables = {name: json.loads(text) for name, text in socket.told[-1]["tables"].items()}
    assert tables == {"workers": {"rows": []}, "processes": {"rows": []}}


async def test_a_step_of_thousands_is_told_alone_to_all_tabs(
    mirror: Mirror, reporter: Reporter
) -> None:
    id_ = reporter.register("thousands", [f"step {number}" for number in range(1, STEPS + 1)])
    for _ in range(2):
        reporter.end(reporter.start(id_))
    run = reporter.start(id_)
    views, address = Views(mirror), f"?worker={id_}&process={run.id}"
    process = views.open(Address.parse(address)).process
    assert process
    with kept_open(process) as wake:
        await until(wake, lambda: process.is_followed)
        view = views.open(Address.parse(address))
        assert view.runs
        with kept_open(*view.boards) as others:
            await until(others, lambda: all(board.is_loaded for board in view.boards))
            await others_told_alone(Opened(views, address, 3), view, run.tasks[999])


async def others_told_alone(opened: Opened, view: View, id_: str) -> None:
    """By hand, at once: nothing else that is followed changes meanwhile."""
    process, before = view.process, view.frame()
    assert process
    task = process.tasks[id_]
    node = {**task, "status": "RUNNING", "startedAt": "2026-01-01T00:00:00.000Z"}
    process.subscriptions[0].apply(
        {"kind": "UPDATED", "node": {**node, "revision": task["revision"] + 1}}
    )
    process.touch()
    told = opened.tell()
    [change] = {id(each["tables"]["tasks"]): each["tables"]["tasks"] for each in told}.values()
    [row] = json.loads(change)["update"]
    assert (row["id"], row["status"]) == (id_, "RUNNING")
    for each in told:
        assert each["props"] == []
        assert each["tables"].keys() == {"tasks"}
        assert len(json.dumps(each)) < MOST_CHARACTERS
    after = view.frame()
    assert after is not before
    for name in ("facts", "failure", "comparison"):
        assert after.props[name, "children"].text == before.props[name, "children"].text
    assert after.props["comparison", "children"] is before.props["comparison", "children"]


NOTE_WHAT_IS_DRAWN = """() => {
    window.drawn = new Set();
    const note = (changes) => {
        for (const { target } of changes) {
            const element = target.nodeType === Node.TEXT_NODE ? target.parentElement : target;
            const part = element?.closest(".bar-row, .ag-row, #facts, #comparison, #timeline");
            if (part) window.drawn.add(part.id || part.getAttribute("row-id") || part.innerText);
        }
    };
    const all = { subtree: true, childList: true, characterData: true };
    const watched = { ...all, attributes: true, attributeFilter: ["class", "title"] };
    const panel = document.getElementById("process-panel");
    new MutationObserver(note).observe(panel, watched);
}"""


async def test_of_hundreds_of_steps_only_the_one_that_changed_is_drawn_anew(
    tab: Page, reporter: Reporter
) -> None:
    id_ = reporter.register("hundreds", [f"step {number}" for number in range(1, 301)])
    run = reporter.start(id_)
    await tab.goto(f"/?worker={id_}&process={run.id}")
    await expect(tab.locator("#timeline .bar-row")).to_have_count(300)
    await expect(row(tab, "tasks", run.tasks[1])).to_contain_text("Pending")
    await expect(connection(tab)).to_have_text("Live")
    await tab.evaluate(NOTE_WHAT_IS_DRAWN)
    reporter.report(run, 2, "start")
    await expect(row(tab, "tasks", run.tasks[1])).to_contain_text("Running")
    bar = tab.locator("#timeline .bar-row").nth(1)
    await expect(bar).to_have_class("bar-row status-running")
    drawn = {text.split("\n")[0] for text in await tab.evaluate("[...window.drawn]")}
    assert {"2 step 2", run.tasks[1]} <= drawn <= {"2 step 2", run.tasks[1], "facts"}
