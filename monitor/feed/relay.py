"""From the outbox to the feed: what is committed gets out, in order, at least once."""

import asyncio
import logging
import time

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.errors import is_conflict, is_unavailable
from db.session import Database
from monitor.errors import Unavailable
from monitor.feed.log import Feed, FeedLost, Position

logger = logging.getLogger(__name__)

BATCH_ROWS = 100
# How soon a replica notices rows that another one left when it was killed.
POLL_SECONDS = 1.0
_BACKOFF_SECONDS = 0.5
MAX_REST_SECONDS = 0.02

_ANY = select(models.outbox.c.id).limit(1)
_OLDEST = (
    select(models.outbox.c.id, models.outbox.c.events)
    .order_by(models.outbox.c.id)
    .limit(BATCH_ROWS)
)
_REMOVE = delete(models.outbox).where(models.outbox.c.id.in_(bindparam("ids", expanding=True)))
_TURN = select(models.feed_position.c.epoch, models.feed_position.c.position).with_for_update()
_NOTE = update(models.feed_position).values(epoch=bindparam("e"), position=bindparam("p"))


class Relay:
    """One per server process; they take turns.

    The row of `feed_position` is the turn: whoever holds its lock moves everything that is
    committed, its own and others', in the order of the outbox. Changes of one entity stand there in
    the order of their revisions, since the entity's row was locked while they were written.
    """

    def __init__(self, database: Database, feed: Feed) -> None:
        self._database = database
        self._feed = feed
        self._wake = asyncio.Event()
        self.working = True

    def wake(self) -> None:
        """Says that something was committed."""
        self._wake.set()

    async def run(self) -> None:
        """Moves what comes, until cancelled."""
        checked = False
        while True:
            try:
                if not checked:
                    await self.check()
                    checked = True
                woken = self._wake.is_set()
                self._wake.clear()
                if woken or await self._is_anything_left():
                    began = time.monotonic()
                    while await self.move():
                        pass
                    # A turn costs the database a commit: under load, fewer move more.
                    await asyncio.sleep(min(time.monotonic() - began, MAX_REST_SECONDS))
                self._report(working=True)
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue
            except Exception as error:  # noqa: BLE001 — the relay outlives every fault
                checked = False
                known = isinstance(error, Unavailable) or is_unavailable(error)
                self._report(working=False, error=error, known=known or is_conflict(error))
                await asyncio.sleep(_BACKOFF_SECONDS)

    async def check(self) -> None:
        """Makes sure that the feed holds what was moved last, else begins a new epoch of it.

        Without this, after a Redis that came back older, clients could read on across the entries
        that are gone, and would be told only with the next event.
        """
        await self._feed.open()
        async with self._database.writing() as connection:
            known = await self._take_turn(connection)
            if known is not None:
                await self._append([], known)

    async def move(self) -> bool:
        """Moves up to BATCH_ROWS rows; True when there may be more."""
        if not self.working:
            # Not while holding the turn, and on SQLite all writers up, does one wait for the feed.
            await self._feed.open()
        async with self._database.writing() as connection:
            known = await self._take_turn(connection)
            found = (await connection.execute(_OLDEST)).all()
            if not found:
                return False
            position = await self._append([events.encode() for _, events in found], known)
            await connection.execute(_REMOVE, {"ids": [id_ for id_, _ in found]})
            await connection.execute(
                _NOTE, {"e": position.epoch, "p": f"{position.major}-{position.minor}"}
            )
        return len(found) == BATCH_ROWS

    async def _is_anything_left(self) -> bool:
        """A look without the lock, for what others left; most of the time there is nothing."""
        async with self._database.reading() as connection:
            return (await connection.execute(_ANY)).first() is not None

    async def _take_turn(self, connection: AsyncConnection) -> Position | None:
        row = (await connection.execute(_TURN)).first()
        if row is None:
            await connection.execute(
                insert(models.feed_position), [{"id": 1, "epoch": "", "position": "0-0"}]
            )
            return None
        major, _, minor = row.position.partition("-")
        return Position(row.epoch, int(major), int(minor)) if row.epoch else None

    async def _append(self, payloads: list[bytes], known: Position | None) -> Position:
        try:
            return await self._feed.append(payloads, known=known)
        except FeedLost:
            assert known is not None
            restarted = await self._feed.restart(known)
            return await self._feed.append(payloads, known=restarted)

    def _report(self, *, working: bool, error: Exception | None = None, known: bool = True) -> None:
        if not known:
            logger.error("the relay failed", exc_info=error)
        elif working and not self.working:
            logger.warning("the relay works again")
        elif self.working and not working:
            logger.warning("the relay waits: %s", error)
        self.working = working
