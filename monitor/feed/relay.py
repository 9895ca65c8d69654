"""From the outbox to the feed: what is committed gets out, in order, at least once."""

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Row,
    bindparam,
    delete,
    exists,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.errors import is_conflict, is_unavailable
from db.lookups import fetch_each
from db.session import Database
from db.writes import Write, write_all
from monitor.errors import Unavailable
from monitor.feed.backlog import Rows, fitting, oldest
from monitor.feed.condition import Condition, cause
from monitor.feed.log import NOWHERE, TURN_BYTES, TURN_ROWS, Entry, Feed, FeedLost, Position
from monitor.feed.sole import Sole

logger = logging.getLogger(__name__)

# How soon a replica notices rows that another one left when it was killed, and a log that is not
# where the database noted it.
POLL_SECONDS = 1.0
_BACKOFF_SECONDS = 0.5
# A turn costs the database a commit: under load, fewer move more. Who moves little is awaited, and
# a few commits at a time do not wait at all.
MAX_REST_SECONDS = 0.02
BRIEF_REST_SECONDS = 0.003
LITTLE_BYTES = 8 * 1024
FEW_ROWS = 2
# So often another relay may be faster before that is a fault; after each time, it gets a lead.
RACES = 10
_LEAD_SECONDS = 0.02

_outbox = models.outbox.c
_noted = models.feed_position.c
_LOOK = select(_noted.epoch, _noted.position, exists(select(_outbox.id)).label("waiting"))
_TURN = select(_noted.epoch, _noted.position).with_for_update()
_NOTE = update(models.feed_position).values(epoch=bindparam("e"), position=bindparam("p"))
_REMOVE = delete(models.outbox).where(_outbox.id.in_(bindparam("ids", expanding=True)))

_Moved = tuple[Rows, Position]


class Doubt(Exception):
    """The log has what this transaction did not know of, but the next one will, if it is right."""


