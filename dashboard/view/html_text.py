"""Dash's components as the text of an HTML document, for what is in sight before they are drawn."""

import html
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

# Properties instead of a component's own ones, by its id.
Fills = Mapping[str, Mapping[str, Any]]

HTML = "dash_html_components"
NAMES = {
    "className": "class",
    "htmlFor": "for",
    # The real page has elements of these ids: no two in a document have the same.
    "id": "data-id",
}
# What is no attribute of an element.
NO_ATTRIBUTES = ("children", "key", "style", "debounce")
# They have no end. Of controls of Dash there is only this one.
VOID = ("br", "hr", "img", "input")
# A line break that follows their beginning is left out by browsers.
VERBATIM = ("pre", "textarea")
# Their content is no text to browsers, and would not be safe as such.
REFUSED = ("script", "style", "template", "iframe", "noscript", "plaintext")
NAME = re.compile(r"[a-z][a-z0-9-]*")
LINKS = ("action", "formaction", "href", "src")
# No character of an HTML document.
IMPOSSIBLE = re.compile("[\0\ud800-\udfff]")


def html_text(node: Any, fills: Fills) -> str:
    """What browsers make the same of as Dash does of a component, or of several, as JSON has them.

    Everything in it is text to browsers. What draws nothing (stores, clocks) is left out.
    """
    if isinstance(node, list):
        return "".join(html_text(each, fills) for each in node)
    if isinstance(node, dict):
        return _element(node, fills)
    return "" if node is None or isinstance(node, bool) else escaped(node)


def escaped(value: object) -> str:
    """Text for anywhere in a document, also between quotes. Numbers as JavaScript writes them."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return html.escape(IMPOSSIBLE.sub("\N{REPLACEMENT CHARACTER}", str(value)))


def _element(component: Mapping[str, Any], fills: Fills) -> str:
    name = str(component["type"]).lower()
    if component["namespace"] != HTML and name != "input":
        return ""
    if name in REFUSED or not NAME.fullmatch(name):
        raise ValueError(f"a component that is not made into text: {name}")
    props = {**component["props"], **fills.get(component["props"].get("id", ""), {})}
    begin = f"<{name}{_attributes(props)}>"
    if name in VOID:
        return begin
    line_break = "\n" if name in VERBATIM else ""
    return f"{begin}{line_break}{html_text(props.get('children'), fills)}</{name}>"


def _attributes(props: Mapping[str, Any]) -> str:
    parts = [
        _attribute(NAMES.get(name, name.lower()), value)
        for name, value in sorted(props.items())  # Dash has them in any order
        if name not in NO_ATTRIBUTES
    ]
    if style := props.get("style"):
        parts.append(_attribute("style", ";".join(_declaration(*each) for each in style.items())))
    return "".join(parts)


def _attribute(name: str, value: Any) -> str:
    if not NAME.fullmatch(name) or name.startswith("on"):
        raise ValueError(f"a property that is not made into an attribute: {name}")
    if isinstance(value, bool) and not name.startswith(("aria-", "data-")):
        return f" {name}" if value else ""
    if value is None:
        return ""
    if name in LINKS and not _is_here(str(value)):
        raise ValueError(f"a link to elsewhere is not made into text: {name}")
    said = str(value).lower() if isinstance(value, bool) else value
    return f' {name}="{escaped(said)}"'


def _is_here(link: str) -> bool:
    """To browsers, a backslash in front of the query is a slash."""
    parts = urlsplit(link)
    return not (parts.scheme or parts.netloc or "\\" in link.partition("?")[0])


def _declaration(name: str, value: Any) -> str:
    """`clipPath` as `clip-path`."""
    if ";" in str(value):
        raise ValueError(f"a value that is not made into one declaration: {name}")
    return re.sub("[A-Z]", lambda letter: f"-{letter[0].lower()}", name) + f":{value}"
