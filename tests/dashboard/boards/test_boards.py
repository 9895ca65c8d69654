"""Boards hold what the API holds, page by page, and follow its changes."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import TypeVar

import pytest

from dashboard.address import FailureList, PipelineList, ProcessList, WorkerList
from dashboard.api import Api
from dashboard.boards.failures import FailureBoard
from dashboard.boards.following import Follower
from dashboard.boards.lists import ListBoard
from dashboard.boards.mirror import Mirror
from dashboard.boards.pipelines import PipelinesBoard
from dashboard.boards.process import ProcessBoard
from dashboard.boards.processes import ProcessesBoard
from dashboard.boards.workers import WorkerBoard, WorkersBoard
from tests.dashboard.boards.test_following import followed
from tests.dashboard.reporter import Reporter
from tests.dashboard.waiting import until

Wanted = TypeVar("Wanted", PipelineList, WorkerList, ProcessList, FailureList)


async def walk(
    api: Api, wanted: Wanted, create: Callable[[Wanted, int], ListBoard]
) -> list[list[str]]:
    """The ids of all pages of three."""
    pages = []
    while True:
        board = create(wanted, 3)
        await board.load(api)
        ranked = sorted(board.nodes.values(), key=board.rank)
        pages.append([node["id"] for node in ranked])
        if board.next_start is None:
            return pages
        wanted = replace(wanted, start=board.next_start)


async def test_pages_have_every_process_once_newest_first(
    mirror: Mirror, reporter: Reporter
) -> None:
    worker = reporter.register("paged")
    ids = [reporter.succeed(worker).id for _ in range(7)][::-1]
    pages = await walk(mirror.api, ProcessList(worker), ProcessesBoard)
    assert pages == [ids[:3], ids[3:6], ids[6:]]


@pytest.mark.parametrize("failures", [0, 2, 3, 4, 6])
async def test_pages_have_every_process_once_errors_first(
    mirror: Mirror, reporter: Reporter, failures: int
) -> None:
    worker = reporter.register("paged-errors")
    failed = [reporter.fail(worker, "boom boom").id for _ in range(failures)][::-1]
    others = [reporter.succeed(worker).id for _ in range(6 - failures)][::-1]
    pages = await walk(mirror.api, ProcessList(worker, order="errors"), ProcessesBoard)
    assert pages == [(failed + others)[:3], (failed + others)[3:]]


async def test_pages_have_every_worker_once_newest_first(
    mirror: Mirror, reporter: Reporter
) -> None:
    ids = [reporter.register("paged-workers") for _ in range(7)][::-1]
    pages = await walk(mirror.api, WorkerList(name="paged-workers"), WorkersBoard)
    assert pages == [ids[:3], ids[3:6], ids[6:]]


async def test_pages_have_every_pipeline_once_failing_ones_first_and_then_by_name(
    mirror: Mirror, reporter: Reporter
) -> None:
    for name in ("D", "b", "c", "A"):
        reporter.succeed(reporter.register(f"paged {name}"))
    for name in ("z", "Y"):
        reporter.fail(reporter.register(f"paged {name}"), "boom")
    wanted = PipelineList(name="paged ")
    pages = await walk(mirror.api, wanted, PipelinesBoard)
    board = PipelinesBoard(wanted)
    await board.load(mirror.api)
    names = [[board.nodes[id_]["name"].removeprefix("paged ") for id_ in page] for page in pages]
    assert names == [["Y", "z", "A"], ["b", "c", "D"]]


async def test_a_pipeline_that_begins_to_fail_moves_to_the_top(
    mirror: Mirror, reporter: Reporter
) -> None:
    for name in ("a", "b"):
        reporter.succeed(reporter.register(f"moved {name}"))
    board = PipelinesBoard(PipelineList(name="moved "))
    async with followed(Follower(mirror.api, board).run, board) as wake:
        await until(wake, lambda: board.is_followed)
        reporter.fail(reporter.register("moved b"), "boom")
        ranked = partial(sorted, key=board.rank)
        await until(wake, lambda: ranked(board.nodes.values())[0]["name"] == "moved b")
    assert board.problem is None


async def test_a_pipeline_that_fails_no_more_goes_where_its_name_belongs(
    mirror: Mirror, reporter: Reporter
) -> None:
    for name in ("a", "b", "c"):
        reporter.succeed(reporter.register(f"mended {name}"))
    reporter.fail(reporter.register("mended z"), "boom")
    board = PipelinesBoard(PipelineList(name="mended "), size=2)

    def shown() -> list[str]:
        return [node["name"][-1] for node in sorted(board.nodes.values(), key=board.rank)]

    async with followed(Follower(mirror.api, board).run, board) as wake:
        await until(wake, lambda: board.is_followed and shown() == ["z", "a"])
        reporter.succeed(reporter.register("mended z"))
        await until(wake, lambda: shown() == ["a", "b"])
    assert board.problem is None


async def test_a_run_that_fails_leaves_the_later_pages_where_failed_ones_come_first(
    mirror: Mirror, reporter: Reporter
) -> None:
    worker = reporter.register("moved-to-the-front")
    runs = [reporter.start(worker) for _ in range(5)]
    first = ProcessesBoard(ProcessList(worker, order="errors"), size=2)
    await first.load(mirror.api)
    assert first.next_start
    later = ProcessesBoard(ProcessList(worker, order="errors", start=first.next_start), size=2)
    async with followed(Follower(mirror.api, later).run, later) as wake:
        await until(wake, lambda: later.is_followed)
        assert set(later.nodes) == {runs[2].id, runs[1].id}
        reporter.report(runs[2], 1, "error", "boom")
        reporter.end(runs[2], '{"message": "boom", "error_code": 5}')
        await until(wake, lambda: set(later.nodes) == {runs[1].id, runs[0].id})


async def test_a_change_that_is_told_again_takes_no_row_away(
    mirror: Mirror, reporter: Reporter
) -> None:
    worker = reporter.register("repeated")
    failed = reporter.fail(worker, "boom boom")
    board = ProcessesBoard(ProcessList(worker, status="failed"))
    await board.load(mirror.api)
    [subscription] = board.subscriptions
    node = board.nodes[failed.id]
    before = {**node, "status": "RUNNING", "revision": node["revision"] - 1}
    subscription.apply({"kind": "LEFT", "node": before})
    assert set(board.nodes) == {failed.id}
    subscription.apply({"kind": "LEFT", "node": {**before, "revision": node["revision"] + 1}})
    assert board.nodes == {}


async def test_the_first_page_takes_in_what_starts_until_it_is_twice_as_long(
    mirror: Mirror, reporter: Reporter
) -> None:
    worker = reporter.register("growing")
    old = {reporter.succeed(worker).id for _ in range(3)}
    board = ProcessesBoard(ProcessList(worker), size=3)
    await board.load(mirror.api)
    new = [reporter.start(worker).id for _ in range(4)]
    [subscription] = board.subscriptions
    changes = mirror.api.changes(subscription.name, **subscription.variables, after=board.cursor)
    async with asyncio.timeout(10), aclosing(changes):
        while new[2] not in board.nodes:
            subscription.apply(await anext(changes))
        assert set(board.nodes) == {*old, *new[:3]}
        assert not board.stale.is_set()
        while not board.stale.is_set():
            subscription.apply(await anext(changes))
    await board.load(mirror.api)
    assert set(board.nodes) == set(new[1:])


@pytest.mark.parametrize(
    ("board", "held"),
    [
        (WorkerBoard("worker_1"), "worker"),
        (FailureBoard("failure_1"), "failure"),
        (ProcessBoard("process_1"), "process"),
    ],
)
async def test_what_is_told_of_something_that_was_not_there_is_asked_for_whole(
    mirror: Mirror, board: WorkerBoard | FailureBoard | ProcessBoard, held: str
) -> None:
    await board.load(mirror.api)
    about_it = ("worker_changes", "failure_changes", "process_state")
    told = next(each for each in board.subscriptions if each.name in about_it)
    told.apply({"kind": "UPDATED", "node": {"id": board.id, "revision": 1}, "cursor": ""})
    assert board.stale.is_set()
    assert getattr(board, held) is None
