"""What every tab consists of; what is in it comes later, over the socket."""

from dash import dcc, html

from dashboard.address import RANGES
from dashboard.view.attributes import attributes
from dashboard.view.controls import WORDS, choice
from dashboard.view.drawing import Drawn
from dashboard.view.links import link
from dashboard.view.panels import chip, freshness, panels
from dashboard.view.tables import tables
from dashboard.view.tiles import empty_tiles

VIEWS: dict[str, dict[str, str]] = {
    "Overview": {},
    "Failures": {"view": "failures"},
    "Runs": {"view": "runs"},
    "Workers": {"view": "workers"},
}


def create_layout(*, has_sign_in: bool) -> html.Div:
    """The whole of it, the same for every address; where people sign in, they can sign out."""
    return html.Div(
        [
            *_state(),
            html.Div(
                [_header(has_sign_in=has_sign_in), _overview(), panels()],
                id="dashboard",
                className="dashboard",
                **attributes(data_view="overview", data_level="0"),
            ),
        ]
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
        dcc.Store(id="runtimes"),
        # Each is drawn when it comes in sight.
        dcc.Store(id="tables", data=Drawn.of(tables()).value),
        dcc.Interval(id="clock", interval=500),
    ]


def _header(*, has_sign_in: bool) -> html.Header:
    return html.Header(
        [
            html.H1(html.A("Process Monitor", className="brand", href="?")),
            html.Nav(
                [link(name, "view", **to) for name, to in VIEWS.items()],
                id="views",
                className="views",
                **attributes(aria_label="Views"),
            ),
            html.Nav(id="trail", className="trail", **attributes(aria_label="Where you are")),
            html.Button(
                ["Find ", html.Kbd("Ctrl K")],
                id="find",
                className="find",
                type="button",
                **attributes(aria_keyshortcuts="Control+K /"),
            ),
            html.Span(id="connection", className="connection", role="status"),
            choice("zone", "Times", [("local", "Local time"), ("utc", "UTC")]),
            choice("theme", "Colours", [("auto", "System"), ("light", "Light"), ("dark", "Dark")]),
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
    ranges = choice("range", "Time shown", [(word, WORDS[word]) for word in (*RANGES, "custom")])
    return html.Div(
        [
            html.Div(
                [
                    html.H2("Activity", id="activity-title"),
                    freshness("activity"),
                    chip("activity", "since until"),
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
