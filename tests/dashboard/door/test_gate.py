"""The gate: who passes, and what every answer carries."""

from urllib.parse import quote

import httpx
import pytest
from starlette.types import Message

from dashboard.door.gate import Gate
from tests.dashboard.door.doorway import HTML, POLICY, open_socket, sign_in


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 303),
        ("GET", "/view.missing", 303),
        ("GET", "/assets/style.js", 200),
        ("GET", "/assets/style.missing", 404),
        ("POST", "/_dash-update-component", 401),
        ("GET", "/sign-in", 200),
        ("DELETE", "/sign-in", 405),
        ("GET", "/sign-out", 405),
        ("POST", "/sign-in", 401),
        ("POST", "/sign-out", 303),
        ("HEAD", "/", 303),
        ("HEAD", "/health", 200),
    ],
)
async def test_every_answer_carries_the_headers(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path, headers=HTML)
    assert answer.status_code == status
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    permissions = answer.headers["permissions-policy"]
    assert permissions == "camera=(), microphone=(), geolocation=()"


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/", "no-store"), ("/a.json", "no-store"), ("/a.js", None), ("/a.kept", "max-age=5")],
)
async def test_documents_and_data_are_not_stored_unless_they_say_so(
    client: httpx.AsyncClient, path: str, expected: str | None
) -> None:
    await sign_in(client)
    answer = await client.get(path)
    assert answer.headers.get("cache-control") == expected


async def test_the_form_and_refusals_are_not_stored(client: httpx.AsyncClient) -> None:
    for path in ("/sign-in", "/data"):
        assert (await client.get(path)).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/assets/1f/main.js", "public, max-age=31536000, immutable"),
        ("/assets/1f/main.missing", "no-store"),
        ("/assets/1f/main.json", "no-store"),
    ],
)
async def test_assets_are_kept_for_ever(
    client: httpx.AsyncClient, path: str, expected: str
) -> None:
    assert (await client.get(path)).headers["cache-control"] == expected


async def test_head_is_answered_as_get_without_the_body(client: httpx.AsyncClient) -> None:
    await sign_in(client)
    for path in ("/", "/health"):
        answer = await client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-length"] == "6"


async def test_a_navigation_without_session_is_sent_to_the_form(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/jobs/a%2Fb?worker=w%201&range=1h", headers=HTML)
    assert answer.status_code == 303
    target = quote("/jobs/a%2Fb?worker=w%201&range=1h", safe="/")
    assert answer.headers["location"] == f"/sign-in?next={target}"


async def test_one_comes_back_to_the_very_url(client: httpx.AsyncClient) -> None:
    url = "/jobs/a%2Fb?worker=%C3%BC%26x&status=a+b"
    sent = await client.get(url, headers=HTML)
    answer = await sign_in(client, path=sent.headers["location"])
    assert answer.headers["location"] == url


async def test_an_url_that_is_too_long_is_not_carried_along(client: httpx.AsyncClient) -> None:
    answer = await client.get("/?worker=" + "a" * 5000, headers=HTML)
    assert answer.headers["location"] == "/sign-in?next=/"


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/_dash-layout", {"Accept": "application/json"}),
        ("GET", "/_dash-layout", {}),
        ("POST", "/_dash-update-component", HTML),
        ("GET", "/healthy", {}),
        ("GET", "/_dash-component-suites", {}),
        ("GET", "/sign-in/", {}),
    ],
)
async def test_anything_else_is_refused_without_session(
    client: httpx.AsyncClient, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = await client.request(method, path, headers=headers)
    assert answer.status_code == 401
    assert answer.json() == {"detail": "Sign in first."}


@pytest.mark.parametrize("path", ["/health", "/assets/a.js", "/_dash-component-suites/a/b.js"])
async def test_health_and_code_are_open(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.text) == (200, "inside")
    assert "set-cookie" not in answer.headers


async def test_a_socket_without_session_is_refused_before_it_is_accepted(gate: Gate) -> None:
    assert await open_socket(gate, {}) == [{"type": "websocket.close", "code": 4401}]


async def test_the_lifespan_passes(gate: Gate) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    await gate({"type": "lifespan"}, receive, send)
    assert sent == [{"type": "lifespan.startup.complete"}]
