"""The gate: who passes, how one signs in, and what every answer carries."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.gate import Gate
from dashboard.signin import (
    COOKIE,
    FAILURE_SECONDS,
    MAX_FAILURES,
    MAX_FAILURES_OF_ADDRESS,
    MAX_FORM_BYTES,
    SESSION_SECONDS,
)

PASSWORD = "correct horse"
POLICY = "default-src 'self'"
HTML = {"Accept": "text/html,application/xhtml+xml"}


class Clock:
    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time


class Delays:
    """Notes the delays; those that are `held` last until they are let go."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.begun = asyncio.Semaphore(0)
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.begun.release()
        async with asyncio.timeout(5):
            await self.go.wait()


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the type that the path ends with, accepts every socket, and notes lifespans."""
    if scope["type"] == "lifespan":
        await send({"type": "lifespan.startup.complete"})
    elif scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    else:
        kinds = {"json": "application/json", "js": "text/javascript", "kept": "text/html"}
        kind = scope["path"].rpartition(".")[2]
        headers = {"Cache-Control": "max-age=5"} if kind == "kept" else {}
        status = 404 if kind == "missing" else 200
        response = Response("inside", status, headers, kinds.get(kind, "text/html"))
        if Request(scope).method != "GET":
            response.status_code = 405
        await response(scope, receive, send)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def delays() -> Delays:
    return Delays()


@pytest.fixture
def gate(clock: Clock, delays: Delays) -> Gate:
    return Gate(echo, password=PASSWORD, policy=POLICY, now=clock, delay=delays)


def client_of(
    app: ASGIApp, base_url: str = "http://dashboard", address: str = "10.0.0.1"
) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url=base_url)


@pytest.fixture
async def client(gate: Gate) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(gate) as client:
        yield client


async def sign_in(
    client: httpx.AsyncClient, password: str = PASSWORD, path: str = "/sign-in"
) -> httpx.Response:
    return await client.post(path, data={"password": password})


def sent_cookie(client: httpx.AsyncClient) -> dict[str, str]:
    """The session as a header, for requests that are to change it."""
    return {"Cookie": f"{COOKIE}={client.cookies[COOKIE]}"}


async def open_socket(app: ASGIApp, headers: dict[str, str]) -> list[Message]:
    """What a handshake is answered with."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    path = "/_dash-ws-callback"
    scope = {"type": "websocket", "scheme": "ws", "path": path, "query_string": b"", "headers": raw}
    await app(scope, receive, send)
    return sent


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 303),
        ("GET", "/page.missing", 303),
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
async def test_pages_and_data_are_not_stored_unless_they_say_so(
    client: httpx.AsyncClient, path: str, expected: str | None
) -> None:
    await sign_in(client)
    answer = await client.get(path)
    assert answer.headers.get("cache-control") == expected


async def test_our_own_pages_and_refusals_are_not_stored(client: httpx.AsyncClient) -> None:
    for path in ("/sign-in", "/data"):
        assert (await client.get(path)).headers["cache-control"] == "no-store"


async def test_head_is_answered_as_get_without_the_body(client: httpx.AsyncClient) -> None:
    await sign_in(client)
    for path in ("/", "/health"):
        answer = await client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-length"] == "6"


