"""The page of a pipeline: how it is, and how its runs, steps and versions went."""

from typing import Any

from dash import html

from dashboard.boards.pipelines import PipelineBoard
from dashboard.boards.rows import Node, pipeline_state
from dashboard.boards.runs import STEPS, RunsBoard
from dashboard.view.drawing import Drawn, draw_once
from dashboard.view.grid import outcomes_grid
from dashboard.view.links import link
from dashboard.view.words import NOTHING, Content, act, ago, badge, duration, moment

PIPELINE_PARTS = ("pipeline-facts", "pipeline-grid", "pipeline-steps", "pipeline-versions")


def pipeline_parts(board: PipelineBoard, runs: RunsBoard | None) -> dict[str, Drawn]:
    """Everything but the chart, each drawn when something in it changed."""
    beside = (runs.pipeline, runs.version, runs.is_loaded) if runs else None
    version = board.version
    return {
        "pipeline-facts": draw_once(board, "facts", version, lambda: _facts(board)),
        "pipeline-grid": draw_once(board, "grid", beside, lambda: outcomes_grid(runs)),
        "pipeline-steps": draw_once(board, "steps", version, lambda: _steps(board.pipeline)),
        "pipeline-versions": draw_once(
            board, "versions", version, lambda: _versions(board.pipeline)
        ),
    }


def runtimes(board: PipelineBoard) -> Drawn:
    """What the browser draws the runtimes of: for each hour the quantiles of what succeeded."""
    return draw_once(
        board,
        "runtimes",
        board.version,
        lambda: board.pipeline and [_point(slot) for slot in board.pipeline["runtimes"]],
    )


def _point(slot: Node) -> Node:
    runtime = slot["runtime"]
    return {
        "at": slot["at"],
        "count": runtime["count"],
        "p50": runtime["p50Seconds"],
        "p95": runtime["p95Seconds"],
    }


def _facts(board: PipelineBoard) -> Content:
    pipeline = board.pipeline
    if pipeline is None:
        none = "There is no such pipeline." if board.is_loaded else "Loading …"
        return [html.P(none, className="empty")]
    return [
        html.Div(
            [
                badge(pipeline_state(pipeline)),
                html.Span(f"version {pipeline['version']}"),
                html.Span(["last seen ", ago(pipeline["lastSeenAt"])]),
                html.Span(["first seen ", moment(pipeline["firstSeenAt"])]),
                link("all runs", view="runs", pipeline=board.id),
                link("all workers", view="workers", pipeline=board.id),
                *(
                    [act("archiveFinished", board.id)]
                    if pipeline["workerCounts"]["finished"]
                    else []
                ),
            ],
            className="facts",
        ),
        html.Dl(
            [part for name, said in _figures(pipeline) for part in (html.Dt(name), html.Dd(said))]
        ),
    ]


def _figures(pipeline: Node) -> list[tuple[str, str]]:
    counts, workers = pipeline["counts"], pipeline["workerCounts"]
    silent = f"{workers['lost']:,} lost, {workers['finished']:,} finished"
    outcomes, runtime = pipeline["outcomes"], pipeline["runtime"]
    ended = outcomes["succeeded"] + outcomes["failed"]
    return [
        ("Runs", f"{counts['total']:,}, of them {counts['running']:,} running"),
        ("Success, 24 h", f"{share(outcomes['successRate'])} of {ended:,}"),
        (
            "Runtime, 7 days",
            f"{took(runtime['p50Seconds'])} p50, {took(runtime['p95Seconds'])} p95",
        ),
        ("Workers", f"{workers['alive']:,} alive, {silent}"),
    ]


def share(part: float | None) -> str:
    """A share in percent."""
    return NOTHING if part is None else f"{part:.1%}"


def took(seconds: float | None) -> str:
    """A duration that may not be known."""
    return NOTHING if seconds is None else duration(seconds)


def _steps(pipeline: Node | None) -> Content:
    if not pipeline or not pipeline["steps"]:
        return []
    steps = pipeline["steps"][:STEPS]
    count = len(pipeline["steps"])
    rest = [html.P(f"The first {STEPS} of {count:,} steps.")] if count > STEPS else []
    head = ("Step", "Ended", "Failed", "p50", "p95")
    return [
        html.H3("Steps, last 7 days"),
        _table(
            head,
            [
                (
                    f"{step['position']} {step['name']}",
                    f"{step['succeeded'] + step['failed']:,}",
                    share(_failed(step)),
                    took(step["runtime"]["p50Seconds"]),
                    took(step["runtime"]["p95Seconds"]),
                )
                for step in steps
            ],
        ),
        *rest,
    ]


def _versions(pipeline: Node | None) -> Content:
    if not pipeline or not pipeline["versions"]:
        return []
    head = ("Version", "Runs", "Failed", "p50", "p95", "First seen")
    return [
        html.H3("Versions, last 7 days"),
        _table(
            head,
            [
                (
                    link(version["version"], pipeline=pipeline["id"], version=version["version"]),
                    f"{version['counts']['total']:,}",
                    share(_failed(version["counts"])),
                    took(version["runtime"]["p50Seconds"]),
                    took(version["runtime"]["p95Seconds"]),
                    moment(version["firstSeenAt"]),
                )
                for version in pipeline["versions"]
            ],
        ),
    ]


def _failed(counts: Node) -> float | None:
    ended = counts["succeeded"] + counts["failed"]
    return counts["failed"] / ended if ended else None


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> html.Div:
    cells = [html.Tr([html.Th(row[0], scope="row"), *map(html.Td, row[1:])]) for row in rows]
    table = html.Table(
        [html.Thead(html.Tr([html.Th(name, scope="col") for name in head])), html.Tbody(cells)],
        className="comparison",
    )
    return html.Div(table, className="scrolls")
