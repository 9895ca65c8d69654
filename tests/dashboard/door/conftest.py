"""A gate with a clock and delays of our own, and who comes to it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from dashboard.door.gate import Gate
from tests.dashboard.door.doorway import PASSWORD, POLICY, Clock, Delays, client_of, echo


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def delays() -> Delays:
    return Delays()


@pytest.fixture
def gate(clock: Clock, delays: Delays) -> Gate:
    return Gate(echo, password=PASSWORD, policy=POLICY, now=clock, delay=delays)


@pytest.fixture
async def client(gate: Gate) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(gate) as client:
        yield client
