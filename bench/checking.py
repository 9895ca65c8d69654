"""`process-monitor check` on all of it: how long, and in how much memory."""

import time
from pathlib import Path

from bench.parts import Parts
from bench.report import Figure, say

LOOK_SECONDS = 0.2


def measure_check(
    parts: Parts, urls: tuple[str, str], sizes: tuple[str, str], processes: int
) -> list[Figure]:
    """Both find no difference."""
    say("scale: check")
    (_, few), (seconds, many) = (_check(parts, url) for url in urls)
    return [
        Figure(f"check of {sizes[1]}", "processes/s", processes / seconds, 5_000),
        Figure(
            "memory of this check", "MiB", many, 1.5, f"at {sizes[0]}", few, lower_is_better=True
        ),
    ]


def _check(parts: Parts, url: str) -> tuple[float, float]:
    """How many seconds, and the most memory that it had in RAM, in MiB."""
    began = time.perf_counter()
    peak = 0
    with parts.command("check", database_url=url) as check:
        status = Path(f"/proc/{check.pid}/status")
        while check.poll() is None:
            peak = max(peak, _peak_kib(status.read_text()))
            time.sleep(LOOK_SECONDS)
        assert check.returncode == 0, "something differs"
    return time.perf_counter() - began, peak / 1024


def _peak_kib(status: str) -> int:
    lines = [line.split() for line in status.splitlines()]
    return next((int(line[1]) for line in lines if line and line[0] == "VmHWM:"), 0)
