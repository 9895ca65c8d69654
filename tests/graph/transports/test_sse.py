"""Subscriptions as Server-Sent Events."""

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from playwright.async_api import Browser

from app.factory import create_app
from app.settings import Settings
from graph.fanout.patience import Patience
from monitor.reading.filters import TaskFilter
from tests.client import Client
from tests.conftest import TOKEN
from tests.factories import register, report, start
from tests.graph.live import LiveServer, serving_live

TASKS = "subscription ($after: String) { tasks(after: $after) { cursor task { revision } } }"


@dataclass
class Message:
    """What a stream says: an event, or a comment (no event, no data)."""

    event: str = ""
    data: str = ""
    id: str = ""

    def json(self) -> Any:
        return json.loads(self.data)


class Stream:
    """An answer as it comes in."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def message(self) -> Message:
        """The next message. Raises StopAsyncIteration at the end."""
        message = Message()
        async with asyncio.timeout(20):
            while line := await anext(self._lines):
                name, _, value = line.partition(":")
                if name:
                    setattr(message, name, value.removeprefix(" "))
        return message

    async def event(self) -> Message:
        """The next message that is not a sign of life."""
        while not (message := await self.message()).event:
            pass
        return message

    async def revision(self) -> int:
        told = (await self.event()).json()
        revision: int = told["data"]["tasks"]["task"]["revision"]
        return revision


@asynccontextmanager
async def streaming(
    client: Client, query: str, headers: dict[str, str] | None = None, **variables: Any
) -> AsyncIterator[Stream]:
    accept = {**client.headers, "Accept": "text/event-stream", **(headers or {})}
    body = {"query": query, "variables": variables}
    async with client.http.stream("POST", "/graphql", json=body, headers=accept) as response:
        yield Stream(response)


async def until(holds: Callable[[], bool]) -> None:
    """What the server does by itself after a client went has no event to wait for."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    """What streams do does not depend on the database."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'monitor.db')}"


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[LiveServer]:
    patience = Patience(heartbeat_seconds=0.2, send_seconds=0.5)
    async with serving_live(create_app(settings, patience=patience)) as server:
        yield server


@pytest.fixture
async def client(server: LiveServer) -> AsyncIterator[Client]:
    async with server.client() as client:
        yield client


async def test_events_come_as_they_happen_each_with_its_cursor(client: Client) -> None:
    async with streaming(client, TASKS) as stream:
        assert stream.response.status_code == 200
        assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.response.headers["cache-control"] == "no-cache"
        run = await start(client, await register(client, "a"))
        first = await stream.event()
        await report(client, run.tasks[0], "start")
        second = await stream.event()
    assert [first.event, second.event] == ["next", "next"]
    assert [m.json()["data"]["tasks"]["task"]["revision"] for m in (first, second)] == [1, 2]
    assert [m.json()["data"]["tasks"]["cursor"] for m in (first, second)] == [first.id, second.id]


async def test_the_id_of_the_last_event_goes_before_the_argument(client: Client) -> None:
    cursor = (await client.graphql("{ feedCursor }"))["feedCursor"]
    run = await start(client, await register(client, "a"))
    await report(client, run.tasks[0], "start")
    async with streaming(client, TASKS, after=cursor) as stream:
        first = await stream.event()
        assert await stream.revision() == 2
    async with streaming(client, TASKS, {"Last-Event-ID": first.id}, after=cursor) as stream:
        assert await stream.revision() == 2


async def test_a_silent_stream_shows_that_it_lives(client: Client) -> None:
    async with streaming(client, TASKS) as stream:
        assert [await stream.message() for _ in range(3)] == [Message()] * 3


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("subscription { tasks { nothing } }", "BAD_USER_INPUT"),
        ('subscription { tasks(after: "x") { cursor } }', "BAD_USER_INPUT"),
        ('subscription { tasks(after: "abcdef0123.0.1.end") { cursor } }', "CURSOR_EXPIRED"),
        ("{ oops", "BAD_USER_INPUT"),
    ],
)
async def test_errors_come_as_the_last_event(
    server: LiveServer, client: Client, query: str, code: str
) -> None:
    async with streaming(client, query) as stream:
        event = await stream.event()
        assert event.event == "next"
        # Behind a cursor that expired there is one to go on with; other errors come again.
        assert bool(event.id) is (code == "CURSOR_EXPIRED")
        assert [error["extensions"]["code"] for error in event.json()["errors"]] == [code]
        assert (await stream.event()).event == "complete"
        with pytest.raises(StopAsyncIteration):
            await stream.message()
    assert server.channels.open_subscriptions == 0


async def test_what_is_refused_before_the_stream_begins_is_no_stream(client: Client) -> None:
    async with streaming(client, TASKS, {"Last-Event-ID": "garbage"}) as stream:
        assert stream.response.status_code == 400
        errors = json.loads(await stream.response.aread())["errors"]
        assert errors[0]["extensions"]["code"] == "BAD_USER_INPUT"
        assert "Last-Event-ID" in errors[0]["message"]
    async with streaming(client.with_token("wrong"), TASKS) as stream:
        assert stream.response.status_code == 401


