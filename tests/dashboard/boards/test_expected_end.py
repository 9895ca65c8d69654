"""When a process is expected to end is asked for again while a step puts it off."""

import time
from datetime import datetime, timedelta

from dashboard.boards.mirror import Mirror
from dashboard.boards.process import EXPECTED_SECONDS, ProcessBoard
from tests.dashboard.history import History
from tests.dashboard.reporter import Reporter

STEPS = {"extract": 30.0, "transform": 7200.0, "load": 600.0}


async def test_it_is_put_off_by_what_takes_longer_than_usual(
    mirror: Mirror, reporter: Reporter, history: History
) -> None:
    for step, seconds in STEPS.items():
        await history.ran("put-off", step, *[seconds] * 5)
    run = reporter.start(reporter.register("put-off"))
    reporter.report(run, 1, "start")
    await history.begin(run, 1, ago=timedelta(hours=1))
    board = ProcessBoard(run.id)
    await board.load(mirror.api)
    assert board.process
    first = datetime.fromisoformat(board.process["expectedEndAt"])
    assert not board.age()
    assert not board.incomplete.is_set()
    board._expected_at = time.monotonic() - EXPECTED_SECONDS
    board.age()
    assert board.incomplete.is_set()
    await board.complete(mirror.api)
    then = datetime.fromisoformat(board.process["expectedEndAt"])
    assert then > first
    board.incomplete.clear()
    board.age()
    assert not board.incomplete.is_set()


async def test_of_what_has_ended_it_is_not_asked_for(mirror: Mirror, reporter: Reporter) -> None:
    run = reporter.succeed(reporter.register("not-put-off"))
    board = ProcessBoard(run.id)
    await board.load(mirror.api)
    board._expected_at = time.monotonic() - EXPECTED_SECONDS
    board.age()
    assert not board.incomplete.is_set()
