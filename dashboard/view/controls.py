"""Controls: one of a few words, or a search."""

import dash_mantine_components as dmc
from dash import dcc, html

from dashboard.view.attributes import attributes

WORDS = {
    "newest": "Newest first",
    "errors": "Errors first",
    "attention": "Urgent first",
    "latest": "Last seen",
    "count": "Most often",
    "any": "Any time",
    "1h": "1 h",
    "6h": "6 h",
    "24h": "24 h",
    "7d": "7 days",
    "30d": "30 days",
    "custom": "Custom …",
}


# A browser remembers them.
KEPT = ("theme", "zone")


def choice(id_: str, label: str, words: list[tuple[str, str]]) -> dmc.Select:
    """One of a few words."""
    return dmc.Select(
        id=id_,
        data=[{"value": value, "label": text} for value, text in words],
        value=words[0][0],
        size="xs",
        w=116,
        allowDeselect=False,
        checkIconPosition="right",
        persistence=id_ in KEPT,
        persistence_type="local",
        **attributes(aria_label=label),
    )


def segments(id_: str, label: str, words: list[tuple[str, str]]) -> html.Div:
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


def search_field(id_: str, label: str, placeholder: str) -> list[html.Label | dcc.Input]:
    """A search by name, with its label for who cannot see it."""
    field = dcc.Input(
        id=id_,
        type="search",
        placeholder=placeholder,
        className="search",
        debounce=False,
        autoComplete="off",
    )
    return [html.Label(label, htmlFor=id_, className="unseen"), field]
