"""`process-monitor purge`: removes old processes now. Servers may run meanwhile."""

import asyncio
import sys
from datetime import UTC, datetime

from app.progress import Progress
from app.settings import Settings
from db.errors import DatabaseUnavailable
from db.maintenance import compact, give_back_free_pages
from db.migrate import migrate
from db.session import Database
from monitor.errors import Unavailable
from monitor.upkeep.minutes import forget_minutes
from monitor.upkeep.purging import SLOT_MARGIN, Policy, count_purgeable, purge
from monitor.writing.job import UNHURRIED
from monitor.writing.transactions import Transactions


def run_purge(settings: Settings, policy: Policy, *, dry_run: bool, compacting: bool) -> int:
    """Purges the configured database; the exit status. Raises DatabaseUnavailable, MigrationFailed.

    Events wait in the outbox until a server gets them out.
    """

    async def run() -> None:
        database = Database(settings.resolved_database_url)
        try:
            await migrate(database)
            sys.stderr.write("counting what is old\n")
            count = await count_purgeable(database, policy, datetime.now(UTC))
            if dry_run:
                sys.stdout.write(f"{count:,} processes would be removed\n")
                return
            await _purge(database, policy, count)
            if compacting:
                sys.stderr.write("writing the tables anew\n")
                await compact(database)
        except Unavailable as error:
            raise DatabaseUnavailable("the database was lost while purging") from error
        finally:
            await database.close()

    asyncio.run(run())
    return 0


async def _purge(database: Database, policy: Policy, count: int) -> None:
    now = datetime.now(UTC)
    transactions = Transactions(database, on_commit=lambda: None, deadlines=UNHURRIED)
    progress = Progress("processes", count)
    removed = 0
    async for step in purge(database, transactions, policy, now):
        removed += step
        progress.add(step)
    await transactions.close()
    if (before := policy.before(now)) is not None:
        await forget_minutes(database, before - SLOT_MARGIN)
    await give_back_free_pages(database)
    sys.stdout.write(f"{removed:,} processes were removed\n")
