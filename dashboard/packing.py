"""Code and styles as they are sent: made and compressed once, and from then on out of memory."""

import asyncio
import gzip
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# It is the same for everybody: it changes with its path.
FOLDERS = ("/_dash-component-suites/", "/assets/")
# All of it has some 2 MiB. Whoever asks for paths of other versions gets them out of no memory.
MOST_BYTES = 16 * 1024**2
LEVEL = 9
# Smaller answers grow.
LEAST_BYTES = 500

# What an answer without a body has as well.
STAYING = (b"etag", b"vary", b"cache-control")

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Packed:
    """An answer, compressed."""

    headers: Headers
    body: bytes


class Packing:
    """Keeps the answers of an application that change with their paths, for who takes gzip."""

    def __init__(self, app: ASGIApp, most_bytes: int = MOST_BYTES) -> None:
        self._app = app
        # The oldest first, which makes way.
        self._free_bytes = most_bytes
        self._known: dict[str, Packed] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _may_be_packed(scope):
            await self._app(scope, receive, send)
            return
        packed = self._known.get(scope["path"])
        if packed is None:
            packed = await self._ask(scope, receive, send)
        if packed is not None:
            await _send(packed, scope, send)

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> Packed | None:
        """Has the application answer; None: the answer was sent as it is."""
        messages: list[Message] = []

        async def hold(message: Message) -> None:
            messages.append(message)

        await self._app(_asking_anew(scope), receive, hold)
        body = b"".join(message.get("body", b"") for message in messages[1:])
        if not messages or messages[0]["status"] != 200 or len(body) < LEAST_BYTES:
            for message in messages:
                await send(message)
            return None
        content = await asyncio.to_thread(gzip.compress, body, LEVEL, mtime=0)
        packed = Packed(_headers(messages[0]["headers"], len(content)), content)
        self._keep(scope["path"], packed)
        return packed

    def _keep(self, path: str, packed: Packed) -> None:
        if path in self._known:
            return
        self._known[path] = packed
        self._free_bytes -= len(packed.body)
        while self._free_bytes < 0:
            oldest = next(iter(self._known))
            self._free_bytes += len(self._known.pop(oldest).body)


async def _send(packed: Packed, scope: Scope, send: Send) -> None:
    """All of it; only that it is the same still, to who has it."""
    known = [value for name, value in scope["headers"] if name == b"if-none-match"]
    is_known = any(name == b"etag" and value in known for name, value in packed.headers)
    headers = [pair for pair in packed.headers if not is_known or pair[0] in STAYING]
    status = 304 if is_known else 200
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_known else packed.body})


def _may_be_packed(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
    takes = any(name == b"accept-encoding" and b"gzip" in value for name, value in headers)
    return takes and scope["path"].startswith(FOLDERS)


def _asking_anew(scope: Scope) -> Scope:
    """The request without what would be answered by less than all, or compressed already."""
    names = (b"accept-encoding", b"if-none-match", b"if-modified-since", b"range")
    return {**scope, "headers": [(k, v) for k, v in scope["headers"] if k not in names]}


def _headers(headers: Headers, length: int) -> Headers:
    names = (b"content-type", *STAYING)
    return [
        *((name, value) for name, value in headers if name in names),
        (b"content-encoding", b"gzip"),
        (b"content-length", str(length).encode()),
    ]
