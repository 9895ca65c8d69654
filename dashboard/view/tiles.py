"""The totals, a tile each; each leads to what it counts."""

from dash import html

from dashboard.boards.figures import FiguresBoard
from dashboard.view.links import search
from dashboard.view.words import NOTHING, Content

# Name → the parameters of the view that it leads to.
TILES: dict[str, dict[str, str]] = {
    "Running": {"view": "runs", "status": "running"},
    "Failed, last hour": {"view": "runs", "status": "failed", "period": "1h"},
    "Stalled": {"view": "runs", "status": "stalled"},
    "Workers lost": {"view": "workers", "presence": "lost"},
    "Workers alive": {"view": "workers", "presence": "alive"},
    "Success rate, last hour": {"view": "runs", "period": "1h"},
}


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
        (f"{summary['processes']['running']:,}", ""),
        (f"{failed:,}", "error" if failed else ""),
        (f"{stalled:,}", "stalled" if stalled else ""),
        (f"{workers['lost']:,}", "lost" if workers["lost"] else ""),
        (f"{workers['alive']:,}", ""),
        (f"{succeeded / ended:.1%}" if ended else NOTHING, ""),
    ]
    return [_tile(name, *value) for name, value in zip(TILES, values, strict=True)]


def _tile(name: str, value: str, tone: str) -> html.A:
    return html.A(
        [html.Span(name, className="tile-name"), html.Span(value, className="tile-value")],
        className=f"tile tone-{tone}" if tone else "tile",
        href=search(**TILES[name]),
    )
