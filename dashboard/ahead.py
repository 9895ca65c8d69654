"""Asks the API for what a page will show while the browser still loads the code, and shows it.

The document is sent in two parts: its head at once, so that the browser begins to load the code,
and the rest with a first picture of the page, when that is known.
"""

import asyncio
import logging
import time
import zlib
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.address import Address
from dashboard.callbacks import MAX_SEARCH_CHARACTERS
from dashboard.tabs import loaded
from dashboard.view.document import PICTURE
from dashboard.view.picture import Pictures
from dashboard.view.views import Views

PATH = "/"
# A page that is not loaded by then asks for itself.
PATIENCE_SECONDS = 5.0
MOST_AT_ONCE = 32
# The rest of a document waits for its picture; later than this it would hold up the code, which is
# there by then and shows as much itself.
PICTURE_SECONDS = 0.3
# The head is compressed for each answer anew.
COMPRESSION = 4
GZIP = zlib.MAX_WBITS + 16

log = logging.getLogger(__name__)


class Opening:
    """The boards of an address, opened ahead of the page that shows them."""

    def __init__(self, views: Views, address: Address) -> None:
        self.view = views.open(address)
        self.task = asyncio.create_task(self._load(views), name="page ahead")

    async def _load(self, views: Views) -> None:
        await loaded(self.view, PATIENCE_SECONDS)
        if not self.view.is_settled:  # a process alone has to be found first
            self.view = views.open(self.view.address)
            await loaded(self.view, PATIENCE_SECONDS)


class Ahead:
    """Opens the boards of a document's address when it is asked for, and puts a picture into it."""

    def __init__(self, app: ASGIApp, views: Views, pictures: Pictures) -> None:
        self._app = app
        self._views = views
        self._pictures = pictures
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _asks_for_page(scope):
            await self._app(scope, receive, send)
            return
        opening = self._begin(scope["query_string"].decode("latin-1"))
        messages = await _answer(self._app, scope, receive, send)
        head, picture, rest = _body(messages).partition(PICTURE.encode())
        if not picture:
            for message in messages:
                await send(message)
            return
        takes_gzip = "gzip" in Headers(scope=scope).get("accept-encoding", "")
        parts = Parts(messages[0], send, takes_gzip=takes_gzip)
        sent_at = time.time()
        await parts.send(head)
        drawn = await self._picture(opening, sent_at) if opening else ""
        await parts.send(drawn.encode() + rest, is_last=True)

    def _begin(self, query: str) -> Opening | None:
        if len(query) > MAX_SEARCH_CHARACTERS or len(self._tasks) >= MOST_AT_ONCE:
            return None
        opening = Opening(self._views, Address.parse(f"?{query}" if query else ""))
        self._tasks.add(opening.task)
        opening.task.add_done_callback(self._tasks.discard)
        return opening

    async def _picture(self, opening: Opening, sent_at: float) -> str:
        await asyncio.wait([opening.task], timeout=PICTURE_SECONDS)
        try:
            return self._pictures.draw(opening.view, sent_at)
        except Exception:  # the page needs no picture, but it needs the rest of its document
            log.exception("no picture of %s", opening.view.address.search)
            return ""


class Parts:
    """An answer in parts, each of which leaves at once, also where they are compressed."""

    def __init__(self, start: Message, send: Send, *, takes_gzip: bool) -> None:
        self._send = send
        self._packer = zlib.compressobj(COMPRESSION, wbits=GZIP) if takes_gzip else None
        headers = MutableHeaders(raw=list(start["headers"]))
        del headers["content-length"]
        headers.add_vary_header("Accept-Encoding")
        headers["X-Accel-Buffering"] = "no"  # else nginx would keep the head until the rest comes
        if takes_gzip:
            headers["Content-Encoding"] = "gzip"
        self._start: Message | None = {**start, "headers": headers.raw}

    async def send(self, part: bytes, *, is_last: bool = False) -> None:
        if self._start:
            await self._send(self._start)
            self._start = None
        if self._packer:
            end = zlib.Z_FINISH if is_last else zlib.Z_SYNC_FLUSH
            part = self._packer.compress(part) + self._packer.flush(end)
        await self._send({"type": "http.response.body", "body": part, "more_body": not is_last})


async def _answer(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> Sequence[Message]:
    """What the application answers; where it fails, that is sent as it came."""
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    try:
        await app(scope, receive, keep)
    except Exception:
        for message in messages:
            await send(message)
        raise
    return messages


def _body(messages: Sequence[Message]) -> bytes:
    return b"".join(message.get("body", b"") for message in messages)


def _asks_for_page(scope: Scope) -> bool:
    """Not for a sign of life, or for a picture of another page that has this address."""
    if scope["method"] != "GET" or scope["path"] != PATH:
        return False
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
