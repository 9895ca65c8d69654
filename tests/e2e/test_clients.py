"""The clients that people use, unchanged, against a real server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from gql import Client as GqlClient
from gql import GraphQLRequest
from gql.transport.websockets import WebsocketsTransport

from tests.client import Client
from tests.conftest import TOKEN
from tests.factories import Run, register, report, start
from tests.servers import MariaDb, MonitorServer, RedisServer, find_program

# A cursor may lie a little before what was committed just now: what is told again is recognised by
# its revision, and here left out with `> 1`.
SUBSCRIBE = (
    "subscription ($after: String) { tasks(after: $after) { cursor task { id status revision } } }"
)


@asynccontextmanager
async def speaking_to(server: MonitorServer) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        yield Client(http, TOKEN)


@pytest.fixture
def env(mariadb: MariaDb, redis_server: RedisServer) -> dict[str, str]:
    return {
        "DATABASE_URL": mariadb.create_database(),
        "REDIS_URL": redis_server.url,
        "TOKEN": TOKEN,
    }


async def life_of(client: Client, run: Run) -> None:
    """Four changes of two tasks."""
    for task_id in run.tasks:
        await report(client, task_id, "start")
        await report(client, task_id, "success")


async def test_gql_queries_and_subscribes_over_one_socket(
    env: dict[str, str], tmp_path: Path
) -> None:
    server = MonitorServer(tmp_path, env)
    server.start()
    transport = WebsocketsTransport(
        url=server.url.replace("http", "ws") + "/graphql",
        init_payload={"Authorization": f"Bearer {TOKEN}"},
    )
    async with speaking_to(server) as client, GqlClient(transport=transport) as session:
        run = await start(client, await register(client, "a", "b"))
        cursor = (await session.execute(GraphQLRequest("{ feedCursor }")))["feedCursor"]
        await life_of(client, run)

        told = []
        request = GraphQLRequest(SUBSCRIBE, variable_values={"after": cursor})
        async for answer in session.subscribe(request):
            task = answer["tasks"]["task"]
            told += [(task["id"], task["revision"])] if task["revision"] > 1 else []
            if len(told) == 4:
                break
    first, second = run.tasks
    assert told == [(first, 2), (first, 3), (second, 2), (second, 3)]
    server.stop()


async def next_line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """What the client says next, but for the creation of tasks."""
    assert process.stdout is not None
    line: dict[str, Any] = {"task": {"revision": 1}}
    async with asyncio.timeout(30):
        while line.get("task", {}).get("revision") == 1:
            line = json.loads(await process.stdout.readline())
    return line


async def test_graphql_ws_reconnects_and_resumes_when_the_server_restarts(
    env: dict[str, str], tmp_path: Path
) -> None:
    server = MonitorServer(tmp_path, env)
    server.start()
    async with speaking_to(server) as client:
        run = await start(client, await register(client, "a", "b"))
        cursor = (await client.graphql("{ feedCursor }"))["feedCursor"]
        script = Path(__file__).parents[1] / "node" / "subscribe.mjs"
        following = await asyncio.create_subprocess_exec(
            find_program("node"),
            str(script),
            server.url.replace("http", "ws") + "/graphql",
            TOKEN,
            cursor,
            stdout=asyncio.subprocess.PIPE,
        )
        assert await next_line(following) == {"connected": True}
        await report(client, run.tasks[0], "start")
        assert (await next_line(following))["task"]["revision"] == 2

        server.stop()
        # 1012, Service Restart: a code after which clients try again.
        assert await next_line(following) == {"closed": 1012}
        again = MonitorServer(tmp_path, env, port=server.port)
        again.start()
        await report(client, run.tasks[0], "success")
        await report(client, run.tasks[1], "start")

        told: list[dict[str, Any]] = []
        while len(told) < 2:
            line = await next_line(following)
            told += [line["task"]] if "task" in line else []
    assert [(task["id"], task["revision"]) for task in told] == [
        (run.tasks[0], 3),
        (run.tasks[1], 2),
    ]
    following.kill()
    await following.wait()
    again.stop()


async def test_server_sent_events_resume_with_the_id_of_the_last_event(
    env: dict[str, str], tmp_path: Path
) -> None:
    server = MonitorServer(tmp_path, env)
    server.start()
    async with speaking_to(server) as client:
        run = await start(client, await register(client, "a", "b"))
        cursor = (await client.graphql("{ feedCursor }"))["feedCursor"]
        await life_of(client, run)
        first = await streamed(client, 2, {"after": cursor})
        rest = await streamed(client, 2, {}, {"Last-Event-ID": first[-1][0]})
    server.stop()
    revisions = [(data["task"]["id"], data["task"]["revision"]) for _, data in first + rest]
    one, two = run.tasks
    assert revisions == [(one, 2), (one, 3), (two, 2), (two, 3)]
    assert all(id_ == data["cursor"] for id_, data in first + rest)


async def streamed(
    client: Client, count: int, variables: dict[str, str], headers: dict[str, str] | None = None
) -> list[tuple[str, dict[str, Any]]]:
    """The first events of a stream, each with its id."""
    body = {"query": SUBSCRIBE, "variables": variables}
    accept = {**client.headers, "Accept": "text/event-stream", **(headers or {})}
    events = []
    async with client.http.stream("POST", "/graphql", json=body, headers=accept) as response:
        id_ = ""
        async for line in response.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "id":
                id_ = value
            elif name == "data":
                data = json.loads(value)["data"]["tasks"]
                events += [(id_, data)] if data["task"]["revision"] > 1 else []
                if len(events) == count:
                    break
    return events
