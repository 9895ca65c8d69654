"""The versions of a pipeline, each with its figures, and two of them side by side."""

from math import floor

from dash import html

from dashboard.address import Address
from dashboard.boards.pipelines import PipelineBoard
from dashboard.boards.rows import Node
from dashboard.boards.runs import STEPS
from dashboard.boards.versions import VersionsBoard
from dashboard.view.attributes import attributes
from dashboard.view.controls import options
from dashboard.view.drawing import Drawn, draw_once
from dashboard.view.links import link
from dashboard.view.steps import failing, table
from dashboard.view.words import NOTHING, Content, moment, share, took

CHOICES = ("compare", "against")
# As many times as long is no news yet: each of two quantiles may be off.
NOTEWORTHY = 1.1
FEW = "Fewer than five successful runs of one of the two: not enough to tell."
LIKELY = "Likely share: where the true share of those that succeed lies with 95 % confidence"


def versions_section(pipeline: Node | None) -> Content:
    """Its versions with their figures of the last 7 days."""
    if not pipeline or not pipeline["versions"]:
        return []
    head = ("Version", "Runs", "Failed", "p50", "p95", "First seen")
    return [
        html.H3("Versions, last 7 days"),
        table(
            "Versions",
            head,
            [
                (
                    link(version["version"], pipeline=pipeline["id"], version=version["version"]),
                    f"{version['counts']['total']:,}",
                    share(failing(version["counts"])),
                    took(version["runtime"]["p50Seconds"]),
                    took(version["runtime"]["p95Seconds"]),
                    moment(version["firstSeenAt"]),
                )
                for version in pipeline["versions"]
            ],
        ),
        *_offer(pipeline),
    ]


def _offer(pipeline: Node) -> Content:
    """Leads to the newest version beside the one before."""
    if len(pipeline["versions"]) < 2:
        return []
    newest, before = (version["version"] for version in pipeline["versions"][:2])
    to = {"pipeline": pipeline["id"], "compare": newest, "against": before}
    return [html.P(link(f"Compare {newest} with {before}", **to))]


def comparison_parts(
    address: Address, pipeline: PipelineBoard | None, board: VersionsBoard | None
) -> dict[tuple[str, str], Drawn]:
    """Two versions side by side, where the address names some; hidden else."""
    is_open = pipeline is not None and bool(address.compare or address.against)
    parts = {("compared-box", "hidden"): Drawn.of(not is_open)}
    if pipeline is None or not is_open:
        return parts
    known = [each["version"] for each in (pipeline.pipeline or {}).get("versions", [])]
    for name, chosen in zip(CHOICES, (address.compare, address.against), strict=True):
        # One may be older than those that are listed.
        versions = dict.fromkeys([*known, *filter(None, [chosen])])
        parts[name, "children"] = Drawn.of(options([(each, each) for each in versions]))
    parts["compared", "children"] = _drawn(address, board)
    return parts


def _drawn(address: Address, board: VersionsBoard | None) -> Drawn:
    if board is None:
        is_one = address.compare == address.against
        said = "Choose two different versions." if is_one else "Choose two versions."
        return Drawn.of([html.P(said, className="empty")])
    return draw_once(board, "versions", board.version, lambda: _comparison(board))


def _comparison(board: VersionsBoard) -> Content:
    found = board.comparison
    if found is None:
        none = f"Not loaded: {board.problem}." if board.problem else "Loading …"
        said = "There is no such pipeline." if board.is_loaded else none
        return [html.P(said, className="empty")]
    steps = found["steps"][:STEPS]
    shown = [("Whole run", found), *((_name(step), step) for step in steps)]
    scale = _scale([shift for _, shift in shown])
    groups = [_group(name, shift, board, scale) for name, shift in shown]
    rest = len(found["steps"]) - len(steps)
    return [
        html.P(f"{found['verdict']}.", className="verdict"),
        html.Div(
            html.Table(
                [html.Thead(_head()), *groups],
                className="comparison versions",
            ),
            className="scrolls",
            tabIndex=0,
            role="region",
            **attributes(aria_label="Versions side by side"),
        ),
        html.P(f"{LIKELY}; drawn from {scale:.0%} to 100%.", className="note"),
        *([html.P(f"The first {STEPS} steps; {rest:,} more.")] if rest else []),
    ]


