"""Tells followers of pipelines and of failures what became of them: at most once a second each, and
the last state.

A transaction that changes figures of one marks them as untold. Whoever comes first of the
replicas finds the marks under the lock of the pipeline's row, and only then reads; marks whose rows
were changed since stay (`monitor.upkeep.untold`). So after a crash, too, the last state is told.
"""

import asyncio
import hashlib
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import (
    Executable,
    Select,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.errors import is_conflict, is_unavailable, reason
from db.lookups import fetch_each
from db.session import Database
from db.writes import write_all
from monitor.entities import Pipeline
from monitor.errors import Unavailable
from monitor.events import ChangeKind, Event
from monitor.reading.asking import reading
from monitor.reading.pipelines import read_pipelines
from monitor.slots import MOST_AHEAD
from monitor.upkeep.moments import Standing, list_moments
from monitor.upkeep.untold import Marks
from monitor.writing.storing import encode_in_parts
from monitor.writing.tally import EVER

logger = logging.getLogger(__name__)

INTERVAL = timedelta(seconds=1)
# Between two looks for what is untold, and for what another replica left when it was killed.
REST_SECONDS = 0.25
POLL_SECONDS = 1.0
BACKOFF_SECONDS = 1.0
# So many are told in one transaction, whose locks hold up who reports on them.
STEP_PIPELINES = 50

_pipeline = models.pipelines.c
_figures = models.pipeline_figures.c
_IDS: Any = bindparam("ids", expanding=True)
_DUE = (
    select(_pipeline.id)
    .where(
        _pipeline.id.in_(select(_figures.pipeline_id).where(_figures.untold == true())),
        or_(_pipeline.told_at <= bindparam("before"), _pipeline.told_at > bindparam("ahead")),
    )
    .order_by(_pipeline.told_at)
    .limit(STEP_PIPELINES)
)
_ANY_UNTOLD = select(exists().where(_figures.untold == true()))
_LOCK = (
    select(_pipeline.id, _pipeline.told, _pipeline.told_at)
    .where(_pipeline.id.in_(_IDS))
    .order_by(_pipeline.id)
    .with_for_update()
)
_MARKS = Marks(models.pipeline_figures, _figures.pipeline_id)
_ADD_EVENTS = insert(models.outbox)
_EVER = (
    select(_figures.pipeline_id, *(func.sum(_figures[name]).label(name) for name in EVER.values()))
    .where(_figures.pipeline_id.in_(_IDS))
    .group_by(_figures.pipeline_id)
)
_NOTE = (
    update(models.pipelines)
    .where(_pipeline.id == bindparam("of"))
    .values(
        last_seen_at=bindparam("seen"),
        told_at=bindparam("at"),
        told=bindparam("state"),
        revision=bindparam("number"),
    )
)
# No change that anybody is told of, or kept in another form.
_SILENT = ("last_seen_at", "revision", "first_seen_at", "task_definitions")


@dataclass(frozen=True, slots=True)
class Kind:
    """What is told of: `due` finds ids that were told before `before` or, by a clock that was set
    back, after `ahead`, `is_any_untold` whether there are others, and `tell` writes events of them.
    """

    name: str
    due: Executable
    is_any_untold: Select[Any]
    tell: Callable[[AsyncConnection, Sequence[str], datetime], Awaitable[int]]


class Telling:
    """One per server process and kind; calls `on_told` when there are new events in the outbox."""

    def __init__(
        self, database: Database, *, on_told: Callable[[], None], kind: Kind | None = None
    ) -> None:
        self._database = database
        self._kind = kind or PIPELINES
        self._on_told = on_told
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Says that something was committed."""
        self._wake.set()

    async def run(self) -> None:
        """Tells until cancelled."""
        while True:
            self._wake.clear()
            try:
                while await self.tell(datetime.now(UTC)):
                    pass
                waits = await self._is_any_untold()
            except Exception as error:  # noqa: BLE001 — it outlives every fault
                await asyncio.sleep(_say(self._kind.name, error))
                continue
            await asyncio.sleep(REST_SECONDS)
            if not waits:
                await self._rest()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _is_any_untold(self) -> bool:
        async with reading(self._database) as connection:
            return bool(await connection.scalar(self._kind.is_any_untold))

    async def tell(self, now: datetime) -> int:
        """Tells of some that were not looked at within INTERVAL; how many were due.

        Raises what the database raises; then nothing was told, and it can be done again. What
        cannot be told for another reason is raised when the others are told.
        """
        limits = {"before": now - INTERVAL, "ahead": now + MOST_AHEAD}
        async with reading(self._database) as connection:
            due = (await connection.execute(self._kind.due, limits)).scalars().all()
        if not due:
            return 0
        try:
            await self._tell(due, now)
        except Exception as error:
            if len(due) == 1 or is_unavailable(error):
                raise
            await self._tell_each(due, now)
        return len(due)

    async def _tell_each(self, due: Sequence[str], now: datetime) -> None:
        """One of them has a defect; alone, it harms no other."""
        defects = []
        for id_ in due:
            try:
                await self._tell([id_], now)
            except Exception as error:
                if is_unavailable(error):
                    raise
                defects.append(error)
        if defects:
            raise defects[0]

    async def _tell(self, due: Sequence[str], now: datetime) -> None:
        async with self._database.writing() as connection:
            events = await self._kind.tell(connection, due, now)
        if events:
            self._on_told()


def _say(name: str, error: Exception) -> float:
    """Logs why nothing is told; how many seconds to wait before the next attempt."""
    if is_conflict(error):
        logger.info("telling of %s again: %s", name, reason(error))
        return random.uniform(0, REST_SECONDS)
    if isinstance(error, Unavailable) or is_unavailable(error):
        logger.info("followers of %s wait: %s", name, reason(error))
    else:
        logger.error("telling of %s failed", name, exc_info=error)
    return BACKOFF_SECONDS


async def _tell(connection: AsyncConnection, ids: Sequence[str], now: datetime) -> int:
    given = {"ids": ids}
    # In this order: nothing that is missing in what is told is in a row whose mark is taken away.
    locked, marks, sums = await fetch_each(
        connection, (_LOCK, given), _MARKS.find(ids), (_EVER, given)
    )
    # Another replica may have been first.
    due = {row.id: row.told for row in locked if is_due(row.told_at, now)}
    ever = {row.pipeline_id: row._asdict() for row in sums}
    states = await read_pipelines(connection, due) if due else {}
    notes, events = [], []
    for id_, pipeline in states.items():
        state = _told(pipeline, ever[id_])
        event = _event(due[id_], state, pipeline, now)
        if event is not None:
            events.append(event)
        notes.append(
            {
                "of": id_,
                "seen": pipeline.last_seen_at,
                "at": now,
                "state": state,
                "number": pipeline.revision + (event is not None),
            }
        )
    told = [row for row in marks if row.pipeline_id in due]
    parts = [{"events": part} for part in encode_in_parts(events)] if events else []
    await write_all(connection, [(_NOTE, notes), (_ADD_EVENTS, parts), _MARKS.take(told)])
    return len(events)


def is_due(told_at: datetime, now: datetime) -> bool:
    return not now - INTERVAL < told_at <= now + MOST_AHEAD


def _event(
    told: Mapping[str, Any] | None, state: Mapping[str, Any], found: Pipeline, now: datetime
) -> Event | None:
    """That the pipeline became this; None when nothing is different but when it was heard from."""
    if told == state:
        return None
    kind = ChangeKind.CREATED if told is None else ChangeKind.UPDATED
    moments = list_moments(Standing.of(told or {}), Standing.of(state))
    return Event(kind, now, replace(found, revision=found.revision + 1), tuple(moments))


def _told(pipeline: Pipeline, ever: Mapping[str, Any]) -> Mapping[str, Any]:
    """All that an event tells, and how often things happened until then."""
    steps = orjson.dumps(pipeline.task_definitions)
    return {
        **{
            field.name: getattr(pipeline, field.name)
            for field in fields(pipeline)
            if field.name not in _SILENT
        },
        **{name: int(ever[name]) for name in EVER.values()},
        "first_seen_at": pipeline.first_seen_at.isoformat(),
        "steps": hashlib.sha256(steps).hexdigest()[:16],
    }


PIPELINES = Kind("pipelines", _DUE, _ANY_UNTOLD, _tell)
