"""The panels: tables with their filters, and what is said of one pipeline, worker or process."""

from collections.abc import Iterable
from typing import Any

from dash import html

from dashboard.address import (
    CONDITIONS,
    FAILURE_ORDERS,
    ORDERS,
    PERIODS,
    PRESENCES,
    STATES,
    STATUSES,
)
from dashboard.view.attributes import attributes
from dashboard.view.controls import WORDS, choice, search_field, segments
from dashboard.view.tables import place
from dashboard.view.usual import usual_key


def panels() -> html.Main:
    """All of them; the style sheet shows those that belong to a view."""
    return html.Main(
        [
            *(_pipelines(), _workers(), _failures(), _processes()),
            *(_pipeline(), _alike(), _process()),
        ],
        className="panels",
    )


def _panel(kind: str, head: list[Any], *body: Any) -> html.Section:
    return html.Section(
        [html.Div(head, className="panel-head"), *body],
        className=f"panel {kind}",
        id=f"{kind}-panel",
    )


def freshness(panel: str) -> html.Span:
    """Where the browser says how far a panel can be trusted; nothing while it is live."""
    return html.Span(className="freshness", **attributes(data_panel=panel))


def _pager(list_: str, later: str) -> html.Div:
    """Leads through the pages of a list; the browser says which there are."""
    return html.Div(
        [
            _page_button("First page", list_, "first"),
            html.Span(),
            html.Span([_export(list_, each) for each in ("csv", "json")], className="exports"),
            _page_button(later, list_, "next"),
        ],
        className="pager",
        **attributes(data_pager=list_),
    )


def _export(list_: str, format_: str) -> html.A:
    """All that the filter lets through, as a file; the browser adds the filter."""
    return html.A(
        format_.upper(),
        href=f"export?table={list_}&format={format_}",
        className="link",
        download=f"{list_}.{format_}",
        **attributes(data_export=list_),
    )


def _page_button(label: str, list_: str, to: str) -> html.Button:
    return html.Button(label, type="button", **attributes(data_list=list_, data_to=to))


def chip(list_: str, parameters: str) -> html.Button:
    """What else narrows a list, and a way to be rid of it; the browser says what it is."""
    return html.Button(
        className="chip",
        type="button",
        hidden=True,
        **attributes(data_drop=parameters, data_of=list_),
    )


def _words(words: Any) -> list[tuple[str, str]]:
    return [(word, word.capitalize()) for word in words]


def _in_words(words: Iterable[str]) -> list[tuple[str, str]]:
    return [(word, WORDS[word]) for word in words]


def _pipelines() -> html.Section:
    return _panel(
        "pipelines",
        [
            html.H2("Pipelines"),
            freshness("pipelines"),
            *search_field("pipeline-name", "Search pipelines by name", "Name contains …"),
            segments("condition", "State of pipelines", _words(CONDITIONS)),
        ],
        html.Div(place("pipelines"), className="panel-body"),
        _pager("pipelines", "More"),
    )


def _workers() -> html.Section:
    return _panel(
        "workers",
        [
            html.H2(id="workers-title"),
            freshness("workers"),
            html.Span(
                search_field("worker-name", "Search workers by name", "Name contains …"),
                className="of-all",
            ),
            segments("presence", "Status of workers", _words(PRESENCES)),
            chip("workers", "pipeline"),
        ],
        html.Div(place("workers"), className="panel-body"),
        _pager("workers", "Older"),
    )


def _processes() -> html.Section:
    return _panel(
        "processes",
        [
            html.H2(id="processes-title"),
            freshness("processes"),
            html.Span(segments("state", "Status", _words(STATUSES)), className="of-mixed"),
            choice("period", "Started within", _in_words(PERIODS)),
            html.Span(choice("order", "Order", _in_words(ORDERS)), className="of-mixed"),
            *(chip("processes", names) for names in ("pipeline", "version", "since until")),
        ],
        html.Div(id="worker-facts", className="facts worker-facts"),
        html.Div(place("processes"), className="panel-body"),
        _pager("processes", "Older"),
    )


def _failures() -> html.Section:
    return _panel(
        "failures",
        [
            html.H2("Failures"),
            freshness("failures"),
            *search_field("failure-text", "Search failures by text", "Text contains …"),
            segments("failure-state", "Status of failures", _words(STATES)),
            choice("failure-sort", "Order of failures", _in_words(FAILURE_ORDERS)),
            chip("failures", "pipeline"),
        ],
        html.Div(place("failures"), className="panel-body"),
        _pager("failures", "More"),
    )


def _alike() -> html.Section:
    """A failure: runs that failed alike."""
    parts = [
        html.Div(id=f"failure-{part}", className=f"failure-{part}")
        for part in ("facts", "bars", "example")
    ]
    return _panel(
        "alike",
        [html.H2("Failure"), freshness("alike")],
        html.Div(parts, className="panel-body scrolls"),
    )


def _pipeline() -> html.Section:
    chart = html.Div(
        [html.H3("Runtimes of successful runs, last 7 days"), html.Div(id="runtimes-chart")],
        id="runtimes-box",
        className="runtimes",
    )
    parts = [
        html.Div(id="pipeline-facts"),
        html.Div(id="pipeline-failures"),
        chart,
        html.Div(id="pipeline-grid"),
        html.Div(id="pipeline-steps"),
        html.Div(id="pipeline-versions"),
        _compared(),
    ]
    return _panel(
        "pipeline",
        [html.H2(id="pipeline-title"), freshness("pipeline")],
        html.Div(parts, className="panel-body scrolls"),
    )


def _compared() -> html.Div:
    """Two versions side by side; the server says whether, and which there are."""
    head = [
        html.H3("Versions side by side"),
        choice("compare", "Version", []),
        html.Span("against"),
        choice("against", "Against version", []),
        html.Button(
            "Close", type="button", className="copy", **attributes(data_drop="compare against")
        ),
        freshness("versions"),
    ]
    return html.Div(
        [html.Div(head, className="part-head"), html.Div(id="compared")],
        id="compared-box",
        className="part",
        hidden=True,
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
        html.Div([html.H3("Timeline"), usual_key(), bars], id="times", hidden=True),
        html.Div(id="comparison"),
        html.Div(id="reports"),
    ]
    return _panel(
        "process",
        [html.H2("Process"), freshness("process")],
        html.Div(
            [*parts, html.H3("Tasks"), html.Div(place("tasks"), id="tasks-box")],
            className="panel-body scrolls",
        ),
    )
