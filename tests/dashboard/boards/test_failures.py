"""Boards of failures: in the order in which they need a look, and kept so."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from dashboard.address import FailureList
from dashboard.boards.failures import FailureBoard, FailuresBoard
from dashboard.boards.following import Follower
from dashboard.boards.mirror import Mirror
from tests.conftest import TOKEN
from tests.dashboard.alike import fail_with, failures_of, make_of
from tests.dashboard.boards.test_boards import walk
from tests.dashboard.boards.test_following import followed
from tests.dashboard.reporter import Reporter
from tests.dashboard.test_pipelines import pipeline_of
from tests.dashboard.waiting import until
from tests.servers import MonitorServer


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of the API."""
    return tmp_path_factory.mktemp("data") / "monitor.db"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, file: Path) -> Iterator[MonitorServer]:
    settings = {"TOKEN": TOKEN, "DATABASE_URL": f"sqlite:///{file}"}
    server = MonitorServer(tmp_path_factory.mktemp("api"), settings)
    server.start()
    yield server
    server.stop()


def age(file: Path, failure: str, days: int) -> None:
    """Has it be first seen so long ago."""
    at = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=days)
    with closing(sqlite3.connect(file, timeout=30)) as connection, connection:
        connection.execute(
            "UPDATE failures SET first_seen_at = ? WHERE id = ?",
            (at.isoformat(" ", "microseconds"), failure),
        )


async def many(
    mirror: Mirror, reporter: Reporter, api: MonitorServer, file: Path, name: str
) -> str:
    """A pipeline that failed in each way; by their titles, in the order of who needs a look."""
    worker = reporter.register(name)
    for message in ("g quiet", "f done", "e older", "d old", "c new", "b newer", "a back"):
        fail_with(reporter, worker, message)
    pipeline = await pipeline_of(mirror, name)
    ids = await failures_of(mirror, pipeline=pipeline)
    make_of(api, "muteFailure", ids["g quiet"])
    for title in ("f done", "a back"):
        make_of(api, "resolveFailure", ids[title])
    fail_with(reporter, worker, "a back")
    for title in ("e older", "d old"):
        age(file, ids[title], days=3)
    return pipeline


async def test_pages_have_every_failure_once_in_the_order_in_which_they_need_a_look(
    mirror: Mirror, reporter: Reporter, api: MonitorServer, file: Path
) -> None:
    pipeline = await many(mirror, reporter, api, file, "all-kinds")
    titles = {id_: t for t, id_ in (await failures_of(mirror, pipeline=pipeline)).items()}

    async def walked(**wanted: str) -> list[str]:
        pages = await walk(mirror.api, FailureList(pipeline, **wanted), FailuresBoard)
        assert [len(page) for page in pages[:-1]] == [3] * (len(pages) - 1)
        return [titles[id_][0] for page in pages for id_ in page]

    assert await walked() == ["a", "b", "c", "d", "e", "f", "g"]
    expected = {
        "new": ["b", "c"],
        "regressed": ["a"],
        "open": ["b", "c", "d", "e"],
        "muted": ["g"],
        "resolved": ["f"],
    }
    for state, first_letters in expected.items():
        assert await walked(state=state) == first_letters, state
    assert await walked(text="OLD") == ["d", "e"]


async def test_failures_can_be_ordered_by_when_and_how_often_they_were_seen(
    mirror: Mirror, reporter: Reporter
) -> None:
    worker = reporter.register("ordered")
    for message in ("a door", "a lock", "a lock", "a key", "a key", "a key"):
        fail_with(reporter, worker, message)
    fail_with(reporter, worker, "a door")
    pipeline = await pipeline_of(mirror, "ordered")
    for order, first in (("latest", "a door"), ("count", "a key")):
        board = FailuresBoard(FailureList(pipeline, order=order))
        await board.load(mirror.api)
        ranked = sorted(board.nodes.values(), key=board.rank)
        assert (len(ranked), ranked[0]["title"]) == (3, first)


