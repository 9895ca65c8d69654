"""Reads, starts, upkeep and `check` at ten million processes, beside the same at a thousand."""

import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bench import failures, history, upkeep
from bench.checking import check
from bench.filling import FEW, NAME
from bench.parts import Parts
from bench.report import Figure, say
from bench.years import HOURS, OPTIONS, WORKERS, fill_years

# Of the small one: with a page of pipelines.
FEW_HOURS = 20
STARTS = 5
START_SECONDS = 2.0
# In so much time that nobody has to plan for it: half an hour or so.
CHECKED_PER_SECOND = 5_000
SIZES = f"{FEW:,}", f"{FEW * HOURS:,} processes"
# While it is measured: a few percent of what there is.
BUFFERS = ("--innodb-buffer-pool-size=1G",)
# Where the databases stay when it is named: filling them takes longer than everything else.
FOLDER = "BENCH_SCALE_FOLDER"
_SMALL, _LARGE = "few", "years"
# With checks, MariaDB refuses to drop tables that others refer to.
_ANEW = "SET foreign_key_checks = 0; CREATE OR REPLACE DATABASE {}"


@dataclass(frozen=True)
class Filled:
    """Until when, and the ids of the latest workers of the small and of the large database."""

    until: str
    workers: Sequence[Sequence[str]]

    @property
    def now(self) -> datetime:
        return datetime.fromisoformat(self.until)


async def measure(parts: Parts) -> list[Figure]:
    """What `history` reads, starts and upkeep, beside a database of a thousand processes."""
    filled = await _fill(parts)
    with parts.database_server(_folder(parts), BUFFERS) as server:
        urls = server.url(_SMALL), server.url(_LARGE)
        say(f"scale: {SIZES[0]} processes, and {SIZES[1]} of {WORKERS * HOURS:,} workers")
        figures = _measure_starts(parts, urls)
        reads = [_read(workers, filled.now) for workers in filled.workers]
        figures += await history.compare_all(parts, urls, SIZES, reads)
        return figures + await upkeep.measure(urls, SIZES)


async def measure_check(parts: Parts) -> list[Figure]:
    """`process-monitor check`, which finds no difference in either: how fast, in which memory."""
    await _fill(parts)
    with parts.database_server(_folder(parts), BUFFERS) as server:
        say("scale: check")
        (_, few), (seconds, many) = (check(parts, server.url(name)) for name in (_SMALL, _LARGE))
    return [
        Figure(f"check of {SIZES[1]}", "processes/s", FEW * HOURS / seconds, CHECKED_PER_SECOND),
        Figure("its memory", "MiB", many, 1.5, f"at {SIZES[0]}", few, lower_is_better=True),
    ]


def _folder(parts: Parts) -> Path:
    return Path(os.environ.get(FOLDER) or parts.folder / "scale")


def _read(workers: Sequence[str], now: datetime) -> dict[str, list[history.Read]]:
    lists = failures.list_queries(NAME, history.PAGE)
    return history.reads_of(workers, now) | {"failures, every list": [*map(history.query, lists)]}


async def _fill(parts: Parts) -> Filled:
    """The large one is kept where a folder is named; the small one is written anew, since steps of
    upkeep have removed half of it.
    """
    folder = _folder(parts)
    note = folder / "filled.json"
    with parts.database_server(folder, OPTIONS) as server:
        if not note.exists():
            # A whole hour, so that copies of its processes share no slot of activity with it.
            now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
            server.execute(_ANEW.format(_LARGE))
            many = await fill_years(server, server.url(_LARGE), now)
            note.write_text(json.dumps(asdict(Filled(now.isoformat(), ((), many)))))
        filled = Filled(**json.loads(note.read_text()))
        server.execute(_ANEW.format(_SMALL))
        few = await fill_years(
            server,
            server.url(_SMALL),
            filled.now,
            hours=FEW_HOURS,
            processes=FEW // FEW_HOURS,
        )
    return replace(filled, workers=(few, filled.workers[1]))


def _measure_starts(parts: Parts, urls: tuple[str, str]) -> list[Figure]:
    """From the start of the program until it says that what is reported is stored."""
    few, many = (
        statistics.median([parts.start_seconds(url) for _ in range(STARTS)]) for url in urls
    )
    name = f"start of a server process at {SIZES[1]}"
    return [
        Figure(name, "s", many, START_SECONDS, lower_is_better=True),
        Figure(name, "s", many, 1.2, f"at {SIZES[0]}", few, lower_is_better=True),
    ]
