"""Private servers for the suite: real programs, in temporary folders, on free ports."""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

READY_SECONDS = 60


class MissingProgram(Exception):
    """A server that the suite needs is not installed; `make test` installs it."""


def find_program(*names: str) -> str:
    """The path of the first of these programs that is installed. Raises MissingProgram."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    raise MissingProgram(f"{names[0]} is not installed: run `make test`, which installs it")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    # PR_SET_PDEATHSIG: also a suite that is killed leaves no server behind.
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@contextmanager
def running(
    command: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """The program while the block runs; ended with SIGTERM, then SIGKILL. `user`: runs it."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            user=user,
            preexec_fn=_die_with_parent,
        )
        try:
            yield process
        finally:
            stop(process)


def stop(process: "subprocess.Popen[bytes]", seconds: float = 20) -> None:
    """SIGTERM, then SIGKILL for one that does not listen."""
    process.send_signal(signal.SIGCONT)
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _freeze(process: "subprocess.Popen[bytes]") -> None:
    """Returns once all its threads stand still."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)


def wait_until(ready: "object", what: str, log: Path, process: "subprocess.Popen[bytes]") -> None:
    """Polls an outside program, which gives no event to wait for, until it is ready."""
    assert callable(ready)
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"{what} did not start:\n{log.read_text()[-4000:]}")
        time.sleep(0.02)


def wait_until_listening(
    port: int, what: str, log: Path, process: "subprocess.Popen[bytes]"
) -> None:
    """Returns once the program accepts connections."""
    wait_until(lambda: _listens(port), what, log, process)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class MariaDb:
    """A MariaDB server of our own; `url(name)` is that of a database in it."""

    def __init__(self, folder: Path, *, durable: bool = False, options: Sequence[str] = ()) -> None:
        self._folder = folder
        self._durable = durable
        self._options: Sequence[str] = ("--skip-log-bin", *options)
        # None is ourselves.
        self._user: str | None = None
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._stack = contextlib.ExitStack()
        self._databases = 0

    def url(self, database: str) -> str:
        return f"mariadb://root@127.0.0.1:{self.port}/{database}"

    def create_database(self) -> str:
        """The URL of a new, empty database."""
        self._databases += 1
        name = f"fresh_{self._databases}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def install(self) -> None:
        command = [
            find_program("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={self._folder / 'data'}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            *self._as_user(),
        ]
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "install.log").open("wb") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log)

    def start(self) -> None:
        log = self._folder / "server.log"
        command = [
            find_program("mariadbd"),
            "--no-defaults",
            *(() if self._user else self._as_user()),
            f"--datadir={self._folder / 'data'}",
            # Another server that starts removes what it finds in a shared one.
            f"--tmpdir={self._folder}",
            f"--socket={self._folder / 's.sock'}",
            f"--pid-file={self._folder / 'pid'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--max-connections=300",
            "--innodb-buffer-pool-size=256M",
            f"--innodb-flush-log-at-trx-commit={1 if self._durable else 0}",
            *self._options,
        ]
        self._process = self._stack.enter_context(running(command, log=log, user=self._user))
        wait_until(lambda: _listens(self.port), "MariaDB", log, self._process)

    @property
    def pid(self) -> int:
        """Of the server that runs."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        self._stack.close()

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """It keeps its connections, but answers nobody until `thaw`."""
        assert self._process is not None
        _freeze(self._process)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def execute(self, sql: str) -> str:
        """What the command line client prints for these statements."""
        client = find_program("mariadb")
        done = subprocess.run(
            [client, "--no-defaults", "-uroot", f"-S{self._folder / 's.sock'}", "-Ne", sql],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _as_user(self) -> list[str]:
        return [f"--user={self._user or 'root'}"] if os.geteuid() == 0 else []


def wait_for_redis(port: int, text: str, *words: str) -> None:
    """Returns once Redis, or a sentinel, answers a command with something that has this text."""
    deadline = time.monotonic() + READY_SECONDS
    while text not in (answer := redis_command(port, *words)):
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)


