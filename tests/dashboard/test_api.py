"""The API as the dashboard sees it."""

import asyncio

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
        await client.query("workers", after=None)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
