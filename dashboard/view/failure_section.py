"""How a process failed: where, why, and whether it did before."""

from dash import html

from dashboard.boards.rows import Node
from dashboard.view.attributes import attributes
from dashboard.view.failure import Failure, read_failure
from dashboard.view.failures import seen_before
from dashboard.view.words import Content, ago, copy_button, moment, text_block


def failure_section(
    process: Node, failed: Node | None, others: list[Node] | None, alike: Node | None = None
) -> Content:
    """What a process and the task that failed say of it; nothing when they say nothing.

    Args:
        alike: the failure that it is one of
    """
    of_process = read_failure(process.get("details"))
    of_task = read_failure(failed["details"]) if failed else None
    failure = of_task or (of_process if process["status"] == "ERROR" else None)
    if failure is None and failed is None:
        return [text_block("Details", of_process.text)] if of_process else []
    failure = failure or Failure("The worker gave no reason.")
    return [
        html.Section(
            [
                _place(process, failed, failure),
                html.P(failure.message, className="failure-message"),
                *([seen_before(alike)] if alike else []),
                html.P(_before(others, failed), className="failure-before"),
                _trace(failure),
            ],
            className="failure",
            **attributes(aria_label="Failure"),
        )
    ]


def _place(process: Node, failed: Node | None, failure: Failure) -> html.Div:
    if failed:
        place = f"Failed at step {failed['position']}, {failed['name']}"
        since = failed["endedAt"]
    else:
        place = f"Failed{f' at {failure.step}' if failure.step else ''}"
        since = process["endedAt"]
    return html.Div(
        [html.Strong(place), html.Span([moment(since), ", ", ago(since)])],
        className="failure-place",
    )


def _before(runs: list[Node] | None, failed: Node | None) -> str:
    """Whether it failed before."""
    if runs is None:
        return "Loading the other runs …"
    if not runs:
        return "No other run of this pipeline has ended yet."
    failures = [run for run in runs if run["status"] == "ERROR"]
    if not failures:
        which = "other latest run" if len(runs) == 1 else f"{len(runs)} other latest runs"
        return f"The {which} of this pipeline succeeded."
    told = f"{len(failures)} of the {len(runs)} other latest runs failed"
    if len(runs) == 1:
        told = "The other latest run failed"
    if failed:
        same = sum(_status_at(run, failed["position"]) == "ERROR" for run in failures)
        told += f", {_at_this_step(same, len(failures))}"
    return f"{told}."


def _at_this_step(same: int, failures: int) -> str:
    """How many of the failures were at the step that failed now."""
    if failures == 1:
        return "at this step, too" if same else "but not at this step"
    if same in (0, failures):
        return "all at this step" if same else "none at this step"
    return f"{same} at this step"


def _status_at(run: Node, position: int) -> str | None:
    return next((t["status"] for t in run["tasks"] if t["position"] == position), None)


def _trace(failure: Failure) -> html.Details | html.Div:
    text = "\n".join([*failure.frames, *([failure.rest] if failure.rest else [])])
    if not text:
        return html.Div(copy_button(failure.text, "Copy"))
    return html.Details(
        [
            html.Summary("Traceback" if failure.frames else "More"),
            html.Pre(text, tabIndex=0),
            copy_button(failure.text, "Copy all"),
        ],
        open=True,
    )
