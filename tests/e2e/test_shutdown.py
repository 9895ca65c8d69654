"""SIGTERM under load: everybody is told, and the process is gone."""

import asyncio
import contextlib
import json
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from tests.client import Client
from tests.conftest import TOKEN
from tests.factories import register, report, start
from tests.graph.live import PROTOCOL, Socket
from tests.servers import MonitorServer, RedisServer
from tests.tasks import stop

TASKS = "subscription { tasks { task { revision details } } }"


async def write(client: Client) -> None:
    """Reports until the server is gone."""
    run = await start(client, await register(client, "a"))
    while True:
        await report(client, run.tasks[0], "start", "x" * 1_000)


async def follow(connection: ClientConnection) -> int:
    """Follows to the end; the code with which the server closed."""
    socket = Socket(connection)
    init = {"type": "connection_init", "payload": {"Authorization": f"Bearer {TOKEN}"}}
    await socket.send(init)
    await socket.subscribe(TASKS)
    with contextlib.suppress(ConnectionClosedError):
        async for _ in connection:
            pass
    assert connection.close_code is not None
    return connection.close_code


@pytest.mark.parametrize("workers", [1, 2])
async def test_sigterm_ends_everything_in_order(
    tmp_path: Path, redis_server: RedisServer, workers: int
) -> None:
    env = {"TOKEN": TOKEN, "REDIS_URL": redis_server.url}
    server = MonitorServer(tmp_path, env, "--workers", str(workers))
    server.start()
    assert server.process is not None
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=server.url, timeout=30))
        client = Client(http, TOKEN)
        writers = [asyncio.create_task(write(client)) for _ in range(4)]
        url = server.url.replace("http", "ws") + "/graphql"
        following = [
            asyncio.create_task(follow(await stack.enter_async_context(connection)))
            for connection in (connect(url, subprotocols=[PROTOCOL]) for _ in range(20))
        ]
        # One that reads nothing: it must not hold up the others.
        deaf = await stack.enter_async_context(
            connect(url, subprotocols=[PROTOCOL], max_queue=1, close_timeout=0.1)
        )
        init = {"type": "connection_init", "payload": {"Authorization": f"Bearer {TOKEN}"}}
        await deaf.send(json.dumps(init))
        await Socket(deaf).subscribe(TASKS)
        accept = {**client.headers, "Accept": "text/event-stream"}
        stream = await stack.enter_async_context(
            http.stream("POST", "/graphql", json={"query": TASKS}, headers=accept)
        )
        lines = stream.aiter_lines()
        while not (await anext(lines)).startswith("data"):
            pass

        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        # 1012, Service Restart: a code after which graphql-ws clients try again.
        assert set(await asyncio.gather(*following)) == {1012}
        async for _ in lines:  # the stream ends as streams end, and is not cut off
            pass
        status = await asyncio.to_thread(server.process.wait, 10)
        assert time.monotonic() - began < 5
        assert status == 0
        await stop(*writers)
    assert "Traceback" not in server.log.read_text()
    server.stop()
