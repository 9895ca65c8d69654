"""The names by which the dashboard answers."""

import httpx
import pytest

from dashboard.door.gate import UNKNOWN_HOST, Gate
from dashboard.door.hosts import Hosts
from tests.dashboard.door.doorway import POLICY, client_of, echo, open_socket


async def ask(hosts: Hosts, host: str, path: str = "/") -> httpx.Response:
    gate = Gate(echo, password=None, policy=POLICY, hosts=hosts)
    async with client_of(gate) as client:
        return await client.get(path, headers={"Host": host})


OPEN = Hosts([], ["wallboard", "wallboard.local"])


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:8050", "LocalHost.", "monitor.localhost:80"),
        *("127.0.0.1", "127.0.0.1:8050", "192.168.1.20:8050", "[::1]", "[::1]:8050", "[fe80::1]"),
        *("wallboard:8050", "Wallboard", "wallboard.local"),
    ],
)
async def test_without_a_password_it_answers_by_addresses_and_local_names(host: str) -> None:
    assert (await ask(OPEN, host)).text == "inside"


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8050", "localhost.evil.example", "127.0.0.1.evil.example"),
        *(
            "notlocalhost",
            "wallboard.evil.example",
            "[::1].evil.example",
            ":8050",
            "[",
            "a b",
            "::",
        ),
        *("127.0.0.1@evil.example", "evil.example#127.0.0.1"),
    ],
)
async def test_without_a_password_no_other_site_can_be_made_to_lead_here(host: str) -> None:
    answer = await ask(OPEN, host)
    assert answer.status_code == 421
    assert "MONITOR_DASHBOARD_HOSTS" in answer.json()["detail"]
    assert answer.headers["content-security-policy"] == POLICY
    gate = Gate(echo, password=None, policy=POLICY, hosts=OPEN)
    assert await open_socket(gate, {"Host": host}) == [
        {"type": "websocket.close", "code": UNKNOWN_HOST}
    ]


async def test_its_health_may_be_asked_for_by_any_name() -> None:
    assert (await ask(OPEN, "dashboard.internal:8050", "/health")).status_code == 200


async def test_further_names_can_be_given() -> None:
    hosts = Hosts(["Monitor.example.org"])
    assert (await ask(hosts, "monitor.example.org:8050")).status_code == 200
    assert (await ask(hosts, "127.0.0.1")).status_code == 200
    assert (await ask(hosts, "other.example.org")).status_code == 421


@pytest.mark.parametrize(
    ("hosts", "status"),
    [
        (Hosts([], has_password=True), 200),
        (Hosts(["*"]), 200),
        (Hosts(["monitor.example.org"], has_password=True), 421),
    ],
)
async def test_with_a_password_any_name_will_do_unless_some_are_given(
    hosts: Hosts, status: int
) -> None:
    assert (await ask(hosts, "elsewhere.example")).status_code == status
