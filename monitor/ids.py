"""Ids: a type prefix and a UUIDv7 (RFC 9562), so that they sort by time and inserts stay local."""

import re
import secrets
import time
from typing import Literal

Kind = Literal["worker", "process", "task"]
_ID = re.compile(r"(worker|process|task)_[0-9A-Za-z-]{1,56}", re.ASCII)


def new_id(kind: Kind) -> str:
    """`<kind>_<uuid>`: 48 bits of milliseconds, then 74 random bits."""
    value = (
        (time.time_ns() // 1_000_000) << 80
        | 7 << 76
        | secrets.randbits(12) << 64
        | 2 << 62
        | secrets.randbits(62)
    )
    text = f"{value:032x}"
    return f"{kind}_{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def kind_of(text: str) -> Kind | None:
    """The type an id speaks of; None when nothing can have this id."""
    match = _ID.fullmatch(text)
    return match[1] if match else None  # type: ignore[return-value]  # the pattern's first group
