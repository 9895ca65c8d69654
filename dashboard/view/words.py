"""Statuses, times, durations and buttons, as the other parts show them."""

from typing import Any

from dash import html

from dashboard.boards.rows import Node
from dashboard.view.attributes import attributes

Content = list[Any]

NOTHING = "–"  # noqa: RUF001  # a dash is what it is
WORDS = {
    "ALIVE": "Alive",
    "FINISHED": "Finished",
    "LOST": "Lost",
    "PENDING": "Pending",
    "RUNNING": "Running",
    "SUCCESS": "Succeeded",
    "ERROR": "Failed",
    "STALLED": "Stalled",
    "OVERTIME": "Overtime",
    "IDLE": "Idle",
    "NEW": "New",
    "OPEN": "Open",
    "REGRESSED": "Regressed",
    "RESOLVED": "Resolved",
    "MUTED": "Muted",
}


def badge(status: str) -> html.Span:
    """A status by icon and word; the style sheet gives the icon."""
    return html.Span(WORDS[status], className=f"status status-{status.lower()}")


def tail(id_: str) -> str:
    """The end of an id, which tells it from others."""
    return f"…{id_[-8:]}"


def moment(at: str | None, form: str = "full") -> html.Time:
    """An instant; the browser writes it in its own time zone."""
    return html.Time(dateTime=at or "", **attributes(data_form=form))


def ago(at: str | None) -> html.Span:
    """How long ago an instant was; the browser counts on."""
    return html.Span(**attributes(data_ago=at))


def runtime(node: Node) -> str | html.Span:
    """How long a process or task took, or takes; the browser counts on while it runs."""
    if node["status"] == "PENDING":
        return ""
    if node["endedAt"] is None:
        return html.Span(**attributes(data_since=node["startedAt"]))
    return duration(node["runtimeSeconds"])


def duration(seconds: float) -> str:
    """As short as it can be read: 42 ms, 4.20 s, 12.3 s, 4 min 05 s, 3 h 12 min."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60):02} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02} min"


def took(seconds: float | None) -> str:
    """A duration that may not be known."""
    return NOTHING if seconds is None else duration(seconds)


def share(part: float | None) -> str:
    """A share in percent."""
    return NOTHING if part is None else f"{part:.1%}"


def act(action: str, id_: str) -> html.Span:
    """Where the browser offers an administrator to do something; empty for everybody else."""
    return html.Span(className="act-place", **attributes(data_act=action, data_id=id_))


def copy_button(text: str, label: str) -> html.Button:
    """Copies the text."""
    return html.Button(label, className="copy", type="button", **attributes(data_copy=text))


def text_block(title: str, text: str) -> html.Details:
    """What was said, closed at first."""
    return html.Details(
        [html.Summary(title), html.Pre(text, tabIndex=0), copy_button(text, "Copy")]
    )
