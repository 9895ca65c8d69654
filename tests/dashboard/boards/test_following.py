"""A board is mended whatever happens to it, and says how far it can be trusted until then."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from dashboard.address import PERIODS, PipelineList, ProcessList, WorkerList
from dashboard.api import Api, CursorExpired, Refused
from dashboard.boards import following
from dashboard.boards.board import Board, Event, Subscription
from dashboard.boards.figures import FiguresBoard
from dashboard.boards.following import DEFECT, REFUSED_SECONDS, SLOW, Follower
from dashboard.boards.mirror import Mirror, listening
from dashboard.boards.pipelines import PipelinesBoard
from dashboard.boards.processes import ProcessesBoard
from dashboard.boards.versions import VersionsBoard
from dashboard.supervision import end
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
    await end(following)


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


class Stirred(Board):
    """Stale with each change, of whatever."""

    pause_seconds = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.loads = 0
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def subscriptions(self) -> list[Subscription]:
        return [Subscription("worker_changes", {"filter": {}}, lambda _: self.stale.set())]

    async def load(self, api: Api) -> None:
        await self.gate.wait()
        data = await api.query("worker", id="worker_0")
        self.cursor, self.is_loaded = data["feedCursor"], True
        self.loads += 1


async def test_a_change_and_the_end_of_all_changes_may_come_together(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "SETTLE_SECONDS", 0.0)
    changes, subscribed, together = mirror.api.changes, asyncio.Event(), asyncio.Event()

    async def change_and_end(*_: object, **__: object) -> AsyncGenerator[Event]:
        monkeypatch.setattr(mirror.api, "changes", changes)
        subscribed.set()
        await together.wait()
        yield {"cursor": "0"}
        raise CursorExpired

    monkeypatch.setattr(mirror.api, "changes", change_and_end)
    board = Stirred()
    async with followed(Follower(mirror.api, board).run, board) as wake:
        await subscribed.wait()
        together.set()
        await until(wake, lambda: board.loads == 2 and board.freshness["state"] == "live")


async def test_what_is_asked_for_anew_is_stale_while_the_api_does_not_answer(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "SLOW_SECONDS", 0.0)
    board = Stirred()
    async with followed(Follower(mirror.api, board).run, board) as wake:
        await until(wake, lambda: board.loads == 1 and board.problem is None)
        board.gate.clear()
        board.stale.set()
        await until(wake, lambda: board.problem == SLOW)
        assert board.freshness["state"] == "stale"
        board.gate.set()
        await until(wake, lambda: board.loads == 2 and board.freshness["state"] == "live")


@pytest.mark.parametrize(("seen_at", "asked_at", "known_at"), [(20, 30, 20), (20, 15, 15)])
async def test_what_is_shown_meanwhile_is_as_of_when_the_api_was_seen_or_asked(
    seen_at: float, asked_at: float, known_at: float
) -> None:
    api, board = Api("http://127.0.0.1:9", TOKEN), Stirred()
    api.seen_at = seen_at
    board.is_loaded = board.is_followed = True
    board.known_at = 10
    Follower(api, board)._wait_on(asked_at)
    assert board.known_at == known_at


async def test_a_pipeline_that_leaves_while_it_is_asked_for_does_not_come_back(
    mirror: Mirror, reporter: Reporter
) -> None:
    reporter.register("leaving")
    board = PipelinesBoard(PipelineList(name="leaving"))
    async with asyncio.timeout(SECONDS):
        await board.load(mirror.api)
        [node] = board.nodes.values()
        [subscription] = board.subscriptions
        subscription.apply({"kind": "UPDATED", "node": node, "cursor": ""})
        completing = asyncio.create_task(board.complete(mirror.api))
        await asyncio.sleep(0)
        subscription.apply({"kind": "LEFT", "node": node, "cursor": ""})
        await completing
    assert board.nodes == {}


async def test_the_connection_is_no_fault_any_more_when_it_is_made_anew(
    api: MonitorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, failed = Api._watch_health, asyncio.Event()

    async def fail_once(client: Api, _: object) -> None:
        monkeypatch.setattr(Api, "_watch_health", watch)
        await client.connected()
        failed.set()
        raise LookupError("what nobody foresaw")

    monkeypatch.setattr(Api, "_watch_health", fail_once)
    mirror = Mirror(Api(api.url, TOKEN))
    running = asyncio.create_task(mirror.run())
    async with asyncio.timeout(SECONDS):
        await failed.wait()
        while not mirror.health["faults"]:  # noqa: ASYNC110 — that it is known is no event
            await asyncio.sleep(0.01)
        await mirror.api.connected()
    assert mirror.health["faults"] == []
    await end(running)


@pytest.mark.parametrize("turns", range(8))
async def test_what_is_ended_while_it_fails_ends(mirror: Mirror, turns: int) -> None:
    # One that is only refreshed hears of the connection alone.
    board, wake = VersionsBoard("pipeline_1", "v1", "v2"), asyncio.Event()
    board.pause_seconds = 0.0
    following = asyncio.create_task(Follower(mirror.api, board).run())
    with listening([board], wake):
        await until(wake, lambda: board.known_at is not None)
    for _ in range(10):  # then it waits for what makes it stale
        await asyncio.sleep(0)
    mirror.api._lose()
    for _ in range(turns):
        await asyncio.sleep(0)
    async with asyncio.timeout(SECONDS):
        await end(following)
    assert following.cancelled()
