"""The life of processes over REST: 32 workers that report as fast as they are answered."""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from random import random
from typing import Any

from bench.parts import TOKEN, Parts
from bench.report import Figure, say

WORKERS = 32
SECONDS = 8.0
SUCCESS = {"status": "success"}
# In which processes fail.
PLACES = 20
TASKS = 3
_HEAD = (
    "{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
    "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
)


@dataclass(frozen=True)
class Load:
    """Requests per second, and the 99th percentile of their seconds."""

    rate: float
    p99: float


class Connection:
    """An HTTP/1.1 client with as little of its own as can be: it measures the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.seconds: list[float] = []

    async def post(self, path: str, body: object) -> Any:
        """The answer, of JSON."""
        return await self.request(path, body)

    async def request(self, path: str, body: object | None) -> Any:
        """A POST, or without a body a GET; what it took is noted in `seconds`."""
        data = b"" if body is None else json.dumps(body).encode()
        method = "GET" if body is None else "POST"
        head = _HEAD.format(method=method, path=path, token=TOKEN, length=len(data)).encode()
        start = time.perf_counter()
        self._writer.write(head + data)
        header = await self._reader.readuntil(b"\r\n\r\n")
        lower = header.lower()
        length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
        answer = await self._reader.readexactly(length)
        self.seconds.append(time.perf_counter() - start)
        if not header.startswith(b"HTTP/1.1 200"):
            raise AssertionError(f"{header!r} {answer!r}")
        return json.loads(answer)


Post = Callable[[str, object], Awaitable[Any]]


async def kept(port: int, until: float, seconds: list[float]) -> None:
    """Keeps its connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    connection = Connection(reader, writer)
    await _live(connection.post, until)
    writer.close()
    seconds += connection.seconds


async def stranger(port: int, until: float, seconds: list[float]) -> None:
    """Connects anew for each report, as the real client does."""

    async def post(path: str, body: object) -> Any:
        start = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = await Connection(reader, writer).post(path, body)
        writer.close()
        seconds.append(time.perf_counter() - start)
        return answer

    await _live(post, until)


async def _at(rate: float, port: int, until: float, seconds: list[float]) -> None:
    """At this many reports a second, whether or not the ones before were answered late: what one
    waits is counted from when it was due ("coordinated omission", Gil Tene).
    """
    connection = Connection(*await asyncio.open_connection("127.0.0.1", port))
    due = time.perf_counter() + random() / rate

    async def post(path: str, body: object) -> Any:
        nonlocal due
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        answer = await connection.post(path, body)
        seconds.append(time.perf_counter() - due)
        due += 1 / rate
        return answer

    await _live(post, until)


async def _failing(port: int, until: float, seconds: list[float]) -> None:
    """Of its processes each tenth fails, in one of so many places."""
    connection = Connection(*await asyncio.open_connection("127.0.0.1", port))
    numbers = count(1)

    def error() -> str:
        number = next(numbers)
        return json.dumps(_error(number // 10 % PLACES, number)) if number % 10 == 0 else ""

    await _live(connection.post, until, error)
    seconds += connection.seconds


def _error(place: int, number: int) -> dict[str, Any]:
    """As the real client tells of one."""
    lines = {f"/srv/etl/load_{place}.py": "load", "/srv/etl/rows.py": "insert"}
    frames = [{"file": file, "line": number, "method": name} for file, name in lines.items()]
    message = f"row {number} of orders.csv is no order"
    return {"task_name": "step 2", "error_traceback": frames, "error_message": message}


def _nothing() -> str:
    return ""


async def _live(post: Post, until: float, error: Callable[[], str] = _nothing) -> None:
    """Processes, one after the other; where `error` says something, the last step fails with it."""
    steps = [{"name": f"step {number}", "version": "v1.0"} for number in range(TASKS)]
    worker = await post("/matricula", {"name": "bench", "version": "v1.0", "tasks": steps})
    while time.perf_counter() < until:
        process, details = await post("/newprocess", {"id": worker["id"]}), error()
        *sons, last = (son["id"] for son in process["sons"])
        for id_ in (*sons, last):
            await post("/actualizar_task", {"task_id": id_, "status": "start"})
            end = {"status": "error", "details": details} if details and id_ == last else SUCCESS
            await post("/actualizar_task", {"task_id": id_, **end})
        await post("/endprocess", {"id": process["father"], "details": details})


async def _heart(port: int, until: float, seconds: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    connection = Connection(reader, writer)
    worker = await connection.post("/matricula", {"name": "bench", "version": "v1.0", "tasks": []})
    while time.perf_counter() < until:
        await connection.post("/healthchecker", {"id": worker["id"]})
    writer.close()
    seconds += connection.seconds


Client = Callable[[int, float, list[float]], Awaitable[None]]


async def load(
    port: int, client: Client = kept, duration: float = SECONDS, *, workers: int = WORKERS
) -> Load:
    """What so many clients get done in so many seconds."""
    seconds: list[float] = []
    start = time.perf_counter()
    await asyncio.gather(*(client(port, start + duration, seconds) for _ in range(workers)))
    elapsed = time.perf_counter() - start
    return Load(len(seconds) / elapsed, statistics.quantiles(seconds, n=100)[98])


async def measure(parts: Parts) -> list[Figure]:
    """MariaDB with fsync on every commit, Redis, two server processes."""
    say(f"writes: {WORKERS} workers over REST")
    with parts.monitor(parts.new_database(), workers=2) as server:
        ours = await load(server.port)
        strangers = await load(server.port, stranger)
        hearts = await load(server.port, _heart)
        failing = await load(server.port, _failing)
        half = await load(server.port, partial(_at, ours.rate / 2 / WORKERS))
    with parts.peer("memory", "1") as (port, _):
        one = await load(port)
    with parts.peer("memory", "2", workers=2) as (port, _):
        memory, memory_strangers = await load(port), await load(port, stranger)
    with parts.peer("durable", "2", parts.new_database(), workers=2) as (port, _):
        durable, durable_strangers = await load(port), await load(port, stranger)
        durable_half = await load(port, partial(_at, ours.rate / 2 / WORKERS))
    life, each = f"REST life of processes, {WORKERS} workers", "a connection each"
    at_half = "the same at half this rate, p99"
    two, least = "FastAPI from memory, 2 processes", "the least that is durable"
    return [
        Figure(life, "/s", ours.rate, 2_500),
        Figure(life, "/s", ours.rate, 0.3, "FastAPI from memory, 1 process", one.rate),
        Figure(life, "/s", ours.rate, 0.4, two, memory.rate),
        Figure(life, "/s", ours.rate, None, least, durable.rate),
        Figure("the same, p99", "ms", ours.p99 * 1e3, 100, lower_is_better=True),
        Figure(at_half, "ms", half.p99 * 1e3, 15, lower_is_better=True),
        Figure(at_half, "ms", half.p99 * 1e3, None, least, durable_half.p99 * 1e3),
        Figure(each, "/s", strangers.rate, 0.4, two, memory_strangers.rate),
        Figure(each, "/s", strangers.rate, None, least, durable_strangers.rate),
        Figure("a tenth of them failing", "/s", failing.rate, 0.9, "none", ours.rate),
        Figure("heartbeats", "/s", hearts.rate, 4_000),
    ]


if __name__ == "__main__":
    seen = asyncio.run(load(int(sys.argv[1])))
    sys.stdout.write(f"{seen.rate:.0f} requests/s, p99 {seen.p99 * 1e3:.1f} ms\n")
