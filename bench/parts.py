"""The servers of a run: started when first needed, in a temporary folder, ended with it."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.servers import (
    MariaDb,
    MonitorServer,
    RedisServer,
    find_program,
    free_port,
    running,
    wait_until,
)

TOKEN = "bench"
HERE = Path(__file__).parent


class Parts:
    """MariaDB with fsync on every commit, Redis, monitors on them, and the peers."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self._mariadb: MariaDb | None = None
        self._redis: RedisServer | None = None
        self._databases = 0

    @property
    def mariadb(self) -> MariaDb:
        if self._mariadb is None:
            self._mariadb = MariaDb(self.folder / "mariadb", durable=True)
            self._mariadb.install()
            self._mariadb.start()
            self._stack.callback(self._mariadb.stop)
        return self._mariadb

    @property
    def redis(self) -> RedisServer:
        if self._redis is None:
            self._redis = RedisServer(self.folder / "redis")
            self._redis.start()
            self._stack.callback(self._redis.stop)
        return self._redis

    def new_database(self) -> str:
        """The URL of an empty database."""
        self._databases += 1
        name = f"bench_{self._databases}"
        self.mariadb.execute(f"CREATE DATABASE {name}")
        return self.mariadb.url(name)

    @contextmanager
    def database_server(self, folder: Path, options: Sequence[str] = ()) -> Iterator[MariaDb]:
        """A MariaDB of its own, with what is in the folder already."""
        server = MariaDb(folder, durable=True, options=options)
        if not folder.exists():
            server.install()
        server.start()
        try:
            yield server
        finally:
            server.stop()

    @contextmanager
    def monitor(
        self, database_url: str, *, workers: int = 1, env: Mapping[str, str] | None = None
    ) -> Iterator[MonitorServer]:
        """The product on MariaDB and Redis."""
        settings = {"DATABASE_URL": database_url, "REDIS_URL": self.redis.url, "TOKEN": TOKEN}
        settings |= env or {}
        server = MonitorServer(self.folder / "monitor", settings, "--workers", str(workers))
        server.start()
        assert server.process is not None
        try:
            wait_until(
                lambda: _listeners(server.port) == workers,
                "a server process",
                server.log,
                server.process,
            )
            yield server
        finally:
            server.stop()

    def start_seconds(self, database_url: str) -> float:
        """From the start of the product until it says that what is reported is stored."""
        env = {"DATABASE_URL": database_url, "REDIS_URL": self.redis.url, "TOKEN": TOKEN}
        server = MonitorServer(self.folder / "monitor", env)
        began = time.perf_counter()
        server.launch()
        try:
            server.wait_until_healthy()
            return time.perf_counter() - began
        finally:
            server.stop()

    @contextmanager
    def command(self, *arguments: str, database_url: str) -> Iterator["subprocess.Popen[bytes]"]:
        """`process-monitor` with these arguments."""
        env = {**os.environ, "DATABASE_URL": database_url, "TOKEN": TOKEN}
        log = self.folder / f"{arguments[0]}.log"
        with running([sys.executable, "-m", "app", *arguments], log=log, env=env) as process:
            yield process

    @contextmanager
    def peer(self, name: str, *arguments: str, workers: int = 1) -> Iterator[tuple[int, int]]:
        """A program of `peers` or `node`: its port and its process id."""
        port = free_port()
        if name.endswith(".mjs"):
            command = [find_program("node"), str(HERE / "node" / name)]
        else:
            command = [sys.executable, "-m", f"bench.peers.{name}"]
        log = self.folder / f"{name}.log"
        with running([*command, str(port), *arguments], log=log, env=dict(os.environ)) as process:
            wait_until(lambda: _listeners(port) == workers, name, log, process)
            yield port, process.pid


def _listeners(port: int) -> int:
    """How many processes listen there: the first is healthy before the others are there."""
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    lines = [line.split() for table in tables for line in table.read_text().splitlines()]
    # Local address, remote address, state: 0A is LISTEN (proc_net_tcp in the kernel's docs).
    return sum(line[1].endswith(f":{port:04X}") and line[3] == "0A" for line in lines)


@contextmanager
def parts() -> Iterator[Parts]:
    """Everything is gone at the end."""
    with TemporaryDirectory(prefix="process-monitor-bench-") as folder, contextlib.ExitStack() as s:
        yield Parts(Path(folder), s)


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
