"""What is searched beside what was said, as in `monitor.upkeep.recount`, and setting it right."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, Table, delete, exists, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.searched import failure_texts, process_texts
from monitor.processes import group_failed
from monitor.upkeep.indexing import add_failure_texts
from monitor.upkeep.recount import Mismatch, mismatch
from monitor.writing.loading import Memory, Needs
from monitor.writing.transaction import Transaction

STEP_PROCESSES = 20
# Of which table each is the text.
SUBJECTS: Sequence[tuple[Table, Table]] = (
    (failure_texts, models.failures),
    (process_texts, models.processes),
)
_NAMES = ("texts",)
_process = models.processes.c


async def compare_failures(connection: AsyncConnection, ids: Sequence[str]) -> list[Mismatch[str]]:
    """That each of these failures has its text."""
    failure, text = models.failures.c, failure_texts.c
    joined = models.failures.outerjoin(failure_texts, text.subject_id == failure.id)
    statement = (
        select(failure.id, literal(0), literal(1))
        .select_from(joined)
        .where(failure.id.in_(ids), text.subject_id.is_(None))
    )
    return await _differences(connection, statement)


async def compare_processes(connection: AsyncConnection, ids: Sequence[str]) -> list[Mismatch[str]]:
    """How many processes of these failures have a text."""
    texts, processes = func.count(process_texts.c.subject_id), func.count(_process.id)
    statement = (
        select(_process.failure_id, texts, processes)
        .select_from(_with_texts())
        .where(_process.failure_id.in_(ids))
        .group_by(_process.failure_id)
        .having(texts != processes)
    )
    return await _differences(connection, statement)


async def compare_subjects(
    connection: AsyncConnection, texts: Table, subjects: Table, ids: Sequence[str]
) -> list[Mismatch[str]]:
    """That what these texts are of is there."""
    statement = select(texts.c.subject_id, literal(1), literal(0)).where(
        texts.c.subject_id.in_(ids), ~exists().where(subjects.c.id == texts.c.subject_id)
    )
    return await _differences(connection, statement)


async def _differences(connection: AsyncConnection, statement: Select[Any]) -> list[Mismatch[str]]:
    found = await connection.execute(statement)
    return [mismatch(row[0], _NAMES, row[1:]) for row in found]


def _with_texts() -> Any:
    return models.processes.outerjoin(process_texts, process_texts.c.subject_id == _process.id)


async def find_without_text(connection: AsyncConnection, failure_id: str) -> Sequence[str]:
    """The processes of the failure that have none."""
    statement = (
        select(_process.id)
        .select_from(_with_texts())
        .where(_process.failure_id == failure_id, process_texts.c.subject_id.is_(None))
    )
    return (await connection.scalars(statement)).all()


async def repair_failure(connection: AsyncConnection, failure_id: str) -> None:
    """Its text."""
    await add_failure_texts(connection, [failure_id])


async def repair_processes(connection: AsyncConnection, ids: Sequence[str]) -> None:
    """The texts of these processes, under their locks."""
    tx = Transaction(connection, memory=Memory(), shard=0, now=datetime.now(UTC))
    await tx.load([Needs(processes=tuple(ids), failing=tuple(ids))])
    group_failed.body(tx, process_ids=ids)
    await tx.store()


async def repair_subject(
    connection: AsyncConnection, texts: Table, subjects: Table, id_: str
) -> None:
    """Takes the text of what is not there."""
    gone = ~exists().where(subjects.c.id == texts.c.subject_id)
    await connection.execute(delete(texts).where(texts.c.subject_id == id_, gone))
