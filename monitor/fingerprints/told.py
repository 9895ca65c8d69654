"""What is told of an error, in whichever way: its message and its frames.

`wpipe` sends JSON: of a task `{"task_name", "error_message", "error_traceback": [{"file", "line",
"method"}]}`, of a process `{"message", "error_code", …}`. Other clients send text, perhaps with a
traceback of Python's in it.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson

from monitor.fingerprints.frames import LINE, read_list, read_text
from monitor.fingerprints.messages import first_line

MESSAGES = ("error_message", "message", "error", "detail", "msg")
_TRACEBACKS = ("error_traceback", "traceback", "stack_trace", "stack")
# Who and where, but not what.
_NO_WORDS = (
    *MESSAGES,
    *_TRACEBACKS,
    *("task_name", "step_name", "task_id", "process_name", "worker_id", "worker_name"),
)
_MOST_PAIRS = 50
# Between the exceptions of one traceback.
_JOINTS = ("During handling of the above exception", "The above exception was the direct cause")
# Of longer texts and lists so much is read from either end: what is in between repeats itself.
_END_CHARACTERS = 65_536
_END_CALLS = 500
_BARS = re.compile(r"^[ |]*")


@dataclass(frozen=True, slots=True)
class Told:
    """An error: the line that says what it is, and what was called, as file and function."""

    message: str = ""
    calls: Sequence[tuple[str, str]] = ()


def read_error(details: str | None) -> Told:
    """From details, whatever they are; never raises."""
    if not details or not details.strip():
        return Told()
    told = parse_details(details)
    if isinstance(told, dict):
        return _read_object(told)
    return _read_text(told if isinstance(told, str) else details)


def parse_details(details: str) -> Any:
    """The JSON that it is, else the text."""
    if details.lstrip()[:1] not in '{"':
        return details
    try:
        return orjson.loads(details)
    except ValueError:
        pass
    try:  # also of NaN and of half of a surrogate pair, as Python writes them
        return json.loads(details)
    except (ValueError, RecursionError):
        return details


def _read_object(told: dict[str, Any]) -> Told:
    said = _message_of(told) or _in_other_words(told)
    within = _read_text(said)
    traceback = next((found for name in _TRACEBACKS if (found := told.get(name))), None)
    if isinstance(traceback, str):
        beside = _read_text(traceback)
        return Told(within.message or beside.message, beside.calls or within.calls)
    if isinstance(traceback, list) and (calls := list(read_list(_ends(traceback)))):
        return Told(within.message, calls)
    return within


def _message_of(told: dict[str, Any]) -> str:
    for name in MESSAGES:
        match told.get(name):
            case str() as text if text.strip():
                return text
            case {"message": str() as text} if text.strip():
                return text
    return ""


def _in_other_words(told: dict[str, Any]) -> str:
    """Of an object without a message what else it says, in whichever order."""
    pairs = (
        f"{name}: {' '.join(str(value).split())}"
        for name, value in sorted(told.items())
        if name not in _NO_WORDS and isinstance(value, str | int | float) and value != ""
    )
    return ", ".join(islice(pairs, _MOST_PAIRS))


def _read_text(text: str) -> Told:
    if len(text) > 2 * _END_CHARACTERS:
        text = f"{text[:_END_CHARACTERS]}\n{text[-_END_CHARACTERS:]}"
    calls = read_text(text) if 'File "' in text else []
    return Told(_last_line(text), calls) if calls else Told(first_line(text))


def _ends(calls: list[Any]) -> list[Any]:
    return calls if len(calls) <= 2 * _END_CALLS else calls[:_END_CALLS] + calls[-_END_CALLS:]


def _last_line(text: str) -> str:
    """Of a traceback, the line that says what was raised: the first one behind its frames that is
    not indented, since what follows it may be the same for all; else the last.
    """
    *_, last_frame = LINE.finditer(text)
    lines = [line for line in text[last_frame.end() :].splitlines() if line.strip()]
    for line in lines:
        bare = _BARS.sub("", line) if line.lstrip().startswith("|") else line
        if not bare[:1].isspace() and not bare.startswith(_JOINTS):
            return bare.strip()
    return lines[-1].strip() if lines else ""
