"""A board is mended whatever happens to it, and says how far it can be trusted until then."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from dashboard.address import PERIODS, ProcessList, WorkerList
from dashboard.api import Api, Refused
from dashboard.boards.board import Board, Event, Subscription
from dashboard.boards.figures import FiguresBoard
from dashboard.boards.following import DEFECT, REFUSED_SECONDS, Follower
from dashboard.boards.mirror import Mirror, listening
from dashboard.boards.processes import ProcessesBoard
from tests.conftest import TOKEN
from tests.dashboard.reporter import Reporter
from tests.dashboard.waiting import SECONDS, until
from tests.servers import MonitorServer


@asynccontextmanager
async def followed(
    follow: Callable[[], Coroutine[Any, Any, None]], *boards: Board
) -> AsyncIterator[asyncio.Event]:
    """The event that is set by each change of the boards, while they are followed."""
    wake = asyncio.Event()
    following = asyncio.create_task(follow())
    with listening(list(boards), wake):
        yield wake
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_a_first_page_whose_rows_all_left_is_filled_up_and_goes_on(
    mirror: Mirror, reporter: Reporter
) -> None:
    worker = reporter.register("emptied")
    runs = [reporter.start(worker) for _ in range(5)]
    board = ProcessesBoard(ProcessList(worker, status="running"), size=2)
    async with followed(Follower(mirror.api, board).run, board) as wake:
        await until(wake, lambda: board.is_loaded)
        assert set(board.nodes) == {runs[4].id, runs[3].id}
        for run in runs[3:]:
            reporter.end(run)
        last = reporter.start(worker)
        await until(wake, lambda: set(board.nodes) >= {last.id, runs[2].id})
    assert board.problem is None


async def test_rows_age_out_of_a_list_of_what_started_lately(
    mirror: Mirror, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PERIODS, "1h", timedelta(seconds=2))
    worker = reporter.register("aging")
    board = ProcessesBoard(ProcessList(worker, period="1h"))
    async with followed(Follower(mirror.api, board).run, board) as wake:
        await until(wake, lambda: board.is_loaded)
        run = reporter.start(worker)
        await until(wake, lambda: run.id in board.nodes)
        await until(wake, lambda: not board.rows)


async def test_a_page_that_aged_is_asked_for_again_when_there_are_more(
    mirror: Mirror, reporter: Reporter
) -> None:
    worker = reporter.register("aging-page")
    for _ in range(3):
        reporter.start(worker)
    board = ProcessesBoard(ProcessList(worker, period="1h"), size=2)
    await board.load(mirror.api)
    assert not board.age()
    for node in board.nodes.values():
        node["startedAt"] = "2020-01-01T00:00:00.000Z"
    assert board.age()
    assert board.nodes == {}
    assert board.stale.is_set()


class Wayward(ProcessesBoard):
    """Cannot take in what it is told at first."""

    def __init__(self, wanted: ProcessList, failures: int) -> None:
        super().__init__(wanted)
        self.failures = failures

    @property
    def subscriptions(self) -> list[Subscription]:
        return [replace(one, apply=partial(self._fail, one.apply)) for one in super().subscriptions]

    def _fail(self, apply: Callable[[Event], None], event: Event) -> None:
        if self.failures:
            self.failures -= 1
            raise ValueError("a change that nobody foresaw")
        apply(event)


async def test_an_error_that_nobody_foresaw_is_shown_logged_and_mended(
    mirror: Mirror, reporter: Reporter, caplog: pytest.LogCaptureFixture
) -> None:
    worker = reporter.register("wayward")
    board = Wayward(ProcessList(worker), failures=1)
    async with followed(lambda: mirror.follow("wayward", board), board) as wake:
        await until(wake, lambda: board.is_loaded)
        run = reporter.start(worker)
        await until(wake, lambda: board.problem is not None)
        assert board.problem == DEFECT
        assert board.freshness["state"] == "stale"
        assert mirror.health["status"] == "degraded"
        assert mirror.health["faults"] == ["Wayward failed: ValueError"]
        await until(wake, lambda: board.problem is None and run.id in board.nodes)
        assert board.freshness["state"] == "live"
        assert mirror.health["faults"] == []
    assert "a change that nobody foresaw" in caplog.text


class Greedy(Board):
    """Asks for more than the API gives."""

    def __init__(self) -> None:
        super().__init__()
        self.loads = 0

    async def load(self, api: Api) -> None:
        self.loads += 1
        await api.query("processes", size=10_000, filter={})


async def test_what_the_api_refuses_is_shown_and_not_asked_again_at_once(mirror: Mirror) -> None:
    waits: list[float] = []
    waiting = asyncio.Event()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        waiting.set()
        await asyncio.Event().wait()

    board = Greedy()
    async with (
        followed(Follower(mirror.api, board, sleep=sleep).run, board),
        asyncio.timeout(SECONDS),
    ):
        await waiting.wait()
    assert waits == [REFUSED_SECONDS]
    assert board.loads == 1
    assert board.freshness["state"] == "stale"
    assert board.problem


async def test_a_refusal_is_told_apart_from_an_api_that_is_gone(mirror: Mirror) -> None:
    with pytest.raises(Refused, match="10000"):
        await mirror.api.query("processes", size=10_000, filter={})


async def test_boards_without_a_subscription_say_that_they_are_only_refreshed(
    api: MonitorServer,
) -> None:
    mirror = Mirror(Api(api.url, TOKEN, max_subscriptions=1))
    async with followed(mirror.run) as wake:
        first = mirror.workers(WorkerList())
        with listening([first], wake):
            await until(wake, lambda: first.freshness["state"] == "live")
        board = mirror.processes(ProcessList("any"))
        with listening([board], wake):
            await until(wake, lambda: board.is_loaded)
        assert first.freshness["state"] == "live"
        assert board.freshness["state"] == "refreshed"


async def test_a_board_says_since_when_it_is_cut_off_and_goes_on_after_a_restart(
    tmp_path: Path,
) -> None:
    server = MonitorServer(tmp_path, {"TOKEN": TOKEN})
    server.start()
    mirror = Mirror(Api(server.url, TOKEN))
    async with followed(mirror.run) as wake:
        workers = mirror.workers(WorkerList())
        workers.listeners.add(wake)
        await until(wake, lambda: workers.freshness["state"] == "live")
        server.kill()
        await until(wake, lambda: workers.freshness["state"] == "stale")
        assert workers.freshness["asOf"]
        assert workers.problem
        server.start()
        with httpx.Client(
            base_url=server.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10
        ) as http:
            new = Reporter(http).register("after-the-restart")
        await until(wake, lambda: workers.freshness["state"] == "live" and new in workers.rows)
    server.stop()


async def test_what_the_clock_changes_is_asked_for_again_though_nothing_happens(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FiguresBoard, "lasts_seconds", 0.2)
    board = FiguresBoard("1h", None, None, None)
    async with followed(Follower(mirror.api, board).run, board) as wake:
        await until(wake, lambda: board.freshness["state"] == "live")
        before = board.known_at or 0
        await until(wake, lambda: (board.known_at or 0) > before)
        assert board.freshness["state"] == "live"
