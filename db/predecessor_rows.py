"""A row of the predecessor as a row of ours, whatever it holds.

Part of the first migration, like `db.predecessor`.
"""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import RowMapping

_ID = re.compile(r"(worker|process|task)_[0-9A-Za-z-]{1,56}", re.ASCII)
_NAME_LENGTH = 255
_FOLDED_LENGTH = 750
_VERSION_LENGTH = 50
_DETAILS_LENGTH = 1024 * 1024
_YEARS = range(1970, 2200)
_TASK_STATUS = {
    "pending": "PENDING",
    "start": "RUNNING",
    "running": "RUNNING",
    "in_progress": "RUNNING",
    "success": "SUCCESS",
    "completed": "SUCCESS",
    "error": "ERROR",
    "failed": "ERROR",
}
_ENDED = ("SUCCESS", "ERROR")


def worker_values(row: RowMapping) -> dict[str, Any]:
    """A worker, its counters still 0."""
    seen_at = _instant(row["last_healthcheker"])
    registered_at = _instant(row["datetime"]) or seen_at or _now()
    return {
        "id": row["id"],
        **_named(row["nombre"], row["version"]),
        # Whoever is alive reports again within seconds.
        "status": "OFFLINE",
        "task_definitions": _definitions(row["tasks"]),
        "registered_at": registered_at,
        "last_seen_at": max(registered_at, seen_at or registered_at),
        "running": 0,
        "succeeded": 0,
        "failed": 0,
        "runtime_microseconds": 0,
        "revision": 1,
    }


def _definitions(stored: Any) -> str:
    """The list as we store it: [[name, version], …]; empty when it cannot be read."""
    try:
        tasks = json.loads(stored)
    except (TypeError, ValueError):
        tasks = None
    steps = [task for task in tasks if isinstance(task, dict)] if isinstance(tasks, list) else []
    steps.sort(key=lambda step: number(step.get("order")))
    return orjson.dumps(
        [
            [_text(step.get("name"), _NAME_LENGTH), _text(step.get("version"), _VERSION_LENGTH)]
            for step in steps
        ]
    ).decode()


def process_values(
    row: RowMapping, steps: Sequence[RowMapping], registered_at: datetime
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A process and its tasks, from its row and those of its tasks in order."""
    finished = _instant(row["finished"])
    started_at = _instant(row["created"]) or finished or registered_at
    status = _process_status(row)
    tasks = [_task(step, position, row, started_at) for position, step in enumerate(steps, start=1)]
    reported = [task for task in tasks if task["status"] != "PENDING"]
    # Whole seconds: of those reported in the same one, the later step was reported last.
    last = max(reported, key=lambda task: (task["updated_at"], task["position"]), default=None)
    updated_at = max(started_at, last["updated_at"] if last else started_at)
    ended_at = None
    if status in _ENDED:
        updated_at = ended_at = max(finished or updated_at, updated_at)
    return {
        "id": row["father"],
        "worker_id": row["process"],
        "status": status,
        "stalled": status == "RUNNING",
        "task_count": len(tasks),
        "ended_task_count": sum(task["status"] in _ENDED for task in tasks),
        "current_task_id": last["id"] if last else None,
        "started_at": started_at,
        "updated_at": updated_at,
        "ended_at": ended_at,
        "details": _details(row["error"]),
        "revision": 1,
    }, tasks


def _process_status(row: RowMapping) -> str:
    status = str(row["status"] or "").strip().upper()
    if status in ("RUNNING", *_ENDED):
        return status
    if _instant(row["finished"]) is None:
        return "RUNNING"
    return "ERROR" if row["error"] else "SUCCESS"


def _task(
    row: RowMapping, position: int, process: RowMapping, process_started_at: datetime
) -> dict[str, Any]:
    started_at = _instant(row["started"])
    known = _TASK_STATUS.get(str(row["status"] or "").strip().lower())
    status = known or ("RUNNING" if started_at else "PENDING")
    created_at = _instant(row["create"]) or process_started_at
    updated_at = max(created_at, started_at or created_at, _instant(row["update"]) or created_at)
    if status == "PENDING":
        started_at = None
    elif status == "RUNNING":
        started_at = started_at or updated_at
    return {
        "id": row["uuid"],
        "process_id": process["father"],
        "worker_id": process["process"],
        **_named(row["name"], row["version"]),
        "position": position,
        "status": status,
        "created_at": created_at,
        "started_at": started_at,
        "updated_at": updated_at,
        "ended_at": updated_at if status in _ENDED else None,
        "details": _details(row["details"]),
        "revision": 1,
    }


def _named(name: Any, version: Any) -> dict[str, str]:
    text = _text(name, _NAME_LENGTH)
    return {
        "name": text,
        "name_folded": text.casefold()[:_FOLDED_LENGTH],
        "version": _text(version, _VERSION_LENGTH),
    }


def is_id(kind: str, value: Any) -> bool:
    """Whether this can be the id of such an object; nothing else can be asked for."""
    found = _ID.fullmatch(value) if isinstance(value, str) else None
    return found is not None and found[1] == kind


def _text(value: Any, length: int) -> str:
    """As text that can be stored: no halves of surrogate pairs, which JSON can smuggle in."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode(errors="replace")[:length]
    return str(value).encode(errors="replace").decode()[:length]


def _details(value: Any) -> str | None:
    return None if value is None else _text(value, _DETAILS_LENGTH)


def number(value: Any) -> float:
    """For sorting; what is no number comes last."""
    return value if isinstance(value, int | float) else float("inf")


def _instant(value: Any) -> datetime | None:
    """Naive UTC; None for what is no instant, and for years that nobody ran a worker in."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime) or value.year not in _YEARS:
        return None
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
