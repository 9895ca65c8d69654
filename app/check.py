"""`process-monitor check`: proves the kept figures, and says how far it is."""

import asyncio
import sys

from app.progress import Progress
from app.settings import Settings
from db.migrate import migrate
from db.session import Database
from monitor.upkeep.counters import Difference, check_watched


class _Report:
    """Differences on stdout as they are found, how far it is on stderr."""

    def __init__(self) -> None:
        self.found = 0
        self._progress = Progress("", None)

    def begin(self, what: str, total: int | None) -> None:
        self._progress = Progress(what, total)

    def add(self, count: int) -> None:
        self._progress.add(count)

    def find(self, difference: Difference) -> None:
        self.found += 1
        sys.stdout.write(f"{difference}\n")
        sys.stdout.flush()


def run_check(settings: Settings, *, repair: bool) -> int:
    """Checks the configured database; the exit status: 1 when something differs still.

    Raises DatabaseUnavailable, MigrationFailed.
    """

    async def run() -> int:
        database = Database(settings.resolved_database_url)
        try:
            await migrate(database)
            await check_watched(database, report, repair=repair)
        finally:
            await database.close()
        return report.found

    report = _Report()
    found = asyncio.run(run())
    sys.stdout.write(f"{found} differences{' (repaired)' if repair and found else ''}\n")
    return 1 if found and not repair else 0
