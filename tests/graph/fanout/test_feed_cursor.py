"""Query with feedCursor, then subscribe behind it: nothing is missed in between."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator

import pytest

from app.factory import create_app
from app.settings import Settings
from tests.client import Client
from tests.factories import register, report, start
from tests.graph.live import LiveServer, Socket, serving_live
from tests.tasks import stop

SNAPSHOT = "{ tasks(first: 100) { edges { node { id revision } } } feedCursor }"
RESUME = "subscription ($after: String) { tasks(after: $after) { task { id revision } } }"


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[LiveServer]:
    async with serving_live(create_app(settings)) as server:
        yield server


async def revisions(client: Client) -> tuple[str, dict[str, int]]:
    """The cursor, and the state it belongs to."""
    data = await client.graphql(SNAPSHOT)
    nodes = [edge["node"] for edge in data["tasks"]["edges"]]
    return data["feedCursor"], {node["id"]: node["revision"] for node in nodes}


async def write(client: Client, tasks: list[str], chance: random.Random) -> None:
    for number in itertools.count():
        await report(client, chance.choice(tasks), "start", str(number))


async def test_no_change_is_missed_while_others_write_on(server: LiveServer) -> None:
    async with server.client() as client, Socket.open(server) as socket:
        run = await start(client, await register(client, *"abcde"))
        writers = [
            asyncio.create_task(write(client, run.tasks, random.Random(number)))
            for number in range(4)
        ]
        for number in range(20):
            cursor, known = await revisions(client)
            await socket.subscribe(RESUME, str(number), after=cursor)
            news = 0
            while news < 5:
                task = (await socket.next_event())["tasks"]["task"]
                # What the query has seen already may come again, but nothing may be skipped.
                assert task["revision"] <= known[task["id"]] + 1
                if task["revision"] > known[task["id"]]:
                    known[task["id"]] = task["revision"]
                    news += 1
            await socket.send({"type": "complete", "id": str(number)})
            await socket.send({"type": "ping"})
            while (await socket.receive())["type"] != "pong":
                pass
        await stop(*writers)


async def test_the_last_change_before_silence_is_told(server: LiveServer) -> None:
    async with server.client() as client, Socket.open(server) as socket:
        run = await start(client, await register(client, "a"))
        for number in range(30):
            cursor, known = await revisions(client)
            writing = asyncio.create_task(report(client, run.tasks[0], "start", str(number)))
            await socket.subscribe(RESUME, str(number), after=cursor)
            await writing
            expected = known[run.tasks[0]] + 1
            while (await socket.next_event())["tasks"]["task"]["revision"] != expected:
                pass
            await socket.send({"type": "complete", "id": str(number)})
