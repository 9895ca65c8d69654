"""Tells followers of pipelines what became of them: at most once a second each, and the last state.

A transaction that changes figures of a pipeline marks them as untold. Whoever comes first of the
replicas takes the mark away under the lock of the pipeline's row, and only then reads: what is
committed later leaves a mark of its own. So after a crash, too, the last state is told.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, exists, insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.errors import is_conflict, is_unavailable, reason
from db.session import Database
from monitor.entities import Pipeline
from monitor.errors import Unavailable
from monitor.events import ChangeKind, Event, encode_events
from monitor.reading.pipelines import read_pipelines
from monitor.reading.reads import reading

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
        _pipeline.told_at <= bindparam("before"),
    )
    .order_by(_pipeline.told_at)
    .limit(STEP_PIPELINES)
)
_ANY_UNTOLD = select(exists().where(_figures.untold == true()))
_LOCK = (
    select(_pipeline.id, _pipeline.told, _pipeline.told_at, _pipeline.revision)
    .where(_pipeline.id.in_(_IDS))
    .order_by(_pipeline.id)
    .with_for_update()
)
_TAKE_MARKS = (
    update(models.pipeline_figures)
    .where(_figures.pipeline_id.in_(_IDS), _figures.untold == true())
    .values(untold=False)
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
# No change that anybody is told of.
_SILENT = ("last_seen_at", "revision", "task_definitions")


class Telling:
    """One per server process; calls `on_told` when there are new events in the outbox."""

    def __init__(self, database: Database, *, on_told: Callable[[], None]) -> None:
        self._database = database
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
            except Exception as error:
                if isinstance(error, Unavailable) or is_unavailable(error) or is_conflict(error):
                    logger.info("followers of pipelines wait: %s", reason(error))
                else:
                    logger.exception("telling of pipelines failed")
                await asyncio.sleep(BACKOFF_SECONDS)
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
            return bool(await connection.scalar(_ANY_UNTOLD))

    async def tell(self, now: datetime) -> int:
        """Tells of some that were not told of within INTERVAL; how many were due.

        Raises what the database raises; then nothing was told, and it can be done again.
        """
        before = {"before": now - INTERVAL}
        async with reading(self._database) as connection:
            due = (await connection.scalars(_DUE, before)).all()
        if not due:
            return 0
        async with self._database.writing() as connection:
            events = await _tell(connection, due, now)
        if events:
            self._on_told()
        return len(due)


async def _tell(connection: AsyncConnection, ids: Sequence[str], now: datetime) -> int:
    locked = (await connection.execute(_LOCK, {"ids": sorted(ids)})).all()
    # Another replica may have been first.
    due = {row.id: row for row in locked if row.told_at <= now - INTERVAL}
    if not due:
        return 0
    await connection.execute(_TAKE_MARKS, {"ids": sorted(due)})
    states = await read_pipelines(connection, due)
    notes, events = [], []
    for id_, pipeline in states.items():
        event = _event(due[id_].told, pipeline, now)
        if event is not None:
            events.append(event)
        notes.append(
            {
                "of": id_,
                "seen": pipeline.last_seen_at,
                "at": due[id_].told_at if event is None else now,
                "state": _told(pipeline),
                "number": pipeline.revision + (event is not None),
            }
        )
    if notes:
        await connection.execute(_NOTE, notes)
    if events:
        await connection.execute(
            insert(models.outbox), [{"events": encode_events(events).decode()}]
        )
    return len(events)


def _event(told: Mapping[str, Any] | None, found: Pipeline, now: datetime) -> Event | None:
    """That the pipeline became this; None when nothing is different but when it was heard from."""
    if told is None:
        created = replace(found, revision=found.revision + 1)
        return Event(ChangeKind.CREATED, now, created)
    if told == _told(found):
        return None
    changed = replace(found, revision=found.revision + 1)
    return Event(ChangeKind.UPDATED, now, changed, _before(told, found))


def _told(pipeline: Pipeline) -> Mapping[str, Any]:
    return {name: value for name, value in asdict(pipeline).items() if name not in _SILENT} | {
        "first_seen_at": pipeline.first_seen_at.isoformat()
    }


def _before(told: Mapping[str, Any], now: Pipeline) -> Mapping[str, Any]:
    """Of what filters look at: how it was told, or how it was for a moment since, if not now."""
    count = told["running"] + told["succeeded"] + told["failed"]
    moments = {
        "failing": now.failed > told["failed"],
        "running": int(now.running + now.succeeded + now.failed > count),
        "workers_lost": 0,
    }
    return {
        name: told[name] if bool(told[name]) != bool(getattr(now, name)) else moment
        for name, moment in moments.items()
        if bool(told[name]) != bool(getattr(now, name)) or bool(moment) != bool(getattr(now, name))
    }
