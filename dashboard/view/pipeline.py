"""The page of a pipeline: how it is, and how its runs, steps and versions went."""

from dash import html

from dashboard.boards.pipelines import PipelineBoard
from dashboard.boards.rows import Node, pipeline_state
from dashboard.boards.runs import RunsBoard
from dashboard.view.drawing import Drawn, draw_once
from dashboard.view.grid import outcomes_grid
from dashboard.view.links import link
from dashboard.view.steps import steps_section
from dashboard.view.versions import versions_section
from dashboard.view.words import Content, act, ago, badge, moment, share, took

PIPELINE_PARTS = ("pipeline-facts", "pipeline-grid", "pipeline-steps", "pipeline-versions")


def pipeline_parts(board: PipelineBoard, runs: RunsBoard | None) -> dict[str, Drawn]:
    """Everything but the chart, each drawn when something in it changed."""
    beside = (runs.pipeline, runs.version, runs.is_loaded) if runs else None
    version = board.version
    return {
        "pipeline-facts": draw_once(board, "facts", version, lambda: _facts(board)),
        "pipeline-grid": draw_once(board, "grid", beside, lambda: outcomes_grid(runs)),
        "pipeline-steps": draw_once(board, "steps", version, lambda: steps_section(board.pipeline)),
        "pipeline-versions": draw_once(
            board, "versions", version, lambda: versions_section(board.pipeline)
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
