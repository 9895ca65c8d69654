"""Where the time of a report goes: by process, and within a server process by part and library.

`make bench ARGS=profile`; not one of the measures of a whole run, which it would disturb.
"""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from bench.parts import Parts
from bench.report import say
from bench.writes import SECONDS, Client, kept, load, stranger

# Samples a second; without stopping the process, which at this rate would halve what it does.
RATE = 250
# Of a stack from its beginning, the first that fits one of its frames, "function (file)".
PARTS = {
    "relay": r"monitor/feed/(relay|backlog)",
    "follower of the feed": r"monitor/feed/live",
    "batch: reading": r"monitor/writing/loading",
    "batch: operations": r"monitor/writing/job\.py",
    "batch: writing": r"monitor/writing/storing",
    "batch: connection, commit": r"monitor/writing",
    "what happens by itself": r"monitor/upkeep",
    "HTTP: the answer": r"starlette/responses",
    "HTTP: the report": r"compat_rest/",
    "HTTP: the rest": r"uvicorn/protocols|app/http_protocol|app/connections",
}
REST = "event loop, and what is nobody's"
# Of the innermost frame.
LIBRARIES = {
    "SQLAlchemy": r"sqlalchemy/",
    "asyncmy, through db.driver": r"db/driver|asyncmy",
    "redis-py": r"redis/",
    "uvicorn": r"uvicorn/protocols",
    "Starlette, FastAPI": r"starlette/|fastapi/",
    "Pydantic": r"pydantic",
    "asyncio": r"asyncio/(?!runners)",
    "event loop (uvloop) and system calls": r"asyncio/runners",
    "ours": r"(app|compat_rest|monitor|db)/",
}


@dataclass(frozen=True)
class Load:
    """What is done to the server meanwhile."""

    name: str
    client: Client
    workers: int


LOADS = (
    Load("32 workers, connections kept", kept, 32),
    Load("32 workers, a connection each", stranger, 32),
    Load("one worker", kept, 1),
)


async def profile(parts: Parts) -> None:
    """Prints the breakdown of each load. Raises RuntimeError where no process may be looked at."""
    for one in LOADS:
        say(f"profile: {one.name}")
        with parts.monitor(parts.new_database()) as server:
            assert server.process is not None
            await load(server.port, one.client, 1.0, workers=one.workers)
            pids = {
                "server process": server.process.pid,
                "MariaDB": parts.mariadb.pid,
                "Redis": parts.redis.pid,
                "client": os.getpid(),
            }
            await _print_processes(one, server.port, pids)
            await _print_parts(one, server.port, server.process.pid)


async def _print_processes(one: Load, port: int, pids: Mapping[str, int]) -> None:
    before = {name: _cpu_seconds(pid) for name, pid in pids.items()}
    seen = await load(port, one.client, workers=one.workers)
    reports = seen.rate * SECONDS
    used = {name: (_cpu_seconds(pid) - before[name]) / reports for name, pid in pids.items()}
    title = f"{one.name}: {seen.rate:,.0f} reports/s, CPU of a report in µs"
    _print(title, {name: seconds * 1e6 for name, seconds in used.items()})


async def _print_parts(one: Load, port: int, pid: int) -> None:
    with NamedTemporaryFile("r") as stacks:
        looking = _look_at(pid, stacks.name)
        await load(port, one.client, SECONDS + 1, workers=one.workers)
        if looking.wait(timeout=30):
            raise RuntimeError("py-spy may not look at other processes here: see above")
        samples = _read(stacks.read())
    inner = Counter[Sequence[str]]()
    for stack, count in samples.items():
        inner[stack[-1:]] += count
    _print(
        "of the server process, by part, in %",
        _shares(samples, PARTS, "event loop, and what is nobody's"),
    )
    _print("by library of the innermost frame, in %", _shares(inner, LIBRARIES, "Python's own"))


def _look_at(pid: int, into: str) -> "subprocess.Popen[bytes]":
    command = [str(Path(sys.executable).with_name("py-spy")), "record", "--nonblocking"]
    command += ["--pid", str(pid), "--rate", str(RATE), "--duration", str(int(SECONDS))]
    command += ["--format", "raw", "--output", into]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def _read(text: str) -> Counter[Sequence[str]]:
    """How often each stack was seen, of lines "frame;frame;… count"."""
    samples = Counter[Sequence[str]]()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = tuple(frame for frame in stack.split(";") if "(" in frame)
        if frames:
            samples[frames] += int(count)
    return samples


def _shares(
    samples: Mapping[Sequence[str], int], kinds: Mapping[str, str], rest: str
) -> dict[str, float]:
    sums = Counter[str]()
    for stack, count in samples.items():
        sums[_kind(stack, kinds) or rest] += count
    total = sums.total() or 1
    return {name: 100 * count / total for name, count in sums.most_common()}


def _kind(stack: Iterable[str], kinds: Mapping[str, str]) -> str | None:
    frames = list(stack)
    for name, pattern in kinds.items():
        if any(re.search(pattern, frame) for frame in frames):
            return name
    return None


def _print(title: str, values: Mapping[str, float]) -> None:
    sys.stdout.write(f"\n{title}\n")
    for name, value in values.items():
        sys.stdout.write(f"  {value:7.1f}  {name}\n")
    sys.stdout.flush()


def _cpu_seconds(pid: int) -> float:
    """Of all threads of the process, in user and in kernel mode (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
