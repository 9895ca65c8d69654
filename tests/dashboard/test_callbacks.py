"""What no tab sends is refused with a reason, never answered with 500."""

import asyncio
import json

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

from dashboard.callbacks import MAX_BODY_BYTES, POLICY_VIOLATION
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


# RFC 6455, section 7.4.1.
MESSAGE_TOO_BIG = 1009


def asking(output: object, value: object) -> str:
    """A message of a tab that asks for a callback."""
    payload = {"output": output, "inputs": [{"id": "request", "property": "data", "value": value}]}
    return json.dumps({"type": "callback_request", "requestId": "1", "payload": payload})


@pytest.mark.parametrize(
    "message",
    [
        "garbage",
        b"\xff\xfe",
        "null",
        "{}",
        "[" * 60_000,
        '{"type": "callback_request"}',
        '{"type": "callback_request", "requestId": "1", "payload": 5}',
        asking("nope", {"tab": "t", "search": ""}),
        asking(["a"], {"tab": "t", "search": ""}),
        asking("request.data", 5),
        '{"type": "get_props_response", "requestId": ["a"]}',
    ],
)
async def test_garbage_on_the_socket_closes_it_and_nothing_else(
    dashboard: DashboardServer, message: str | bytes
) -> None:
    before = dashboard.log.read_text()
    address = f"ws://127.0.0.1:{dashboard.port}/_dash-ws-callback"
    async with connect(address, origin=Origin(dashboard.url)) as socket:
        await socket.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            async with asyncio.timeout(5):
                await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == POLICY_VIOLATION
    assert closed.value.rcvd.reason
    assert "Traceback" not in dashboard.log.read_text().removeprefix(before)


async def test_a_message_that_is_too_long_closes_the_socket(dashboard: DashboardServer) -> None:
    address = f"ws://127.0.0.1:{dashboard.port}/_dash-ws-callback"
    async with connect(address, origin=Origin(dashboard.url)) as socket:
        await socket.send("[" * 100_000)
        await asyncio.wait_for(socket.wait_closed(), 5)
    assert socket.close_code == MESSAGE_TOO_BIG


def test_a_body_that_is_too_long_is_refused(dashboard: DashboardServer) -> None:
    answer = httpx.post(dashboard.url + CALLBACK, content=b" " * (MAX_BODY_BYTES + 1))
    assert answer.status_code == 413
