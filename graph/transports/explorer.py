"""What people see in front of GraphQL and REST: no file of it comes from another host.

`make install` builds the explorer and Swagger UI from npm packages into `static/explorer`. Anyone
may load them: they hold no data, and send the token that a person gives them.
"""

from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles

import graph

ASSETS = Path(graph.__file__).parent / "static" / "explorer"

HTML_HEADERS = {
    "Content-Security-Policy": "; ".join(
        [
            "default-src 'self'",
            "script-src 'self'",
            # GraphiQL and Swagger UI set style attributes.
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ]
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Asked for each time and answered 304 by ETag, so that an update of the server shows at once.
    "Cache-Control": "no-cache",
}

NOT_BUILT = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Process Monitor</title></head>
<body>
<h1>This page is not built</h1>
<p>Run <code>make install</code> where Node.js and npm are available, then load it again.
The API works without it.</p>
</body>
</html>
"""


def create_explorer_router(assets: Path = ASSETS) -> APIRouter:
    """Serves the explorer's own files under `/graphql/static`, and nothing outside their folder."""
    router = APIRouter()
    # Not mounted: an APIRouter drops mounts when it is included. The folder may not be built yet.
    files = StaticFiles(directory=assets, check_dir=False)

    @router.get("/graphql/static/{name}", include_in_schema=False)
    async def explorer_file(name: str, request: Request) -> Response:
        response = await files.get_response(name, request.scope)
        for header in ("Cache-Control", "X-Content-Type-Options"):
            response.headers[header] = HTML_HEADERS[header]
        return response

    return router


def explorer_response(assets: Path = ASSETS) -> Response:
    """The GraphQL explorer, for `GET /graphql` from a browser."""
    return _html(assets / "explorer.html")


def docs_response(assets: Path = ASSETS) -> Response:
    """Swagger UI over `/openapi.json`, for `GET /docs`."""
    return _html(assets / "docs.html")


def _html(file: Path) -> Response:
    if not file.is_file():
        return HTMLResponse(NOT_BUILT, status_code=503, headers=HTML_HEADERS)
    return FileResponse(file, headers=HTML_HEADERS, media_type="text/html")
