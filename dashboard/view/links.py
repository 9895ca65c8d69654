"""Links to other views: addresses of this page, which the browser goes to without loading it."""

from typing import Any
from urllib.parse import urlencode

from dash import html


def search(**parameters: str | None) -> str:
    """The query string of an address."""
    return "?" + urlencode({name: value for name, value in parameters.items() if value})


def link(content: Any, class_: str = "link", title: str | None = None, **to: str | None) -> html.A:
    """A link to the view with these parameters."""
    return html.A(content, href=search(**to), className=class_, title=title)
