"""The live feed: one append-only, ordered log of what happened, and cursors into it.

The log is a Redis stream shared by all server processes, or lies in memory when there is only one.
An entry holds the events of one commit. A log has an epoch: when the log lost entries (Redis came
back empty or older), the epoch changes, and cursors of the old one are answered with
CursorExpired, never with a silent gap.
"""

import asyncio
import logging
import re
import secrets
from collections import deque
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from monitor.errors import CursorExpired, InvalidInput, Unavailable

logger = logging.getLogger(__name__)

_CURSOR = re.compile(r"([0-9a-f]{8,32})\.(\d{1,20})\.(\d{1,20})\.(\d{1,9}|end)", re.ASCII)
# How long `follow` waits for news before it returns empty-handed.
FOLLOW_SECONDS = 2.0
# What one read returns at most; one entry in any case.
READ_LIMIT = 200
READ_BYTES = 128 * 1024
# What a log in memory holds at most, whatever its length: details can have 1 MiB per event.
MEMORY_BYTES = 256 * 1024 * 1024
# Redis knows no greater part of an entry's id.
_ID_PART_LIMIT = 2**64


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the log, behind the entry (`major`, `minor`); comparable within one epoch."""

    epoch: str
    major: int
    minor: int

    def just_before(self) -> "Position":
        """The place behind which this entry is the next."""
        if self.minor:
            return Position(self.epoch, self.major, self.minor - 1)
        return Position(self.epoch, max(self.major - 1, 0), 2**64 - 1 if self.major else 0)


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in the feed: behind the event `index` of the entry, None: behind all its events."""

    position: Position
    index: int | None = None

    def __str__(self) -> str:
        at = self.position
        index = "end" if self.index is None else self.index
        return f"{at.epoch}.{at.major}.{at.minor}.{index}"

    @classmethod
    def parse(cls, argument: str, text: str) -> "Cursor":
        """Raises InvalidInput for a text that no feed has given out."""
        match = _CURSOR.fullmatch(text)
        if match is None:
            raise InvalidInput(argument, "is not a cursor that the feed has given out")
        epoch, major, minor, index = match.groups()
        position = Position(epoch, int(major), int(minor))
        if max(position.major, position.minor) >= _ID_PART_LIMIT:
            raise InvalidInput(argument, "is not a cursor that the feed has given out")
        return cls(position, None if index == "end" else int(index))


@dataclass(frozen=True, slots=True)
class Entry:
    """The encoded events of one commit, and where the log continues behind them."""

    position: Position
    payload: bytes


class FeedLost(Exception):
    """The log is no longer the one that `known` was taken from: it lost entries."""


class Feed(Protocol):
    """An ordered log. All methods but `close` raise Unavailable when it cannot be reached."""

    async def open(self) -> Position:
        """The newest position; begins an epoch when there is none."""

    async def append(self, payloads: Sequence[bytes], *, known: Position | None) -> Position:
        """Adds entries in order; the position behind them.

        Raises FeedLost, adding nothing, when the log does not hold `known` any more; `restart`
        then begins a new epoch.
        """

    async def restart(self, lost: Position) -> Position:
        """Begins a new epoch if the log lost `lost`, unless that was done meanwhile; its end.

        Only a new epoch keeps those who stand before what is gone from reading on across it.
        """

    async def read(self, after: Position, limit: int = READ_LIMIT) -> Sequence[Entry]:
        """What follows, oldest first. Raises CursorExpired when the log cannot tell."""

    async def follow(self, after: Position) -> Sequence[Entry]:
        """Like `read`, but waits for a while when nothing follows yet."""

    async def close(self) -> None:
        """Ends connections; what waits in `follow` is cancelled by its owner."""


