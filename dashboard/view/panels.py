"""The parts of a page that are drawn from boards: figures, chart, and the process in full."""

from statistics import median
from typing import Any

from dash import html

from dashboard.boards.overview import FiguresBoard
from dashboard.boards.processes import ProcessBoard
from dashboard.boards.rows import Node, state
from dashboard.view.attributes import attributes
from dashboard.view.failure import Failure, read_failure

Content = list[Any]
NOTHING = "–"  # noqa: RUF001  # a dash is what it is
FAILED_MARK = " ✕"
WORDS = {
    "ONLINE": "Online",
    "OFFLINE": "Offline",
    "PENDING": "Pending",
    "RUNNING": "Running",
    "SUCCESS": "Succeeded",
    "ERROR": "Failed",
    "STALLED": "Stalled",
}


def badge(status: str) -> html.Span:
    """A status by icon and word; the style sheet gives the icon."""
    return html.Span(WORDS[status], className=f"status status-{status.lower()}")


TILES = (
    *("Workers online", "Workers offline", "Running", "Stalled"),
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
    offline, stalled = summary["workersOffline"], summary["stalledProcesses"]
    values = [
        (f"{summary['workersOnline']:,}", "online"),
        (f"{offline:,}", "offline" if offline else ""),
        (f"{summary['processes']['running']:,}", "running"),
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


def process_panel(board: ProcessBoard, others: list[Node] | None) -> Content:
    """What happened in a process: how it ended, where the time went, how others went.

    Of others nothing is said while they are not known (None).
    """
    process = board.process
    if process is None:
        said = board.problem or ("There is no such process." if board.is_loaded else "Loading …")
        return [html.P(said, className="empty")]
    tasks = sorted(board.tasks.values(), key=lambda task: task["position"])
    failed = next((task for task in tasks if task["status"] == "ERROR"), None)
    return [
        _facts(process),
        *_failure(process, failed, others),
        html.H3("Timeline"),
        _timeline(process, tasks),
        *_comparison(process, tasks, others),
        *_reports(tasks, failed),
    ]


def _facts(process: Node) -> html.Div:
    running = process["endedAt"] is None
    runtime = _ticking(process["startedAt"]) if running else _duration(process["runtimeSeconds"])
    return html.Div(
        [
            badge(state(process)),
            html.Span(["started ", _time(process["startedAt"])]),
            html.Span(["runs for " if running else "took ", runtime]),
            html.Span(f"{process['progress']:.0%} of its tasks ended"),
            _copy(process["id"], "Copy id"),
        ],
        className="facts",
    )


def _failure(process: Node, failed: Node | None, others: list[Node] | None) -> Content:
    of_process = read_failure(process.get("details"))
    of_task = read_failure(failed["details"]) if failed else None
    failure = of_task or (of_process if process["status"] == "ERROR" else None)
    if failure is None and failed is None:
        return [_text_block("Details", of_process)] if of_process else []
    failure = failure or Failure("The worker gave no reason.")
    if failed:
        place = f"Failed at step {failed['position']}, {failed['name']}"
        since = failed["endedAt"]
    else:
        place = f"Failed{f' at {failure.step}' if failure.step else ''}"
        since = process["endedAt"]
    return [
        html.Section(
            [
                html.Div(
                    [html.Strong(place), html.Span([_time(since), ", ", _ago(since)])],
                    className="failure-place",
                ),
                html.P(failure.message, className="failure-message"),
                html.P(_before(others, failed), className="failure-before"),
                _trace(failure),
            ],
            className="failure",
            **attributes(aria_label="Failure"),
        )
    ]


def _before(runs: list[Node] | None, failed: Node | None) -> str:
    """Whether it failed before."""
    if runs is None:
        return "Loading the other runs …"
    if not runs:
        return "No other run of this worker has ended yet."
    failures = [run for run in runs if run["status"] == "ERROR"]
    if not failures:
        which = "other latest run" if len(runs) == 1 else f"{len(runs)} other latest runs"
        return f"The {which} of this worker succeeded."
    told = f"{len(failures)} of the {len(runs)} other latest runs failed"
    if len(runs) == 1:
        told = "The other latest run failed"
    if failed:
        same = sum(_status_at(run, failed["position"]) == "ERROR" for run in failures)
        told += f", {same} at this step"
    return f"{told}."


def _status_at(run: Node, position: int) -> str | None:
    return next((t["status"] for t in run["tasks"] if t["position"] == position), None)


def _trace(failure: Failure) -> html.Details | html.Div:
    text = "\n".join([*failure.frames, *([failure.rest] if failure.rest else [])])
    if not text:
        return html.Div(_copy(failure.text, "Copy"))
    return html.Details(
        [
            html.Summary("Traceback" if failure.frames else "More"),
            html.Pre(text, tabIndex=0),
            _copy(failure.text, "Copy all"),
        ],
        open=True,
    )


def _text_block(title: str, failure: Failure) -> html.Details:
    return html.Details(
        [html.Summary(title), html.Pre(failure.text, tabIndex=0), _copy(failure.text, "Copy")]
    )


def _timeline(process: Node, tasks: list[Node]) -> html.Div:
    """Bars over time; the browser lays them out, and lets those that run grow."""
    return html.Div(
        [_bar(task) for task in tasks],
        className="timeline",
        **attributes(data_from=process["startedAt"], data_to=process["endedAt"]),
    )


def _bar(task: Node) -> html.Div:
    bar = html.Span(
        className="bar", **attributes(data_from=task["startedAt"], data_to=task["endedAt"])
    )
    return html.Div(
        [
            html.Span(f"{task['position']} {task['name']}", className="bar-name"),
            html.Span(bar, className="bar-track"),
            html.Span(_runtime(task), className="bar-time"),
        ],
        className=f"bar-row status-{task['status'].lower()}",
    )


def _runtime(task: Node) -> Any:
    if task["status"] == "PENDING":
        return ""
    if task["endedAt"] is None:
        return _ticking(task["startedAt"])
    return _duration(task["runtimeSeconds"])


def _comparison(process: Node, tasks: list[Node], others: list[Node] | None) -> Content:
    """Runtimes per step beside those of the runs before."""
    if not others or not tasks:
        return []
    runs = others[:6]
    head = [html.Th("Step"), html.Th("This run"), html.Th("Median")]
    head += [html.Th(_link_to(run), className=f"run-{run['status'].lower()}") for run in runs]
    body = [
        html.Tr(
            [
                html.Th(task["name"], scope="row"),
                html.Td([_runtime(task), FAILED_MARK if task["status"] == "ERROR" else ""]),
                html.Td(_median(others, task["position"])),
                *(_cell(run, task["position"]) for run in runs),
            ]
        )
        for task in tasks
    ]
    total = [html.Th("Whole run", scope="row"), html.Td(_whole(process))]
    total += [html.Td(_duration(median(run["runtimeSeconds"] for run in others)))]
    total += [html.Td(_duration(run["runtimeSeconds"])) for run in runs]
    return [
        html.H3("Beside the runs that ended last"),
        html.Div(
            html.Table(
                [html.Thead(html.Tr(head)), html.Tbody(body), html.Tfoot(html.Tr(total))],
                className="comparison",
            ),
            className="scrolls",
            tabIndex=0,
            role="region",
            **attributes(aria_label="Runtimes per step of the latest runs"),
        ),
    ]


def _whole(process: Node) -> Any:
    if process["endedAt"] is None:
        return _ticking(process["startedAt"])
    return _duration(process["runtimeSeconds"])


def _median(runs: list[Node], position: int) -> str:
    seconds = [
        task["runtimeSeconds"]
        for run in runs
        for task in run["tasks"]
        if task["position"] == position and task["status"] == "SUCCESS"
    ]
    return _duration(median(seconds)) if seconds else NOTHING


def _cell(run: Node, position: int) -> html.Td:
    task = next((t for t in run["tasks"] if t["position"] == position), None)
    if task is None or task["status"] == "PENDING":
        return html.Td(NOTHING)
    mark = FAILED_MARK if task["status"] == "ERROR" else ""
    return html.Td(
        f"{_duration(task['runtimeSeconds'])}{mark}", className=f"run-{task['status'].lower()}"
    )


def _link_to(run: Node) -> html.Button:
    return html.Button(
        _time(run["startedAt"], "clock"),
        className="link",
        title="Show this run",
        **attributes(data_process=run["id"]),
    )


def _reports(tasks: list[Node], failed: Node | None) -> Content:
    """What tasks said, other than the failure that is shown above."""
    return [
        _text_block(f"{task['position']} {task['name']}: details", told)
        for task in tasks
        if task is not failed and (told := read_failure(task["details"]))
    ]


def _time(at: str | None, form: str = "full") -> html.Time:
    """An instant; the browser writes it in its own time zone."""
    return html.Time(dateTime=at or "", **attributes(data_form=form))


def _ago(at: str | None) -> html.Span:
    return html.Span(**attributes(data_ago=at))


def _ticking(since: str) -> html.Span:
    return html.Span(className="ticking", **attributes(data_since=since))


def _copy(text: str, label: str) -> html.Button:
    return html.Button(label, className="copy", type="button", **attributes(data_copy=text))


def _duration(seconds: float) -> str:
    """As short as it can be read: 42 ms, 4.20 s, 12.3 s, 4 min 05 s, 3 h 12 min."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60):02} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02} min"
