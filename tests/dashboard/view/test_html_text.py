"""Components as text: the same as Dash draws, and nothing of it runs, whatever people report."""

import json
from html.parser import HTMLParser
from typing import Any

import pytest
from dash import dcc, html

from dashboard.view.drawing import Drawn
from dashboard.view.html_text import html_text

HOSTILE = [
    "<script>alert(1)</script>",
    "\"' onload=alert(1) x='",
    "</template></style></textarea>-->",
    "<img src=x onerror=alert(1)>",
    "&lt;b&gt; &amp;amp;",
]


class Reading(HTMLParser):
    """What a browser would read: elements with their attributes, and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def text_of(component: Any, **fills: dict[str, Any]) -> str:
    return html_text(Drawn.of(component).value, fills)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_people_report_is_text(text: str) -> None:
    read = Reading(text_of(html.P(text, title=text, className=text)))
    assert read.elements == [("p", {"title": text, "class": text})]
    assert read.text == text


def test_what_is_no_character_of_a_document_is_replaced() -> None:
    told = json.loads('"a\\u0000b\\ud800c\\ud83d\\ude00"')
    drawn = html_text(told, {})
    assert drawn == "a\ufffdb\ufffdc\U0001f600"
    assert drawn.encode()


def test_a_component_is_drawn_with_what_it_would_be_told() -> None:
    layout = html.Div([html.P(id="facts"), html.Label("Name", htmlFor="name"), "rest", None, 3])
    drawn = text_of(layout, facts={"children": ["now ", Drawn.of(html.B("well")).value]})
    assert drawn == (
        '<div><p data-id="facts">now <b>well</b></p><label for="name">Name</label>rest3</div>'
    )


def test_properties_that_are_true_or_not_are_there_or_not() -> None:
    named: dict[str, Any] = {"aria-hidden": True}
    drawn = text_of(html.Div([html.P(hidden=True), html.P(hidden=False)], **named))
    assert drawn == '<div aria-hidden="true"><p hidden></p><p></p></div>'


def test_what_draws_nothing_is_left_out_and_an_input_is_one() -> None:
    parts = [dcc.Store(id="request"), dcc.Interval(id="clock"), dcc.Input(id="x", value="<")]
    assert text_of(html.Div(parts)) == '<div><input data-id="x" value="&lt;"></div>'


_IMPOSSIBLE: dict[str, Any] = {"data-<": "x"}


@pytest.mark.parametrize(
    "component",
    [
        html.Script("alert(1)"),
        html.Iframe(src="x"),
        html.P(**_IMPOSSIBLE),
        html.A(href="javascript:alert(1)"),
        html.A(href="//evil.example"),
        html.A(href="\\\\evil.example"),
        html.A(href="/\\evil.example"),
        html.A(href="\tjava\nscript:alert(1)"),
        html.Img(src="https://evil.example/x.png"),
        html.P(style={"width": "1px;position:fixed"}),
    ],
)
def test_what_might_run_is_refused(component: Any) -> None:
    with pytest.raises(ValueError, match="not made into"):
        text_of(component)


def test_links_within_the_page_and_numbers_are_as_dash_draws_them() -> None:
    link = html.A(["p50 ", 3.0, " ", 0.5], href="?view=runs", style={"width": "50.5%"})
    assert text_of(link) == '<a href="?view=runs" style="width:50.5%">p50 3 0.5</a>'
