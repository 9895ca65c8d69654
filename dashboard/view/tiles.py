"""The totals, a tile each."""

from dash import html

from dashboard.boards.overview import FiguresBoard
from dashboard.view.words import NOTHING, Content

TILES = (
    *("Workers alive", "Workers lost", "Running", "Stalled"),
    *("Failed, last hour", "Success rate, last hour"),
)


def empty_tiles() -> Content:
    """The totals, before any are known."""
    return [_tile(name, NOTHING, "") for name in TILES]


def tiles(board: FiguresBoard) -> Content:
    """The totals."""
    summary = board.summary
    succeeded, failed = board.sums()
    ended = succeeded + failed
    workers, stalled = summary["workerCounts"], summary["stalledProcesses"]
    values = [
        (f"{workers['alive']:,}", ""),
        (f"{workers['lost']:,}", "lost" if workers["lost"] else ""),
        (f"{summary['processes']['running']:,}", ""),
        (f"{stalled:,}", "stalled" if stalled else ""),
        (f"{failed:,}", "error" if failed else ""),
        (f"{succeeded / ended:.1%}" if ended else NOTHING, ""),
    ]
    return [_tile(name, *value) for name, value in zip(TILES, values, strict=True)]


def _tile(name: str, value: str, tone: str) -> html.Div:
    return html.Div(
        [html.Span(name, className="tile-name"), html.Span(value, className="tile-value")],
        className=f"tile tone-{tone}" if tone else "tile",
    )
