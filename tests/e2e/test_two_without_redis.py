"""Two server processes on one database without Redis: nobody is told less than he believes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.client import Client
from tests.conftest import TOKEN
from tests.factories import register, report, start
from tests.graph.live import PROTOCOL, Socket
from tests.servers import MonitorServer
from tests.tasks import stop

STATE = "{ feedCursor tasks { edges { node { revision } } } }"
FOLLOW = "subscription ($after: String!) { tasks(after: $after) { cursor task { revision } } }"


@asynccontextmanager
async def client_of(server: MonitorServer) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        yield Client(http, TOKEN)


class Follower:
    """Does what the protocol says: asks for the state, follows behind it, asks again when told to.

    There is one task; `revision` is what the follower believes of it.
    """

    def __init__(self, server: MonitorServer) -> None:
        self._server = server
        self.revision = 0
        self.resets = 0
        self.follows = asyncio.Event()

    async def run(self) -> None:
        url = self._server.url.replace("http", "ws") + "/graphql"
        async with (
            client_of(self._server) as client,
            connect(url, subprotocols=[PROTOCOL]) as connection,
        ):
            socket = Socket(connection)
            token: Any = {"Authorization": f"Bearer {TOKEN}"}
            await socket.send({"type": "connection_init", "payload": token})
            await connection.recv()
            while True:
                state = await client.graphql(STATE)
                self.revision = state["tasks"]["edges"][0]["node"]["revision"]
                await socket.subscribe(FOLLOW, after=state["feedCursor"])
                self.follows.set()
                await self._follow(socket)
                self.resets += 1

    async def _follow(self, socket: Socket) -> None:
        """Until what follows cannot be told."""
        while True:
            # No limit: nothing may happen for as long as nothing has to be told.
            message = await _receive(socket)
            if message["type"] != "next":
                (error,) = message["payload"]
                assert error["extensions"]["code"] == "CURSOR_EXPIRED"
                return
            self.revision = message["payload"]["data"]["tasks"]["task"]["revision"]


async def _receive(socket: Socket) -> dict[str, Any]:
    while True:
        try:
            return await socket.receive()
        except TimeoutError:
            continue


async def until_degraded(server: MonitorServer) -> str:
    """The reason that /health gives."""
    async with client_of(server) as client, asyncio.timeout(20):
        while (health := (await client.get("/health")).json())["status"] != "degraded":  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert health["feed"] == "down"
    return str(health["reasons"])


async def test_both_notice_say_so_and_end_what_they_cannot_tell_in_full(
    database_url: str, tmp_path: Path
) -> None:
    env = {"DATABASE_URL": database_url, "TOKEN": TOKEN}
    servers = [MonitorServer(tmp_path / name, env) for name in ("one", "two")]
    async with AsyncExitStack() as stack:
        clients = []
        for server in servers:
            server.start()
            stack.callback(server.stop)
            clients.append(await stack.enter_async_context(client_of(server)))
        run = await start(clients[0], await register(clients[0], "a"))
        followers = [Follower(server) for server in servers]
        following = [asyncio.create_task(follower.run()) for follower in followers]
        stack.push_async_callback(stop, *following)
        async with asyncio.timeout(30):
            for follower in followers:
                await follower.follows.wait()

        # Each of the two is told of some of them: which, is chance.
        for number in range(60):
            await report(clients[number % 2], run.tasks[0], "start", str(number))
            await asyncio.sleep(0.02)  # so that each relay gets its turn
        async with asyncio.timeout(20):
            while any(follower.revision != 61 for follower in followers):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert all(follower.resets for follower in followers)
        assert not any(task.done() for task in following)
        for server in servers:
            assert "REDIS_URL" in await until_degraded(server)
    for server in servers:
        errors = [line for line in server.log.read_text().splitlines() if " ERROR " in line]
        assert len(errors) == 1
        assert "REDIS_URL" in errors[0]


async def test_one_after_the_other_is_no_reason_for_a_word(
    database_url: str, tmp_path: Path
) -> None:
    env = {"DATABASE_URL": database_url, "TOKEN": TOKEN}
    server = MonitorServer(tmp_path / "one", env)
    for _ in range(2):
        server.start()
        async with client_of(server) as client:
            run = await start(client, await register(client, "a"))
            await report(client, run.tasks[0], "start")
            follower = Follower(server)
            following = asyncio.create_task(follower.run())
            await follower.follows.wait()
            # Longer than a relay needs to find another one.
            await asyncio.sleep(2.5)
            health = (await client.get("/health")).json()
            assert (health["status"], health["reasons"]) == ("ok", [])
            assert follower.resets == 0
            await stop(following)
        server.kill()
        server.stop()
    assert " WARNING " not in server.log.read_text()
    assert " ERROR " not in server.log.read_text()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_idle_process_says_that_another_one_was_started(
    database_url: str, tmp_path: Path
) -> None:
    env = {"DATABASE_URL": database_url, "TOKEN": TOKEN}
    one, two = (MonitorServer(tmp_path / name, env) for name in ("one", "two"))
    one.start()
    two.start()
    assert "REDIS_URL" in await until_degraded(one)
    one.stop()
    two.stop()
