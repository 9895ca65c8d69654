"""How long a process takes, beside what is usual of it, and when it is expected to end."""

from datetime import datetime, timedelta

from dash import html

from dashboard.boards.rows import Node
from dashboard.view.attributes import attributes
from dashboard.view.words import Content, duration, runtime

BY_WHAT = "By the median of each step that is left, over the runs that succeeded"


def lasting(process: Node) -> Content:
    """How long it takes; of what runs, how far it is beyond what is usual, and when it will end:
    nobody knows of what is stalled.
    """
    runs, usual = process["endedAt"] is None, process["usualRuntime"]
    took: Content = ["runs for " if runs else "took ", runtime(process)]
    said: Content = [html.Span([*took, f", usually {between(usual)}"] if usual else took)]
    if runs and process["overtime"]:
        said.append(_beyond(process["startedAt"], usual))
    if runs and process["expectedEndAt"] and not process["stalled"]:
        said.append(_expected(process))
    return said


def usual_key() -> html.P:
    """What the shades of the timeline are; the browser shows it where there are some."""
    return html.P(
        [
            html.Span(className="usual", **attributes(aria_hidden="true")),
            "when a step usually ends: half of its successful runs had by the left edge, "
            "95 % by the right one",
        ],
        id="usual-key",
        className="usual-key",
        hidden=True,
    )


def between(usual: Node) -> str:
    """From half of the runs to nearly all."""
    half, most = duration(usual["p50Seconds"]), duration(usual["p95Seconds"])
    return f"about {half}" if half == most else f"{half} to {most}"


def _beyond(started_at: str, usual: Node | None) -> html.Span:
    """The browser counts on, from when on it was longer than usual."""
    begin = datetime.fromisoformat(started_at)
    since = begin + timedelta(seconds=usual["p95Seconds"]) if usual else None
    return html.Span(
        className="beyond", **attributes(data_over=since.isoformat() if since else "unknown")
    )


def _expected(process: Node) -> html.Span:
    """The browser says nothing of an end that is past while it hears nothing."""
    told = {"data_ends": process["expectedEndAt"]}
    if process["overtime"]:
        told["data_late"] = "yes"
    return html.Span(title=BY_WHAT, **attributes(**told))
