"""Signing in: by whom, and how often."""

import asyncio
import os
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest
from throttled import per_min

from app.attempts import Attempts
from dashboard.door.gate import Gate
from dashboard.door.signin import (
    FAILURE_SECONDS,
    MAX_FAILURES,
    MAX_FAILURES_OF_ADDRESS,
    MAX_FORM_BYTES,
)
from tests.dashboard.door.doorway import (
    HTML,
    PASSWORD,
    POLICY,
    Delays,
    client_of,
    echo,
    open_socket,
    sign_in,
)


async def test_the_form_can_be_used_without_a_mouse_and_without_scripts(
    client: httpx.AsyncClient,
) -> None:
    form = (await client.get("/sign-in")).text
    assert "Process Monitor" in form
    assert '<label for="password">' in form
    assert 'autocomplete="current-password"' in form
    assert "autofocus" in form
    assert "<script" not in form


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
        # Anybody can say so: whom to believe is the server's business.
        ("http://dashboard", "https", False),
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


async def test_who_fails_again_and_again_waits_longer_and_longer(delays: Delays) -> None:
    attempts = Attempts((per_min(6, burst=2),))
    gate = Gate(echo, password=PASSWORD, policy=POLICY, delay=delays, attempts=attempts)
    async with client_of(gate) as client, client_of(gate, address="10.0.0.2") as other:
        assert [(await sign_in(client, "wrong")).status_code for _ in range(2)] == [401, 401]
        for password in ("wrong", PASSWORD):
            answer = await sign_in(client, password)
            assert answer.status_code == 429
            assert 8 <= int(answer.headers["retry-after"]) <= 10
        assert (await sign_in(other)).status_code == 303


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
