"""The API as the dashboard sees it."""

import asyncio
from pathlib import Path

import pytest

from dashboard.api import Api, ApiGone
from tests.conftest import TOKEN
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
