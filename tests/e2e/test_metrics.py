"""The figures of several server processes are those of one."""

import asyncio
import os
import signal
from pathlib import Path

import httpx

from tests.client import Client
from tests.conftest import TOKEN
from tests.factories import register
from tests.metrics import Samples, read, totals
from tests.servers import MonitorServer, RedisServer

HEARTBEATS = 20


def children(pid: int) -> set[int]:
    """The server processes: what `serve` started, but for multiprocessing's own."""
    pids = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return {pid for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()}


async def scrape(server: MonitorServer) -> Samples:
    """From whichever process takes the connection."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        answer = await Client(http, TOKEN).get("/metrics")
    assert answer.status_code == 200, answer.text
    return read(answer.text)


class Watch:
    """Scrapes again and again, and sees to it that no total ever falls."""

    def __init__(self, server: MonitorServer) -> None:
        self._server = server
        self._seen: Samples = {}

    async def look(self) -> Samples:
        try:
            samples = await scrape(self._server)
        except httpx.TransportError:  # it was with the process that died
            return {}
        grown = totals(samples)
        fallen = {
            key: (was, grown.get(key)) for key, was in self._seen.items() if was > grown.get(key, 0)
        }
        assert not fallen
        self._seen = grown
        return samples

    async def until(self, key: tuple[str, ...], value: float) -> Samples:
        async with asyncio.timeout(30):
            while (samples := await self.look()).get(key) != value:
                pass
        return samples


async def beat(server: MonitorServer, worker: str) -> None:
    """Reports, over a connection of its own each."""
    for _ in range(HEARTBEATS):
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
            answer = await Client(http, TOKEN).post("/healthchecker", {"id": worker})
        assert answer.status_code == 200


async def test_totals_only_grow_also_when_a_server_process_dies(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    env = {"TOKEN": TOKEN, "REDIS_URL": redis_server.url}
    server = MonitorServer(tmp_path, env, "--workers", "2")
    server.start()
    try:
        watch = Watch(server)
        await watch.until(("server_processes",), 2)
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
            worker = await register(Client(http, TOKEN))
        await beat(server, worker)
        route = ("request_seconds_count", "POST", "/healthchecker", "2xx")
        await watch.until(route, HEARTBEATS)
        await watch.until(("operations_total",), HEARTBEATS + 1)

        assert server.process is not None
        victim = min(children(server.process.pid))
        os.kill(victim, signal.SIGKILL)
        while victim in children(server.process.pid):
            await watch.look()
        samples = await watch.until(("server_processes",), 2)
        assert samples[route] == HEARTBEATS
        await beat(server, worker)
        await watch.until(route, 2 * HEARTBEATS)
    finally:
        server.stop()
