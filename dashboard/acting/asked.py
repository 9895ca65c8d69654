"""What a page may ask for, checked field by field."""

import re
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, cast

import orjson

Action = Literal[
    "endProcess",
    "archiveWorker",
    "archiveFinished",
    "resolveFailure",
    "muteFailure",
    "reopenFailure",
]

MAX_REASON_CHARACTERS = 500
# Of each action: the type of what it is done to.
_SUBJECTS = {
    "endProcess": "process",
    "archiveWorker": "worker",
    "archiveFinished": "pipeline",
    "resolveFailure": "failure",
    "muteFailure": "failure",
    "reopenFailure": "failure",
}
# For how long a failure is muted; None: until it is reopened.
PERIODS = {
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
    "1w": timedelta(weeks=1),
    "ever": None,
}
_FIELDS = {"action", "id", "reason", "period", "key"}
_KEY = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)


class Fault(Exception):
    """What was asked for cannot be; the text says why, and begins with the field."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Asked:
    """One act; asked for again under the same key, it is the same one.

    `reason`: of an end. `period`: for how long is muted, a word of PERIODS.
    """

    action: Action
    id: str
    reason: str
    key: str
    period: str = ""


def parse(body: bytes) -> Asked:
    """Raises Fault."""
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Fault("body", "is no JSON") from error
    if not isinstance(given, dict):
        raise Fault("body", "must be an object")
    if unknown := sorted(given.keys() - _FIELDS):
        raise Fault("body", f"has an unknown field: {unknown[0][:40]}")
    action = given.get("action")
    if not isinstance(action, str) or action not in _SUBJECTS:
        raise Fault("action", f"must be one of {', '.join(_SUBJECTS)}")
    return Asked(
        cast(Action, action),
        _id(_SUBJECTS[action], given.get("id")),
        _reason(action, given.get("reason")),
        _key(given.get("key")),
        _period(action, given.get("period")),
    )


def _id(kind: str, given: Any) -> str:
    if not isinstance(given, str) or not re.fullmatch(rf"{kind}_[0-9A-Za-z-]{{1,56}}", given):
        raise Fault("id", f"must be that of a {kind}")
    return given


def _reason(action: str, given: Any) -> str:
    if action != "endProcess":
        if given is not None:
            raise Fault("reason", "is for endProcess only")
        return ""
    if given is not None and not isinstance(given, str):
        raise Fault("reason", "must be a text")
    reason = " ".join((given or "").split())
    if not 0 < len(reason) <= MAX_REASON_CHARACTERS:
        raise Fault("reason", f"is needed, 1 to {MAX_REASON_CHARACTERS} characters")
    if any(unicodedata.category(character) == "Cc" for character in reason):
        raise Fault("reason", "has control characters")
    return reason


def _period(action: str, given: Any) -> str:
    if action != "muteFailure":
        if given is not None:
            raise Fault("period", "is for muteFailure only")
        return ""
    if not isinstance(given, str) or given not in PERIODS:
        raise Fault("period", f"must be one of {', '.join(PERIODS)}")
    return given


def _key(given: Any) -> str:
    if given is None:
        return secrets.token_hex(16)
    if not isinstance(given, str) or not _KEY.fullmatch(given):
        raise Fault("key", "must be 1 to 64 letters, digits and hyphens")
    return given
