"""A process beside those of its pipeline that ended last: the runtimes of each step."""

from statistics import median

from dash import html

from dashboard.boards.rows import Node
from dashboard.view.attributes import attributes
from dashboard.view.links import link
from dashboard.view.words import NOTHING, Content, duration, moment, runtime

FAILED_MARK = " ✕"
# Runs with a column of their own; the median is that of all.
COLUMNS = 6


def comparison(process: Node, steps: list[Node], others: list[Node] | None, count: int) -> Content:
    """Runtimes of its first steps beside those of the runs before.

    Args:
        count: of all its steps
    """
    if not others or not steps:
        return []
    rows = [_step(task, others) for task in steps]
    table = html.Table(
        [html.Thead(_head(others)), html.Tbody(rows), html.Tfoot(_total(process, others))],
        className="comparison",
    )
    rest = [html.P(f"The first {len(steps)} of {count:,} steps.")] if count > len(steps) else []
    return [
        html.H3("Beside the runs that ended last"),
        html.Div(
            [table, *rest],
            className="scrolls tall",
            tabIndex=0,
            role="region",
            **attributes(aria_label="Runtimes per step of the latest runs"),
        ),
    ]


def _head(others: list[Node]) -> html.Tr:
    runs = [html.Th(_link_to(run), className=_tone(run)) for run in others[:COLUMNS]]
    return html.Tr([html.Th("Step"), html.Th("This run"), html.Th("Median"), *runs])


def _step(task: Node, others: list[Node]) -> html.Tr:
    return html.Tr(
        [
            html.Th(task["name"], scope="row"),
            # Written by the browser, of the row of the task.
            html.Td(**attributes(data_step=str(task["position"]))),
            html.Td(_median(others, task["position"])),
            *(_cell(run, task["position"]) for run in others[:COLUMNS]),
        ]
    )


def _total(process: Node, others: list[Node]) -> html.Tr:
    seconds = [run["runtimeSeconds"] for run in others]
    return html.Tr(
        [
            html.Th("Whole run", scope="row"),
            html.Td(runtime(process)),
            html.Td(duration(median(seconds))),
            *(html.Td(duration(each)) for each in seconds[:COLUMNS]),
        ]
    )


def _median(runs: list[Node], position: int) -> str:
    seconds = [
        task["runtimeSeconds"]
        for run in runs
        for task in run["tasks"]
        if task["position"] == position and task["status"] == "SUCCESS"
    ]
    return duration(median(seconds)) if seconds else NOTHING


def _cell(run: Node, position: int) -> html.Td:
    task = next((t for t in run["tasks"] if t["position"] == position), None)
    if task is None or task["status"] == "PENDING":
        return html.Td(NOTHING)
    mark = FAILED_MARK if task["status"] == "ERROR" else ""
    return html.Td(f"{duration(task['runtimeSeconds'])}{mark}", className=_tone(task))


def _tone(node: Node) -> str:
    return f"run-{node['status'].lower()}"


def _link_to(run: Node) -> html.A:
    return link(moment(run["startedAt"], "clock"), title="Show this run", process=run["id"])
