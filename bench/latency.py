"""How long after its acknowledgement a report reaches the subscribers."""

import asyncio
import re
import statistics
import time

import httpx

from bench.fanout import subscribed
from bench.parts import TOKEN, Parts
from bench.peers.redis_publish import measure as measure_publish
from bench.report import Figure, say
from bench.sockets import subscribe_message

SUBSCRIBERS = 100
RATE = 200.0
SECONDS = 8.0
QUERY = "subscription { tasks { cursor kind task { id name status revision details } } }"
_NUMBER = re.compile(rb'"details":"n(\d+)"')


async def measure(parts: Parts) -> list[Figure]:
    """Write acknowledged → received, beside Redis PUBLISH → received."""
    say(f"latency: {RATE:g} updates/s to {SUBSCRIBERS} subscribers")
    with parts.monitor(parts.new_database()) as server:
        ours = await _ours(server.port, server.url)
    published = await measure_publish(parts.redis.url, SUBSCRIBERS, RATE, SECONDS)
    figures = []
    for name, percent, limit in (("p50", 50, 10.0), ("p99", 99, 50.0)):
        mine, limit_seen = _percentile(ours, percent), _percentile(published, percent)
        text = f"acknowledged → received, {name} (Redis PUBLISH: {limit_seen * 1e3:.2g} ms)"
        figures.append(Figure(text, "ms", mine * 1e3, limit, lower_is_better=True))
    return figures


async def _ours(port: int, url: str) -> list[float]:
    tally, sockets = await subscribed(port, [subscribe_message(QUERY, {})] * SUBSCRIBERS)
    received: list[tuple[int, float]] = []

    def note(data: bytes) -> None:
        at = time.perf_counter()
        received.extend((int(number), at) for number in _NUMBER.findall(data))

    tally.on_data = note
    acknowledged: dict[int, float] = {}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=url, headers=headers) as http:
        tasks = await _tasks(http, 20)

        async def report(number: int) -> None:
            body = {"task_id": tasks[number % len(tasks)], "status": "start"}
            await http.post("/actualizar_task", json={**body, "details": f"n{number}"})
            acknowledged[number] = time.perf_counter()

        start = time.perf_counter()
        async with asyncio.TaskGroup() as reports:
            for number in range(int(RATE * SECONDS)):
                await asyncio.sleep(max(0.0, start + number / RATE - time.perf_counter()))
                reports.create_task(report(number))
        await asyncio.sleep(0.5)
    for client in sockets:
        assert client.transport is not None
        client.transport.abort()
    assert len(received) == SUBSCRIBERS * len(acknowledged), "an update was not delivered"
    return [max(0.0, at - acknowledged[number]) for number, at in received]


async def _tasks(http: httpx.AsyncClient, count: int) -> list[str]:
    tasks = []
    for number in range(count):
        steps = [{"name": "step", "version": "1"}]
        body = {"name": f"worker {number}", "version": "1", "tasks": steps}
        worker = (await http.post("/matricula", json=body)).json()["id"]
        process = (await http.post("/newprocess", json={"id": worker})).json()
        tasks.append(process["sons"][0]["id"])
    return tasks


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]