async def test_a_query_is_a_stream_of_one_result(client: Client) -> None:
    async with streaming(client, "{ version }") as stream:
        event = await stream.event()
        assert event.json() == {"data": {"version": "v1.1"}}
        assert (await stream.event()).event == "complete"
        with pytest.raises(StopAsyncIteration):
            await stream.message()


async def test_who_goes_away_is_forgotten(server: LiveServer, client: Client) -> None:
    tasks = len(asyncio.all_tasks())
    async with streaming(client, TASKS) as one, streaming(client, TASKS) as other:
        await one.message()
        await other.message()
        assert (server.channels.open_subscriptions, server.channels.open_channels) == (2, 1)
    await until(lambda: server.channels.open_subscriptions == 0)
    await until(lambda: len(asyncio.all_tasks()) <= tasks)


async def test_who_reads_nothing_is_cut_off_and_forgotten(
    server: LiveServer, client: Client
) -> None:
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(deaf, ("127.0.0.1", server.port))
    body = json.dumps({"query": "subscription { tasks { task { revision details } } }"}).encode()
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: deaf\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Accept: text/event-stream\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    await loop.sock_sendall(deaf, head.encode() + body)
    await until(lambda: server.channels.open_subscriptions == 1)
    connections = len(server.connections)

    run = await start(client, await register(client, "a"))
    for _ in range(20):
        await report(client, run.tasks[0], "start", "x" * 400_000)
    await until(lambda: server.channels.open_subscriptions == 0)
    await until(lambda: len(server.connections) == connections - 1)
    deaf.close()


async def test_streams_take_the_way_of_sockets(
    server: LiveServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    matches = TaskFilter.matches

    def note(self: TaskFilter, entity: Any) -> bool:
        asked.append(self)
        return matches(self, entity)

    run = await start(client, await register(client, "a", "b"))
    query = "subscription ($f: TaskFilter) { tasks(filter: $f) { task { id } } }"
    async with AsyncExitStack() as stack:
        for number in range(20):
            await stack.enter_async_context(
                streaming(client, query, f={"processIds": [f"process_{number}"]})
            )
        following = [
            await stack.enter_async_context(streaming(client, query, f={"ids": [run.tasks[0]]}))
            for _ in range(10)
        ]
        await until(lambda: server.channels.open_subscriptions == 30)
        statistics = server.channels.statistics
        before = statistics.executions, statistics.deliveries
        monkeypatch.setattr(TaskFilter, "matches", note)
        await report(client, run.tasks[0], "start")
        for stream in following:
            told = (await stream.event()).json()
            assert told["data"]["tasks"]["task"]["id"] == run.tasks[0]
        # Nobody asked who does not name the task; all others were given the same bytes at once.
        assert len(asked) == 1
        assert (statistics.executions, statistics.deliveries) == (before[0] + 1, before[1] + 10)


async def test_pages_of_other_origins_may_resume(client: Client) -> None:
    headers = {
        "Origin": "http://elsewhere",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,last-event-id",
    }
    response = await client.http.options("/graphql", headers=headers)
    assert response.status_code == 200, response.text


async def test_a_browser_goes_on_behind_a_cursor_that_expired(
    server: LiveServer, client: Client, browser: Browser
) -> None:
    context = await browser.new_context(
        base_url=f"http://127.0.0.1:{server.port}", extra_http_headers=client.headers
    )
    page = await context.new_page()
    await page.goto("/version")
    variables = json.dumps({"after": "abcdef0123.0.1.end"})
    address = f"/graphql?{urlencode({'query': TASKS, 'variables': variables})}"
    await page.evaluate(
        """address => {
            window.told = [];
            new EventSource(address).addEventListener("next", event => told.push(event.data));
        }""",
        address,
    )
    await page.wait_for_function("told.length === 1")
    # While it is not there: what happened meanwhile is told when it comes back.
    run = await start(client, await register(client, "a"))
    await report(client, run.tasks[0], "start")
    await page.wait_for_function("told.length === 3")
    expired, *events = [json.loads(data) for data in await page.evaluate("told")]
    assert expired["errors"][0]["extensions"]["code"] == "CURSOR_EXPIRED"
    assert [event["data"]["tasks"]["task"]["revision"] for event in events] == [1, 2]
    await context.close()


async def test_streams_end_with_the_server(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as clients:
        async with serving_live(create_app(settings)) as server:
            client = await clients.enter_async_context(server.client())
            stream = await clients.enter_async_context(streaming(client, TASKS))
            await stream.message()
            began = loop.time()
        assert loop.time() - began < 2.5
        with pytest.raises(StopAsyncIteration):
            await stream.message()