async def test_what_happens_to_failures_moves_them_to_where_they_belong(
    mirror: Mirror, reporter: Reporter, api: MonitorServer
) -> None:
    worker = reporter.register("lively")
    fail_with(reporter, worker, "the first")
    board = FailuresBoard(FailureList(await pipeline_of(mirror, "lively")))

    def shown() -> list[tuple[str, str, int]]:
        ranked = sorted(board.rows.values(), key=lambda row: str(row["rank"]))
        return [(row["title"], row["status"], sum(row["hours"])) for row in ranked]

    async with followed(Follower(mirror.api, board).run, board) as wake:
        await until(wake, lambda: board.is_followed and shown() == [("the first", "OPEN", 1)])
        fail_with(reporter, worker, "the second")
        second, first = ("the second", "OPEN", 1), ("the first", "OPEN", 1)
        await until(wake, lambda: shown() == [second, first])
        assert {row["pipeline"] for row in board.rows.values()} == {"lively"}
        [id_] = (node["id"] for node in board.nodes.values() if node["title"] == "the first")
        make_of(api, "resolveFailure", id_)
        await until(wake, lambda: shown() == [second, ("the first", "RESOLVED", 1)])
        fail_with(reporter, worker, "the first")
        await until(wake, lambda: shown() == [("the first", "REGRESSED", 2), second])
    assert board.problem is None


async def test_what_is_made_of_a_failure_takes_it_out_of_a_list_of_open_ones(
    mirror: Mirror, reporter: Reporter, api: MonitorServer
) -> None:
    worker = reporter.register("left")
    for message in ("to be muted", "to be resolved", "to stay"):
        fail_with(reporter, worker, message)
    board = FailuresBoard(FailureList(await pipeline_of(mirror, "left"), state="open"), size=2)
    titles = partial(map, lambda node: node["title"])
    async with followed(Follower(mirror.api, board).run, board) as wake:
        await until(wake, lambda: board.is_followed and len(board.nodes) == 2)
        ids = await failures_of(mirror, text="to be ")
        make_of(api, "muteFailure", ids["to be muted"])
        make_of(api, "resolveFailure", ids["to be resolved"])
        await until(wake, lambda: list(titles(board.nodes.values())) == ["to stay"])
    assert board.problem is None


async def test_a_failure_is_kept_with_when_it_was_seen_and_what_was_made_of_it(
    mirror: Mirror, reporter: Reporter, api: MonitorServer
) -> None:
    worker = reporter.register("followed-closely")
    fail_with(reporter, worker, "closely watched")
    [id_] = (await failures_of(mirror, text="closely watched")).values()
    board = FailureBoard(id_)

    def known() -> tuple[int, int, str]:
        failure, example = board.failure or {}, board.example or {}
        hours = sum(slot["count"] for slot in failure.get("hours", []))
        return failure.get("count", 0), hours, example.get("id", "")

    def acts() -> list[str]:
        return [entry["action"] for entry in (board.failure or {}).get("audit", [])]

    async with followed(Follower(mirror.api, board).run, board) as wake:
        await until(wake, lambda: board.is_followed and known()[:2] == (1, 1))
        assert board.is_new
        run = fail_with(reporter, worker, "closely watched")
        await until(wake, lambda: known() == (2, 2, run.id))
        assert board.example
        assert board.example["failed"]["details"] == "closely watched"
        make_of(api, "resolveFailure", id_)
        await until(wake, lambda: acts() == ["resolveFailure"])
        assert board.failure
        assert board.failure["status"] == "RESOLVED"
    assert board.problem is None


async def test_a_failure_that_there_is_none_of_is_known_to_be_none(mirror: Mirror) -> None:
    for id_ in ("failure_1", "worker_1", "no id"):
        board = FailureBoard(id_)
        await board.load(mirror.api)
        assert (board.failure, board.example, board.is_loaded) == (None, None, True)
