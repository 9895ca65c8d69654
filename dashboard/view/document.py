"""The HTML document that every tab opens with: what it loads, and in which order."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dash import Dash

ASSETS = Path(__file__).parents[1] / "assets"
SCRIPTS, STYLES = "scripts", "styles"

# assets/scripts/main.js tells it, when what the renderer calls is there.
RENDERER = 'addEventListener("codeready", () => new DashRenderer(), { once: true });'

# In its place a document gets the first picture of its page.
PICTURE = "<!--picture-->"
# What draws the picture, and what runs then; nothing else is needed sooner.
PICTURE_SCRIPTS = (
    *("picture.js", "cells.js", "chart_drawing.js", "chips.js", "choices.js", "columns.js"),
    *(
        "controls.js",
        "element.js",
        "freshness.js",
        "kept.js",
        "pages.js",
        "places.js",
        "time.js",
        "timeline.js",
    ),
    *("usual.js", "words.js", "writing.js", "start.js"),
)

# What Dash's renderer asks for first.
ASKED_FIRST = ("/_dash-layout", "/_dash-dependencies")
# Dash would ask for it when it draws the first table; a part that is there already is not.
TABLES_CODE = "/_dash-component-suites/dash_ag_grid/async-community.js"


def assets_path() -> str:
    """Where browsers find the assets. It changes with them, so that they can be kept for ever.

    Modules name each other, and a browser that kept some of them would mix old and new ones.
    """
    digest = hashlib.sha256()
    for file in sorted(path for path in ASSETS.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(ASSETS)}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return f"assets/{digest.hexdigest()[:16]}"


class PageDash(Dash):
    """Dash with documents from which browsers load its code, and do not run it yet."""

    def interpolate_index(self, **parts: Any) -> Any:  # type: ignore[override]  # all are named
        """The document, with its code on the way from its head on."""
        sources = [*re.findall(r'<script src="([^"]+)">', parts["scripts"]), TABLES_CODE]
        preloads = "".join(f'<link rel="preload" as="script" href="{each}">' for each in sources)
        parts["css"] += preloads
        return super().interpolate_index(**parts)  # type: ignore[no-untyped-call]  # as all of Dash


def document() -> str:
    """Dash's `index_string`. Its own has no language, which screen readers need.

    Everything is on its way at once, what is needed first before the rest, and the styles are in
    it: a browser asks for six files at a time. The code is in a template, out of which
    assets/scripts/start.js takes it: to run it takes long, and the picture is painted before.
    """
    folder = f"/{assets_path()}/{SCRIPTS}"
    modules = sorted(path.name for path in (ASSETS / SCRIPTS).glob("*.js"))
    rest = (name for name in modules if name not in PICTURE_SCRIPTS)
    asked = "".join(
        f'<link rel="preload" as="fetch" href="{path}" crossorigin="anonymous">'
        for path in ASKED_FIRST
    )
    return f"""<!DOCTYPE html>
<html lang="en">
    <head>{{%metas%}}<title>{{%title%}}</title>{{%favicon%}}
        {_preloaded(folder, PICTURE_SCRIPTS)}{asked}{{%css%}}{_preloaded(folder, rest)}
        <script type="module" src="{folder}/picture.js"></script>
        <style>{_styles()}</style></head>
    <body>{{%app_entry%}}{PICTURE}
        <script type="module" src="{folder}/start.js"></script>
        <footer>{{%config%}}{{%renderer%}}<template id="code">
        {{%scripts%}}<script src="{TABLES_CODE}"></script>
        <script type="module" src="{folder}/main.js"></script></template></footer></body>
</html>"""


def _preloaded(folder: str, modules: Iterable[str]) -> str:
    """Else the browser would find each of them only when it has read those that import it."""
    return "".join(f'<link rel="modulepreload" href="{folder}/{name}">' for name in modules)


def _styles() -> str:
    return "".join(path.read_text() for path in sorted((ASSETS / STYLES).glob("*.css")))
