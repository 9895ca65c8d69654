"""The steps of a pipeline: how long they take, how that is distributed, and how often they fail."""

from math import ceil
from typing import Any

from dash import html

from dashboard.boards.rows import Node
from dashboard.boards.runs import STEPS
from dashboard.view.attributes import attributes
from dashboard.view.words import Content, duration, share, took

# Columns that a distribution has at least: what took equally long is a peak, and no plain.
WIDTH = 12


def steps_section(pipeline: Node | None) -> Content:
    """Its steps with their figures of the last 7 days."""
    if not pipeline or not pipeline["steps"]:
        return []
    steps, count = pipeline["steps"][:STEPS], len(pipeline["steps"])
    flaky = dict.fromkeys(step["name"] for step in pipeline["flakySteps"])
    rest = [html.P(f"The first {STEPS} of {count:,} steps.")] if count > STEPS else []
    head = ("Step", "Ended", "Failed", "p50", "p95", "Distribution")
    return [
        html.H3("Steps, last 7 days"),
        table("Steps", head, [_cells(step, flaky=step["name"] in flaky) for step in steps]),
        *rest,
        *[_how_flaky(name, pipeline["flakySteps"]) for name in flaky],
    ]


def _cells(step: Node, *, flaky: bool) -> tuple[Any, ...]:
    name = f"{step['position']} {step['name']}"
    failed = failing(step)
    return (
        [name, html.Span("flaky", className="flaky")] if flaky else name,
        f"{step['succeeded'] + step['failed']:,}",
        html.Span(share(failed), className="some") if failed else share(failed),
        took(step["runtime"]["p50Seconds"]),
        took(step["runtime"]["p95Seconds"]),
        distribution(step["histogram"]),
    )


def _how_flaky(name: str, flaky: list[Node]) -> html.P:
    """What it is judged by, of each version."""
    failed = ", ".join(
        f"{step['failed']:,} of {step['failed'] + step['succeeded']:,} in {step['version']}"
        for step in flaky
        if step["name"] == name
    )
    said = f"{name} is flaky: it fails and succeeds by turns. Failed were {failed}."
    return html.P(said, className="note")


def distribution(histogram: Node | None) -> html.Span | str:
    """A silhouette of how many took how long: the longer, the further to the right."""
    if histogram is None:
        return ""
    counts, shortest, longest = (histogram[name] for name in ("counts", "fromSeconds", "toSeconds"))
    most = (counts.index(max(counts)) + 0.5) / len(counts)
    said = (
        f"{sum(counts):,} that succeeded took {duration(shortest)} to {duration(longest)}, "
        f"most of them about {duration(shortest * (longest / shortest) ** most)}"
    )
    shape = html.Span(className="spread-shape", style={"clipPath": _silhouette(counts)})
    return html.Span(
        shape, className="spread", role="img", title=said, **attributes(aria_label=said)
    )


def _silhouette(counts: list[int]) -> str:
    """As a polygon of CSS, so that its colour is that of the theme."""
    beside = max(0, WIDTH - len(counts))
    heights = [0] * (beside // 2) + counts + [0] * ceil(beside / 2)
    corners = ["0% 100%"]
    for column, height in enumerate(heights):
        y = 100 * (1 - height / max(counts))
        # One of thousands is seen, too.
        y = min(y, 92) if height else 100
        corners += [f"{100 * x / len(heights):.1f}% {y:.0f}%" for x in (column, column + 1)]
    return f"polygon({', '.join([*corners, '100% 100%'])})"


def failing(counts: Node) -> float | None:
    """The share that failed; None while nothing ended."""
    ended = counts["succeeded"] + counts["failed"]
    return counts["failed"] / ended if ended else None


def table(name: str, head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> html.Div:
    """A table whose rows begin with what they are about."""
    cells = [html.Tr([html.Th(row[0], scope="row"), *map(html.Td, row[1:])]) for row in rows]
    content = html.Table(
        [html.Thead(html.Tr([html.Th(name, scope="col") for name in head])), html.Tbody(cells)],
        className="comparison",
    )
    label = attributes(aria_label=name)
    return html.Div(content, className="scrolls", tabIndex=0, role="region", **label)
