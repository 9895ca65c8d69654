"""What is old is forgotten, what is promised is kept."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select

from db import models
from db.session import Database
from monitor.ids import new_id
from monitor.upkeep.purging import Policy
from monitor.upkeep.retention import STEP_ACTS, STEP_ROWS, Retention
from monitor.workers import record_heartbeat
from monitor.writing.transactions import Transactions
from tests.monitor.reports import register, replica


async def test_old_idempotency_keys_are_forgotten_and_young_ones_kept(database: Database) -> None:
    now = datetime.now(UTC)
    ages = [timedelta(hours=49)] * (STEP_ROWS + 1) + [timedelta(hours=23)] * 2
    rows = [
        {"key": f"key {number}", "fingerprint": "", "answer": "[]", "created_at": now - age}
        for number, age in enumerate(ages)
    ]
    async with database.writing() as connection:
        await connection.execute(insert(models.idempotency_keys), rows)

    transactions = Transactions(database, on_commit=lambda: None)
    retention = Retention(database, transactions, Policy(), archive_after=None)
    removed = await retention.forget_keys(now - timedelta(hours=48))

    assert removed == STEP_ROWS + 1
    async with database.reading() as connection:
        left = await connection.execute(select(models.idempotency_keys.c.key))
        assert set(left.scalars()) == {f"key {STEP_ROWS + 1}", f"key {STEP_ROWS + 2}"}


async def test_server_processes_that_write_no_more_are_forgotten(database: Database) -> None:
    gone, here = replica(database), replica(database)
    await register(gone)
    then = datetime.now(UTC)
    worker = await register(here)
    retention = Retention(database, here, Policy(), archive_after=None)
    await retention.forget_writers(then)
    async with database.reading() as connection:
        left = (await connection.execute(select(models.writers.c.written_at))).scalars().all()
    assert [written_at >= then for written_at in left] == [True]
    # One that was only silent goes on.
    assert (await gone.run(record_heartbeat, worker_id=worker.id)).id == worker.id
    await register(gone)


async def test_old_acts_are_forgotten_with_what_they_were_done_to(database: Database) -> None:
    now = datetime.now(UTC)
    ages = [timedelta(days=91)] * (STEP_ACTS + 1) + [timedelta(days=89)] * 2
    subjects = [new_id("process") for _ in ages]
    acts: list[dict[str, Any]] = [
        {"id": new_id("audit"), "at": now - age, "action": "endProcess"}
        | {"role": "token", "address": "::1", "summary": ""}
        for age in ages
    ]
    of = [
        {"audit_id": act["id"], "subject_id": id_, "at": act["at"], "action": act["action"]}
        for act, id_ in zip(acts, subjects, strict=True)
    ]
    async with database.writing() as connection:
        await connection.execute(insert(models.audit), acts)
        await connection.execute(insert(models.audit_subjects), of)

    for audit_for, kept in ((None, len(ages)), (timedelta(days=90), 2)):
        keep = Retention(
            database, replica(database), Policy(), archive_after=None, audit_for=audit_for
        )
        await keep.forget_acts(now)
        async with database.reading() as connection:
            left = (await connection.scalars(select(models.audit.c.id))).all()
            left_of = (await connection.scalars(select(models.audit_subjects.c.subject_id))).all()
        assert sorted(left) == sorted(act["id"] for act in acts[-kept:])
        assert sorted(left_of) == sorted(subjects[-kept:])