class Relay:
    """One per server process; they take turns.

    The row of `feed_position` is the turn: whoever holds its lock moves everything that is
    committed, its own and others', in the order of the outbox. Changes of one entity stand there in
    the order of their revisions, since the entity's row was locked while they were written.

    Where locks are of one node (Galera), several may have the turn. The log then takes what one of
    them adds, and the database what one of them notes; the others find that out and try again.
    """

    def __init__(self, database: Database, feed: Feed) -> None:
        self._database = database
        self._feed = feed
        self._wake = asyncio.Event()
        self._condition = Condition(logger, "the relay")
        self._sole = None if feed.shared else Sole(feed)
        # Where the log ended in the last turn, when that could not tell why.
        self._doubted: Position | None = None
        self._is_new = True
        self._longest_rest = BRIEF_REST_SECONDS
        # What the database noted, when it was looked at last.
        self._known = NOWHERE

    @property
    def working(self) -> bool:
        """Whether what is committed is moved."""
        return self._condition.problem is None

    @property
    def problem(self) -> str | None:
        """Why subscribers may not be told what is committed; None when they are."""
        return self._condition.problem or (self._sole.problem if self._sole else None)

    def wake(self) -> None:
        """Says that something was committed."""
        self._wake.set()

    async def start(self) -> None:
        """The first turn, after which the feed is the one that this process goes on with.

        Before anybody is given a cursor. When it fails, `run` tries again.
        """
        try:
            await self._race()
        except Exception as error:  # noqa: BLE001 — as in `run`
            self._fail(error)

    async def run(self) -> None:
        """Moves what comes, until cancelled."""
        while True:
            try:
                woken = self._wake.is_set()
                self._wake.clear()
                if woken or await self._is_due():
                    began, self._longest_rest = time.monotonic(), 0.0
                    while await self._race(verify=not woken):
                        pass
                    await asyncio.sleep(min(time.monotonic() - began, self._longest_rest))
                self._condition.recover()
                await self._rest()
            except Exception as error:  # noqa: BLE001 — the relay outlives every fault
                self._fail(error)
                await asyncio.sleep(_BACKOFF_SECONDS)

    async def move(self, *, verify: bool = True) -> bool:
        """One turn: moves rows, up to the limits; True when there may be more.

        `verify`: also when there is nothing to move, makes sure that the log is the one that the
        database noted. Otherwise, after a Redis that came back older, clients could read on across
        the entries that are gone, and would be told only with the next event.
        """
        if self._is_new or not self.working:
            # Not while holding the turn, and on SQLite all writers up, does one wait for the feed.
            await self._feed.open(self._known)
            self._is_new = False
        async with self._database.writing() as connection:
            known, found = await _take_turn(connection)
            self._known = known
            if not (found or verify or self._sole):
                return False
            if self._sole:
                await self._sole.catch_up(known)
            try:
                position = await self._feed.append(_payloads(found), known=known)
            except FeedLost:
                waiting = await _find_waiting(connection)
                moved, position = await self._reconcile(found, waiting, known)
            else:
                moved = found
            self._doubted = None
            await self._note(connection, moved, known, position)
        self._longest_rest = max(self._longest_rest, _rest_after(found))
        return moved is not found or _is_full(found)

    async def _race(self, *, verify: bool = True) -> bool:
        """`move`, and again while other relays are faster."""
        for race in range(RACES):
            try:
                return await self.move(verify=verify)
            except Exception as error:
                if not _is_lost_race(error):
                    raise
            await asyncio.sleep(random.uniform(0, _LEAD_SECONDS * race))
        return await self.move(verify=verify)

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _is_due(self) -> bool:
        """A look without the lock; most of the time there is nothing to do."""
        if self._sole and self._sole.is_due:
            return True
        async with self._database.reading() as connection:
            row = (await connection.execute(_LOOK)).first()
        if row is None or row.waiting:
            return True
        self._known = _position(row)
        return self._known != await self._feed.open(self._known)

    async def _reconcile(self, found: Rows, waiting: Rows, known: Position) -> _Moved:
        """What to note of a log that does not end at `known`.

        What it has beyond may be of a turn that was not noted: then all of that is `waiting` still.
        Else one of the two lost something, the log entries, or the database its last transactions,
        whose revisions will come again: what was `found` goes into a new epoch.
        """
        beyond = await self._find_beyond(known)
        rows = {row.events.encode(): row for row in waiting}
        unknown = beyond and [entry for entry in beyond if entry.payload not in rows]
        if beyond and not unknown:
            return [rows[entry.payload] for entry in beyond], beyond[-1].position
        if self._sole:
            return found, await self._sole.append(_payloads(found), known)
        await self._doubt(unknown[0].position if unknown else None)
        position = await self._feed.begin(known)
        logger.warning(
            "the live feed is not the one that the database noted: one of them lost something, "
            "or came from a backup; cursors of before have expired"
        )
        return found, await self._feed.append(_payloads(found), known=position)

    async def _find_beyond(self, known: Position) -> Sequence[Entry] | None:
        """What the log has behind the place; None when it cannot tell."""
        try:
            return await self._feed.beyond(known)
        except FeedLost:
            return None

    async def _doubt(self, unknown: Position | None) -> None:
        """Returns when the log had `unknown`, or began its epoch, before this transaction began.

        Only what is committed gets into the log, so the transaction should have seen it waiting, or
        that it was noted. Raises Doubt when it may have come meanwhile, from another node.
        """
        doubted, end = self._doubted, await self._feed.open(self._known)
        self._doubted = end
        if doubted is None or doubted.epoch != end.epoch or (unknown and unknown > doubted):
            raise Doubt

    async def _note(
        self,
        connection: AsyncConnection,
        moved: Rows,
        known: Position,
        position: Position,
    ) -> None:
        writes: list[Write] = []
        if moved:
            writes.append((_REMOVE, [{"ids": [row.id for row in moved]}]))
        if position != known and (self._sole is None or self._sole.may_note(moved=bool(moved))):
            place = f"{position.major}-{position.minor}"
            writes.append((_NOTE, [{"e": position.epoch, "p": place}]))
        await write_all(connection, writes)

    def _fail(self, error: Exception) -> None:
        expected = isinstance(error, Unavailable) or is_unavailable(error) or _is_lost_race(error)
        level = logging.WARNING if expected else logging.ERROR
        self._condition.fail(cause(error), level=level, trace=None if expected else error)


def _is_lost_race(error: BaseException) -> bool:
    """Whether another relay was faster, at the database, also at COMMIT, or at the log."""
    causes = (error, error.__cause__)
    return isinstance(error, FeedLost | Doubt) or any(c and is_conflict(c) for c in causes)


async def _take_turn(connection: AsyncConnection) -> tuple[Position, Rows]:
    """Where the log ended, as it was noted last, and what waits to be moved in this turn."""
    noted, waiting = await fetch_each(connection, (_TURN, {}), oldest())
    if not noted:
        await connection.execute(
            insert(models.feed_position), [{"id": 1, "epoch": "", "position": "0-0"}]
        )
    known = _position(noted[0]) if noted else NOWHERE
    return known, await fitting(connection, waiting)


async def _find_waiting(connection: AsyncConnection) -> Rows:
    """What may be of a turn that was not noted, and more."""
    (waiting,) = await fetch_each(connection, oldest(turns=2))
    return await fitting(connection, waiting, turns=2)


def _rest_after(turn: Rows) -> float:
    """How long one rests at most, in seconds."""
    if sum(map(len, _payloads(turn))) >= LITTLE_BYTES:
        return MAX_REST_SECONDS
    # After one in which another relay was faster, too, one waits for a moment.
    return 0.0 if 0 < len(turn) <= FEW_ROWS else BRIEF_REST_SECONDS


def _payloads(rows: Rows) -> list[bytes]:
    return [row.events.encode() for row in rows]


def _is_full(turn: Rows) -> bool:
    return len(turn) >= TURN_ROWS or sum(map(len, _payloads(turn))) >= TURN_BYTES


def _position(row: Row[Any, Any]) -> Position:
    major, _, minor = row.position.partition("-")
    return Position(row.epoch, int(major), int(minor))
