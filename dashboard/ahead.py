"""Asks the API for what a page will show while the browser still loads the code."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.address import Address
from dashboard.callbacks import MAX_SEARCH_CHARACTERS
from dashboard.tabs import loaded
from dashboard.view.views import Views

PATH = "/"
# A page that is not loaded by then asks for itself.
PATIENCE_SECONDS = 5.0
MOST_AT_ONCE = 32


class Ahead:
    """Opens the boards of a document's address when the document is asked for."""

    def __init__(self, app: ASGIApp, views: Views) -> None:
        self._app = app
        self._views = views
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _asks_for_page(scope):
            self._begin(scope["query_string"].decode("latin-1"))
        await self._app(scope, receive, send)

    def _begin(self, query: str) -> None:
        if len(query) > MAX_SEARCH_CHARACTERS or len(self._tasks) >= MOST_AT_ONCE:
            return
        search = f"?{query}" if query else ""
        task = asyncio.create_task(self._open(Address.parse(search)), name="page ahead")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, address: Address) -> None:
        view = await loaded(self._views.open(address), PATIENCE_SECONDS)
        if not view.is_settled:  # a process alone has to be found first
            await loaded(self._views.open(address), PATIENCE_SECONDS)


def _asks_for_page(scope: Scope) -> bool:
    """Not for a sign of life, or for a picture of another page that has this address."""
    if scope["method"] != "GET" or scope["path"] != PATH:
        return False
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
