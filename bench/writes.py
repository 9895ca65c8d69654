"""The life of processes over REST: 32 workers that report as fast as they are answered."""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from bench.parts import TOKEN, Parts
from bench.report import Figure, say

WORKERS = 32
SECONDS = 8.0
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


async def _worker(port: int, until: float, seconds: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    connection = Connection(reader, writer)
    await _live(connection.post, until)
    writer.close()
    seconds += connection.seconds


async def _stranger(port: int, until: float, seconds: list[float]) -> None:
    """Connects anew for each report, as the real client does."""

    async def post(path: str, body: object) -> Any:
        start = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = await Connection(reader, writer).post(path, body)
        writer.close()
        seconds.append(time.perf_counter() - start)
        return answer

    await _live(post, until)


async def _live(post: Post, until: float) -> None:
    steps = [{"name": f"step {number}", "version": "v1.0"} for number in range(TASKS)]
    worker = await post("/matricula", {"name": "bench", "version": "v1.0", "tasks": steps})
    while time.perf_counter() < until:
        process = await post("/newprocess", {"id": worker["id"]})
        for son in process["sons"]:
            await post("/actualizar_task", {"task_id": son["id"], "status": "start"})
            await post("/actualizar_task", {"task_id": son["id"], "status": "success"})
        await post("/endprocess", {"id": process["father"], "details": ""})


async def _heart(port: int, until: float, seconds: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    connection = Connection(reader, writer)
    worker = await connection.post("/matricula", {"name": "bench", "version": "v1.0", "tasks": []})
    while time.perf_counter() < until:
        await connection.post("/healthchecker", {"id": worker["id"]})
    writer.close()
    seconds += connection.seconds


Client = Callable[[int, float, list[float]], Awaitable[None]]


async def load(port: int, client: Client = _worker, duration: float = SECONDS) -> Load:
    """What so many clients get done in so many seconds."""
    seconds: list[float] = []
    start = time.perf_counter()
    await asyncio.gather(*(client(port, start + duration, seconds) for _ in range(WORKERS)))
    elapsed = time.perf_counter() - start
    return Load(len(seconds) / elapsed, statistics.quantiles(seconds, n=100)[98])


async def measure(parts: Parts) -> list[Figure]:
    """MariaDB with fsync on every commit, Redis, two server processes."""
    say(f"writes: {WORKERS} workers over REST")
    with parts.monitor(parts.new_database(), workers=2) as server:
        ours = await load(server.port)
        strangers = await load(server.port, _stranger)
        hearts = await load(server.port, _heart)
    with parts.peer("memory", "1") as (port, _):
        one = await load(port)
    with parts.peer("memory", "2", workers=2) as (port, _):
        two = await load(port)
        two_strangers = await load(port, _stranger)
    life = f"REST life of processes, {WORKERS} workers"
    return [
        Figure(life, "/s", ours.rate, 2_500),
        Figure(life, "/s", ours.rate, 0.3, "FastAPI from memory, 1 process", one.rate),
        Figure(life, "/s", ours.rate, 0.3, "FastAPI from memory, 2 processes", two.rate),
        Figure("the same, p99", "ms", ours.p99 * 1e3, 100, lower_is_better=True),
        Figure(
            "a connection each",
            "/s",
            strangers.rate,
            0.4,
            "FastAPI from memory, 2 processes",
            two_strangers.rate,
        ),
        Figure("heartbeats", "/s", hearts.rate, 4_000),
    ]


if __name__ == "__main__":
    seen = asyncio.run(load(int(sys.argv[1])))
    sys.stdout.write(f"{seen.rate:.0f} requests/s, p99 {seen.p99 * 1e3:.1f} ms\n")
