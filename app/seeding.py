"""`process-monitor demo --seed-processes`: history in bulk, for benchmarks and trials.

It goes straight to the database, by the same operations as reports, so every kept figure is true.
But many runs share a commit, each row is written once, in its last state, and the live feed is told
nothing: pages that are open show it when they are loaded again.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.demo_pipelines import Outcome, Pipeline, draw_run, next_version, pipeline_of
from app.progress import Progress
from app.settings import Settings
from db.errors import DatabaseUnavailable, is_unavailable
from db.migrate import migrate
from db.session import Database
from monitor.entities import ProcessStatus, TaskDefinition, TaskStatus
from monitor.ids import pipeline_id
from monitor.processes import end_process, start_process
from monitor.tasks import update_task
from monitor.workers import register_worker
from monitor.writing.loading import Memory, Needs
from monitor.writing.transaction import Transaction

SPAN = timedelta(days=30)
# The next version of each pipeline is released so long before now: recently enough that the workers
# of the version before are not archived yet.
RELEASED = timedelta(days=5)
WORKERS_OF_A_PIPELINE = 3
RUNS_PER_COMMIT = 100
IDLE_SECONDS = 60
# Any of them: only server processes must not queue for the same one.
SHARD = 0


@dataclass(frozen=True)
class Role:
    """A seeded worker and what it runs, from an instant on."""

    worker_id: str
    pipeline: Pipeline
    since: datetime


# The workers of a pipeline, the first of them of the version before.
Crew = Sequence[Role]


def run_seeding(settings: Settings, *, processes: int, workers: int, seed: int) -> int:
    """Seeds the configured database; the exit status.

    Raises MigrationFailed, and DatabaseUnavailable also when it is lost on the way: the figures of
    what was committed until then are true.
    """

    async def run() -> None:
        database = Database(settings.resolved_database_url)
        try:
            await migrate(database)
            await seed_history(database, processes=processes, workers=workers, random=Random(seed))
        except Exception as error:
            if not is_unavailable(error):
                raise
            # Without the statement, which has all its rows in it.
            reason = error.orig if isinstance(error, DBAPIError) else error
            raise DatabaseUnavailable(f"the database was lost while seeding: {reason}") from error
        finally:
            await database.close()

    asyncio.run(run())
    return 0


async def seed_history(database: Database, *, processes: int, workers: int, random: Random) -> None:
    """Adds workers, and processes of theirs evenly over the last SPAN, the oldest first.

    Three workers to a pipeline: one of its version before, and since its release two of the next.
    What was committed stays when it is cancelled, with true figures.
    """
    until = datetime.now(UTC)
    since = until - SPAN
    memory = Memory()
    async with database.writing() as connection:
        tx = Transaction(connection, memory=memory, shard=SHARD, now=since)
        crews = await _register_all(tx, workers, since)
        await tx.store(silently=True)
    starts = (since + SPAN * (number / processes) for number in range(processes))
    progress = Progress("processes", processes)
    for first in range(0, processes, RUNS_PER_COMMIT):
        count = min(RUNS_PER_COMMIT, processes - first)
        runs = [(_choose(random.choice(crews), at, random), at) for at in islice(starts, count)]
        async with database.writing() as connection:
            await _take_its_time(connection)
            tx = Transaction(connection, memory=memory, shard=SHARD, now=since)
            await tx.load([Needs(workers=sorted({role.worker_id for role, _ in runs}))])
            for role, start in runs:
                _run(tx, role, start, until, random)
            await tx.store(silently=True)
        progress.add(count)


async def _take_its_time(connection: AsyncConnection) -> None:
    """Has MariaDB keep the transaction while nothing is said, on a machine that stands still for
    some seconds: reports are waited for by workers, this by nobody.
    """
    if connection.dialect.name != "sqlite":
        await connection.exec_driver_sql(f"SET SESSION idle_transaction_timeout={IDLE_SECONDS}")


async def _register_all(tx: Transaction, workers: int, since: datetime) -> Sequence[Crew]:
    pipelines = -(-workers // WORKERS_OF_A_PIPELINE)
    ids = [pipeline_id(pipeline_of(number)[0]) for number in range(pipelines)]
    await tx.load([Needs(pipelines=ids)])
    crews: list[list[Role]] = [[] for _ in ids]
    for worker in range(workers):
        lap, number = divmod(worker, pipelines)
        crews[number].append(_register(tx, number, lap, since))
    return crews


def _register(tx: Transaction, number: int, lap: int, since: datetime) -> Role:
    """A worker of this pipeline: the first when history begins, others with the release."""
    name, pipeline = pipeline_of(number)
    if lap:
        pipeline, since = next_version(pipeline), since + SPAN - RELEASED
    steps = [TaskDefinition(step.name, pipeline.version) for step in pipeline.steps]
    tx.now = since
    worker = register_worker.body(tx, name=name, version=pipeline.version, task_definitions=steps)
    return Role(worker.id, pipeline, since)


def _choose(crew: Crew, at: datetime, random: Random) -> Role:
    """One of those whose version is the newest by then."""
    newest = max(role.since for role in crew if role.since <= at)
    return random.choice([role for role in crew if role.since == newest])


def _run(tx: Transaction, role: Role, start: datetime, until: datetime, random: Random) -> None:
    """One run, as far as it has come by `until`."""
    tx.now = start
    process, tasks = start_process.body(tx, worker_id=role.worker_id)
    error = None
    for task, outcome in zip(tasks, draw_run(role.pipeline, random), strict=False):
        for at, status in _reports(tx.now, outcome):
            if at > until:
                return
            tx.now = at
            error = outcome.error if status.ended else None
            update_task.body(tx, task_id=task.id, status=status, details=error)
    end = ProcessStatus.ERROR if error else ProcessStatus.SUCCESS
    end_process.body(tx, process_id=process.id, status=end, details=error)


def _reports(at: datetime, outcome: Outcome) -> Iterator[tuple[datetime, TaskStatus]]:
    yield at, TaskStatus.RUNNING
    end = TaskStatus.ERROR if outcome.error else TaskStatus.SUCCESS
    yield at + timedelta(seconds=outcome.seconds), end
