"""A worker in one line: what is made of its silence, and why."""

from dash import html

from dashboard.boards.workers import WorkerBoard
from dashboard.view.drawing import Drawn, draw_once
from dashboard.view.links import link
from dashboard.view.words import Content, act, ago, badge, copy_button


def worker_facts(board: WorkerBoard) -> Drawn:
    """Its verdict with the reason, its pipeline, and what may be done with it."""
    return draw_once(board, "facts", board.version, lambda: _facts(board))


def _facts(board: WorkerBoard) -> Content:
    worker = board.worker
    if worker is None:
        return [html.Span("There is no such worker.")] if board.is_loaded else []
    archived = [html.Span("archived")] if worker["archived"] else []
    pipeline = worker["pipeline"]
    return [
        badge(worker["liveness"]),
        *archived,
        html.Span(["last seen ", ago(worker["lastSeenAt"])]),
        html.Span(worker["livenessReason"].partition("; ")[2]),
        html.Span(["pipeline ", link(pipeline["name"], pipeline=pipeline["id"])]),
        html.Span(f"version {worker['version']}"),
        copy_button(worker["id"], "Copy id"),
        *([] if worker["liveness"] == "ALIVE" or archived else [act("archiveWorker", board.id)]),
    ]
