"""The command: what cannot be started is said in one sentence, and what runs ends when told."""

import contextlib
import os
import pty
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import TOKEN
from tests.servers import MariaDb, MonitorServer, RedisServer, WholeProduct, free_port, stop

ROOT = Path(__file__).parents[2]


def run(folder: Path, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """`process-monitor` with these arguments, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "MONITOR_DATA_DIR": str(folder), **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def assert_refused(done: "subprocess.CompletedProcess[str]", *said: str) -> None:
    """Status 1, one line on stderr with these texts, nothing else."""
    assert done.returncode == 1
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("process-monitor: ")
    for text in said:
        assert text in line


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert_refused(run(tmp_path, "serve", "--port", port), f"127.0.0.1:{port}", "--port")


def test_a_database_url_that_is_none_is_told_without_its_password(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", DATABASE_URL="oracle://me:secret@db/monitor")
    assert_refused(done, "DATABASE_URL", "oracle")
    assert "secret" not in done.stderr


@pytest.mark.parametrize("command", ["up", "check"])
def test_a_part_of_a_database_is_refused_before_anything_starts(
    tmp_path: Path, command: str
) -> None:
    done = run(tmp_path, command, MYSQL_USER="me", SERVER="db")
    assert_refused(done, "MYSQL_DATABASE: missing beside MYSQL_USER and SERVER")
    assert list(tmp_path.iterdir()) == []


def test_a_database_url_that_other_variables_contradict_is_used_and_told(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'chosen.db'}"
    done = run(tmp_path, "migrate", DATABASE_URL=url, SERVER="db")
    assert done.returncode == 0
    assert "DATABASE_URL is used; another database is named by SERVER" in done.stderr
    assert (tmp_path / "chosen.db").exists()


def test_a_database_that_does_not_answer_is_told(tmp_path: Path) -> None:
    url = f"mariadb://me:secret@127.0.0.1:{free_port()}/monitor"
    done = run(tmp_path, "serve", "--port", str(free_port()), DATABASE_URL=url)
    assert_refused(done, "database", "127.0.0.1")
    assert "secret" not in done.stderr


def test_a_database_that_does_not_know_us_is_told(tmp_path: Path, mariadb: MariaDb) -> None:
    url = mariadb.url("monitor").replace("root@", "stranger:secret@")
    done = run(tmp_path, "migrate", DATABASE_URL=url)
    assert_refused(done, "Access denied", "stranger")
    assert "secret" not in done.stderr


def test_several_server_processes_without_redis_are_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", "--port", str(free_port()), "--workers", "2")
    assert_refused(done, "--workers", "REDIS_URL")


def test_no_server_process_at_all_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", "--port", str(free_port()), "--workers", "0")
    assert_refused(done, "--workers")


def test_variables_that_cannot_be_are_named(tmp_path: Path) -> None:
    done = run(tmp_path, "check", REDIS_URL="nonsense", MONITOR_FEED_LENGTH="few")
    assert done.returncode == 1
    assert "REDIS_URL: " in done.stderr
    assert "MONITOR_FEED_LENGTH: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_token_is_made_kept_where_it_is_told_and_the_same_after_a_restart(
    tmp_path: Path,
) -> None:
    tokens = []
    for _ in range(2):
        server = MonitorServer(tmp_path, {})
        server.start()
        path = tmp_path / "data" / "token"
        tokens.append(path.read_text().strip())
        printed = server.log.read_text()
        assert str(path) in printed
        # What is no terminal may be a log, which is kept and read by others.
        assert tokens[-1] not in printed
        headers = {"Authorization": f"Bearer {tokens[-1]}"}
        body = {"name": "w", "version": "v1", "tasks": []}
        assert httpx.post(f"{server.url}/matricula", json=body, headers=headers).is_success
        server.stop()
    assert tokens[0] == tokens[1]
    assert path.stat().st_mode & 0o777 == 0o600


def shown_on_a_terminal(folder: Path, **env: str) -> str:
    """What `serve` prints to one when it has started."""
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "serve", "--port", str(free_port())],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "MONITOR_DATA_DIR": str(folder), **env},
        stdout=its_end,
    )
    os.close(its_end)
    printed = b""
    try:
        while b"Ctrl-C" not in printed:
            printed += os.read(terminal, 4096)
    finally:
        stop(process)
        os.close(terminal)
    return printed.decode()


def test_a_token_that_was_made_is_shown_on_a_terminal(tmp_path: Path) -> None:
    printed = shown_on_a_terminal(tmp_path)
    assert (tmp_path / "token").read_text().strip() in printed
    assert str(tmp_path / "token") in printed


def test_a_token_that_was_given_is_shown_nowhere(tmp_path: Path) -> None:
    printed = shown_on_a_terminal(tmp_path, TOKEN="sesame-one, sesame-two")
    assert "as set in TOKEN" in printed
    assert "sesame" not in printed


@contextmanager
def under_way(server: MonitorServer) -> Iterator[None]:
    """A client that has a connection open, and one in the middle of a request."""
    with httpx.Client(base_url=server.url) as idle, socket.socket() as half:
        assert idle.get("/version").status_code == 200
        half.connect(("127.0.0.1", server.port))
        half.sendall(
            b"POST /healthchecker HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer " + TOKEN.encode() + b"\r\nContent-Length: 100\r\n\r\n{"
        )
        yield


@pytest.mark.parametrize(("how", "workers"), [(signal.SIGINT, 1), (signal.SIGTERM, 2)])
def test_a_signal_ends_everything_within_five_seconds(
    tmp_path: Path, redis_server: RedisServer, how: signal.Signals, workers: int
) -> None:
    env = {"TOKEN": TOKEN, "REDIS_URL": redis_server.url}
    server = MonitorServer(tmp_path, env, "--workers", str(workers))
    server.start()
    assert server.process is not None
    with under_way(server):
        begun = time.monotonic()
        server.process.send_signal(how)
        server.process.wait(10)
        assert time.monotonic() - begun < 5
    assert not listens(server.port)


def test_server_processes_end_with_the_one_that_started_them(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    env = {"TOKEN": TOKEN, "REDIS_URL": redis_server.url}
    server = MonitorServer(tmp_path, env, "--workers", "2")
    server.start()
    with under_way(server):
        server.kill()
        deadline = time.monotonic() + 5
        # Orphans give no event: their port is all there is to see of them.
        while listens(server.port):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    again = MonitorServer(tmp_path, env, "--workers", "2", port=server.port)
    again.start()
    again.stop()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_dashboard_ends_with_the_api_beside_it(tmp_path: Path, how: signal.Signals) -> None:
    product = WholeProduct(tmp_path, {"TOKEN": TOKEN})
    product.start()
    assert f"http://127.0.0.1:{product.dashboard_port}" in product.log.read_text()
    assert product.process is not None
    begun = time.monotonic()
    product.process.send_signal(how)
    product.process.wait(10)
    while listens(product.dashboard_port):  # after SIGKILL it is an orphan for a moment
        assert time.monotonic() - begun < 5
        time.sleep(0.05)
    assert not listens(product.port)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_schema_can_be_exported_without_any_service(tmp_path: Path) -> None:
    done = run(tmp_path, "export-schema")
    assert done.returncode == 0
    assert "type Query {" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_migrating_makes_the_tables_and_checking_finds_them_right(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate").returncode == 0
    assert (tmp_path / "monitor.db").exists()
    done = run(tmp_path, "check")
    assert (done.returncode, done.stdout) == (0, "0 differences\n")


def test_checking_what_is_no_database_is_refused_and_what_is_empty_is_right(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no database " * 1000)
    assert_refused(run(tmp_path, "check", DATABASE_URL=f"sqlite:///{file}"), "not a database")
    done = run(tmp_path, "check")
    assert (done.returncode, done.stdout) == (0, "0 differences\n")


def test_purging_says_what_it_would_do_and_then_does_it(tmp_path: Path) -> None:
    # One each 2.4 hours; the limit lies between two, however long the commands take.
    assert run(tmp_path, "demo", "--seed-processes", "300").returncode == 0
    would = run(tmp_path, "purge", "--days", "15.05", "--dry-run")
    number = int(would.stdout.split()[0])
    assert would.stdout == f"{number} processes would be removed\n"
    assert 100 < number < 200
    full = (tmp_path / "monitor.db").stat().st_size
    done = run(tmp_path, "purge", "--compact", MONITOR_RETENTION_DAYS="15.05")
    assert (done.returncode, done.stdout) == (0, f"{number} processes were removed\n")
    assert (tmp_path / "monitor.db").stat().st_size < full
    assert run(tmp_path, "purge", "--days", "15.05", "--dry-run").stdout.startswith("0 ")
    assert run(tmp_path, "check").returncode == 0


def test_a_check_says_how_far_it_is_and_what_differs(tmp_path: Path) -> None:
    assert run(tmp_path, "demo", "--seed-processes", "30").returncode == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "monitor.db")) as database, database:
        database.execute("UPDATE totals SET running = running + 7")
    done = run(tmp_path, "check")
    assert done.returncode == 1
    assert done.stdout.startswith("totals.running: kept ")
    assert done.stdout.endswith("\n1 differences\n")
    assert "30 of 30 processes" in done.stderr
    repaired = run(tmp_path, "check", "--repair")
    assert (repaired.returncode, repaired.stdout.split("\n")[1]) == (0, "1 differences (repaired)")
    assert run(tmp_path, "check").stdout == "0 differences\n"


def test_purging_by_nothing_is_refused(tmp_path: Path) -> None:
    assert_refused(run(tmp_path, "purge"), "MONITOR_RETENTION_DAYS", "--processes")
    for days in ("0", "-1", "nan", "1e9"):
        assert_refused(run(tmp_path, "purge", "--days", days), "--days: above 0")
    for processes in ("0", "9" * 20):
        assert_refused(run(tmp_path, "purge", "--processes", processes), "--processes: at least 1")
