"""A process in full: what happened in it."""

from dash import html

from dashboard.boards.board import Board
from dashboard.boards.process import ProcessBoard
from dashboard.boards.rows import Node, Row, reason, state
from dashboard.boards.runs import STEPS, RunsBoard
from dashboard.view.comparison import comparison
from dashboard.view.drawing import Drawn, draw_once
from dashboard.view.failure import read_failure
from dashboard.view.failure_section import failure_section
from dashboard.view.links import link
from dashboard.view.usual import lasting
from dashboard.view.words import Content, act, ago, badge, copy_button, moment, tail

RECOVERED = (
    "Recovered: its worker never heard that it had started, and went on under the ids of the run "
    "before. It was opened by its first report."
)
PROCESS_PARTS = ("facts", "failure", "comparison")


def process_parts(board: ProcessBoard, runs: RunsBoard | None) -> dict[str, Drawn]:
    """How it ended, and how others went, each drawn when something in it changed.

    Where the time went is drawn by the browser, of the rows of the tasks.
    """
    others = runs.beside(board.id) if runs else None
    beside = (runs.pipeline, runs.version) if runs else None
    return {
        "facts": draw_once(board, "facts", board.version, lambda: _facts(board)),
        "failure": draw_once(
            board, "failure", (board.version, beside), lambda: _failure(board, others)
        ),
        "comparison": draw_once(
            board,
            "comparison",
            (_compared(board), beside),
            lambda: _comparison(board, runs, others),
        ),
    }


def reports(board: ProcessBoard) -> dict[str, Row]:
    """What tasks said, other than the failure that is shown above, by the tasks' ids."""
    failed = board.failed
    # By task, since reading what thousands said takes long, and one of them changes at a time.
    known: dict[str, tuple[int, Row | None]] = board.drawings.setdefault("reports", {})
    for id_, task in board.tasks.items():
        if id_ not in known or known[id_][0] != task["revision"]:
            known[id_] = (task["revision"], _report(task))
    if len(known) > len(board.tasks):
        for id_ in known.keys() - board.tasks.keys():
            del known[id_]
    shown = ((id_, row) for id_, (_, row) in known.items())
    return {id_: row for id_, row in shown if row and not (failed and failed["id"] == id_)}


def _report(task: Node) -> Row | None:
    told = read_failure(task["details"])
    if told is None:
        return None
    title = f"{task['position']} {task['name']}: details"
    return {"id": task["id"], "position": task["position"], "title": title, "text": told.text}


def _facts(board: ProcessBoard) -> Content:
    process = board.process
    if process is None:
        return [html.P(_absence(board, "There is no such process."), className="empty")]
    return [
        html.Div(
            [
                badge(state(process)),
                html.Span(["started ", moment(process["startedAt"])]),
                *lasting(process),
                html.Span(f"{process['progress']:.0%} of its tasks ended"),
                html.Span(f"version {process['version']}"),
                *_whose(board),
                copy_button(process["id"], "Copy id"),
            ],
            className="facts",
        ),
        *_remarks(board, process),
        *([] if board.has_all_details else [_where_details_are()]),
    ]


def _whose(board: ProcessBoard) -> Content:
    """Its pipeline and its worker."""
    if board.pipeline is None or board.worker is None:
        return []
    pipeline, worker, process = board.pipeline, board.worker, board.id
    return [
        html.Span(["pipeline ", link(pipeline["name"], pipeline=pipeline["id"])]),
        html.Span(["by worker ", link(tail(worker["id"]), worker=worker["id"], process=process)]),
    ]


def _remarks(board: ProcessBoard, process: Node) -> Content:
    """What is out of the ordinary with it."""
    said: list[Content] = []
    if process["stalled"]:
        said.append(["Stalled: its worker is lost", *_why_lost(board.worker), "."])
    if process["recovered"]:
        said.append([RECOVERED])
    offered = [act("endProcess", board.id)] if process["stalled"] else []
    return [*(html.P(parts, className="remark") for parts in said), *offered, *_acts(process)]


def _why_lost(worker: Node | None) -> Content:
    """Since when it is silent, on which the browser counts, and why that is too long."""
    if worker is None or worker["liveness"] != "LOST":
        return []
    return [", heard from ", ago(worker["lastSeenAt"]), f" ({reason(worker)})"]


def _acts(process: Node) -> Content:
    """Who ended it, if it was not its worker."""
    if not process["audit"]:
        return []
    return [html.Ul([_done(entry) for entry in process["audit"]], className="acts")]


def _done(entry: Node) -> html.Li:
    who = " from ".join(part for part in (entry["role"], entry["address"]) if part)
    return html.Li([f"Ended by {who}, ", moment(entry["at"]), f": {entry['summary']}"])


def _where_details_are() -> html.P:
    """Why they are not here."""
    return html.P(
        [
            "The details of its tasks are too large to be shown together. ",
            "The API has those of each: ",
            html.Code('{ task(id: "…") { details } }'),
        ],
        className="empty",
    )


def _absence(board: Board, none: str) -> str:
    """Why there is nothing to see: there is nothing only when that is known."""
    if board.is_loaded:
        return none
    return f"Not loaded: {board.problem}." if board.problem else "Loading …"


def _failure(board: ProcessBoard, others: list[Node] | None) -> Content:
    if board.process is None:
        return []
    return failure_section(board.process, board.failed, others, board.failure)


def _compared(board: ProcessBoard) -> tuple[object, ...]:
    """What of it is in the comparison; the runtimes of its steps are written by the browser."""
    process = board.process
    names = ((task["position"], task["name"]) for task in _first_steps(board))
    # The runtime of what runs is another one each time; the browser counts on.
    ended = process and process["endedAt"] and process["runtimeSeconds"]
    return len(board.tasks), ended, *names


def _first_steps(board: ProcessBoard) -> list[Node]:
    steps = (task for task in board.tasks.values() if task["position"] <= STEPS)
    return sorted(steps, key=lambda task: int(task["position"]))


def _comparison(board: ProcessBoard, runs: RunsBoard | None, others: list[Node] | None) -> Content:
    if runs and runs.problem and others is None:
        said = f"It cannot be compared with the runs before: {runs.problem}."
        return [html.P(said, className="empty")]
    if board.process is None:
        return []
    return comparison(board.process, _first_steps(board), others, len(board.tasks))
