"""The way to MariaDB: connections that break in time when the other end is gone without a word."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import asyncmy
from asyncmy.constants import CR, FIELD_TYPE
from asyncmy.converters import conversions, convert_datetime
from sqlalchemy import event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine

# Reports are answered within 3 s: a server that takes longer to greet is not there.
CONNECT_SECONDS = 1
_PING_SECONDS = 0.5
# In the `info` of a connection that is given back without having been used since then.
LAY_SINCE = "lay_since"
# What sits in between forgets connections that are idle for some minutes; these are not.
_KEEPALIVE_IDLE_SECONDS = 30
_KEEPALIVE_INTERVAL_SECONDS = 5
# Of what was sent and is not acknowledged by the other end's kernel.
_UNACKNOWLEDGED_MILLISECONDS = 5_000


def _instant(text: str) -> Any:
    """A DATETIME, which is UTC in every session of ours, as an aware instant.

    The driver takes it apart by a regular expression, which takes longer: a page has hundreds.
    """
    try:
        return datetime.fromisoformat(text + "+00:00")
    except ValueError:  # MariaDB's zero date, say
        return convert_datetime(text)


_CONVERSIONS = {**conversions, FIELD_TYPE.DATETIME: _instant, FIELD_TYPE.TIMESTAMP: _instant}


_Driver: Any = asyncmy.Connection


class _Connection(_Driver):  # type: ignore[misc]  # whose types have nothing that is private
    """Waits for an answer for so long and no longer; None: for as long as it takes.

    The driver's own `read_timeout` makes a task for each time that it waits.
    """

    def __init__(self, *, answer_seconds: float | None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._answer_seconds = answer_seconds

    async def _fill_buffer(self, need: int) -> None:
        if self._answer_seconds is None:
            await super()._fill_buffer(need)
            return
        loop = asyncio.get_running_loop()
        alarm = loop.call_later(self._answer_seconds, self._transport.abort)
        try:
            await super()._fill_buffer(need)
        finally:
            alarm.cancel()


async def connect_mariadb(
    *, connect_timeout: int, answer_seconds: float | None = None, **arguments: Any
) -> Any:
    """A connection of the driver. Raises its OperationalError, whatever the reason.

    `answer_seconds`: how long each answer is waited for; without end when it is not given.

    The driver limits the time of the TCP handshake only, not of the greeting that follows, and
    fails in ways of its own when the server refuses at once (1040, too many connections).
    """
    try:
        async with asyncio.timeout(connect_timeout):
            connection = _Connection(
                answer_seconds=answer_seconds,
                connect_timeout=connect_timeout,
                conv=_CONVERSIONS,
                **arguments,
            )
            await connection.connect()
    except asyncmy.errors.Error:
        raise
    except Exception as error:
        raise asyncmy.errors.OperationalError(
            CR.CR_CONN_HOST_ERROR, f"cannot connect to the server ({error!r})"
        ) from error
    _watch_the_other_end(connection)
    return connection


def _watch_the_other_end(connection: Any) -> None:
    raw = connection._transport.get_extra_info("socket")
    if raw is None or raw.family == socket.AF_UNIX:
        return
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _KEEPALIVE_IDLE_SECONDS),
        ("TCP_KEEPINTVL", _KEEPALIVE_INTERVAL_SECONDS),
        ("TCP_USER_TIMEOUT", _UNACKNOWLEDGED_MILLISECONDS),
    ):
        if hasattr(socket, name):  # not everywhere but on Linux
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def ping_after_idling(engine: AsyncEngine, idle_seconds: float) -> None:
    """Asks a connection that lay in the pool for so long whether it still lives, before it is used.

    SQLAlchemy's `pool_pre_ping` asks each time, a round trip for each statement under load, and
    waits for the answer as long as for any other.
    """

    @event.listens_for(engine.sync_engine, "checkin")
    def note(_: object, record: Any) -> None:
        record.info["used_at"] = record.info.pop(LAY_SINCE, None) or time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def ping(connection: Any, record: Any, _: object) -> None:
        used_at = record.info.get("used_at")
        if used_at is None or time.monotonic() - used_at < idle_seconds:
            return
        try:
            with _aborted_after(_PING_SECONDS, connection.driver_connection):
                engine.dialect.do_ping(connection)
        except Exception as error:
            # The pool makes a new one, or says why it cannot; what lay there longer is as dead.
            raise InvalidatePoolError from error


@contextmanager
def _aborted_after(seconds: float, connection: Any) -> Iterator[None]:
    """What waits in it for the driver's connection fails when that takes longer."""
    transport = connection._transport
    if transport is None:  # closed already: nothing is waited for
        yield
        return
    alarm = asyncio.get_running_loop().call_later(seconds, transport.abort)
    try:
        yield
    finally:
        alarm.cancel()
