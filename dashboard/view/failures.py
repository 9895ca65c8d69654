"""The page of a failure: what it is, since when, where in the code, and what was made of it."""

from dash import html

from dashboard.boards.board import Board
from dashboard.boards.failures import HANDFUL, FailureBoard, FailuresBoard
from dashboard.boards.rows import Node
from dashboard.view.drawing import Drawn, draw_once
from dashboard.view.failure import Failure, read_failure
from dashboard.view.frames import frame_list, read_frames
from dashboard.view.links import link
from dashboard.view.occurrences import bars, times
from dashboard.view.words import (
    Content,
    act,
    ago,
    badge,
    copy_button,
    moment,
    tail,
    text_block,
)

FAILURE_PARTS = ("failure-facts", "failure-bars", "failure-example")
# What was done, as it is said.
_DONE = {"resolveFailure": "Resolved", "muteFailure": "Muted", "reopenFailure": "Reopened"}


def failure_parts(board: FailureBoard) -> dict[str, Drawn]:
    """Everything but its runs, each drawn when something in it changed."""
    of_example = board.example and board.example["id"]
    return {
        "failure-facts": draw_once(board, "facts", board.version, lambda: _facts(board)),
        "failure-bars": draw_once(board, "bars", board.version, lambda: _bars(board.failure)),
        "failure-example": draw_once(
            board, "example", (board.is_loaded, of_example), lambda: _example(board)
        ),
    }


def _facts(board: FailureBoard) -> Content:
    failure = board.failure
    if failure is None:
        return [html.P(_absence(board, "There is no such failure."), className="empty")]
    return [
        html.P(failure["title"], className="failure-title"),
        html.Div(
            [
                life(failure, is_new=board.is_new),
                html.Span(["pipeline ", _to_pipeline(failure)]) if "pipeline" in failure else "",
                html.Span(f"step {failure['step']}" if failure["step"] else "outside of its steps"),
                html.Span(f"seen {times(failure['count'])}"),
                copy_button(failure["id"], "Copy id"),
            ],
            className="facts",
        ),
        _seen(failure),
        *_remark(failure),
        html.Div([act(action, board.id) for action in _offered(failure)], className="offers"),
        *_acts(failure.get("audit", [])),
    ]


def _absence(board: Board, none: str) -> str:
    """Why there is nothing to see: there is nothing only when that is known."""
    if board.is_loaded:
        return none
    return f"Not loaded: {board.problem}." if board.problem else "Loading …"


def life(failure: Node, *, is_new: bool = False) -> html.Span:
    """Its status, and until when where it is muted."""
    if failure["status"] == "MUTED" and failure["mutedUntil"]:
        return html.Span([badge("MUTED"), " until ", moment(failure["mutedUntil"])])
    return badge("NEW" if is_new else failure["status"])


def _to_pipeline(failure: Node) -> html.A:
    return link(failure["pipeline"]["name"], pipeline=failure["pipeline"]["id"])


def _seen(failure: Node) -> html.Dl:
    said = [
        ("First seen", _at(failure["firstSeenAt"], failure["firstVersion"])),
        ("Last seen", _at(failure["lastSeenAt"], failure["lastVersion"])),
        ("Versions", _versions(failure)),
    ]
    return html.Dl([part for name, what in said for part in (html.Dt(name), html.Dd(what))])


def _at(at: str, version: str) -> Content:
    return [moment(at), ", ", ago(at), f", in {version}"]


def _versions(failure: Node) -> Content:
    """Those that are known: the first, those of a week as each slot ended, and the last."""
    slots = [slot["lastVersion"] for slot in failure.get("week", []) if slot["count"]]
    seen = dict.fromkeys([failure["firstVersion"], *slots, failure["lastVersion"]])
    links = [link(v, failure=failure["id"], version=v, title=f"Its runs of {v}") for v in seen]
    return [part for each in links for part in (each, ", ")][:-1]


