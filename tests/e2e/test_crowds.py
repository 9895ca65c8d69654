"""A crowd of connections that say nothing keeps nobody from being served."""

import asyncio
import contextlib
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import TOKEN
from tests.servers import DashboardServer, MonitorServer

CROWD = 2_000
HALF_A_HEAD = b"GET /version HTTP/1.1\r\nHost: monitor\r\nX-Slow: "


@pytest.fixture(autouse=True)
def _many_files() -> Iterator[None]:
    """The crowd needs sockets of its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def crowd(port: int, size: int, stack: contextlib.ExitStack) -> list[socket.socket]:
    """Connections, half of which have begun a request."""
    loop = asyncio.get_running_loop()
    sockets = []
    for number in range(size):
        sock = stack.enter_context(socket.socket())
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", port))
        if number % 2:
            await loop.sock_sendall(sock, HALF_A_HEAD)
        sockets.append(sock)
    return sockets


async def seconds_of_a_request(url: str) -> float:
    began = time.monotonic()
    async with httpx.AsyncClient() as client:
        answer = await client.get(url, timeout=10)
    assert answer.status_code == 200
    return time.monotonic() - began


async def test_a_client_is_served_beside_2000_slow_ones(tmp_path: Path) -> None:
    # The soft limit that most systems start programs with; here even lower.
    server = MonitorServer(tmp_path, {"TOKEN": TOKEN}, launcher=["prlimit", "--nofile=256:"])
    server.start()
    try:
        with contextlib.ExitStack() as stack:
            slow = await crowd(server.port, CROWD, stack)
            for _ in range(20):
                assert await seconds_of_a_request(f"{server.url}/version") < 1
            for sock in slow[1::2]:
                sock.sendall(b"x")
            assert await seconds_of_a_request(f"{server.url}/health") < 1
    finally:
        server.stop()
    assert "WARNING" not in server.log.read_text()


@pytest.mark.parametrize("kind", [MonitorServer, DashboardServer])
async def test_where_few_files_may_be_open_the_crowd_makes_way(
    tmp_path: Path, kind: type[MonitorServer]
) -> None:
    path = "/version" if kind is MonitorServer else "/health"
    server = kind(tmp_path, {"TOKEN": TOKEN}, launcher=["prlimit", "--nofile=256:700"])
    server.start()
    try:
        with contextlib.ExitStack() as stack:
            await crowd(server.port, 1_200, stack)
            for _ in range(20):
                assert await seconds_of_a_request(server.url + path) < 1
    finally:
        server.stop()
    said = server.log.read_text()
    assert "may open only 700 files" in said
    assert "ulimit -Hn" in said
    assert "Too many open files" not in said
