"""What details say, as text: as much of it as is searched and shown."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from monitor.fingerprints.told import MESSAGES, parse_details

# Of a longer text so much is kept of either end: what an error is stands in its first line or last.
END_CHARACTERS = 2_000
_PARSED_CHARACTERS = 256 * 1024
_MOST_VALUES = 1_000


def said_of(*details: str | None) -> str:
    """What all of these say, each line once; at most twice END_CHARACTERS and a line end.

    Takes a bounded time; never raises.
    """
    lines: dict[str, None] = {}
    for each in details:
        if each:
            lines |= dict.fromkeys(filter(None, map(str.strip, _cut(_text_of(each)).splitlines())))
    text = _cut("\n".join(lines))
    # As every database takes it: JSON may have half of a surrogate pair, and NUL.
    return text.encode("utf-8", "replace").decode().replace("\0", "")


def _cut(text: str) -> str:
    if len(text) <= 2 * END_CHARACTERS:
        return text
    return f"{text[:END_CHARACTERS]}\n{text[-END_CHARACTERS:]}"


def _text_of(details: str) -> str:
    if len(details) > _PARSED_CHARACTERS:
        return details
    value = parse_details(details)
    return value if isinstance(value, str) else "\n".join(islice(_lines(value), _MOST_VALUES))


def _lines(value: Any) -> Iterator[str]:
    """Texts of a JSON value in their order, but for its message, which comes first; what is in a
    list, a frame say, in one line.
    """
    if isinstance(value, dict):
        value = dict(sorted(value.items(), key=lambda member: member[0] not in MESSAGES))
    waiting = [value]
    while waiting:
        match waiting.pop():
            case dict() as members:
                waiting += reversed([*members.values()])
            case list() as listed:
                waiting += [_in_one_line(each) for each in reversed(listed[:_MOST_VALUES])]
            case str() as text:
                yield text
            case bool() | None:
                pass
            case int() | float() as number:
                yield str(number)


def _in_one_line(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    parts = [v for v in value.values() if isinstance(v, str | int | float)]
    if len(parts) < len(value):
        return value
    return ", ".join(map(str, parts))
