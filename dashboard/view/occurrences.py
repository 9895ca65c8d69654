"""How often a failure was seen over time, as bars."""

from typing import Any

from dash import html

from dashboard.boards.rows import Node
from dashboard.view.attributes import attributes


def bars(slots: list[Node], title: str, begin: str) -> html.Figure:
    """A bar per slot, the latest to the right; what a bar stands for is said by the browser.

    Args:
        title: the length of time that they are of
        begin: what the first bar is called
    """
    most = max((slot["count"] for slot in slots), default=0)
    total = sum(slot["count"] for slot in slots)
    said = f"{title}: {times(total)}"
    return html.Figure(
        [
            html.Figcaption([html.Span(title), html.Strong(f"{total:,}")]),
            html.Div(
                [_bar(slot, most) for slot in slots],
                className="bars",
                role="img",
                **attributes(aria_label=said),
            ),
            html.Div(
                [html.Span(begin), html.Span("now")],
                className="bars-ends",
                **attributes(aria_hidden="true"),
            ),
        ],
        className="occurrences",
    )


def _bar(slot: Node, most: int) -> html.Span:
    # Also the lowest of them is seen.
    height = max(8.0, 100 * slot["count"] / most) if slot["count"] else 0.0
    described: dict[str, Any] = attributes(
        data_slot=slot["at"], data_count=str(slot["count"]), data_version=slot["lastVersion"]
    )
    return html.Span(html.Span(style={"height": f"{height:.0f}%"}), **described)


def times(count: int) -> str:
    """How often, in words."""
    return "once" if count == 1 else f"{count:,} times"
