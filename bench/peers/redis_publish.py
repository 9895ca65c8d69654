"""The limit for latency: Redis PUBLISH to as many sockets as there are subscribers."""

import asyncio
import time

from redis.asyncio import Redis


async def measure(url: str, sockets: int, rate: float, seconds: float) -> list[float]:
    """Seconds from PUBLISH answered to message received, one per socket and message."""
    redis = Redis.from_url(url)
    answered: dict[bytes, float] = {}
    received: list[tuple[bytes, float]] = []
    listeners = []
    for _ in range(sockets):
        pubsub = Redis.from_url(url).pubsub()
        await pubsub.subscribe("bench")
        await pubsub.get_message(timeout=1)
        listeners.append(pubsub)

    async def listen(pubsub: object) -> None:
        async for message in pubsub.listen():  # type: ignore[attr-defined]  # a PubSub
            received.append((message["data"], time.perf_counter()))

    tasks = [asyncio.create_task(listen(pubsub)) for pubsub in listeners]
    start = time.perf_counter()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
        data = str(number).encode()
        await redis.publish("bench", data)
        answered[data] = time.perf_counter()
    await asyncio.sleep(0.5)
    for task in tasks:
        task.cancel()
    return [max(0.0, at - answered[data]) for data, at in received if data in answered]
