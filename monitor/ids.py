"""Ids: a type prefix and a UUID (RFC 9562).

Mostly a UUIDv7, so that they sort by time and inserts stay local; that of a pipeline comes from its
name, that of a failure from its fingerprint, so that all replicas know it without asking.
"""

import hashlib
import re
import secrets
import time
from typing import Literal

Kind = Literal["pipeline", "worker", "process", "task", "audit", "failure"]
_ID = re.compile(r"(pipeline|worker|process|task|audit|failure)_[0-9A-Za-z-]{1,56}", re.ASCII)


def new_id(kind: Kind) -> str:
    """`<kind>_<uuid>`: 48 bits of milliseconds, then 74 random bits."""
    value = (
        (time.time_ns() // 1_000_000) << 80
        | 7 << 76
        | secrets.randbits(12) << 64
        | 2 << 62
        | secrets.randbits(62)
    )
    return _format(kind, value)


def pipeline_id(name: str) -> str:
    """The id of the pipeline of this name: a UUIDv8 of 122 bits of the name's SHA-256."""
    return _made_of("pipeline", name)


def failure_id(fingerprint: str) -> str:
    """The id of the failures of this fingerprint, likewise."""
    return _made_of("failure", fingerprint)


def _made_of(kind: Kind, text: str) -> str:
    digest = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16])
    return _format(kind, digest & ~(0xF << 76 | 3 << 62) | 8 << 76 | 2 << 62)


def _format(kind: Kind, value: int) -> str:
    text = f"{value:032x}"
    return f"{kind}_{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def kind_of(text: str) -> Kind | None:
    """The type an id speaks of; None when nothing can have this id."""
    match = _ID.fullmatch(text)
    return match[1] if match else None  # type: ignore[return-value]  # the pattern's first group
