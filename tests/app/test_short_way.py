"""Reports on their short way, past all layers, behave as on the long one."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI

from app.factory import create_app
from app.middleware import DefectMiddleware
from app.settings import Settings
from tests.conftest import TOKEN
from tests.graph.live import LiveServer, serving_live

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

PROBE = {"name": "a", "version": "1", "tasks": []}


@pytest.fixture
async def app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture
async def server(app: FastAPI) -> AsyncIterator[LiveServer]:
    async with serving_live(app) as server:
        yield server


def request(body: object, *headers: str, path: str = "/matricula", version: str = "1.1") -> bytes:
    data = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/{version}", "Host: a", f"Authorization: Bearer {TOKEN}"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(data)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + data


async def exchange(server: LiveServer, *requests: bytes) -> list[tuple[bytes, Any]]:
    """The heads of all answers, and their JSON; requests are sent without waiting."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"".join(requests))
    answers = []
    async with asyncio.timeout(20):
        for _ in requests:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if head.startswith(b"http/1.1 100"):
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            answers.append((head, json.loads(await reader.readexactly(length))))
    writer.close()
    return answers


async def test_an_answer_is_a_whole_one_with_its_headers(server: LiveServer) -> None:
    ((head, answer),) = await exchange(server, request(PROBE))
    assert head.startswith(b"http/1.1 200 ok\r\n")
    names = {line.split(b":")[0] for line in head.split(b"\r\n")[1:-2]}
    assert names - {b"server"} == {b"date", b"content-type", b"content-length"}
    assert answer["id"].startswith("worker_")


async def test_a_report_passes_no_other_layer(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(DefectMiddleware, "__call__", fail)
    ((head, _),) = await exchange(server, request(PROBE))
    assert head.startswith(b"http/1.1 200")
    # A text where a list belongs is for them to explain.
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request(PROBE | {"tasks": "none"}))
    async with asyncio.timeout(20):
        assert (await reader.readline()).startswith(b"HTTP/1.1 500")
    writer.close()


async def test_reports_sent_without_waiting_are_answered_in_order(server: LiveServer) -> None:
    ((_, worker),) = await exchange(server, request(PROBE))
    known = request({"id": worker["id"]}, path="/healthchecker")
    unknown = request({"id": "worker_none"}, path="/healthchecker")
    answers = await exchange(server, known, unknown, known)
    assert [head.split()[1] for head, _ in answers] == [b"200", b"404", b"200"]


@pytest.mark.parametrize(
    ("headers", "version"), [(["Connection: close"], "1.1"), ([], "1.0")], ids=["asked", "1.0"]
)
async def test_a_connection_that_is_not_kept_is_closed(
    server: LiveServer, headers: list[str], version: str
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request(PROBE, *headers, version=version))
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    assert b"\r\nconnection: close\r\n" in answer
    assert b'{"id":"worker_' in answer


async def test_who_asks_first_whether_to_send_the_body_is_told_to(server: LiveServer) -> None:
    ((head, answer),) = await exchange(server, request(PROBE, "Expect: 100-continue"))
    assert head.startswith(b"http/1.1 200")
    assert answer["id"].startswith("worker_")


async def test_a_page_of_another_origin_gets_what_browsers_ask_for(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"cors_origins": ["https://other.example"]}))
    async with serving_live(app) as server:
        ((head, _),) = await exchange(server, request(PROBE, "Origin: https://other.example"))
    assert b"access-control-allow-origin: https://other.example\r\n" in head


async def test_a_defect_is_answered_with_an_id_that_the_log_has(
    server: LiveServer,
    app: FastAPI,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(type(app.state.monitor.transactions), "run", fail)
    ((head, answer),) = await exchange(server, request(PROBE))
    assert head.startswith(b"http/1.1 500")
    assert answer["id"] in caplog.text
    assert "secret" not in str(answer)
