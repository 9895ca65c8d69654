"""What is said of a process in full."""

from dashboard.boards.mirror import Mirror
from dashboard.boards.processes import ProcessBoard, RunsBoard
from dashboard.view.process import process_panel
from tests.dashboard.reporter import Reporter


async def test_nothing_is_said_of_other_runs_before_they_are_known(
    mirror: Mirror, reporter: Reporter
) -> None:
    worker = reporter.register("not-known-yet")
    run = reporter.fail(worker, "boom")
    board, runs = ProcessBoard(run.id), RunsBoard(worker)
    await board.load(mirror.api)
    unknown = str(process_panel(board, runs.beside(run.id)))
    await runs.load(mirror.api)
    known = str(process_panel(board, runs.beside(run.id)))
    assert "Loading the other runs" in unknown
    assert "No other run of this worker" not in unknown
    assert "No other run of this worker has ended yet." in known
