"""What is said of a process in full, and what it costs."""

import pytest

from dashboard.boards.mirror import Mirror
from dashboard.boards.process import ProcessBoard
from dashboard.boards.rows import Node
from dashboard.boards.runs import STEPS, RunsBoard
from dashboard.view.failure_section import failure_section
from dashboard.view.process import process_parts
from tests.dashboard.reporter import Reporter


async def test_nothing_is_said_of_other_runs_before_they_are_known(
    mirror: Mirror, reporter: Reporter
) -> None:
    worker = reporter.register("not-known-yet")
    run = reporter.fail(worker, "boom")
    board = ProcessBoard(run.id)
    await board.load(mirror.api)
    assert board.pipeline
    runs = RunsBoard(board.pipeline["id"])
    unknown = process_parts(board, runs)["failure"].text
    await runs.load(mirror.api)
    runs.touch()
    known = process_parts(board, runs)["failure"].text
    assert "Loading the other runs" in unknown
    assert "No other run of this pipeline" not in unknown
    assert "No other run of this pipeline has ended yet." in known


async def test_why_it_cannot_be_compared_is_said(mirror: Mirror, reporter: Reporter) -> None:
    run = reporter.succeed(reporter.register("not-compared"))
    board, runs = ProcessBoard(run.id), RunsBoard("pipeline")
    await board.load(mirror.api)
    runs.problem = "the API does not answer"
    said = process_parts(board, runs)["comparison"].text
    assert "It cannot be compared with the runs before: the API does not answer." in said


def failed_run(*at: int) -> Node:
    """A run that failed at these steps."""
    return {
        "status": "ERROR",
        "tasks": [{"position": step, "status": "ERROR"} for step in at],
    }


SUCCEEDED: Node = {"status": "SUCCESS", "tasks": [{"position": 2, "status": "SUCCESS"}]}


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([SUCCEEDED], "The other latest run of this pipeline succeeded."),
        ([SUCCEEDED] * 2, "The 2 other latest runs of this pipeline succeeded."),
        ([failed_run(2)], "The other latest run failed, at this step, too."),
        ([failed_run(1)], "The other latest run failed, but not at this step."),
        ([failed_run()], "The other latest run failed, but not at this step."),
        ([failed_run(2), SUCCEEDED], "1 of the 2 other latest runs failed, at this step, too."),
        ([failed_run(2)] * 2, "2 of the 2 other latest runs failed, all at this step."),
        ([failed_run(1)] * 2, "2 of the 2 other latest runs failed, none at this step."),
        (
            [failed_run(1), failed_run(2), SUCCEEDED],
            "2 of the 3 other latest runs failed, 1 at this step.",
        ),
    ],
)
def test_whether_it_failed_before_is_said_in_whole_sentences(others: list[Node], said: str) -> None:
    process: Node = {"status": "ERROR", "details": "boom", "endedAt": None}
    failed: Node = {"position": 2, "name": "load", "details": "boom", "endedAt": None}
    assert f"'{said}'" in str(failure_section(process, failed, others))


async def test_of_the_runs_beside_it_no_more_is_asked_than_can_be_shown(
    mirror: Mirror, reporter: Reporter
) -> None:
    steps = [f"step {number}" for number in range(1, STEPS + 51)]
    worker = reporter.register("compared-in-part", steps)
    first, failed, run = (reporter.start(worker) for _ in range(3))
    reporter.report(failed, STEPS + 20, "error", "boom")
    for each in (first, failed):
        reporter.end(each)
    board = ProcessBoard(run.id)
    await board.load(mirror.api)
    assert board.pipeline
    runs = RunsBoard(board.pipeline["id"])
    await runs.load(mirror.api)
    beside = {each["id"]: each for each in runs.beside(run.id) or []}
    asked = {id_: {task["position"] for task in each["tasks"]} for id_, each in beside.items()}
    assert asked.keys() == {first.id, failed.id}
    assert asked[first.id] == set(range(1, STEPS + 1))
    assert asked[failed.id] == {*range(1, STEPS + 1), STEPS + 20}
    said = process_parts(board, runs)["comparison"].text
    assert f"The first {STEPS} of {STEPS + 50} steps." in said
