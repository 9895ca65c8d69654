"""The log as a Redis stream, shared by any number of server processes."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Sequence
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from monitor.errors import CursorExpired, Unavailable
from monitor.feed.log import FOLLOW_SECONDS, READ_BYTES, READ_LIMIT, Entry, FeedLost, Position

logger = logging.getLogger(__name__)

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