class MemoryFeed:
    """The log of a single server process, gone with it."""

    def __init__(self, *, length: int, max_bytes: int = MEMORY_BYTES) -> None:
        self._epoch = secrets.token_hex(8)
        self._length = length
        self._max_bytes = max_bytes
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._last = 0
        self._news = asyncio.Event()

    async def open(self) -> Position:
        return Position(self._epoch, 0, self._last)

    async def append(self, payloads: Sequence[bytes], *, known: Position | None) -> Position:
        if known is not None and (known.epoch != self._epoch or known.minor > self._last):
            raise FeedLost
        for payload in payloads:
            self._last += 1
            self._entries.append(Entry(Position(self._epoch, 0, self._last), payload))
            self._bytes += len(payload)
        while len(self._entries) > self._length or self._bytes > self._max_bytes:
            self._bytes -= len(self._entries.popleft().payload)
        self._news.set()
        self._news = asyncio.Event()
        return Position(self._epoch, 0, self._last)

    async def restart(self, lost: Position) -> Position:  # noqa: ARG002 — a new process has a new epoch already
        return Position(self._epoch, 0, self._last)

    async def read(self, after: Position, limit: int = READ_LIMIT) -> Sequence[Entry]:
        oldest = self._last - len(self._entries)
        if after.epoch != self._epoch or not oldest <= after.minor <= self._last:
            raise CursorExpired
        start = after.minor - oldest
        found: list[Entry] = []
        size = 0
        for entry in islice(self._entries, start, start + limit):
            found.append(entry)
            size += len(entry.payload)
            if size >= READ_BYTES:
                break
        return found

    async def follow(self, after: Position) -> Sequence[Entry]:
        news = self._news
        entries = await self.read(after)
        if entries:
            return entries
        try:
            async with asyncio.timeout(FOLLOW_SECONDS):
                await news.wait()
        except TimeoutError:
            return []
        return await self.read(after)

    async def close(self) -> None:
        return None


_STREAM = "process_monitor:feed"
_EPOCH = "process_monitor:feed:epoch"

# Every script answers for the moment in which it runs: Redis runs them one at a time.
_LAST = """
local function last_id()
  if redis.call('EXISTS', KEYS[1]) == 0 then return '0-0' end
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] end
  end
end
local function before(a, b)
  local a1, a2 = string.match(a, '(%d+)-(%d+)')
  local b1, b2 = string.match(b, '(%d+)-(%d+)')
  a1, a2, b1, b2 = tonumber(a1), tonumber(a2), tonumber(b1), tonumber(b2)
  return a1 < b1 or (a1 == b1 and a2 < b2)
end
"""
# ARGV: an epoch to begin with when there is none.
_OPEN_SCRIPT = (
    _LAST
    + """
redis.call('SET', KEYS[2], ARGV[1], 'NX')
return {redis.call('GET', KEYS[2]), last_id()}
"""
)
# ARGV: the known epoch ('' for any), the known id, the length to trim to, payloads.
_APPEND_SCRIPT = (
    _LAST
    + """
local epoch = redis.call('GET', KEYS[2])
if not epoch or (ARGV[1] ~= '' and (epoch ~= ARGV[1] or before(last_id(), ARGV[2]))) then
  return false
end
local id
for i = 4, #ARGV do
  id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', 'e', epoch, 'p', ARGV[i])
end
return {epoch, id or last_id()}
"""
)
# ARGV: the lost epoch, the lost id, a new epoch.
_RESTART_SCRIPT = (
    _LAST
    + """
local epoch = redis.call('GET', KEYS[2])
if not epoch or (epoch == ARGV[1] and before(last_id(), ARGV[2])) then
  redis.call('SET', KEYS[2], ARGV[3])
  redis.call('DEL', KEYS[1])
end
return {redis.call('GET', KEYS[2]), last_id()}
"""
)
# ARGV: epoch, id, most entries, most bytes (but one entry in any case). False when the log cannot
# tell what follows the id: another epoch, an id it has not reached, or one that was trimmed away.
_READ_SCRIPT = (
    _LAST
    + """
if redis.call('GET', KEYS[2]) ~= ARGV[1] or before(last_id(), ARGV[2]) then return false end
if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
local length, added = 0, 0
local info = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #info, 2 do
  if info[i] == 'length' then length = info[i + 1] end
  if info[i] == 'entries-added' then added = info[i + 1] end
end
if added > length then
  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  if not first or before(ARGV[2], first[1]) then return false end
end
local found, size, from = {}, 0, '(' .. ARGV[2]
local limit, bytes = tonumber(ARGV[3]), tonumber(ARGV[4])
while #found < limit and size < bytes do
  local part = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', math.min(limit - #found, 16))
  if #part == 0 then break end
  for _, entry in ipairs(part) do
    if size >= bytes then break end
    found[#found + 1] = entry
    size = size + #entry[2][4]
  end
  from = '(' .. found[#found][1]
end
return found
"""
)