def redis_command(port: int, *words: str) -> str:
    """What the command line client says to a command."""
    command = [find_program("redis-cli"), "-p", str(port), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class RedisServer:
    """A Redis server of our own, keeping its data in `folder` over restarts when asked to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None
        self._stack = contextlib.ExitStack()

    def start(self, *options: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / "redis.log"
        command = [
            find_program("redis-server"),
            *("--port", str(self.port), "--bind", "127.0.0.1"),
            *("--dir", str(self._folder), "--save", "", "--appendonly", "no"),
            *options,
        ]
        self._process = self._stack.enter_context(running(command, log=log))
        wait_until(lambda: _listens(self.port), "Redis", log, self._process)

    def command(self, *words: str) -> str:
        """What the command line client says to a command."""
        return redis_command(self.port, *words)

    @property
    def pid(self) -> int:
        """Of the server that runs."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        self._stack.close()

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """It stays, and answers nothing."""
        assert self._process is not None
        _freeze(self._process)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


class RedisSentinel:
    """One sentinel that watches a Redis server and its replicas, as the service `monitor`."""

    def __init__(self, folder: Path, watched: RedisServer) -> None:
        self._folder = folder
        self._watched = watched
        self.port = free_port()
        self._stack = contextlib.ExitStack()

    @property
    def url(self) -> str:
        # The first is not there: the next is asked.
        return f"redis+sentinel://127.0.0.1:1,127.0.0.1:{self.port}/monitor/0"

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        log, configuration = self._folder / "sentinel.log", self._folder / "sentinel.conf"
        configuration.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self._folder}\n"
            f"sentinel monitor monitor 127.0.0.1 {self._watched.port} 1\n"
            "sentinel down-after-milliseconds monitor 500\n"
            "sentinel failover-timeout monitor 5000\n"
        )
        command = [find_program("redis-server"), str(configuration), "--sentinel"]
        process = self._stack.enter_context(running(command, log=log))
        wait_until(lambda: _listens(self.port), "Redis Sentinel", log, process)

    def stop(self) -> None:
        self._stack.close()


class MonitorServer:
    """`process-monitor serve` as a program of its own."""

    COMMAND = "serve"

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str],
        *options: str,
        port: int | None = None,
        launcher: Sequence[str] = (),
    ) -> None:
        self._folder = folder
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"monitor-{self.port}.log"
        self._data = folder / "data"
        self._env = env
        self._options = options
        self._launcher = launcher
        self.process: subprocess.Popen[bytes] | None = None
        self._stack = contextlib.ExitStack()

    @property
    def sqlite_url(self) -> str:
        """Of the database that it has, unless it was given another one."""
        return f"sqlite:///{self._data / 'monitor.db'}"

    def start(self) -> None:
        self.launch()
        self.wait_until_healthy()

    def launch(self) -> None:
        """Starts it without waiting for it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [
            *self._launcher,
            sys.executable,
            "-m",
            "app",
            self.COMMAND,
            "--port",
            str(self.port),
            *self._options,
        ]
        env = {
            "PATH": os.environ["PATH"],
            "MONITOR_DATA_DIR": str(self._data),
            **self._env,
        }
        self.process = self._stack.enter_context(running(command, log=self.log, env=env))

    def wait_until_healthy(self) -> None:
        assert self.process is not None
        wait_until(self._healthy, "Process Monitor", self.log, self.process)

    def _healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        self._stack.close()

    def kill(self) -> None:
        """SIGKILL, to it and its server processes."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()


class DashboardServer(MonitorServer):
    """`process-monitor dashboard` as a program of its own."""

    COMMAND = "dashboard"


class WholeProduct(MonitorServer):
    """`process-monitor up`: API and dashboard."""

    COMMAND = "up"

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.dashboard_port = free_port()
        super().__init__(folder, env, "--dashboard-port", str(self.dashboard_port))

    def _healthy(self) -> bool:
        return super()._healthy() and _listens(self.dashboard_port)
