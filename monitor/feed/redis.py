"""The log as a Redis stream, shared by any number of server processes."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis.exceptions import (
    ClusterCrossSlotError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from monitor.errors import CursorExpired, Unavailable
from monitor.feed import scripts
from monitor.feed.connecting import connect, disconnect
from monitor.feed.installation import Installation
from monitor.feed.log import (
    FEED_BYTES,
    FOLLOW_SECONDS,
    NOWHERE,
    READ_BYTES,
    READ_LIMIT,
    TURN_BYTES,
    TURN_ROWS,
    Entry,
    FeedLost,
    Position,
)

logger = logging.getLogger(__name__)

# The first that counts the entries ever added to a stream, by which a cursor knows what is gone.
OLDEST_REDIS = 7
# On SQLite a relay that waits for Redis holds up all writers: far less than a report may take.
_ANSWER_SECONDS = 1.0
# Of releases up to 1.1, whatever the installation: the stream and its epoch.
_FORMER_KEYS = ("process_monitor:feed", "process_monitor:feed:epoch")
_ANYWHERE = ("*", "0-0")


@dataclass(frozen=True, slots=True)
class _Keys:
    """In one slot of a Redis Cluster, by the part in braces."""

    stream: str
    state: str


class RedisFeed:
    """The log as a Redis stream (Redis 7 or newer), shared by any number of server processes.

    Its keys have the name of the installation, which is asked for before Redis is first used.
    """

    shared = True

    def __init__(
        self,
        url: str,
        *,
        installation: Callable[[], Awaitable[Installation]],
        length: int,
        max_bytes: int = FEED_BYTES,
    ) -> None:
        self._installation = installation
        self._length = length
        self._max_bytes = max_bytes
        self._redis = connect(url, answer_seconds=_ANSWER_SECONDS)
        # Its own connection, since a blocking read holds it; the socket must outwait the block.
        self._follower = connect(url, answer_seconds=FOLLOW_SECONDS + 3)
        self._scripts = {script: self._redis.register_script(script) for script in scripts.ALL}
        self._keys: _Keys | None = None
        self._is_checked = False
        # Where the log ended when `follow` told of what was behind its end before.
        self._end: Position | None = None

    async def open(self, known: Position = NOWHERE) -> Position:
        return _position(await self._run(scripts.OPEN, *_place(known), secrets.token_hex(8)))

    async def append(self, payloads: Sequence[bytes], *, known: Position | None) -> Position:
        if known is None:
            await self.open()
        place = _ANYWHERE if known is None else _place(known)
        answer = await self._run(scripts.APPEND, *place, self._length, self._max_bytes, *payloads)
        if answer is None:
            raise FeedLost
        return _position(answer)

    async def beyond(self, known: Position) -> Sequence[Entry]:
        # Of a turn that was not noted; more of it than fits is more than one turn.
        answer = await self._run(scripts.BEYOND, *_place(known), 2 * TURN_ROWS, 2 * TURN_BYTES)
        if answer is None:
            raise FeedLost
        return _entries(answer)

    async def begin(self, known: Position) -> Position:
        return _position(await self._run(scripts.BEGIN, *_place(known), secrets.token_hex(8)))

    async def restart(self, lost: Position) -> Position:
        answer = await self._run(scripts.RESTART, *_place(lost), secrets.token_hex(8))
        position = _position(answer)
        if position.epoch != lost.epoch:
            logger.warning("Redis lost entries of the live feed; cursors of before have expired")
        return position

    async def read(self, after: Position, limit: int = READ_LIMIT) -> Sequence[Entry]:
        answer = await self._run(scripts.READ, *_place(after), limit, READ_BYTES)
        if answer is None:
            raise CursorExpired
        return _entries(answer)

    async def follow(self, after: Position) -> Sequence[Entry]:
        # At the end that was just seen one look is enough: what comes meanwhile wakes us.
        if after != self._end and (entries := await self._look(after)):
            return entries
        stream = (await self._prepare()).stream
        self._end = None
        news = await self._answer(
            self._follower.xread(
                {stream: _place(after)[1]}, count=1, block=int(FOLLOW_SECONDS * 1000)
            )
        )
        # What woke us may not be what follows: the log may have lost or trimmed entries since the
        # look above, and XREAD would not say so.
        return await self._look(after) if news else []

    async def _look(self, after: Position) -> Sequence[Entry]:
        entries = await self.read(after)
        size = sum(len(entry.payload) for entry in entries)
        is_all = 0 < len(entries) < READ_LIMIT and size < READ_BYTES
        self._end = entries[-1].position if is_all else None
        return entries

    async def close(self) -> None:
        await disconnect(self._redis)
        await disconnect(self._follower)

    async def _run(self, script: str, *arguments: Any) -> Any:
        keys = await self._prepare()
        return await self._call(script, [keys.stream, keys.state], *arguments)

    async def _call(self, script: str, keys: Sequence[str], *arguments: Any) -> Any:
        running = self._scripts[script](keys=list(keys), args=list(arguments))
        return await self._answer(cast(Awaitable[Any], running))

    async def _prepare(self) -> _Keys:
        """What every command needs. Raises Unavailable, in words for a Redis that is too old."""
        if not self._is_checked:
            await self._check_version()
            self._is_checked = True
        if self._keys is None:
            installation = await self._installation()
            name = f"process_monitor:{{{installation.name}}}:feed"
            keys = _Keys(name, f"{name}:state")
            await self._adopt(keys, installation.epoch)
            self._keys = keys
        return self._keys

    async def _check_version(self) -> None:
        try:
            told = await self._answer(self._redis.info("server"))
        except Unavailable as error:
            if isinstance(error.__cause__, NoPermissionError):
                return  # of a user who may not ask
            raise
        version = str(told.get("redis_version", ""))
        major = version.partition(".")[0]
        if major.isdecimal() and int(major) < OLDEST_REDIS:
            raise Unavailable(
                f"Redis {version} is too old for the live feed: give one of version "
                f"{OLDEST_REDIS} or newer in REDIS_URL"
            )

    async def _adopt(self, keys: _Keys, epoch: str) -> None:
        """Goes on with the stream that a former release left for this database, if it did."""
        if not epoch:
            return
        try:
            await self._call(scripts.ADOPT, [keys.stream, keys.state, *_FORMER_KEYS], epoch)
        except Unavailable as error:
            # In a cluster there is none: its keys were in different slots.
            if not isinstance(error.__cause__, ClusterCrossSlotError):
                raise

    async def _answer(self, command: Awaitable[Any]) -> Any:
        """What Redis answers. Raises Unavailable."""
        try:
            return await command
        except (RedisError, OSError) as error:
            if not isinstance(error, ResponseError):
                self._is_checked = False  # what answers next may be another one
            raise Unavailable("The live feed is unavailable right now; try again") from error
        finally:
            # redis-py swallows a cancellation that comes while it connects.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError


def _place(position: Position) -> tuple[str, str]:
    return position.epoch, f"{position.major}-{position.minor}"


def _position(answer: Sequence[bytes]) -> Position:
    epoch, id_ = answer
    major, _, minor = id_.decode().partition("-")
    return Position(epoch.decode(), int(major), int(minor))


def _entries(answer: Sequence[Any]) -> Sequence[Entry]:
    entries = []
    for id_, flat in answer:
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        entries.append(Entry(_position((fields[b"e"], id_)), fields[b"p"]))
    return entries
