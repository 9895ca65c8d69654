"""How long after it was sent, and after its acknowledgement, a report reaches the subscribers."""

import asyncio
import re
import statistics
import time

from bench.fanout import subscribed
from bench.parts import Parts
from bench.peers.redis_publish import measure as measure_publish
from bench.report import Figure, say
from bench.sockets import subscribe_message
from bench.writes import Connection

SUBSCRIBERS = 100
RATE = 200.0
SECONDS = 8.0
TASKS = 20
QUERY = "subscription { tasks { cursor kind task { id name status revision details } } }"
_NUMBER = re.compile(rb'"details":"n(\d+)"')


async def measure(parts: Parts) -> list[Figure]:
    """Sent, and acknowledged, → received, beside Redis PUBLISH → received."""
    say(f"latency: {RATE:g} updates/s to {SUBSCRIBERS} subscribers")
    with parts.monitor(parts.new_database()) as server:
        sent, acknowledged = await _ours(server.port)
    published = await measure_publish(parts.redis.url, SUBSCRIBERS, RATE, SECONDS)
    figures = []
    for since, ours, limits in (
        ("sent", sent, (5.0, 20.0)),
        ("acknowledged", acknowledged, (10.0, 50.0)),
    ):
        for percent, limit in zip((50, 99), limits, strict=True):
            mine, limit_seen = _percentile(ours, percent), _percentile(published, percent)
            text = f"{since} → received, p{percent} (Redis PUBLISH: {limit_seen * 1e3:.2g} ms)"
            figures.append(Figure(text, "ms", mine * 1e3, limit, lower_is_better=True))
    return figures


async def _ours(port: int) -> tuple[list[float], list[float]]:
    """Seconds until each subscriber had each: since it was sent, since it was acknowledged."""
    tally, sockets = await subscribed(port, [subscribe_message(QUERY, {})] * SUBSCRIBERS)
    received: list[tuple[int, float]] = []

    def note(data: bytes) -> None:
        at = time.perf_counter()
        received.extend((int(number), at) for number in _NUMBER.findall(data))

    tally.on_data = note
    sent: dict[int, float] = {}
    acknowledged: dict[int, float] = {}
    async with asyncio.timeout(60):
        tasks = [await _started(port, number) for number in range(TASKS)]

        async def report(number: int) -> None:
            connection, task_id = tasks[number % TASKS]
            body = {"task_id": task_id, "status": "start", "details": f"n{number}"}
            sent[number] = time.perf_counter()
            await connection.post("/actualizar_task", body)
            acknowledged[number] = time.perf_counter()

        async def reports(first: int) -> None:
            """Each of them when it is due, one after the other."""
            for number in range(first, int(RATE * SECONDS), TASKS):
                await asyncio.sleep(max(0.0, start + number / RATE - time.perf_counter()))
                await report(number)

        start = time.perf_counter()
        await asyncio.gather(*(reports(first) for first in range(TASKS)))
        await asyncio.sleep(0.5)
    for client in sockets:
        assert client.transport is not None
        client.transport.abort()
    assert len(received) == SUBSCRIBERS * len(acknowledged), "an update was not delivered"
    return (
        [at - sent[number] for number, at in received],
        [max(0.0, at - acknowledged[number]) for number, at in received],
    )


async def _started(port: int, number: int) -> tuple[Connection, str]:
    """A connection, and a task to report on over it."""
    connection = Connection(*await asyncio.open_connection("127.0.0.1", port))
    steps = [{"name": "step", "version": "1"}]
    body = {"name": f"worker {number}", "version": "1", "tasks": steps}
    worker = await connection.post("/matricula", body)
    process = await connection.post("/newprocess", {"id": worker["id"]})
    return connection, process["sons"][0]["id"]


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]
