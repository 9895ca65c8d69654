"""How fast one server process delivers events to its subscribers."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial

import httpx
from sqlalchemy import insert

from bench.parts import TOKEN, Parts
from bench.report import Figure, say
from bench.sockets import RawSocket, Tally, init_message, open_sockets, subscribe_message
from db import models
from db.session import Database
from monitor.entities import Task, TaskStatus
from monitor.events import ChangeKind, Event, encode_events
from monitor.feed.installation import read_installation
from monitor.feed.redis import RedisFeed
from monitor.feed.relay import Relay

SUBSCRIBERS = 500
SECONDS = 4.0
ROUNDS = 3
# Events on their way at most, and events per commit.
WINDOW = 100
BURST = 20
QUERY = """subscription ($f: TaskFilter) { tasks(filter: $f) {
  cursor kind occurredAt task { id name status revision startedAt updatedAt details } } }"""
PEER_QUERY = """subscription { tasks {
  cursor kind occurredAt task { id name status revision startedAt updatedAt details } } }"""

Publish = Callable[[int], Awaitable[None]]


def encoded_events(count: int, worker: str) -> bytes:
    """A commit with that many task updates, as the relay appends it."""
    now = datetime.now(UTC)
    task = Task(
        id="task_01a20a81-4634-70c0-933b-6a26ca16e7b3",
        process_id="process_01a20a81-4634-70c0-933b-6a26ca16e7b3",
        worker_id=worker,
        pipeline_id="pipeline_1074352f-3219-899f-b9f8-7c660c083e4d",
        name="second step",
        version="v1.0",
        position=2,
        status=TaskStatus.RUNNING,
        created_at=now,
        started_at=now,
        updated_at=now,
        ended_at=None,
        details=None,
        revision=2,
    )
    return encode_events([Event(ChangeKind.UPDATED, now, task)] * count)


async def rate(tally: Tally, publish: Publish, *, receivers: int) -> float:
    """Events per second that all receivers got, publishing as fast as they take them."""
    before = tally.bytes
    await publish(1)
    await _quiet(tally, beyond=before)
    before = tally.bytes
    await publish(BURST)
    await _quiet(tally, beyond=before)
    size = (tally.bytes - before) / BURST / receivers
    before, published, start = tally.bytes, 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < SECONDS:
        if published - (tally.bytes - before) / size / receivers < WINDOW - BURST:
            await publish(BURST)
            published += BURST
        else:
            await asyncio.sleep(0.0005)
    return (tally.bytes - before) / size / receivers / elapsed


async def _quiet(tally: Tally, *, beyond: int = -1) -> None:
    """Returns once more than `beyond` bytes have come, and then nothing for a while."""
    seen = -1
    async with asyncio.timeout(30):
        while seen != tally.bytes or seen <= beyond:
            seen = tally.bytes
            await asyncio.sleep(0.3)


async def subscribed(
    port: int, messages: list[bytes], *, init: bool = True
) -> tuple[Tally, list[RawSocket]]:
    """Sockets that have sent these subscriptions, one each."""
    tally = Tally()
    sockets = await open_sockets(tally, port, len(messages))
    if init:
        for client in sockets:
            client.send(init_message(TOKEN))
        await _quiet(tally)
    for client, message in zip(sockets, messages, strict=True):
        client.send(message)
    await _quiet(tally)
    return tally, sockets


def _close(sockets: list[RawSocket]) -> None:
    for client in sockets:
        assert client.transport is not None
        client.transport.abort()


async def _ours(parts: Parts, url: str, port: int, filters: list[str | None]) -> float:
    """Events/s with one subscription per filter (a worker, or None for all)."""
    database = Database(url)
    installation = partial(read_installation, database)
    feed = RedisFeed(parts.redis.url, installation=installation, length=100_000)
    relay = Relay(database, feed)

    async def publish(count: int) -> None:
        row = {"events": encoded_events(count, "worker_0").decode()}
        async with database.writing() as connection:
            await connection.execute(insert(models.outbox), [row])
        await relay.move()

    messages = [
        subscribe_message(QUERY, {"f": {"workerIds": [worker]} if worker else None})
        for worker in filters
    ]
    tally, sockets = await subscribed(port, messages)
    matching = sum(worker in (None, "worker_0") for worker in filters)
    try:
        return await rate(tally, publish, receivers=matching)
    finally:
        _close(sockets)
        await feed.close()
        await database.close()


async def _http_peer(port: int) -> float:
    """Events/s of a GraphQL server that publishes when asked over HTTP."""
    async with httpx.AsyncClient() as http:

        async def publish(count: int) -> None:
            await http.post(f"http://127.0.0.1:{port}/publish/{count}")

        tally, sockets = await subscribed(port, [subscribe_message(PEER_QUERY, {})] * SUBSCRIBERS)
        try:
            return await rate(tally, publish, receivers=SUBSCRIBERS)
        finally:
            _close(sockets)


async def _bare(port: int) -> float:
    tally, ignored = Tally(), Tally()
    sockets = await open_sockets(tally, port, SUBSCRIBERS, path="/", subprotocol=None)
    (trigger,) = await open_sockets(ignored, port, 1, path="/", subprotocol=None)

    async def publish(count: int) -> None:
        trigger.send(str(count).encode())

    try:
        return await rate(tally, publish, receivers=SUBSCRIBERS)
    finally:
        _close([*sockets, trigger])


async def measure(parts: Parts) -> list[Figure]:
    """Deliveries to identical subscriptions, and events past filters that do not match."""
    everybody: list[str | None] = [None] * SUBSCRIBERS
    one_of_many: list[str | None] = [f"worker_{number}" for number in range(SUBSCRIBERS)]
    alone: list[str | None] = ["worker_0"]
    rates: dict[str, list[float]] = {}
    with (
        parts.monitor(url := parts.new_database()) as server,
        # As many bytes as one of our messages has.
        parts.peer("bare", "330") as (bare, _),
        parts.peer("yoga.mjs") as (yoga, _),
        parts.peer("stock") as (stock, _),
    ):
        for number in range(ROUNDS):
            say(f"fan-out to {SUBSCRIBERS} sockets, round {number + 1} of {ROUNDS}")
            measures: Sequence[tuple[str, Callable[[], Awaitable[float]]]] = (
                ("ours", lambda: _ours(parts, url, server.port, everybody)),
                ("bare", lambda: _bare(bare)),
                ("yoga", lambda: _http_peer(yoga)),
                ("stock", lambda: _http_peer(stock)),
                ("alone", lambda: _ours(parts, url, server.port, alone)),
                ("filters", lambda: _ours(parts, url, server.port, one_of_many)),
            )
            for name, measured in measures:
                rates.setdefault(name, []).append(await measured())
    median = {name: statistics.median(values) for name, values in rates.items()}
    deliveries = {name: value * SUBSCRIBERS for name, value in median.items()}
    name = f"deliveries, {SUBSCRIBERS} identical subscriptions"
    return [
        Figure(name, "/s", deliveries["ours"], 0.6, "bare ASGI socket", deliveries["bare"]),
        Figure(name, "/s", deliveries["ours"], 2, "graphql-yoga on Node", deliveries["yoga"]),
        Figure(name, "/s", deliveries["ours"], 15, "stock Strawberry", deliveries["stock"]),
        Figure(
            f"events, {SUBSCRIBERS} filters of which one matches",
            "/s",
            median["filters"],
            0.5,
            "one subscriber alone",
            median["alone"],
        ),
    ]