async def test_a_navigation_without_session_is_sent_to_the_sign_in_page(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/jobs/a%2Fb?worker=w%201&range=1h", headers=HTML)
    assert answer.status_code == 303
    target = quote("/jobs/a%2Fb?worker=w%201&range=1h", safe="/")
    assert answer.headers["location"] == f"/sign-in?next={target}"


async def test_one_comes_back_to_the_very_url(client: httpx.AsyncClient) -> None:
    url = "/jobs/a%2Fb?worker=%C3%BC%26x&status=a+b"
    page = await client.get(url, headers=HTML)
    answer = await sign_in(client, path=page.headers["location"])
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


async def test_the_page_can_be_used_without_a_mouse_and_without_scripts(
    client: httpx.AsyncClient,
) -> None:
    page = (await client.get("/sign-in")).text
    assert "Process Monitor" in page
    assert '<label for="password">' in page
    assert 'autocomplete="current-password"' in page
    assert "autofocus" in page
    assert "<script" not in page


async def test_the_right_password_lets_in_at_once(
    client: httpx.AsyncClient, delays: Delays
) -> None:
    answer = await sign_in(client)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    attributes = answer.headers["set-cookie"].split("; ")[1:]
    assert attributes == ["Max-Age=43200", "Path=/", "HttpOnly", "SameSite=Lax"]
    assert delays.seconds == []
    assert (await client.get("/", headers=HTML)).text == "inside"
    assert (await client.get("/data.json")).status_code == 200


async def test_a_wrong_password_is_told_after_a_delay(
    client: httpx.AsyncClient, delays: Delays
) -> None:
    answer = await sign_in(client, "wrong")
    assert answer.status_code == 401
    assert "The password is not right." in answer.text
    assert "set-cookie" not in answer.headers
    assert delays.seconds == [FAILURE_SECONDS]


@pytest.mark.parametrize(
    ("password", "form"),
    [
        ("pässwörd ☃+%&=", "password=" + quote("pässwörd ☃+%&=")),
        ("pässwörd", "password=pässwörd"),
        ("pa\u0308sswort", "password=" + quote("pässwort")),
        ("pässwort", "password=" + quote("pa\u0308sswort")),
        (os.fsdecode(b"p\xe4ss"), "password=p%E4ss"),
    ],
    ids=["any characters", "unencoded", "composed", "decomposed", "not UTF-8"],
)
async def test_a_password_may_have_any_characters(password: str, form: str, delays: Delays) -> None:
    gate = Gate(echo, password=password, policy=POLICY, delay=delays)
    async with client_of(gate) as client:
        answer = await client.post("/sign-in", content=form.encode())
        assert answer.status_code == 303
        assert (await client.get("/")).status_code == 200


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/", "/"),
        ("/?worker=a&range=1h", "/?worker=a&range=1h"),
        ("/jobs/%C3%BC", "/jobs/%C3%BC"),
        ("", "/"),
        ("jobs", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/\n/evil.example", "/"),
        ("/a\r\nSet-Cookie: a=b", "/"),
        ("/a\n", "/"),
        ("\\\\evil.example", "/"),
        (" //evil.example", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/" + "a" * 5000, "/"),
    ],
)
async def test_signing_in_leads_to_this_site_only(
    client: httpx.AsyncClient, target: str, expected: str
) -> None:
    path = "/sign-in?next=" + quote(target, safe="")
    signed_in = await sign_in(client, path=path)
    assert signed_in.headers["location"] == expected
    again = await client.get(path, headers=HTML)
    assert (again.status_code, again.headers["location"]) == (303, expected)


@pytest.mark.parametrize("query", ["next=%FF%00", "next", "&&=&", "next=/a&next=//b", "%"])
async def test_a_query_that_is_garbage_harms_nothing(client: httpx.AsyncClient, query: str) -> None:
    answer = await sign_in(client, path=f"/sign-in?{query}")
    assert answer.headers["location"] in ("/", "/a")


@pytest.mark.parametrize(
    "body", [b"", b"password", b"\xff\x00=%", b"password=%FF\xff", b"{}", b"&=;" * 1000]
)
async def test_a_form_that_is_garbage_is_a_wrong_password(
    client: httpx.AsyncClient, body: bytes
) -> None:
    assert (await client.post("/sign-in", content=body)).status_code == 401


async def test_a_large_form_is_refused(client: httpx.AsyncClient) -> None:
    form = b"password=" + b"a" * MAX_FORM_BYTES

    async def in_parts() -> AsyncIterator[bytes]:
        for at in range(0, len(form), 100):
            yield form[at : at + 100]

    assert (await client.post("/sign-in", content=form)).status_code == 413
    assert (await client.post("/sign-in", content=in_parts())).status_code == 413


@pytest.mark.parametrize(
    ("base_url", "forwarded", "secure"),
    [
        ("http://dashboard", None, False),
        ("https://dashboard", None, True),
        ("http://dashboard", "https", True),
        ("http://dashboard", "https, http", True),
        ("http://dashboard", "http", False),
    ],
)
async def test_what_came_encrypted_never_goes_in_the_clear(
    gate: Gate, base_url: str, forwarded: str | None, secure: bool
) -> None:
    headers = {"X-Forwarded-Proto": forwarded} if forwarded else {}
    async with client_of(gate, base_url) as client:
        answer = await client.post("/sign-in", data={"password": PASSWORD}, headers=headers)
    assert answer.headers["set-cookie"].endswith("; Secure") is secure


async def test_too_many_guesses_at_once_are_not_even_looked_at(gate: Gate, delays: Delays) -> None:
    delays.go.clear()
    async with client_of(gate) as client, asyncio.TaskGroup() as group:
        wrong = [
            group.create_task(sign_in(client, "wrong")) for _ in range(MAX_FAILURES_OF_ADDRESS)
        ]
        for _ in wrong:
            await delays.begun.acquire()
        for password in ("wrong", PASSWORD):
            answer = await sign_in(client, password)
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        delays.go.set()
    assert {task.result().status_code for task in wrong} == {401}
    async with client_of(gate) as client:
        assert (await sign_in(client)).status_code == 303


async def test_who_guesses_locks_out_nobody_else(gate: Gate, delays: Delays) -> None:
    delays.go.clear()
    async with client_of(gate) as guesser, asyncio.TaskGroup() as group:
        for _ in range(MAX_FAILURES_OF_ADDRESS):
            group.create_task(sign_in(guesser, "wrong"))
            await delays.begun.acquire()
        async with client_of(gate, address="10.0.0.2") as other:
            assert (await sign_in(other)).status_code == 303
        delays.go.set()


async def test_many_guessing_addresses_together_have_a_limit(gate: Gate, delays: Delays) -> None:
    delays.go.clear()

    async def guess(address: str) -> int:
        async with client_of(gate, address=address) as client:
            return (await sign_in(client, "wrong")).status_code

    async with asyncio.TaskGroup() as group:
        for number in range(MAX_FAILURES):
            group.create_task(guess(f"10.0.1.{number}"))
            await delays.begun.acquire()
        assert await guess("10.0.2.1") == 429
        delays.go.set()


async def test_a_session_ends(client: httpx.AsyncClient, clock: Clock) -> None:
    await sign_in(client)
    cookie = sent_cookie(client)
    client.cookies.clear()
    clock.time += SESSION_SECONDS - 1
    assert (await client.get("/", headers=cookie)).status_code == 200
    client.cookies.clear()
    clock.time += 1
    assert (await client.get("/", headers=cookie)).status_code == 401


async def test_a_session_is_prolonged_when_more_than_half_of_it_is_over(
    client: httpx.AsyncClient, clock: Clock
) -> None:
    await sign_in(client)
    clock.time += SESSION_SECONDS / 2
    assert "set-cookie" not in (await client.get("/")).headers
    clock.time += 1
    prolonged = await client.get("/")
    assert prolonged.headers["set-cookie"].startswith(f"{COOKIE}={int(clock.time) + 43200}.")
    clock.time += SESSION_SECONDS - 1
    assert (await client.get("/")).status_code == 200


async def test_a_socket_prolongs_the_session_too(
    gate: Gate, client: httpx.AsyncClient, clock: Clock
) -> None:
    await sign_in(client)
    cookie = sent_cookie(client)
    assert await open_socket(gate, cookie) == [{"type": "websocket.accept"}]
    clock.time += SESSION_SECONDS - 1
    [accept] = await open_socket(gate, cookie)
    assert accept["type"] == "websocket.accept"
    assert [name for name, _ in accept["headers"]] == [b"set-cookie"]
    clock.time += 1
    [close] = await open_socket(gate, cookie)
    assert close["type"] == "websocket.close"


async def test_replicas_share_sessions(client: httpx.AsyncClient, clock: Clock) -> None:
    await sign_in(client)
    replica = Gate(echo, password=PASSWORD, policy=POLICY, now=clock)
    async with client_of(replica) as other:
        assert (await other.get("/", headers=sent_cookie(client))).status_code == 200


async def test_a_changed_password_ends_sessions(client: httpx.AsyncClient, clock: Clock) -> None:
    await sign_in(client)
    changed = Gate(echo, password=PASSWORD + "2", policy=POLICY, now=clock)
    async with client_of(changed) as other:
        assert (await other.get("/", headers=sent_cookie(client))).status_code == 401


async def test_a_session_cannot_be_forged(gate: Gate, client: httpx.AsyncClient) -> None:
    await sign_in(client)
    expiry, _, signature = client.cookies[COOKIE].partition(".")
    forged = [
        f"{int(expiry) + 1}.{signature}",
        f"0{expiry}.{signature}",
        f"{expiry}.{signature[:-1]}",
        f"{expiry}.{signature}0",
        f"{expiry}.{hashlib.sha256(expiry.encode()).hexdigest()}",
        f"{expiry}.",
        expiry,
    ]
    for value in forged:
        async with client_of(gate) as other:
            answer = await other.get("/", headers={"Cookie": f"{COOKIE}={value}"})
            assert answer.status_code == 401, value


@pytest.mark.parametrize(
    "cookie",
    [
        b"",
        b";;;=",
        b"\xff\xfe\x00",
        COOKIE.encode(),
        f"{COOKIE}=".encode(),
        f"{COOKIE}=\xff.\xff".encode("latin-1"),
        f"{COOKIE}=".encode() + "\u0661.\u2603".encode(),
        f"{COOKIE}=nan.0; {COOKIE}=.; {COOKIE}=-1.x".encode(),
        f'{COOKIE}="'.encode() + b'\\"' * 30_000,
        f"{COOKIE}=1.1;".encode() * 4000,
    ],
)
async def test_a_cookie_that_is_garbage_is_no_session(
    client: httpx.AsyncClient, cookie: bytes
) -> None:
    headers = [(b"cookie", cookie), (b"accept", b"text/html\xff"), (b"x", b"\xff")]
    assert (await client.get("/", headers=headers)).status_code == 303


async def test_a_session_is_found_among_other_cookies(client: httpx.AsyncClient) -> None:
    await sign_in(client)
    cookie = f"a=b; {COOKIE}=stale.1;{sent_cookie(client)['Cookie']} ; c"
    client.cookies.clear()
    assert (await client.get("/", headers={"Cookie": cookie})).status_code == 200


async def test_signing_out_forgets_the_session(client: httpx.AsyncClient) -> None:
    await sign_in(client)
    answer = await client.post("/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert COOKIE not in client.cookies
    assert (await client.get("/")).status_code == 401


async def test_other_sites_cannot_sign_out_as_their_form_brings_no_cookie(
    client: httpx.AsyncClient,
) -> None:
    assert "set-cookie" not in (await client.post("/sign-out")).headers


async def test_without_a_password_everything_passes() -> None:
    gate = Gate(echo, password=None, policy=POLICY)
    async with client_of(gate) as client:
        answer = await client.get("/", headers=HTML)
    assert (answer.status_code, answer.text) == (200, "inside")
    assert answer.headers["content-security-policy"] == POLICY
    assert "set-cookie" not in answer.headers
    assert await open_socket(gate, {}) == [{"type": "websocket.accept"}]


@pytest.mark.parametrize("path", ["/sign-in", "/sign-in?next=/jobs", "/sign-out"])
async def test_without_a_password_there_is_nothing_to_sign_in_to(path: str) -> None:
    async with client_of(Gate(echo, password=None, policy=POLICY)) as client:
        for method in ("GET", "POST"):
            answer = await client.request(method, path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/")