def _name(step: Node) -> str:
    return f"{step['position']} {step['name']}" if step["position"] else f"{step['name']} (gone)"


def _head() -> html.Tr:
    return html.Tr(
        [
            html.Th("Step", scope="col"),
            html.Th("Version", scope="col"),
            *(html.Th(name, scope="colgroup", colSpan=2) for name in ("p50", "p95")),
            html.Th("Succeeded", scope="col"),
            html.Th("Likely share", scope="col", colSpan=2),
        ]
    )


def _scale(shifts: list[Node]) -> float:
    """Where the scale of shares begins, so that they can be told apart: at whole tenths."""
    lows = [shift["success"][of]["low"] for shift in shifts for of in ("after", "before")]
    return floor(10 * min((low for low in lows if low is not None), default=0.0)) / 10


def _group(name: str, shift: Node, board: VersionsBoard, scale: float) -> html.Tbody:
    """What is compared: a row of each version."""
    runtime, success = shift["runtime"], shift["success"]
    rows: list[Content] = [
        [
            html.Th(name, scope="rowgroup", rowSpan=2),
            html.Td(board.compared),
            *_quantiles(runtime, "after"),
            *_rate(success["after"], scale),
        ],
        [html.Td(board.against), *_quantiles(runtime, "before"), *_rate(success["before"], scale)],
    ]
    return html.Tbody([html.Tr(row, className=of) for row, of in zip(rows, CHOICES, strict=True)])


def _quantiles(runtime: Node, of: str) -> list[html.Td]:
    cells = []
    for name in ("p50", "p95"):
        shift = _shift(runtime, runtime[f"{name}Ratio"]) if of == "after" else ""
        cells += [html.Td(took(runtime[of][f"{name}Seconds"])), html.Td(shift)]
    return cells


def _shift(runtime: Node, ratio: float | None) -> html.Span | str:
    """How many times as long it takes as before."""
    if ratio is None:
        return "" if runtime["enough"] else html.Span("too few", className="shift", title=FEW)
    tone, mark = "", ""
    if ratio >= NOTEWORTHY:
        tone, mark = " slower", "▲ "
    elif ratio <= 1 / NOTEWORTHY:
        tone, mark = " faster", "▼ "
    by = f"{mark}\N{MULTIPLICATION SIGN}{ratio:.2f}"
    return html.Span(by, className=f"shift{tone}")


def _rate(success: Node, scale: float) -> list[html.Td]:
    """How many succeeded, and where the true share of them lies with 95 % confidence."""
    rate, ended = success["rate"], success["succeeded"] + success["failed"]
    if rate is None:
        return [html.Td(NOTHING), html.Td(), html.Td()]
    low, at, high = (
        (each - scale) / (1 - scale) for each in (success["low"], rate, success["high"])
    )
    band = {"left": f"{low:.1%}", "width": f"{high - low:.1%}"}
    track = html.Span(
        [
            html.Span(className="likely-band", style=band),
            html.Span(className="likely-rate", style={"left": f"{at:.1%}"}),
        ],
        className="likely",
        **attributes(aria_hidden="true"),
    )
    likely = " to ".join(_percent(success[end]) for end in ("low", "high"))
    return [html.Td(f"{share(rate)} of {ended:,}"), html.Td(track), html.Td(likely)]


def _percent(part: float) -> str:
    """Whole percents; of nearly all it is not said that it is all."""
    return f"{part:.1%}" if 0.99 < part < 1 else f"{part:.0%}"
