"""Child processes: what cannot start ends the service, and what dies is replaced."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from app.supervision import FIRST_PAUSE_SECONDS
from tests.conftest import TOKEN
from tests.servers import MariaDb, MonitorServer, RedisServer, WholeProduct, free_port

WAIT_SECONDS = 30


@pytest.fixture
def own_mariadb(tmp_path: Path) -> Iterator[MariaDb]:
    server = MariaDb(tmp_path / "mariadb")
    server.install()
    server.start()
    yield server
    server.stop()


def two_processes(folder: Path, database: MariaDb, redis: RedisServer) -> MonitorServer:
    env = {"DATABASE_URL": database.create_database(), "REDIS_URL": redis.url, "TOKEN": TOKEN}
    return MonitorServer(folder, env, "--workers", "2")


def children(server: MonitorServer) -> set[int]:
    """The processes it started; each is a Python that was spawned by multiprocessing."""
    assert server.process is not None
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            command = (folder / "cmdline").read_text()
        except OSError:
            continue  # it has ended meanwhile
        if parent == str(server.process.pid) and "spawn_main" in command:
            found.add(int(folder.name))
    return found


def eventually(happened: Callable[[], object]) -> None:
    """Polls processes, which give no event to wait for."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def test_a_server_process_that_cannot_start_ends_the_service_with_a_failure(
    tmp_path: Path, own_mariadb: MariaDb, redis_server: RedisServer
) -> None:
    server = two_processes(tmp_path, own_mariadb, redis_server)
    server.launch()
    assert server.process is not None
    eventually(lambda: children(server))
    # The first has brought the database up to date; those that it starts find none.
    own_mariadb.kill()
    assert server.process.wait(WAIT_SECONDS) == 1
    said = server.log.read_text()
    assert "a server process could not start" in said
    assert "the database cannot be migrated" in said
    server.stop()


def test_a_server_process_that_dies_is_replaced_as_soon_as_that_can_start(
    tmp_path: Path, own_mariadb: MariaDb, redis_server: RedisServer
) -> None:
    server = two_processes(tmp_path, own_mariadb, redis_server)
    server.launch()
    eventually(lambda: "Ctrl-C ends it" in server.log.read_text())
    health = f"{server.url}/health"
    first = children(server)
    own_mariadb.kill()
    os.kill(victim := min(first), signal.SIGKILL)

    def tries() -> int:
        return len(re.findall("another takes its place", server.log.read_text()))

    eventually(lambda: tries() >= 2)
    second_try = time.monotonic()
    eventually(lambda: tries() >= 3)
    assert time.monotonic() - second_try > FIRST_PAUSE_SECONDS
    # Whoever lives serves on meanwhile.
    assert answers(f"{server.url}/version")
    own_mariadb.start()
    eventually(lambda: len(children(server) - {victim}) == 2 and answers(health))
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(WAIT_SECONDS) == 0
    server.stop()


def test_a_server_process_that_hangs_does_not_hold_up_the_end(
    tmp_path: Path, own_mariadb: MariaDb, redis_server: RedisServer
) -> None:
    server = two_processes(tmp_path, own_mariadb, redis_server)
    server.start()
    assert server.process is not None
    eventually(lambda: len(children(server)) == 2)
    os.kill(hung := children(server).pop(), signal.SIGSTOP)
    server.process.terminate()
    server.process.wait(WAIT_SECONDS)
    assert not Path(f"/proc/{hung}").exists()
    assert "a server process did not end; it is killed" in server.log.read_text()


def test_a_dashboard_that_cannot_start_ends_the_product_with_a_failure(tmp_path: Path) -> None:
    port = str(free_port())
    done = subprocess.run(
        [sys.executable, "-m", "app", "up", "--port", port, "--dashboard-port", port],
        env={"PATH": os.environ["PATH"], "MONITOR_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_SECONDS,
    )
    assert done.returncode == 1
    assert "address already in use" in done.stderr


def test_a_dashboard_that_dies_is_started_again(tmp_path: Path) -> None:
    product = WholeProduct(tmp_path, {"TOKEN": TOKEN})
    product.start()
    [first] = children(product)
    os.kill(first, signal.SIGKILL)
    health = f"http://127.0.0.1:{product.dashboard_port}/health"
    eventually(lambda: children(product) - {first} and answers(health))
    assert product.process is not None
    product.process.send_signal(signal.SIGINT)
    assert product.process.wait(WAIT_SECONDS) == 0
    assert "the dashboard died (status -9)" in product.log.read_text()
    product.stop()
