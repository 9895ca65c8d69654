"""What no page sends is refused with a reason, never answered with 500."""

import httpx
import pytest

from dashboard.app import TABLES_CODE
from dashboard.callbacks import MAX_BODY_BYTES
from tests.servers import DashboardServer

CALLBACK = "/_dash-update-component"


@pytest.mark.parametrize(
    "body",
    [
        b"garbage",
        b"",
        b"null",
        b"\xff\xfe",
        b"{}",
        b"[" * 10_000,
        b'{"output": "x.y", "inputs": [{"value": {"tab": "t", "search": ""}}]}',
        b'{"output": 5, "inputs": []}',
        b'{"output": "..", "inputs": [{"value": 1}]}',
    ],
)
def test_garbage_for_a_callback_is_refused(dashboard: DashboardServer, body: bytes) -> None:
    answer = httpx.post(
        dashboard.url + CALLBACK, content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["detail"]


def test_a_body_that_is_too_long_is_refused(dashboard: DashboardServer) -> None:
    answer = httpx.post(dashboard.url + CALLBACK, content=b" " * (MAX_BODY_BYTES + 1))
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "path", ["/_dash-component-suites/nope/x.js", "/_dash-component-suites/dash/nope.js"]
)
def test_an_unknown_asset_is_not_found(dashboard: DashboardServer, path: str) -> None:
    assert httpx.get(dashboard.url + path).status_code == 404


def test_every_answer_allows_only_this_server(dashboard: DashboardServer) -> None:
    policy = httpx.get(dashboard.url).headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-eval" not in policy
    assert "http" not in policy


def test_code_travels_compressed(dashboard: DashboardServer) -> None:
    tables = f"{dashboard.url}{TABLES_CODE}"
    with httpx.stream("GET", tables, headers={"Accept-Encoding": "gzip"}) as answer:
        sent = sum(map(len, answer.iter_raw()))
    assert answer.headers["Content-Encoding"] == "gzip"
    assert sent < len(httpx.get(tables, headers={"Accept-Encoding": "identity"}).content) / 2
