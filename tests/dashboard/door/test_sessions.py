"""Sessions: for how long they last, and what ends them."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.types import Message

from dashboard.door.gate import SIGN_IN_FIRST, Gate
from dashboard.door.sessions import COOKIE, MAX_SESSION_SECONDS, SESSION_SECONDS
from tests.dashboard.door.doorway import (
    PASSWORD,
    POLICY,
    Clock,
    OpenSocket,
    client_of,
    echo,
    open_socket,
    sent_cookie,
    sign_in,
)


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
    told, _, signature = client.cookies[COOKIE].rpartition(".")
    expiry, begin, id_ = told.split(".")
    forged = [
        f"{int(expiry) + 1}.{begin}.{id_}.{signature}",
        f"{expiry}.{int(begin) + 1}.{id_}.{signature}",
        f"{expiry}.{begin}.{id_[::-1]}.{signature}",
        f"0{told}.{signature}",
        f"{told}.{signature[:-1]}",
        f"{told}.{signature}0",
        f"{told}.{hashlib.sha256(told.encode()).hexdigest()}",
        f"{told}.",
        told,
        f"{expiry}.{signature}",
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


async def test_a_session_ends_after_a_week_however_much_it_is_used(
    client: httpx.AsyncClient, clock: Clock
) -> None:
    await sign_in(client)
    end = clock.time + MAX_SESSION_SECONDS
    while clock.time + SESSION_SECONDS * 0.6 < end:
        clock.time += SESSION_SECONDS * 0.6
        assert (await client.get("/")).status_code == 200
    cookie = sent_cookie(client)
    for seconds, status in [(1, 200), (0, 401)]:
        clock.time = end - seconds
        client.cookies.clear()
        assert (await client.get("/", headers=cookie)).status_code == status


async def test_signing_out_ends_the_session_wherever_its_cookie_is(
    gate: Gate, client: httpx.AsyncClient, clock: Clock
) -> None:
    await sign_in(client)
    first = sent_cookie(client)
    clock.time += SESSION_SECONDS * 0.6
    await client.get("/")
    prolonged = sent_cookie(client)
    assert prolonged != first
    await client.post("/sign-out")
    async with client_of(gate) as thief:
        for cookie in (first, prolonged):
            assert (await thief.get("/", headers=cookie)).status_code == 401
            [close] = await open_socket(gate, cookie)
            assert close["type"] == "websocket.close"


async def test_signing_out_ends_no_other_session(gate: Gate, client: httpx.AsyncClient) -> None:
    async with client_of(gate) as other:
        for each in (client, other):
            await sign_in(each)
        await client.post("/sign-out")
        assert (await other.get("/")).status_code == 200


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def a_gate(clock: Clock, folder: Path) -> Gate:
    return Gate(echo, password=PASSWORD, policy=POLICY, folder=folder, now=clock)


async def test_what_was_signed_out_stays_so_after_a_restart_and_on_replicas(
    clock: Clock, tmp_path: Path
) -> None:
    folder = tmp_path / "data" / "signed-out"
    replica = a_gate(clock, folder)
    async with client_of(a_gate(clock, folder)) as client:
        await sign_in(client)
        cookie = sent_cookie(client)
        await client.post("/sign-out")
    for gate in (replica, a_gate(clock, folder)):
        async with client_of(gate) as client:
            assert (await client.get("/", headers=cookie)).status_code == 401


async def test_what_was_signed_out_is_forgotten_when_it_would_have_ended_anyway(
    clock: Clock, tmp_path: Path
) -> None:
    (tmp_path / "README").touch()
    gate = a_gate(clock, tmp_path)
    for _ in range(3):
        async with client_of(gate) as client:
            await sign_in(client)
            await client.post("/sign-out")
        clock.time += MAX_SESSION_SECONDS
    assert len(names_in(tmp_path)) == 2  # the last one, and what is none


async def test_one_can_sign_out_where_nothing_can_be_kept(
    clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "data").touch()
    async with client_of(a_gate(clock, tmp_path / "data" / "signed-out")) as client:
        await sign_in(client)
        cookie = sent_cookie(client)
        await client.post("/sign-out")
        assert (await client.get("/", headers=cookie)).status_code == 401
    assert "After a restart, a session that was signed out lives again" in caplog.text


@pytest.fixture
async def socket(gate: Gate, client: httpx.AsyncClient) -> AsyncIterator[OpenSocket]:
    """A socket of the session of `client`."""
    await sign_in(client)
    async with OpenSocket(gate, sent_cookie(client)) as socket:
        assert (await socket.told())["type"] == "websocket.accept"
        yield socket


CLOSED: Message = {"type": "websocket.close", "code": SIGN_IN_FIRST}


async def test_an_open_socket_is_closed_when_its_session_ends(
    socket: OpenSocket, clock: Clock
) -> None:
    clock.time += SESSION_SECONDS
    assert await socket.told() == CLOSED


async def test_an_open_socket_is_closed_when_one_signs_out(
    socket: OpenSocket, client: httpx.AsyncClient
) -> None:
    await client.post("/sign-out")
    assert await socket.told() == CLOSED


async def test_nothing_is_told_on_a_socket_whose_session_has_ended(
    socket: OpenSocket, client: httpx.AsyncClient
) -> None:
    await client.post("/sign-out")
    assert await socket.told() == CLOSED
    await socket.tell("anything new?")
    assert await socket.rest() == []


async def test_an_open_socket_hears_while_its_session_lasts(socket: OpenSocket) -> None:
    await socket.tell("anything new?")
    assert (await socket.told())["text"] == "anything new?"
