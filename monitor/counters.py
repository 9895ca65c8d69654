"""The checker: proves every kept counter equal to a recount, and repairs those that are not.

Right while writers run, without stopping them: a transaction changes a counter together with what
it counts, so that any single statement, which sees one moment, finds both equal. Each comparison
is therefore one statement; no locks, nothing to look at twice. For the same reason a difference
stays what it is however much is written meanwhile.

Repairs of a row that one writer at a time changes (workers, processes, a worker's activity) lock it
like a report does, count again and write the result, with revision and event. Sums that are spread
over shards get the difference added, under a shard of the checker's own: that locks out other
checkers and nobody else. The rejected alternative, to lock all shards while counting, would stop
every writer for as long.
"""

from dataclasses import dataclass
from datetime import timedelta

from db import models
from db.maintenance import MaintenanceDatabase
from db.session import Database
from monitor.transactions import SHARDS

# Behind the shards of the server processes.
CHECKER_SHARD = SHARDS
_WORKERS_PER_PAGE = 50
_PROCESSES_PER_PAGE = 1_000
_WINDOW = timedelta(days=1)
_TOTALS = ("workers_online", "workers_offline", "running", "succeeded", "failed", "stalled")
_WORKER = ("running", "succeeded", "failed", "runtime_microseconds")
_PROCESS = ("task_count", "ended_task_count")
_ACTIVITY = ("started", "succeeded", "failed", "runtime_microseconds")


@dataclass(frozen=True, slots=True)
class Difference:
    """A counter that was not what a recount gave; `id` is empty for a sum over everything."""

    what: str
    id: str
    kept: int
    counted: int

    def __str__(self) -> str:
        of = f" of {self.id}" if self.id else ""
        return f"{self.what}{of}: kept {self.kept}, counted {self.counted}"


async def check_counters(database: Database, *, repair: bool) -> list[Difference]:
    """What differs; with `repair` it is set right, too.

    Goes through workers and processes by pages and through time by days, so memory does not grow
    with history, except by what differs. Raises DatabaseUnavailable.
    """
    unhurried = MaintenanceDatabase(database)
    try:
        checker = _Checker(unhurried, repair=repair)
        await checker.check_processes()
        await checker.check_workers()
        await checker.check_slots()
        await checker.check_totals()
        return checker.differences
    finally:
        await unhurried.close()


class _Checker:
    def __init__(self, database: Database, *, repair: bool) -> None:
        self.differences: list[Difference] = []
        self._database = database
        self._sqlite = database.is_sqlite
        self._repair = repair

    async def check_processes(self) -> None:
        """Tasks and ended tasks of every process."""
        async for ids in self._pages(models.processes.c.id, _PROCESSES_PER_PAGE):
            ...
