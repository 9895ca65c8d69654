"""Silence without waiting: as if a monitor that never slept had heard a worker long ago."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from db import models
from db.session import Database
from db.upserts import upsert
from db.writes import write_rows
from monitor.entities import Worker
from monitor.histogram import bucket_of
from monitor.reading.reads import WORKERS, find_by_id
from monitor.reading.usual import Usual
from monitor.slots import HOUR_SECONDS, slot_start
from monitor.upkeep.presence import Presence
from monitor.workers import Silence, judge_silence
from monitor.writing.tally import DURATIONS
from monitor.writing.transactions import Transactions
from tests.monitor.reports import replica

LIMIT = timedelta(seconds=30)
SILENT_STEP = timedelta(seconds=900)


def watcher(
    database: Database, *, limit: timedelta = LIMIT, silent_step: timedelta = SILENT_STEP
) -> Presence:
    """The looking half of one server process."""
    return Presence(
        database,
        replica(database),
        Usual(database),
        offline_after=limit,
        silent_step=silent_step,
    )


async def judge_silent(database: Database, transactions: Transactions, worker_id: str) -> None:
    """The worker is found to have been silent for too long."""
    worker = await find_by_id(database, WORKERS, worker_id)
    assert worker is not None
    seen_at = worker.last_seen_at
    silence = Silence(worker.id, seen_at, seen_at, timedelta(), "of a test")
    (judged,) = await transactions.run(
        judge_silence, silences=[silence], now=seen_at + LIMIT, limit=LIMIT
    )
    assert judged.id == worker_id


async def make_silent(database: Database, worker_id: str, *, ago: timedelta) -> datetime:
    """The worker was heard that long ago for the last time; the moment it is now."""
    now = datetime.now(UTC)
    async with database.writing() as connection:
        await connection.execute(
            update(models.workers)
            .where(models.workers.c.id == worker_id)
            .values(last_seen_at=now - ago, quiet_since=now - ago)
        )
    await watch_since(database, now - timedelta(days=30), last_look_at=now)
    return now


async def watch_since(database: Database, since: datetime, *, last_look_at: datetime) -> None:
    """A monitor that has looked from then until then; one that runs meanwhile may look, too."""
    watch = {"id": 1, "watching_since": since, "last_look_at": last_look_at}
    async with database.writing() as connection:
        await connection.execute(upsert(models.watch, connection.dialect.name), [watch])


async def ran_before(
    database: Database,
    worker: Worker,
    step: str | None,
    *seconds: float,
    outcome: str = "succeeded",
) -> None:
    """Runs of the step in the worker's pipeline (None: its processes) took so long, an hour ago."""
    slot_at = slot_start(datetime.now(UTC) - timedelta(hours=1), HOUR_SECONDS)
    key = {
        "pipeline_id": worker.pipeline_id,
        "of": "PROCESS" if step is None else "TASK",
        "step": step or "",
        "slot_seconds": HOUR_SECONDS,
        "slot_at": slot_at,
        "version": worker.version,
    }
    counts = Counter(bucket_of(timedelta(seconds=each)) for each in seconds)
    async with database.writing() as connection:
        for bucket, count in counts.items():
            row = {**key, "bucket": bucket, "shard": 0, "succeeded": 0, "failed": 0}
            rows = [{**row, outcome: count}]
            await write_rows(connection, models.durations, rows, add=DURATIONS)