def _remark(failure: Node) -> Content:
    if failure["status"] != "REGRESSED" or not failure.get("resolvedAt"):
        return []
    said: Content = ["Resolved ", moment(failure["resolvedAt"]), ", and seen again since."]
    return [html.P(said, className="remark")]


def _offered(failure: Node) -> list[str]:
    """What can be done with it."""
    resolve, reopen = ["resolveFailure"], ["reopenFailure"]
    match failure["status"]:
        case "RESOLVED":
            return reopen
        case "MUTED":
            return resolve + reopen
        case _:
            return [*resolve, "muteFailure"]


def _acts(audit: list[Node]) -> Content:
    """Who made what of it, the latest first."""
    known = [entry for entry in audit if entry["action"] in _DONE]
    return [html.Ul([_done(entry) for entry in known], className="acts")] if known else []


def _done(entry: Node) -> html.Li:
    who = " from ".join(part for part in (entry["role"], entry["address"]) if part)
    return html.Li(
        [
            f"{_DONE[entry['action']]}",
            *_until(entry["summary"]),
            f" by {who}, ",
            moment(entry["at"]),
        ]
    )


def _until(summary: str) -> Content:
    """Of what was muted, until when, as the audit says it."""
    word, _, at = summary.partition(" ")
    if word == "until":
        return [" until ", moment(at)]
    return [f" {summary}"] if summary else []


def _bars(failure: Node | None) -> Content:
    if failure is None or "hours" not in failure:
        return []
    return [
        bars(failure["hours"], "Last 24 hours", "24 h ago"),
        bars(failure["week"], "Last 7 days", "7 days ago"),
    ]


def _example(board: FailureBoard) -> Content:
    example = board.example
    if example is None:
        return []
    step = example["failed"]
    told = read_failure(step and step["details"]) or read_failure(example["details"])
    told = told or Failure("The worker gave no reason.")
    return [
        html.H3("Where it happened last"),
        html.P(
            [
                "Run ",
                link(tail(example["id"]), failure=board.id, process=example["id"]),
                " of ",
                moment(example["startedAt"]),
                f", {example['version']}",
            ],
            className="example-run",
        ),
        html.P(told.message, className="example-message"),
        *frame_list(read_frames(told)),
        text_block("All that it said", told.text),
    ]


def pipeline_failures(board: FailuresBoard, pipeline: str) -> Drawn:
    """Those of a pipeline that were seen last, with the way to all of them."""
    return draw_once(board, "few", board.version, lambda: _few(board, pipeline))


def _few(board: FailuresBoard, pipeline: str) -> Content:
    shown = sorted(board.nodes.values(), key=board.rank)[:HANDFUL]
    if not shown:
        said = _absence(board, "None of its runs failed.")
        return [html.H3("Failures"), html.P(said, className="empty")]
    return [
        html.H3("Failures"),
        html.Ul([_one(node) for node in shown], className="alikes"),
        link("all failures of this pipeline", view="failures", pipeline=pipeline),
    ]


def _one(node: Node) -> html.Li:
    place = f"{node['step']}, " if node["step"] else ""
    seen: Content = [f"{place}{times(node['count'])}, ", ago(node["lastSeenAt"])]
    return html.Li(
        [life(node), link(node["title"], failure=node["id"]), html.Span(seen, className="hint")]
    )


def seen_before(failure: Node) -> html.P:
    """Beside a failed run: how often it was seen, since when, and what was made of it."""
    if failure["count"] == 1:
        said: Content = ["Seen for the first time, in ", failure["firstVersion"]]
    else:
        since = moment(failure["firstSeenAt"])
        first = f", first in {failure['firstVersion']}"
        said = [f"Seen {times(failure['count'])} since ", since, first]
    status = [] if failure["status"] == "OPEN" else [life(failure)]
    return html.P(
        [*status, html.Span(said), link("all that failed alike", failure=failure["id"])],
        className="failure-alike",
    )
