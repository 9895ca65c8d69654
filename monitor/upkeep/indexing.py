"""Has failures found by their titles that were there before titles could be searched: at start."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.searched import failure_texts
from db.session import Database
from db.writes import write_all
from monitor.reading.asking import reading
from monitor.writing.texts import add_texts, failure_row

PAGE_FAILURES = 1_000
STEP_FAILURES = 200
MAX_REST_SECONDS = 1.0

_failure, _text = models.failures.c, failure_texts.c
_PAGE = (
    select(_failure.id, _text.subject_id.label("text_of"))
    .join_from(models.failures, failure_texts, _text.subject_id == _failure.id, isouter=True)
    .where(_failure.id > bindparam("after"))
    .order_by(_failure.id)
    .limit(PAGE_FAILURES)
)
# Nobody forgets them meanwhile.
_LOCK = (
    select(_failure.id, _failure.first_seen_at, _failure.title, _failure.step)
    .where(_failure.id.in_(bindparam("ids", expanding=True)))
    .order_by(_failure.id)
    .with_for_update()
)


async def index_failures(database: Database) -> None:
    """Goes through all of them in steps, each of which stays when it is broken off.

    Several may do so at once. Raises what the database raises.
    """
    last = ""
    while found := await _page(database, last):
        without = [row.id for row in found if row.text_of is None]
        for first in range(0, len(without), STEP_FAILURES):
            began = time.monotonic()
            async with database.writing() as connection:
                await add_failure_texts(connection, without[first : first + STEP_FAILURES])
            await asyncio.sleep(min(time.monotonic() - began, MAX_REST_SECONDS))
        last = found[-1].id


async def _page(database: Database, after: str) -> Sequence[Any]:
    async with reading(database) as connection:
        return (await connection.execute(_PAGE, {"after": after})).all()


async def add_failure_texts(connection: AsyncConnection, ids: Sequence[str]) -> None:
    """Writes the texts of those of the failures that are there; a text that is there stays."""
    found: Sequence[Any] = (await connection.execute(_LOCK, {"ids": ids})).all()
    texts = [failure_row(row.id, row.first_seen_at, row.title, row.step) for row in found]
    await write_all(connection, [(add_texts(failure_texts, connection.dialect.name), texts)])
