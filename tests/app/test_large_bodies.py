"""Details of 1 MiB are taken whole however they come, and nobody unknown may send as much."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from app.factory import create_app
from app.middleware import LARGE_BODIES, LARGE_BODY_BYTES
from app.settings import Settings
from tests.client import Client, GraphQLErrors
from tests.factories import Run, register, start
from tests.graph.live import LiveServer, Socket, serving_live

MEBIBYTE = 1024 * 1024
EMOJI = "\N{ROCKET}" * (MEBIBYTE // 4)
CONTROL = "\x01" * MEBIBYTE
UPDATE = "mutation ($input: UpdateTaskInput!) { updateTask(input: $input) { details } }"
UPDATE_MANY = "mutation ($in: [UpdateTaskInput!]!) { updateTasks(inputs: $in) { details } }"
TASKS = "subscription { tasks { task { details } } }"


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[LiveServer]:
    async with serving_live(create_app(settings)) as server:
        yield server


async def post(client: Client, path: str, body: object) -> httpx.Response:
    """In ASCII, as most clients send JSON."""
    headers = {**client.headers, "Content-Type": "application/json"}
    return await client.http.post(path, content=json.dumps(body), headers=headers)


async def over_rest(_: LiveServer, client: Client, task: str, details: str) -> None:
    body = {"task_id": task, "status": "error", "details": details}
    answer = await post(client, "/actualizar_task", body)
    assert answer.status_code == 200, answer.text[:200]


async def over_graphql(_: LiveServer, client: Client, task: str, details: str) -> None:
    variables = {"input": {"taskId": task, "status": "ERROR", "details": details}}
    answer = await post(client, "/graphql", {"query": UPDATE, "variables": variables})
    assert answer.json()["data"]["updateTask"]["details"] == details, answer.text[:200]


async def over_websocket(server: LiveServer, _: Client, task: str, details: str) -> None:
    input_ = {"taskId": task, "status": "ERROR", "details": details}
    async with Socket.open(server, max_size=None) as socket:
        await socket.subscribe(UPDATE, input=input_)
        assert (await socket.next_event())["updateTask"]["details"] == details


@pytest.mark.parametrize("details", [EMOJI, CONTROL], ids=["emoji", "control characters"])
@pytest.mark.parametrize("send", [over_rest, over_graphql, over_websocket])
async def test_a_mebibyte_is_taken_and_told_though_json_escapes_make_it_longer(
    server: LiveServer,
    send: Callable[[LiveServer, Client, str, str], Awaitable[None]],
    details: str,
) -> None:
    async with server.client() as client, Socket.open(server, max_size=None) as follower:
        run = await start(client, await register(client, "a"))
        await follower.subscribe(TASKS)
        await follower.settle(server, 1)
        await send(server, client, run.tasks[0], details)
        told = None
        while told is None:  # at first perhaps of the start
            told = (await follower.next_event())["tasks"]["task"]["details"]
        assert told == details


async def test_several_at_a_time_are_taken_up_to_what_the_database_takes(client: Client) -> None:
    run = await start(client, await register(client, *"abcdefg"))

    def inputs(details: str, count: int) -> list[dict[str, Any]]:
        return [
            {"taskId": task, "status": "ERROR", "details": details} for task in run.tasks[:count]
        ]

    for details, count in (("x" * MEBIBYTE, 6), ('"' * MEBIBYTE, 3)):
        data = await client.graphql(UPDATE_MANY, **{"in": inputs(details, count)})
        assert [task["details"] == details for task in data["updateTasks"]] == [True] * count
    with pytest.raises(GraphQLErrors) as refused:
        await client.graphql(UPDATE_MANY, **{"in": inputs("x" * MEBIBYTE, 7)})
    assert refused.value.codes == ["BAD_USER_INPUT"]


async def test_a_long_document_is_refused_in_words(client: Client) -> None:
    run = await start(client, await register(client, "a"))
    document = (
        f'mutation {{ updateTask(input: {{taskId: "{run.tasks[0]}", status: ERROR, '
        f'details: "{"x" * MEBIBYTE}"}}) {{ details }} }}'
    )
    data = await client.graphql(document)
    assert len(data["updateTask"]["details"]) == MEBIBYTE
    answer = await client.post("/graphql", {"query": document + " " * MEBIBYTE})
    (error,) = answer.json()["errors"]
    assert "variables" in error["message"]


@pytest.mark.parametrize("path", ["/actualizar_task", "/graphql", "/matricula"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_nobody_without_a_token_is_asked_for_a_body(server: LiveServer, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Expect: 100-continue\r\nContent-Length: 8000000\r\n\r\n".encode())
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
    writer.close()


async def held_body(server: LiveServer, stack: AsyncExitStack, run: Run) -> asyncio.StreamWriter:
    """A request with a large body of which the end is missing."""
    body = json.dumps({"task_id": run.tasks[0], "status": "start", "details": "x" * MEBIBYTE})
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    stack.callback(writer.transport.abort)
    authorization = (await stack.enter_async_context(server.client())).headers["Authorization"]
    head = (
        f"POST /actualizar_task HTTP/1.1\r\nHost: a\r\nAuthorization: {authorization}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write((head + body[:-1]).encode())
    await writer.drain()
    return writer


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_few_large_bodies_are_held_at_a_time(server: LiveServer) -> None:
    async with server.client() as client, AsyncExitStack() as stack:
        run = await start(client, await register(client, "a"))
        held = [await held_body(server, stack, run) for _ in range(LARGE_BODIES)]
        large = {"task_id": run.tasks[0], "status": "start", "details": "x" * LARGE_BODY_BYTES}
        answer = await post(client, "/actualizar_task", large)
        while answer.status_code == 200:  # until all those that are held have come as far
            answer = await post(client, "/actualizar_task", large)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "large" in answer.json()["detail"]
        # Others are not in the way of each other.
        small = {"task_id": run.tasks[0], "status": "start", "details": "x"}
        assert (await post(client, "/actualizar_task", small)).status_code == 200
        # One that ends, or goes, makes room.
        held[0].write(b"}")
        assert (await post(client, "/actualizar_task", large)).status_code == 200
        held[1].transport.abort()
        assert (await post(client, "/actualizar_task", large)).status_code == 200
