"""Arithmetic on stored instants, exact to the microsecond on both databases.

SQLite keeps them as text (`2026-11-23 18:33:05.123456`) and its own date functions count in
milliseconds, which rounds the last one of a second into the next second.
"""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, String, case, cast, func, text

_EPOCH = text("'1970-01-01'")


def unix_seconds(instant: ColumnElement[Any], *, sqlite: bool) -> ColumnElement[int]:
    """Whole seconds since the Unix epoch, rounded down; for instants after it."""
    if sqlite:
        whole = func.substr(instant, 1, 19, type_=String())
        return cast(func.strftime("%s", whole), Integer)
    # Not UNIX_TIMESTAMP, which ends in 2038.
    return func.timestampdiff(text("SECOND"), _EPOCH, instant, type_=BigInteger())


def microseconds_between(
    start: ColumnElement[Any], end: ColumnElement[Any], *, sqlite: bool
) -> ColumnElement[int]:
    """From start to end, 0 when the end lies before it; null when one of them is."""
    if sqlite:
        seconds = unix_seconds(end, sqlite=True) - unix_seconds(start, sqlite=True)
        between = seconds * 1_000_000 + (_fraction(end) - _fraction(start))
    else:
        between = func.timestampdiff(text("MICROSECOND"), start, end, type_=BigInteger())
    return case((between < 0, 0), else_=between)


def _fraction(instant: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(func.substr(instant, 21, 6, type_=String()), Integer)


def instant_of(seconds: ColumnElement[int], *, sqlite: bool) -> ColumnElement[Any]:
    """The stored form of so many seconds since the Unix epoch."""
    if sqlite:
        return func.strftime("%Y-%m-%d %H:%M:%S.000000", seconds, "unixepoch", type_=String())
    return func.timestampadd(text("SECOND"), seconds, _EPOCH)
