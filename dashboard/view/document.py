"""The HTML document that every tab opens with: what it loads, and in which order."""

import hashlib
from pathlib import Path

ASSETS = Path(__file__).parents[1] / "assets"
SCRIPTS, STYLES = "scripts", "styles"

# The modules run when the document was read, before this event: what the renderer calls is there.
RENDERER = 'addEventListener("DOMContentLoaded", () => new DashRenderer());'

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


def document() -> str:
    """Dash's `index_string`. Its own has no language, which screen readers need.

    Everything is on its way at once, what is needed first before the rest, and the styles are in
    it: a browser asks for six files at a time.
    """
    folder = f"/{assets_path()}/{SCRIPTS}"
    modules = sorted(path.name for path in (ASSETS / SCRIPTS).glob("*.js"))
    # Else the browser would find each of them only when it has read those that import it.
    preloaded = "".join(f'<link rel="modulepreload" href="{folder}/{name}">' for name in modules)
    asked = "".join(
        f'<link rel="preload" as="fetch" href="{path}" crossorigin="anonymous">'
        for path in ASKED_FIRST
    )
    return f"""<!DOCTYPE html>
<html lang="en">
    <head>{{%metas%}}<title>{{%title%}}</title>{{%favicon%}}{{%css%}}
        <style>{_styles()}</style>{asked}</head>
    <body>{{%app_entry%}}<footer>{{%config%}}{{%scripts%}}
        <script src="{TABLES_CODE}"></script>
        {preloaded}<script type="module" src="{folder}/main.js"></script>
        {{%renderer%}}</footer></body>
</html>"""


def _styles() -> str:
    return "".join(path.read_text() for path in sorted((ASSETS / STYLES).glob("*.css")))
