import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from graph.transports.explorer import (
    ASSETS,
    create_explorer_router,
    docs_response,
    explorer_response,
)


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    """A folder with one file to load, and a file beside it that is nobody's business."""
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "explorer"
    folder.mkdir()
    (folder / "explorer.js").write_text("'use strict';")
    return folder


@pytest.fixture
async def http(assets: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(create_explorer_router(assets))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://monitor") as http:
        yield http


async def test_a_file_that_did_not_change_is_not_sent_again(http: httpx.AsyncClient) -> None:
    first = await http.get("/graphql/static/explorer.js")
    assert first.text == "'use strict';"
    assert first.headers["content-type"].startswith("text/javascript")

    etag = {"If-None-Match": first.headers["etag"]}
    again = await http.get("/graphql/static/explorer.js", headers=etag)
    assert again.status_code == 304
    assert again.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "name", ["missing.js", ".", "..", "../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt"]
)
async def test_nothing_outside_the_folder_is_served(http: httpx.AsyncClient, name: str) -> None:
    response = await http.get(f"/graphql/static/{name}")
    assert response.status_code == 404
    assert "secret" not in response.text


def test_an_explorer_that_is_not_built_says_how_to_build_it(assets: Path) -> None:
    for response in (explorer_response(assets), docs_response(assets)):
        assert response.status_code == 503
        assert b"make install" in response.body


def test_the_explorer_may_neither_be_framed_nor_run_inline_scripts() -> None:
    for response in (explorer_response(), docs_response()):
        assert response.status_code == 200
        policy = dict(
            rule.split(" ", 1) for rule in response.headers["content-security-policy"].split("; ")
        )
        assert policy["script-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"


@pytest.mark.parametrize("document", ["explorer.html", "docs.html"])
def test_every_file_that_the_explorer_loads_comes_with_the_product(document: str) -> None:
    html = (ASSETS / document).read_text("utf-8")
    loaded = re.findall(r'<(?:script|link|img)\b[^>]*?(?:src|href)="([^"]+)"', html)
    assert loaded
    for address in loaded:
        folder, name = address.rsplit("/", 1)
        assert folder == "graphql/static"
        assert (ASSETS / name).is_file()
