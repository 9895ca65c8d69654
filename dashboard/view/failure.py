"""What workers say of an error, as people read it.

`wpipe` sends JSON: of a task `{"task_name", "error_message", "error_traceback": [{"file", "line",
"method"}]}`, of a process `{"message", "error_code", "task_name", …}`. Other clients send text.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

_FRAME = re.compile(r'[ |]{0,64}File "')
SHOWN_ELSEWHERE = {
    *("error_message", "message", "error", "error_traceback", "task_name", "step_name"),
    *("task_id", "process_name", "worker_id", "worker_name"),
}


@dataclass(frozen=True)
class Failure:
    """An error: what happened, at which step when it says so, and where, innermost frame last."""

    message: str
    step: str | None = None
    frames: tuple[str, ...] = ()
    rest: str | None = None

    @property
    def text(self) -> str:
        """All of it, to be copied."""
        parts = [self.message, *self.frames]
        return "\n".join([*parts, self.rest] if self.rest else parts)


def read_failure(details: str | None) -> Failure | None:
    """None when there is nothing to read; never raises, whatever the text is."""
    if not details or not details.strip():
        return None
    try:
        told = json.loads(details)
    except (ValueError, RecursionError):
        return _read_text(details)
    if not isinstance(told, dict):
        return _read_text(details)
    message = _first_text(told, "error_message", "message", "error")
    if message is None:
        return Failure(json.dumps(told, indent=2, ensure_ascii=False))
    rest = {key: value for key, value in told.items() if key not in SHOWN_ELSEWHERE}
    said = _read_text(message)
    return Failure(
        said.message,
        _first_text(told, "task_name", "step_name"),
        tuple(_frames(told.get("error_traceback"))) or said.frames,
        json.dumps(rest, indent=2, ensure_ascii=False) if rest else None,
    )


def _read_text(text: str) -> Failure:
    """Of a traceback as Python prints it, what was raised is the message."""
    lines = text.strip().splitlines()
    frames = [index for index, line in enumerate(lines) if _FRAME.match(line)]
    behind = range(frames[-1] + 1, len(lines)) if frames else ()
    raised = next((i for i in behind if lines[i] and lines[i][0] not in " \t|"), None)
    if raised is None:
        return Failure(text.strip())
    return Failure("\n".join(lines[raised:]), None, tuple(lines[:raised]))


def _first_text(told: dict[str, Any], *names: str) -> str | None:
    for name in names:
        value = told.get(name)
        if isinstance(value, str) and value:
            return value
    return None


def _frames(traceback: object) -> list[str]:
    if isinstance(traceback, str):
        return traceback.rstrip().splitlines()
    if not isinstance(traceback, list):
        return []
    return [_frame(entry) for entry in traceback]


def _frame(entry: object) -> str:
    if isinstance(entry, dict) and "file" in entry:
        return f'File "{entry["file"]}", line {entry.get("line")}, in {entry.get("method")}'
    return str(entry).rstrip()
