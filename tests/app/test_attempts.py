"""Who guesses tokens is slowed down; who has the right one is not."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI, Request
from throttled import per_min
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from app.attempts import MAX_ADDRESSES, QUOTAS, Attempts
from app.connections import Connections
from app.factory import create_app
from app.server import serving_options
from app.settings import Settings
from monitor.auth import WRITER, Authenticator
from monitor.errors import TooManyAttempts, Unauthenticated
from tests.conftest import TOKEN
from tests.graph.live import PROTOCOL, LiveServer, Socket, serving_live

HERE, THERE = "192.0.2.1", "192.0.2.2"
FREE = QUOTAS[0].burst


def failing(attempts: Attempts, address: str) -> float:
    """Fails until it has to wait; for how long."""
    while (wait := attempts.wait_seconds(address)) == 0:
        attempts.failed(address)
    return wait


def test_the_first_attempts_are_free_and_then_the_address_waits() -> None:
    attempts = Attempts()
    for _ in range(FREE):
        assert attempts.wait_seconds(HERE) == 0
        attempts.failed(HERE)
    assert 1 < attempts.wait_seconds(HERE) <= 2
    assert attempts.wait_seconds(THERE) == 0


def test_the_wait_grows() -> None:
    # Each counts as many times as there were attempts before it had to wait.
    waits = []
    for quota in QUOTAS:
        attempts = Attempts((quota,))
        waits.append(failing(attempts, HERE))
    assert waits == sorted(waits)
    assert waits == pytest.approx([2, 15, 60], abs=0.5)
    assert [quota.burst for quota in QUOTAS] == [10, 40, 100]


def test_a_network_of_ipv6_is_one_address_and_ipv4_in_it_is_ipv4() -> None:
    attempts = Attempts()
    failing(attempts, "2001:db8::1")
    assert attempts.wait_seconds("2001:db8::ffff:1") > 0
    assert attempts.wait_seconds("2001:db8:0:1::1") == 0
    failing(attempts, f"::ffff:{HERE}")
    assert attempts.wait_seconds(HERE) > 0


def test_few_addresses_are_remembered_those_that_failed_last(
    caplog: pytest.LogCaptureFixture,
) -> None:
    attempts = Attempts((per_min(1, burst=1),))
    for number in range(MAX_ADDRESSES + 1):
        attempts.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert attempts.wait_seconds("10.0.0.0") == 0
    assert attempts.wait_seconds("10.0.0.1") > 0
    # Said once an address, however often it fails.
    caplog.clear()
    for _ in range(10):
        attempts.failed("10.9.9.9")
    assert len(caplog.records) == 1
    assert "10.9.9.9" in caplog.text


@pytest.fixture
def authenticator() -> Authenticator:
    return Authenticator(["a right and long one"], ["short"], Attempts())


def guess(authenticator: Authenticator, token: str, address: str = HERE) -> None:
    """Guesses until it has to wait."""
    for _ in range(FREE):
        with pytest.raises(Unauthenticated):
            authenticator.principal(token, address)
    with pytest.raises(TooManyAttempts):
        authenticator.principal(token, address)


def test_a_long_token_is_never_delayed(authenticator: Authenticator) -> None:
    guess(authenticator, "a wrong and long one")
    assert authenticator.principal("a right and long one", HERE) is WRITER
    with pytest.raises(TooManyAttempts):
        authenticator.principal("another one, wrong and long", HERE)


def test_a_short_token_is_not_looked_at_where_there_was_guessing(
    authenticator: Authenticator,
) -> None:
    guess(authenticator, "wrong")
    with pytest.raises(TooManyAttempts) as refused:
        authenticator.principal("short", HERE)
    assert 1 <= refused.value.retry_after_seconds <= 2
    assert not authenticator.principal("short", THERE).can_write
    # Who has shown it before is not delayed by a neighbour.
    guess(authenticator, "wrong", THERE)
    assert not authenticator.principal("short", THERE).can_write


def test_no_token_is_no_attempt(authenticator: Authenticator) -> None:
    for _ in range(10 * FREE):
        with pytest.raises(Unauthenticated):
            authenticator.principal(None, HERE)


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[LiveServer]:
    async with serving_live(create_app(settings)) as server:
        yield server


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def by_rest(http: httpx.AsyncClient, token: str) -> httpx.Response:
    return await http.get("/dashboard_process/worker_1", headers=bearer(token))


async def by_report(http: httpx.AsyncClient, token: str) -> httpx.Response:
    return await http.post("/healthchecker", json={"id": "worker_1"}, headers=bearer(token))


async def by_graphql(http: httpx.AsyncClient, token: str) -> httpx.Response:
    return await http.post("/graphql", json={"query": "{ version }"}, headers=bearer(token))


async def by_basic(http: httpx.AsyncClient, token: str) -> httpx.Response:
    credentials = base64.b64encode(f"me:{token}".encode()).decode()
    return await http.get("/docs", headers={"Authorization": f"Basic {credentials}"})


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("ask", [by_rest, by_report, by_graphql, by_basic])
async def test_wrong_tokens_are_401_and_then_429_and_the_right_one_is_served(
    server: LiveServer, ask: Callable[[httpx.AsyncClient, str], Awaitable[httpx.Response]]
) -> None:
    async with server.client() as client:
        assert [(await ask(client.http, "wrong")).status_code for _ in range(FREE)] == [401] * FREE
        held_back = await ask(client.http, "wrong")
        assert held_back.status_code == 429
        assert int(held_back.headers["retry-after"]) >= 1
        assert "Too many failed attempts" in held_back.text
        assert (await ask(client.http, TOKEN)).status_code in (200, 404, 503)
        figures = (await client.get("/metrics")).text
    assert f'process_monitor_refusals_total{{reason="FAILED_ATTEMPT"}} {FREE}.0' in figures
    assert 'process_monitor_refusals_total{reason="TOO_MANY_ATTEMPTS"} 1.0' in figures


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_wrong_tokens_on_sockets_count_too(server: LiveServer) -> None:
    async def closing() -> tuple[int, str]:
        async with connect(server.url, subprotocols=[PROTOCOL]) as connection:
            await Socket(connection).send({"type": "connection_init", "payload": bearer("wrong")})
            with pytest.raises(ConnectionClosed) as closed:
                await connection.recv()
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code, closed.value.rcvd.reason

    assert [await closing() for _ in range(FREE)] == [(4403, "Forbidden")] * FREE
    code, reason = await closing()
    assert (code, reason[:24]) == (4403, "Too many failed attempts")
    async with server.client() as client, Socket.open(server):
        assert (await by_rest(client.http, "wrong")).status_code == 429


def echoing() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def echo(request: Request) -> list[str]:
        return [request.client.host if request.client else "", request.url.scheme]

    return app


@pytest.mark.parametrize(
    ("trusted", "seen"),
    [
        ([], ["127.0.0.1", "http"]),
        (["10.0.0.0/8"], ["127.0.0.1", "http"]),
        (["127.0.0.1"], ["203.0.113.9", "https"]),
        (["127.0.0.0/8", "203.0.113.9"], ["198.51.100.7", "https"]),
    ],
)
async def test_only_proxies_that_are_trusted_are_believed(
    trusted: list[str], seen: list[str]
) -> None:
    options = serving_options("127.0.0.1", 0, Connections(10), trusted)
    believing = {name: options[name] for name in ("proxy_headers", "forwarded_allow_ips")}
    headers = {"X-Forwarded-For": "198.51.100.7, 203.0.113.9", "X-Forwarded-Proto": "https"}
    async with serving_live(echoing(), None, **believing) as server, server.client() as client:
        assert (await client.http.get("/", headers=headers)).json() == seen
