"""Code and styles are compressed once, and sent out of memory."""

import gzip

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dashboard.packing import Packing

CODE = b"console.log('some code');" * 100
PATH = "/assets/1f/main.js"


class Answering:
    """An application that answers any path with code, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        path = Request(scope).url.path
        status = 404 if path.endswith("nope.js") else 200
        content = b"{}" if path.endswith("short.js") else CODE
        headers = {"ETag": '"1"', "Cache-Control": "immutable", "X-Of": "nobody else"}
        response = Response(content, status, headers, media_type="text/javascript")
        await response(scope, receive, send)


@pytest.fixture
def answering() -> Answering:
    return Answering()


def client(answering: Answering, most_bytes: int = 10_000) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(Packing(answering, most_bytes))
    return httpx.AsyncClient(transport=transport, base_url="http://dashboard")


async def test_code_is_compressed_once_for_all_that_ask(answering: Answering) -> None:
    async with client(answering) as browsers:
        answers = [await browsers.get(PATH) for _ in range(3)]
        async with browsers.stream("GET", PATH) as answer:
            sent = b"".join([part async for part in answer.aiter_raw()])
    assert answering.asked == 1
    assert gzip.decompress(sent) == CODE
    for each in answers:
        assert each.content == CODE
        assert each.headers["Content-Encoding"] == "gzip"
        assert each.headers["Content-Length"] == str(len(sent))
        assert each.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert each.headers["Cache-Control"] == "immutable"
        assert "X-Of" not in each.headers


async def test_who_has_it_already_is_told_so(answering: Answering) -> None:
    async with client(answering) as browsers:
        await browsers.get(PATH)
        same = await browsers.get(PATH, headers={"If-None-Match": '"1"'})
        other = await browsers.get(PATH, headers={"If-None-Match": '"0"'})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", '"1"')
    assert (other.status_code, other.content) == (200, CODE)


@pytest.mark.parametrize(
    ("path", "takes"),
    [
        (PATH, "identity"),
        ("/", "gzip"),
        ("/assets/1f/nope.js", "gzip"),
        ("/assets/1f/short.js", "gzip"),
    ],
)
async def test_everything_else_is_answered_as_it_was(
    answering: Answering, path: str, takes: str
) -> None:
    async with client(answering) as browsers:
        answers = [await browsers.get(path, headers={"Accept-Encoding": takes}) for _ in range(2)]
    assert answering.asked == 2
    for each in answers:
        assert "Content-Encoding" not in each.headers
        assert each.headers["X-Of"] == "nobody else"


async def test_what_is_kept_is_bounded_and_the_oldest_makes_way(answering: Answering) -> None:
    room_for_one = len(gzip.compress(CODE, 9)) + 1
    other = "/assets/1f/other.js"
    async with client(answering, room_for_one) as browsers:
        for path in (PATH, PATH, other, other, PATH):
            assert (await browsers.get(path)).content == CODE
    assert answering.asked == 3
