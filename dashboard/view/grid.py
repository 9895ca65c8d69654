"""Runs by steps: how each step of the latest runs ended."""

from dash import html

from dashboard.boards.rows import Node
from dashboard.boards.runs import STEPS, RunsBoard
from dashboard.view.attributes import attributes
from dashboard.view.links import search
from dashboard.view.words import WORDS, Content, duration

# Shapes, so that it needs no colour.
MARKS = {"SUCCESS": "✓", "ERROR": "✕", "RUNNING": "▸", "PENDING": "·"}


def outcomes_grid(board: RunsBoard | None) -> Content:
    """The runs that ended last, the newest to the right, a row for each step."""
    if board is None or not board.is_loaded:
        return []
    runs = board.runs[::-1]
    if not runs:
        return [html.P("No run has ended yet.", className="empty")]
    names = _names(runs)
    table = html.Table(
        [
            html.Thead(html.Tr([html.Th("Step", scope="col"), *map(_head, runs)])),
            html.Tbody([_step(position, name, runs) for position, name in names.items()]),
        ],
        className="outcomes",
    )
    rest = [html.P(f"The first {STEPS} steps.")] if len(names) >= STEPS else []
    return [
        html.H3("Outcomes of the runs that ended last"),
        html.Div(
            [table, *rest],
            className="scrolls",
            tabIndex=0,
            role="region",
            **attributes(aria_label="Outcomes per step of the latest runs"),
        ),
    ]


def _names(runs: list[Node]) -> dict[int, str]:
    """The steps by their positions, as the newest run calls them."""
    names = {task["position"]: task["name"] for run in runs for task in run["tasks"]}
    return dict(sorted(names.items()))


def _head(run: Node) -> html.Th:
    word = WORDS[run["status"]]
    return html.Th(
        html.A(
            MARKS[run["status"]],
            href=search(process=run["id"]),
            className=f"mark mark-{run['status'].lower()}",
            title=f"{word}, took {duration(run['runtimeSeconds'])}",
            **attributes(data_at=run["startedAt"], aria_label=f"{word} run"),
        ),
        scope="col",
    )


def _step(position: int, name: str, runs: list[Node]) -> html.Tr:
    return html.Tr(
        [html.Th(f"{position} {name}", scope="row"), *(_cell(position, r) for r in runs)]
    )


def _cell(position: int, run: Node) -> html.Td:
    task = next((task for task in run["tasks"] if task["position"] == position), None)
    if task is None:
        return html.Td("")
    status = task["status"]
    took = f", took {duration(task['runtimeSeconds'])}" if status != "PENDING" else ""
    return html.Td(
        MARKS[status], className=f"mark mark-{status.lower()}", title=f"{WORDS[status]}{took}"
    )
