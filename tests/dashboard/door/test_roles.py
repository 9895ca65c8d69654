"""Two passwords, two roles: who looks, and who may act."""

from collections.abc import AsyncIterator

import httpx
import pytest

from dashboard.door.gate import Gate
from tests.dashboard.door.doorway import (
    HTML,
    PASSWORD,
    POLICY,
    Clock,
    Delays,
    client_of,
    echo,
    sent_cookie,
    sign_in,
)

ADMIN_PASSWORD = "battery staple"


def gate_with(
    clock: Clock, password: str | None = PASSWORD, admin_password: str | None = ADMIN_PASSWORD
) -> Gate:
    return Gate(
        echo,
        password=password,
        admin_password=admin_password,
        policy=POLICY,
        now=clock,
        delay=Delays(),
    )


@pytest.fixture
async def both(clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(gate_with(clock)) as client:
        yield client


async def cookie_of(clock: Clock, password: str) -> dict[str, str]:
    """The session that this password gives, where both are set."""
    async with client_of(gate_with(clock)) as client:
        await sign_in(client, password)
        return sent_cookie(client)


async def role_at(gate: Gate, cookie: dict[str, str]) -> tuple[int, object]:
    async with client_of(gate) as client:
        answer = await client.get("/session", headers=cookie)
        return answer.status_code, answer.json().get("role")


@pytest.mark.parametrize(("password", "role"), [(PASSWORD, "viewer"), (ADMIN_PASSWORD, "admin")])
async def test_the_password_decides_on_the_role(
    both: httpx.AsyncClient, password: str, role: str
) -> None:
    assert (await sign_in(both, password)).status_code == 303
    answer = await both.get("/session")
    assert answer.json() == {"role": role}
    assert answer.headers["cache-control"] == "no-store"
    assert (await both.get("/", headers=HTML)).text == "inside"


async def test_without_a_session_no_role_is_told(both: httpx.AsyncClient) -> None:
    answer = await both.get("/session")
    assert (answer.status_code, answer.json()) == (401, {"detail": "Sign in first."})


async def test_where_nobody_signs_in_nobody_has_a_role(clock: Clock) -> None:
    assert await role_at(gate_with(clock, None, None), {}) == (200, None)


async def test_the_role_is_told_to_who_asks_for_it_only(both: httpx.AsyncClient) -> None:
    await sign_in(both, ADMIN_PASSWORD)
    answer = await both.post("/session")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_with_an_administrators_password_alone_nobody_else_looks(clock: Clock) -> None:
    gate = gate_with(clock, None)
    assert (await role_at(gate, {}))[0] == 401
    async with client_of(gate) as client:
        assert (await sign_in(client, PASSWORD)).status_code == 401
        assert (await sign_in(client, ADMIN_PASSWORD)).status_code == 303
        assert (await client.get("/session")).json() == {"role": "admin"}


async def test_a_changed_administrators_password_ends_the_sessions_of_its_role_only(
    clock: Clock,
) -> None:
    viewer, admin = await cookie_of(clock, PASSWORD), await cookie_of(clock, ADMIN_PASSWORD)
    changed = gate_with(clock, admin_password=ADMIN_PASSWORD + "2")
    assert await role_at(changed, admin) == (401, None)
    assert await role_at(changed, viewer) == (200, "viewer")


async def test_a_changed_password_to_look_with_leaves_the_administrators_sessions(
    clock: Clock,
) -> None:
    viewer, admin = await cookie_of(clock, PASSWORD), await cookie_of(clock, ADMIN_PASSWORD)
    changed = gate_with(clock, PASSWORD + "2")
    assert await role_at(changed, admin) == (200, "admin")
    assert await role_at(changed, viewer) == (401, None)


async def test_passwords_that_change_places_make_no_administrator_of_a_viewer(
    clock: Clock,
) -> None:
    viewer, admin = await cookie_of(clock, PASSWORD), await cookie_of(clock, ADMIN_PASSWORD)
    swapped = gate_with(clock, ADMIN_PASSWORD, PASSWORD)
    assert await role_at(swapped, viewer) == (401, None)
    assert await role_at(swapped, admin) == (401, None)


async def test_a_prolonged_session_keeps_its_role(clock: Clock) -> None:
    gate = gate_with(clock)
    async with client_of(gate) as client:
        await sign_in(client, ADMIN_PASSWORD)
        clock.time += 7 * 3600
        assert "set-cookie" in (await client.get("/")).headers
        assert await role_at(gate, sent_cookie(client)) == (200, "admin")
