"""DateTime: an instant in UTC, RFC 3339, with microseconds."""

from datetime import UTC, datetime

import orjson
import strawberry


def serialize_instant(value: datetime) -> str:
    """`2026-11-23T18:33:05.123456Z`; always six digits, so texts sort like the instants."""
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return value.isoformat(timespec="microseconds")[:-6] + "Z"


def instant_at_hand(value: datetime) -> datetime | str:
    """What `encode` makes the same text of, eight times as fast; the text where it would not."""
    if value.tzinfo is UTC and value.microsecond:
        return value
    return serialize_instant(value)


def encode(response: object) -> bytes:
    """A response as JSON."""
    return orjson.dumps(response, option=orjson.OPT_UTC_Z)


def parse_instant(value: object) -> datetime:
    """An RFC 3339 text with an offset. Raises ValueError with the reason."""
    if not isinstance(value, str):
        raise ValueError("an instant is a text such as 2026-11-23T18:33:05.123Z")
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value!r} is no instant such as 2026-11-23T18:33:05.123Z") from None
    if instant.tzinfo is None:
        raise ValueError(f"{value!r} has no offset: end it with Z for UTC")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{value!r} is out of range") from None


DATE_TIME = strawberry.scalar(
    name="DateTime",
    description="An instant in UTC, RFC 3339 with at least millisecond digits, "
    "e.g. 2026-11-23T18:33:05.123Z.",
    serialize=serialize_instant,
    parse_value=parse_instant,
)
