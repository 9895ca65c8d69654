"""What /metrics says."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.factory import create_app
from app.settings import Settings
from tests.client import Client
from tests.factories import register, report, start
from tests.graph.live import LiveServer, Socket, serving_live
from tests.metrics import Samples, read

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def scrape(client: Client) -> Samples:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    return read(answer.text)


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[LiveServer]:
    async with serving_live(create_app(settings)) as server:
        yield server


async def test_requests_are_timed_by_route_method_and_class_of_status(client: Client) -> None:
    run = await start(client, await register(client, "a"))
    await report(client, run.tasks[0], "start")
    for id_ in ("worker_1", "worker_2"):
        await client.get(f"/dashboard_process/{id_}")
    await client.get("/made/up")
    await client.http.request("BREW", "/graphql", headers=client.headers)
    samples = await scrape(client)
    counts = {
        ("POST", "/matricula", "2xx"): 1,
        ("POST", "/actualizar_task", "2xx"): 1,
        # However many there are: clients cannot make up labels.
        ("GET", "/dashboard_process/{worker_id}", "4xx"): 2,
        ("GET", "other", "4xx"): 1,
        ("other", "other", "4xx"): 1,
    }
    for labels, count in counts.items():
        assert samples["request_seconds_count", *labels] == count, labels
    assert samples["request_seconds_bucket", "+Inf", "POST", "/matricula", "2xx"] == 1


async def test_commits_are_timed(client: Client) -> None:
    await register(client)
    samples = await scrape(client)
    assert samples["commit_seconds_count",] == samples["commits_total",] > 0
    assert samples["commit_seconds_sum",] > 0


async def test_refusals_are_counted_by_reason(client: Client) -> None:
    for _ in range(2):
        await client.post("/healthchecker", {"id": "worker_none"})
    assert (await scrape(client))["refusals_total", "NOT_FOUND"] == 2


async def test_what_is_refused_before_it_is_a_request_is_counted(server: LiveServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000)
    assert (await reader.read()).startswith(b"HTTP/1.1 431 ")
    writer.close()
    async with server.client() as client:
        samples = await scrape(client)
    assert samples["refusals_total", "HEAD_TOO_LARGE"] == 1


async def test_gauges_say_what_is_open_and_what_waits(server: LiveServer) -> None:
    async with server.client() as client, Socket.open(server) as socket:
        await socket.subscribe("subscription { tasks { kind } }")
        await socket.settle(server, 1)
        samples = await scrape(client)
    assert samples["open_connections",] == 2
    assert samples["open_sockets",] == samples["open_subscriptions",] == 1
    assert samples["write_queue_length",] == samples["write_queue_age_seconds",] == 0
    assert samples["server_processes",] == 1
    assert 20e6 < samples["resident_memory_bytes",] < 2e9
    assert samples["outbox_backlog",] >= 0


async def test_figures_can_be_asked_for_while_subscriptions_come_and_go(
    server: LiveServer,
) -> None:
    """They are read where they change; a thread met half of it now and then."""
    async with server.client() as client, Socket.open(server) as socket:

        async def come_and_go() -> None:
            for number in range(400):
                query = f"subscription {{ tasks {{ kind }} }} # {number}"
                await socket.subscribe(query, f"{number}")
                if number >= 50:
                    await socket.send({"type": "complete", "id": f"{number - 50}"})

        coming = asyncio.create_task(come_and_go())
        while not coming.done():
            await scrape(client)
        await coming