class RedisFeed:
    """The log as a Redis stream (Redis 7 or newer), shared by any number of server processes."""

    def __init__(self, url: str, *, length: int) -> None:
        self._length = length
        # Short and without retries: whoever calls has something better to do than to wait, and
        # appending twice would repeat events.
        self._redis = Redis.from_url(
            url, socket_timeout=2, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
        )
        # Its own connection, since a blocking read holds it; the socket must outwait the block.
        self._follower = Redis.from_url(
            url,
            socket_timeout=FOLLOW_SECONDS + 3,
            socket_connect_timeout=1,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
        )
        self._scripts = {
            script: self._redis.register_script(script)
            for script in (_OPEN_SCRIPT, _APPEND_SCRIPT, _RESTART_SCRIPT, _READ_SCRIPT)
        }

    async def open(self) -> Position:
        return _position(await self._run(_OPEN_SCRIPT, secrets.token_hex(8)))

    async def append(self, payloads: Sequence[bytes], *, known: Position | None) -> Position:
        if known is None:
            known = await self.open()
        answer = await self._run(
            _APPEND_SCRIPT, known.epoch, _stream_id(known), self._length, *payloads
        )
        if answer is None:
            raise FeedLost
        return _position(answer)

    async def restart(self, lost: Position) -> Position:
        answer = await self._run(
            _RESTART_SCRIPT, lost.epoch, _stream_id(lost), secrets.token_hex(8)
        )
        position = _position(answer)
        if position.epoch != lost.epoch:
            logger.warning("Redis lost entries of the live feed; cursors of before have expired")
        return position

    async def read(self, after: Position, limit: int = READ_LIMIT) -> Sequence[Entry]:
        answer = await self._run(_READ_SCRIPT, after.epoch, _stream_id(after), limit, READ_BYTES)
        if answer is None:
            raise CursorExpired
        return [_entry(id_, dict(zip(flat[::2], flat[1::2], strict=True))) for id_, flat in answer]

    async def follow(self, after: Position) -> Sequence[Entry]:
        entries = await self.read(after)
        if entries:
            return entries
        news = await _answer(
            self._follower.xread(
                {_STREAM: _stream_id(after)}, count=1, block=int(FOLLOW_SECONDS * 1000)
            )
        )
        # What woke us may not be what follows: the log may have lost or trimmed entries since the
        # look above, and XREAD would not say so.
        return await self.read(after) if news else []

    async def close(self) -> None:
        await self._redis.aclose()
        await self._follower.aclose()

    async def _run(self, script: str, *arguments: Any) -> Any:
        running = self._scripts[script](keys=[_STREAM, _EPOCH], args=list(arguments))
        return await _answer(cast(Awaitable[Any], running))


async def _answer(command: Awaitable[Any]) -> Any:
    """What Redis answers. Raises Unavailable."""
    try:
        return await command
    except (RedisError, OSError) as error:
        raise Unavailable("The live feed is unavailable right now; try again") from error
    finally:
        # redis-py swallows a cancellation that comes while it connects.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError


def _stream_id(position: Position) -> str:
    return f"{position.major}-{position.minor}"


def _position(answer: Sequence[bytes]) -> Position:
    epoch, id_ = answer
    major, _, minor = id_.decode().partition("-")
    return Position(epoch.decode(), int(major), int(minor))


def _entry(id_: bytes, fields: dict[bytes, bytes]) -> Entry:
    return Entry(_position((fields[b"e"], id_)), fields[b"p"])
