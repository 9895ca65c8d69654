"""The tasks of a process as bars over time."""

from dash import html

from dashboard.boards.rows import Node
from dashboard.view.attributes import attributes
from dashboard.view.words import runtime


def timeline(process: Node, tasks: list[Node]) -> html.Div:
    """The browser lays the bars out, and lets those that run grow."""
    return html.Div(
        [_row(task) for task in tasks],
        className="timeline",
        **attributes(data_from=process["startedAt"], data_to=process["endedAt"]),
    )


def _row(task: Node) -> html.Div:
    bar = html.Span(
        className="bar", **attributes(data_from=task["startedAt"], data_to=task["endedAt"])
    )
    return html.Div(
        [
            html.Span(f"{task['position']} {task['name']}", className="bar-name"),
            html.Span(bar, className="bar-track"),
            html.Span(runtime(task), className="bar-time"),
        ],
        className=f"bar-row status-{task['status'].lower()}",
    )
