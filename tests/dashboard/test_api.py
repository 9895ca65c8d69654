"""The API as the dashboard sees it."""

import asyncio
from pathlib import Path

import pytest
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.common.adapters.aiohttp import AIOHTTPWebSocketsAdapter
from gql.transport.exceptions import TransportConnectionFailed

from dashboard.api import Api, ApiGone
from tests.conftest import TOKEN
from tests.dashboard.reporter import Reporter
from tests.servers import MonitorServer


@pytest.mark.parametrize(
    ("token", "port", "said"),
    [("wrong", None, "refuses the dashboard's token"), (TOKEN, 9, "cannot be reached")],
)
async def test_why_there_is_nothing_to_see_is_said_in_words(
    api: MonitorServer, token: str, port: int | None, said: str
) -> None:
    client = Api(f"http://127.0.0.1:{port or api.port}", token)
    running = asyncio.create_task(client.run())
    with pytest.raises(ApiGone, match=said):
        await client.query("workers", size=1, filter={})
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_questions_alone_notice_that_the_api_was_restarted(tmp_path: Path) -> None:
    server = MonitorServer(tmp_path, {"TOKEN": TOKEN})
    server.start()
    client = Api(server.url, TOKEN)
    running = asyncio.create_task(client.run())
    await client.query("workers", size=1, filter={})
    server.kill()
    with pytest.raises(ApiGone):
        await client.query("workers", size=1, filter={})
    server.start()
    async with asyncio.timeout(20):
        await client.connected()
        assert await client.query("workers", size=1, filter={})
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    server.stop()


async def test_the_end_of_the_api_is_noticed_though_nobody_asks_anything(tmp_path: Path) -> None:
    server = MonitorServer(tmp_path, {"TOKEN": TOKEN})
    server.start()
    client = Api(server.url, TOKEN)
    running = asyncio.create_task(client.run())
    async with asyncio.timeout(20):
        await client.connected()
        server.kill()
        with pytest.raises(ApiGone, match="cannot be reached"):
            await client.lost()
    assert client.problem
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("answer", [{"detail": "Too many connections"}, ["ok"], {"status": 5}])
async def test_what_is_no_answer_about_health_changes_nothing(answer: object) -> None:
    client = Api("http://127.0.0.1:9", TOKEN)
    client._hear({"status": "degraded"})
    client._hear(answer)
    assert client.health == "degraded"


async def is_cancelled(task: "asyncio.Task[None]") -> bool:
    """Whether it ended so, and soon."""
    await asyncio.wait([task], timeout=30)
    return task.cancelled()


async def test_who_is_cancelled_just_when_the_socket_is_open_does_not_go_on(
    api: MonitorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = AIOHTTPWebSocketsAdapter.connect

    async def connect_and_cancel(adapter: AIOHTTPWebSocketsAdapter) -> None:
        await connect(adapter)
        running.cancel()

    monkeypatch.setattr(AIOHTTPWebSocketsAdapter, "connect", connect_and_cancel)
    running = asyncio.create_task(Api(api.url, TOKEN).run())
    assert await is_cancelled(running)


async def test_who_is_cancelled_while_the_socket_breaks_does_not_go_on(
    api: MonitorServer, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise TransportConnectionFailed("Error trying to send data")

    monkeypatch.setattr(AIOHTTPWebsocketsTransport, "_stop_listener", fail)
    client = Api(api.url, TOKEN)
    running = asyncio.create_task(client.run())
    told = asyncio.Event()
    cursor = (await client.query("worker", id=reporter.register("told")))["feedCursor"]
    worker = reporter.register("heard")

    async def follow() -> None:
        async for _ in client.changes("worker_changes", filter={"ids": [worker]}, after=cursor):
            told.set()

    following = asyncio.create_task(follow())
    async with asyncio.timeout(30):
        await told.wait()
    following.cancel()
    assert await is_cancelled(following)
    running.cancel()
    assert await is_cancelled(running)
