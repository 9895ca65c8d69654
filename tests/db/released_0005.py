"""A database as the release before pipelines left it: its rows, by plain SQL."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from db.migrate import migrate
from db.session import Database

THEN = datetime(2026, 11, 20, 10, 59, 58, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
# Name, version, status, archived, and its processes: status, and seconds from start to end.
_Runs = Sequence[tuple[str, float | None]]
_WORKERS: Sequence[tuple[str, str, str, bool, _Runs]] = (
    ("nightly", "v1", "OFFLINE", False, [("SUCCESS", 3.5), ("ERROR", 70), ("SUCCESS", 0)]),
    ("nightly", "v2", "OFFLINE", False, [("SUCCESS", 3661.000001), ("RUNNING", None)]),
    ("nightly", "v3", "ONLINE", False, [("RUNNING", None), ("ERROR", 1.25)]),
    ("nightly", "v0", "OFFLINE", True, [("SUCCESS", 12)]),
    ("Nightly", "v1", "ONLINE", False, []),
    ("nightly ", "v1", "OFFLINE", False, []),
    ("all archived", "v1", "OFFLINE", True, [("ERROR", 4)]),
    ("📈" * 255, "v1", "OFFLINE", False, [("SUCCESS", 8), ("SUCCESS", 8.000001)]),
    # The clock was set back while it ran.
    ("back in time", "v1", "ONLINE", False, [("SUCCESS", -5)]),
)
# Of each process: a step's status, and seconds from its start to its end; without, never started.
_TASKS: Mapping[str, Sequence[tuple[str, float | None]]] = {
    "SUCCESS": [("SUCCESS", 1.5), ("SUCCESS", None)],
    "ERROR": [("SUCCESS", 0), ("ERROR", 2.25), ("PENDING", None)],
    "RUNNING": [("ERROR", None), ("RUNNING", None), ("PENDING", None)],
}
_ENDED = ("SUCCESS", "ERROR")


async def left_by_0005(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes its tables and fills them."""
    with monkeypatch.context() as patch:
        patch.setattr("db.migrate.HEAD", "0005")
        await migrate(database)
    rows: dict[str, list[dict[str, Any]]] = {}
    for table, row in _rows():
        rows.setdefault(table, []).append(row)
    async with database.writing() as connection:
        for table in ("workers", "processes", "tasks", "activity", "totals"):
            names = list(rows[table][0])
            values = ", ".join(f":{name}" for name in names)
            statement = text(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})")
            await connection.execute(statement, rows[table])


def _rows() -> Iterator[tuple[str, dict[str, Any]]]:
    activity: Counter[tuple[str, int, str, int, str]] = Counter()
    totals: Counter[str] = Counter()
    for number, (name, version, status, archived, runs) in enumerate(_WORKERS):
        worker_id = f"worker_{number:04}"
        began = THEN + number * SECOND
        counts = Counter(ended for ended, _ in runs)
        if not archived:
            totals["workers_online" if status == "ONLINE" else "workers_offline"] += 1
        runtime = sum(max(0, round(1e6 * seconds)) for _, seconds in runs if seconds is not None)
        yield (
            "workers",
            {
                "id": worker_id,
                "name": name,
                "name_folded": name.casefold(),
                "version": version,
                "status": status,
                "task_definitions": '[["a","s1"]]',
                "registered_at": _stored(began),
                "last_seen_at": _stored(began + 9 * SECOND),
                "running": counts["RUNNING"],
                "succeeded": counts["SUCCESS"],
                "failed": counts["ERROR"],
                "runtime_microseconds": runtime,
                "revision": 7,
                "archived": int(archived),
            },
        )
        for run, (ended, seconds) in enumerate(runs):
            process_id = f"process_{number:04}-{run}"
            at = began + run * SECOND
            totals[{"RUNNING": "running", "SUCCESS": "succeeded"}.get(ended, "failed")] += 1
            totals["stalled"] += ended == "RUNNING" and status == "OFFLINE"
            _note(activity, worker_id, at, "started", 1)
            if seconds is not None:
                end = at + seconds * SECOND
                _note(activity, worker_id, end, "succeeded" if ended == "SUCCESS" else "failed", 1)
                _note(
                    *(activity, worker_id, end, "runtime_microseconds"),
                    max(0, round(1e6 * seconds)),
                )
            yield from _run(process_id, worker_id, status, ended, at, seconds)
    yield "totals", {"shard": 3, **{name: totals[name] for name in _TOTALS}}
    yield from _activity(activity)


_TOTALS = ("workers_online", "workers_offline", "running", "succeeded", "failed", "stalled")
_ACTIVITY = ("started", "succeeded", "failed", "runtime_microseconds")


def _run(
    id_: str, worker_id: str, status: str, ended: str, at: datetime, seconds: float | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    tasks = _TASKS[ended]
    yield (
        "processes",
        {
            "id": id_,
            "worker_id": worker_id,
            "status": ended,
            "stalled": int(ended == "RUNNING" and status == "OFFLINE"),
            "task_count": len(tasks),
            "ended_task_count": sum(each in _ENDED for each, _ in tasks),
            "started_at": _stored(at),
            "updated_at": _stored(at),
            "ended_at": None if seconds is None else _stored(at + seconds * SECOND),
            "revision": 4,
            "recovered": 0,
        },
    )
    for position, (task_status, took) in enumerate(tasks, start=1):
        end = at + 2 * SECOND
        yield (
            "tasks",
            {
                "id": f"task_{id_[8:]}-{position}",
                "process_id": id_,
                "worker_id": worker_id,
                "name": f"step {position}",
                "name_folded": f"step {position}",
                "version": "s1",
                "position": position,
                "status": task_status,
                "created_at": _stored(at),
                "updated_at": _stored(end),
                "revision": 2,
                "started_at": None if took is None else _stored(end - took * SECOND),
                "ended_at": _stored(end) if task_status in _ENDED else None,
            },
        )


def _note(
    activity: Counter[tuple[str, int, str, int, str]],
    worker_id: str,
    at: datetime,
    what: str,
    number: int,
) -> None:
    for slot_seconds in (60, 3600):
        slot = datetime.fromtimestamp(int(at.timestamp()) // slot_seconds * slot_seconds, UTC)
        for subject, shard in ((worker_id, 0), ("", 5)):
            activity[subject, slot_seconds, _stored(slot), shard, what] += number


def _activity(
    activity: Counter[tuple[str, int, str, int, str]],
) -> Iterator[tuple[str, dict[str, Any]]]:
    for subject, slot_seconds, slot, shard in sorted({key[:4] for key in activity}):
        yield (
            "activity",
            {
                "worker_id": subject,
                "slot_seconds": slot_seconds,
                "slot_at": slot,
                "shard": shard,
                **{n: activity[subject, slot_seconds, slot, shard, n] for n in _ACTIVITY},
            },
        )


def _stored(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")
