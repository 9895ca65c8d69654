"""A database behind a proxy that can be told to fail."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import make_url

from db.session import Database
from tests.monitor.proxy import Proxy


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    port = make_url(database_url).port
    assert port is not None
    async with Proxy(port).running() as proxy:
        yield proxy


@pytest.fixture
async def proxied(proxy: Proxy, database_url: str) -> AsyncIterator[Database]:
    """The database behind the proxy."""
    url = make_url(database_url).set(port=proxy.port)
    database = Database(url.render_as_string(hide_password=False))
    yield database
    await database.close()
