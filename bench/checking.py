"""`process-monitor check` as a program: how long it takes, and how much memory."""

import time
from pathlib import Path

from bench.parts import Parts

LOOK_SECONDS = 0.2


def check(parts: Parts, url: str) -> tuple[float, float]:
    """How many seconds, and the most memory that it had in RAM, in MiB; it finds nothing."""
    began = time.perf_counter()
    peak = 0
    with parts.command("check", database_url=url) as program:
        status = Path(f"/proc/{program.pid}/status")
        while program.poll() is None:
            peak = max(peak, _peak_kib(status.read_text()))
            time.sleep(LOOK_SECONDS)
        assert program.returncode == 0, "something differs"
    return time.perf_counter() - began, peak / 1024


def _peak_kib(status: str) -> int:
    lines = [line.split() for line in status.splitlines()]
    return next((int(line[1]) for line in lines if line and line[0] == "VmHWM:"), 0)
