"""What every tab consists of; what is in it comes later, over the socket."""

from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from dashboard.address import ORDERS, PERIODS, RANGES, STATUSES
from dashboard.view.attributes import attributes
from dashboard.view.tables import PROCESSES, TASKS, WORKERS, table
from dashboard.view.tiles import empty_tiles

WORDS = {
    "newest": "Newest first",
    "errors": "Errors first",
    "any": "Any time",
    "1h": "1 h",
    "6h": "6 h",
    "24h": "24 h",
    "7d": "7 days",
}


def create_layout(*, has_sign_in: bool) -> dmc.MantineProvider:
    """The whole of it, the same for every address; where people sign in, they can sign out."""
    return dmc.MantineProvider(
        id="provider",
        defaultColorScheme="auto",
        theme={"fontFamily": "var(--font)", "primaryColor": "indigo"},
        children=[
            *_state(),
            html.Div(
                [_header(has_sign_in=has_sign_in), _overview(), _panels()],
                id="dashboard",
                className="dashboard",
                **attributes(data_level="0"),
            ),
        ],
    )


def _state() -> list[dcc.Store | dcc.Location | dcc.Interval]:
    return [
        dcc.Location(id="location", refresh=False),
        dcc.Store(id="request"),
        dcc.Store(id="poll"),
        dcc.Store(id="told"),
        dcc.Store(id="taken"),
        dcc.Store(id="shown"),
        dcc.Store(id="slots"),
        dcc.Interval(id="clock", interval=500),
    ]


def _header(*, has_sign_in: bool) -> html.Header:
    return html.Header(
        [
            html.H1(
                html.Button("Process Monitor", className="brand", **attributes(data_go="overview"))
            ),
            html.Nav(id="trail", className="trail", **attributes(aria_label="Where you are")),
            html.Span(id="connection", className="connection", role="status"),
            _choice("theme", "Colours", [("auto", "System"), ("light", "Light"), ("dark", "Dark")]),
            *([_sign_out()] if has_sign_in else []),
        ],
        className="header",
    )


def _sign_out() -> html.Form:
    return html.Form(
        html.Button("Sign out", type="submit", className="sign-out"),
        method="post",
        action="/sign-out",
    )


def _overview() -> html.Section:
    return html.Section(
        [html.Div(empty_tiles(), id="tiles", className="tiles"), _activity()],
        className="overview",
        **attributes(aria_label="Overview"),
    )


def _activity() -> html.Div:
    legend = html.Span(
        [html.Span(word) for word in ("Started", "Succeeded", "Failed")], className="legend"
    )
    ranges = _choice("range", "Time shown", [(word, WORDS[word]) for word in RANGES])
    return html.Div(
        [
            html.Div(
                [
                    html.H2("Activity", id="activity-title"),
                    _freshness("activity"),
                    legend,
                    ranges,
                ],
                className="panel-head",
            ),
            _chart(),
        ],
        className="panel activity",
    )


def _chart() -> html.Div:
    """Its slots are walked over by the arrow keys; the script says in words which one it is at."""
    return html.Div(
        id="activity",
        className="chart",
        role="slider",
        tabIndex=0,
        **attributes(aria_label="Activity", aria_valuenow="0", aria_valuetext="Loading …"),
    )


def _panels() -> html.Main:
    return html.Main([_workers(), _processes(), _process()], className="panels")


def _panel(kind: str, head: list[Any], *body: Any) -> html.Section:
    return html.Section(
        [html.Div(head, className="panel-head"), *body],
        className=f"panel {kind}",
        id=f"{kind}-panel",
    )


def _freshness(panel: str) -> html.Span:
    """Where the browser says how far a panel can be trusted; nothing while it is live."""
    return html.Span(className="freshness", **attributes(data_panel=panel))


def _workers() -> html.Section:
    label = html.Label("Search workers by name", htmlFor="name", className="unseen")
    search = dcc.Input(
        id="name",
        type="search",
        placeholder="Name contains …",
        className="search",
        debounce=False,
        autoComplete="off",
    )
    words = [("all", "All"), ("alive", "Alive"), ("finished", "Finished"), ("lost", "Lost")]
    return _panel(
        "workers",
        [
            html.H2("Workers"),
            _freshness("workers"),
            label,
            search,
            _segments("presence", "Status of workers", words),
        ],
        html.Div(
            table("workers", WORKERS, "No worker has registered yet."), className="panel-body"
        ),
    )


def _processes() -> html.Section:
    pager = html.Div(
        [
            html.Button("First page", id="first-page", type="button"),
            html.Span(id="page-note"),
            html.Button("Older", id="next-page", type="button"),
        ],
        className="pager",
    )
    return _panel(
        "processes",
        [
            html.H2("Processes", id="processes-title"),
            _freshness("processes"),
            _segments("state", "Status", [(word, word.capitalize()) for word in STATUSES]),
            _choice("period", "Started within", [(word, WORDS[word]) for word in PERIODS]),
            _choice("order", "Order", [(word, WORDS[word]) for word in ORDERS]),
        ],
        html.Div(table("processes", PROCESSES, "No process to show."), className="panel-body"),
        pager,
    )


def _process() -> html.Section:
    # The browser draws the timeline and the reports, of rows as those of the tables.
    bars = html.Div(
        id="timeline",
        className="timeline tall",
        tabIndex=0,
        role="group",
        **attributes(aria_label="Timeline"),
    )
    parts = [
        html.Div(id="facts"),
        html.Div(id="failure"),
        html.Div([html.H3("Timeline"), bars], id="times", hidden=True),
        html.Div(id="comparison"),
        html.Div(id="reports"),
    ]
    tasks = table("tasks", TASKS, "It has no tasks.", domLayout="autoHeight")
    return _panel(
        "process",
        [html.H2("Process"), _freshness("process")],
        html.Div(
            [*parts, html.H3("Tasks"), html.Div(tasks, id="tasks-box")],
            className="panel-body scrolls",
        ),
    )


def _choice(id_: str, label: str, words: list[tuple[str, str]]) -> dmc.Select:
    """One of a few words."""
    return dmc.Select(
        id=id_,
        data=[{"value": value, "label": text} for value, text in words],
        value=words[0][0],
        size="xs",
        w=116,
        allowDeselect=False,
        checkIconPosition="right",
        persistence=id_ == "theme",
        persistence_type="local",
        **attributes(aria_label=label),
    )


def _segments(id_: str, label: str, words: list[tuple[str, str]]) -> html.Div:
    """One of a few words, all of them in sight."""
    return html.Div(
        dmc.SegmentedControl(
            id=id_,
            data=[{"value": value, "label": text} for value, text in words],
            value=words[0][0],
            size="xs",
        ),
        role="group",
        **attributes(aria_label=label),
    )
