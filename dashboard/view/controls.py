"""Controls: one of a few words, or a search."""

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


def choice(id_: str, label: str, words: list[tuple[str, str]]) -> html.Select:
    """One of a few words. The browser's scripts say which, and hear of another."""
    return html.Select(options(words), id=id_, className="choice", **attributes(aria_label=label))


def options(words: list[tuple[str, str]]) -> list[html.Option]:
    """What a choice has: values with their texts."""
    return [html.Option(text, value=value) for value, text in words]


def segments(id_: str, label: str, words: list[tuple[str, str]]) -> html.Div:
    """One of a few words, all of them in sight."""
    return html.Div(
        [_segment(*word) for word in words],
        id=id_,
        className="segments",
        role="radiogroup",
        **attributes(aria_label=label),
    )


def _segment(value: str, text: str) -> html.Button:
    """The browser's scripts say which of them is the one."""
    return html.Button(
        text, type="button", role="radio", **attributes(data_value=value, aria_checked="false")
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
