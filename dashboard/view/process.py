"""A process in full: what happened in it."""

from dash import html

from dashboard.boards.processes import ProcessBoard
from dashboard.boards.rows import Node, state
from dashboard.view.comparison import comparison
from dashboard.view.failure import read_failure
from dashboard.view.failure_section import failure_section
from dashboard.view.timeline import timeline
from dashboard.view.words import Content, badge, copy_button, moment, runtime, text_block


def process_panel(board: ProcessBoard, others: list[Node] | None) -> Content:
    """How it ended, where the time went, how others went.

    Of others nothing is said while they are not known (None).
    """
    process = board.process
    if process is None:
        said = board.problem or ("There is no such process." if board.is_loaded else "Loading …")
        return [html.P(said, className="empty")]
    tasks = sorted(board.tasks.values(), key=lambda task: task["position"])
    failed = next((task for task in tasks if task["status"] == "ERROR"), None)
    return [
        _facts(process),
        *failure_section(process, failed, others),
        html.H3("Timeline"),
        timeline(process, tasks),
        *comparison(process, tasks, others),
        *_reports(tasks, failed),
    ]


def _facts(process: Node) -> html.Div:
    running = process["endedAt"] is None
    return html.Div(
        [
            badge(state(process)),
            html.Span(["started ", moment(process["startedAt"])]),
            html.Span(["runs for " if running else "took ", runtime(process)]),
            html.Span(f"{process['progress']:.0%} of its tasks ended"),
            copy_button(process["id"], "Copy id"),
        ],
        className="facts",
    )


def _reports(tasks: list[Node], failed: Node | None) -> Content:
    """What tasks said, other than the failure that is shown above."""
    return [
        text_block(f"{task['position']} {task['name']}: details", told.text)
        for task in tasks
        if task is not failed and (told := read_failure(task["details"]))
    ]
