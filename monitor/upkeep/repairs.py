"""Setting right what a recount found, each compared once more under a lock (see `counters`)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.upserts import upsert
from db.writes import write_rows
from monitor.slots import EVER_SECONDS, HOUR_SECONDS, LONG_AGO, SLOT_SECONDS
from monitor.upkeep import failure_recount, pipeline_recount, recount
from monitor.upkeep.pipeline_recount import DurationKey
from monitor.upkeep.recount import Mismatch, SlotKey
from monitor.writing.failing import LATEST, OCCURRENCES, last_end
from monitor.writing.loading import Memory, Needs
from monitor.writing.tally import FIGURES
from monitor.writing.transaction import Transaction
from monitor.writing.transactions import SHARDS

# Behind the shards of the server processes.
CHECKER_SHARD = SHARDS
WINDOW = timedelta(days=1)


async def repair_process(connection: AsyncConnection, process_id: str) -> None:
    """Its numbers of tasks; followers are told."""
    tx = await _load(connection, Needs(processes=(process_id,)))
    for mismatch in await recount.compare_processes(connection, (process_id,)):
        tx.update(replace(tx.process(process_id), **dict[str, Any](mismatch.counted)))
    await tx.store()


async def repair_worker(connection: AsyncConnection, worker_id: str) -> None:
    """Its numbers of processes, of which followers are told, and its activity."""
    tx = await _load(connection, Needs(workers=(worker_id,)))
    for mismatch in await recount.compare_workers(connection, (worker_id,)):
        tx.update(replace(tx.worker(worker_id), **dict[str, Any](mismatch.counted)))
    await tx.store()
    for slot_seconds in SLOT_SECONDS:
        slots = await recount.compare_slots_of(connection, (worker_id,), slot_seconds)
        await _add_to_slots(connection, slots, shard=0)


async def repair_pipeline(connection: AsyncConnection, pipeline_id: str) -> None:
    """Its figures, of which followers are told, its durations and its activity."""
    await _lock_other_checkers_out(connection)
    for mismatch in await pipeline_recount.compare_pipelines(connection, (pipeline_id,)):
        await _add_to_figures(connection, pipeline_id, mismatch.missing())
    durations = await pipeline_recount.compare_durations(connection, (pipeline_id,))
    await _add_to_durations(connection, durations)
    for slot_seconds in SLOT_SECONDS:
        slots = await recount.compare_slots_of(connection, (pipeline_id,), slot_seconds)
        await _add_to_slots(connection, slots, shard=CHECKER_SHARD)


async def repair_failure(connection: AsyncConnection, failure_id: str) -> None:
    """How often it was seen, of which followers are told, and when last, if that is kept."""
    await _lock_other_checkers_out(connection)
    process = models.processes.c
    latest = (
        await connection.execute(
            select(process.ended_at, process.version)
            .where(process.failure_id == failure_id)
            .order_by(process.started_at.desc(), process.id.desc())
            .limit(1)
        )
    ).first()
    seen_at, end = LONG_AGO, ""
    if latest is not None:
        seen_at, end = latest.ended_at, last_end(latest.ended_at, latest.version)
    rows = [
        {
            "failure_id": failure_id,
            "slot_seconds": mismatch.key.slot_seconds,
            "slot_at": mismatch.key.at,
            "shard": CHECKER_SHARD,
            **mismatch.missing(),
            "last_seen_at": seen_at,
            "last_end": end,
            "untold": mismatch.key.slot_seconds == EVER_SECONDS,
        }
        for mismatch in await failure_recount.compare_failures(connection, (failure_id,))
    ]
    await write_rows(connection, models.failure_figures, rows, add=OCCURRENCES, latest=LATEST)


async def _add_to_figures(
    connection: AsyncConnection, pipeline_id: str, missing: Mapping[str, int]
) -> None:
    key = {"pipeline_id": pipeline_id, "shard": CHECKER_SHARD}
    await connection.execute(
        upsert(
            models.pipeline_figures,
            connection.dialect.name,
            add=FIGURES,
            latest=("last_seen_at",),
        ),
        [
            {
                **key,
                **dict.fromkeys(FIGURES, 0),
                **missing,
                "last_seen_at": LONG_AGO,
                "untold": True,
            }
        ],
    )


async def _add_to_durations(
    connection: AsyncConnection, found: Sequence[Mismatch[DurationKey]]
) -> None:
    rows = []
    for mismatch in found:
        key = asdict(mismatch.key)
        slot = {"slot_seconds": HOUR_SECONDS, "slot_at": key.pop("day"), "shard": CHECKER_SHARD}
        rows.append({**key, **slot, **mismatch.missing()})
    if rows:
        statement = upsert(
            models.durations, connection.dialect.name, add=pipeline_recount.DURATIONS
        )
        await connection.execute(statement, rows)


async def _load(connection: AsyncConnection, needs: Needs) -> Transaction:
    tx = Transaction(connection, memory=Memory(), shard=CHECKER_SHARD, now=datetime.now(UTC))
    await tx.load([needs])
    return tx


async def compare_days(connection: AsyncConnection, since: datetime) -> list[Mismatch[SlotKey]]:
    """Activity of all workers together, in slots of every length, in the WINDOW from there on."""
    return [
        mismatch
        for slot_seconds in SLOT_SECONDS
        for mismatch in await recount.compare_slots(connection, since, since + WINDOW, slot_seconds)
    ]


async def repair_slots(connection: AsyncConnection, since: datetime) -> None:
    """The activity of all workers together in the WINDOW from there on."""
    await _lock_other_checkers_out(connection)
    found = await compare_days(connection, since)
    await _add_to_slots(connection, found, shard=CHECKER_SHARD)


async def _add_to_slots(
    connection: AsyncConnection, found: Sequence[Mismatch[SlotKey]], *, shard: int
) -> None:
    if found:
        await connection.execute(
            upsert(models.activity, connection.dialect.name, add=recount.ACTIVITY_COUNTERS),
            [
                {
                    "subject_id": mismatch.key.subject_id,
                    "slot_seconds": mismatch.key.slot_seconds,
                    "slot_at": mismatch.key.at,
                    "shard": shard,
                    **mismatch.missing(),
                }
                for mismatch in found
            ],
        )


async def repair_totals(connection: AsyncConnection) -> None:
    """The sums over everything."""
    await _lock_other_checkers_out(connection)
    for mismatch in await recount.compare_totals(connection):
        await _add_to_totals(connection, **mismatch.missing())


async def _lock_other_checkers_out(connection: AsyncConnection) -> None:
    """Adds nothing to the checker's shard, which locks its row until the commit."""
    await _add_to_totals(connection)


async def _add_to_totals(connection: AsyncConnection, **missing: int) -> None:
    await connection.execute(
        upsert(models.totals, connection.dialect.name, add=recount.TOTALS),
        [{"shard": CHECKER_SHARD, **dict.fromkeys(recount.TOTALS, 0), **missing}],
    )
