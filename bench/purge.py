"""Writers' slowest answers while 100,000 old processes are removed beside them."""

import time
from datetime import UTC, datetime, timedelta

from bench.filling import fill, multiply
from bench.parts import Parts
from bench.report import Figure, say
from bench.writes import WORKERS, Load, load
from db.session import Database
from monitor.upkeep.purging import Policy, count_purgeable

TIMES = 100
ALONE_SECONDS = 10.0


async def measure(parts: Parts) -> list[Figure]:
    """MariaDB with fsync on every commit, Redis, two server processes, and `purge` beside them."""
    url = parts.new_database()
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    old = hour - timedelta(days=10)
    await fill(url, old)
    multiply(parts.mariadb, url.rsplit("/", 1)[1], TIMES)
    database = Database(url)
    count = await count_purgeable(database, Policy(days=5), datetime.now(UTC))
    with parts.monitor(url, workers=2) as server:
        await load(server.port, duration=2.0)  # what is loaded and compiled once
        say(f"purge: writers alone, then while {count:,} processes are removed")
        alone = await load(server.port, duration=ALONE_SECONDS)
        beside, seconds = await _beside_purge(server.port, parts, url)
    await database.close()
    return [
        Figure(
            f"p99 of {WORKERS} writers while {count:,} processes are removed",
            "ms",
            beside.p99 * 1e3,
            2,
            "alone",
            alone.p99 * 1e3,
            lower_is_better=True,
        ),
        Figure("requests of these writers", "/s", beside.rate, 0.5, "alone", alone.rate),
        Figure("processes removed meanwhile", "/s", count / seconds, 500),
    ]


async def _beside_purge(port: int, parts: Parts, url: str) -> tuple[Load, float]:
    """The writers' load until everything is removed, and how long that took."""
    start = time.perf_counter()
    with parts.command("purge", "--days", "5", database_url=url) as purge:
        loads = []
        while purge.poll() is None:
            loads.append(await load(port, duration=ALONE_SECONDS))
        assert purge.returncode == 0
    seconds = time.perf_counter() - start
    # The last one went on without the purge for a while.
    counted = loads[:-1] or loads
    return max(counted, key=lambda load: load.p99), seconds
