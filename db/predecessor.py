"""Carries a database of the predecessor over, whose tables are kept under another name.

Its tables: `workers`, `processes` and `history_tasks`; recognised by `workers.nombre`. Its instants
are naive, in UTC, in whole seconds. Nothing in them is taken for granted: what is missing is
derived from what is there, and rows that nothing could address (an odd id, a process whose worker
is not there) stay in the old tables only.

Part of the first migration, and frozen with it: it knows the tables as that migration made them.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import sqlalchemy as sa
from alembic.operations import Operations

from db.instants import instant_of, microseconds_between, unix_seconds

logger = logging.getLogger(__name__)

# Each with a column that tells it from a table of ours under the same name.
_TABLES = {"workers": "nombre", "processes": "father", "history_tasks": "father"}
_ASIDE = "predecessor_"
_PAGE_ROWS = 200
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
_SLOT_SECONDS = (60, 3600)

_workers = sa.table(
    "predecessor_workers",
    *map(sa.column, ("id", "nombre", "version", "last_healthcheker", "datetime", "tasks")),
)
_processes = sa.table(
    "predecessor_processes",
    *map(sa.column, ("father", "process", "created", "finished", "status", "error")),
)
_tasks = sa.table(
    "predecessor_history_tasks",
    *map(
        sa.column,
        ("uuid", "name", "status", "order", "version", "create", "started", "update", "details"),
    ),
    sa.column("father"),
)


def set_aside(op: Operations, connection: sa.Connection) -> None:
    """Renames the predecessor's tables, as far as that is not done yet."""
    present = sa.inspect(connection)
    names = present.get_table_names()

    def is_theirs(name: str) -> bool:
        return name in names and _TABLES[name] in {c["name"] for c in present.get_columns(name)}

    if not is_theirs("workers") and f"{_ASIDE}workers" not in names:
        return
    for name in _TABLES:
        if is_theirs(name) and f"{_ASIDE}{name}" not in names:
            logger.info("a table of the predecessor is kept as %s%s", _ASIDE, name)
            op.rename_table(name, f"{_ASIDE}{name}")


def carry_over(op: Operations, connection: sa.Connection, tables: Mapping[str, sa.Table]) -> None:
    """Copies the rows that were set aside into `tables`, unless these have rows already."""
    names = sa.inspect(connection).get_table_names()
    present = [table for table in (_workers, _processes, _tasks) if table.name in names]
    if _workers not in present:
        return
    if _tasks in present:
        _index_tasks(op, connection)
    # Nothing but a complete carry-over is ever committed.
    if connection.scalar(sa.select(sa.exists().select_from(tables["workers"]))):
        return
    logger.info("carrying the predecessor's rows over")
    carrier = _Carrier(connection, tables)
    carrier.carry_workers()
    if _processes in present:
        carrier.carry_processes(with_tasks=_tasks in present)
    _count(connection, tables)
    kept = {
        table: connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
        for table in present
    }
    for table in present:
        carried = carrier.carried[table.name]
        logger.info("%s: %d rows carried over, %d left", table.name, carried, kept[table] - carried)


def _index_tasks(op: Operations, connection: sa.Connection) -> None:
    """SQLite makes no index for a foreign key; without one, each page would read the whole table."""
    indexes = sa.inspect(connection).get_indexes(_tasks.name)
    if not any(index["column_names"][:1] == ["father"] for index in indexes):
        op.create_index(f"ix_{_tasks.name}_father", _tasks.name, ["father"], if_not_exists=True)


@dataclass
class _Carrier:
    connection: sa.Connection
    tables: Mapping[str, sa.Table]
    carried: dict[str, int] = field(
        default_factory=lambda: {f"{_ASIDE}{name}": 0 for name in _TABLES}
    )
    # The carried workers: when they were registered, by id.
    registered: dict[str, datetime] = field(default_factory=dict)

    def carry_workers(self) -> None:
        for page in _pages(self.connection, _workers, _workers.c.id):
            workers = [_worker(row) for row in page if _is_id("worker", row["id"])]
            self.registered.update((w["id"], w["registered_at"]) for w in workers)
            self._insert("workers", _workers, workers)

    def carry_processes(self, *, with_tasks: bool) -> None:
        for page in _pages(self.connection, _processes, _processes.c.father):
            rows = [
                row
                for row in page
                if _is_id("process", row["father"]) and row["process"] in self.registered
            ]
            steps = self._steps([row["father"] for row in rows] if with_tasks else [])
            processes, tasks = [], []
            for row in rows:
                known = self.registered[row["process"]]
                process, its_tasks = _process(row, steps.get(row["father"], []), known)
                processes.append(process)
                tasks.extend(its_tasks)
            self._insert("processes", _processes, processes)
            self._insert("tasks", _tasks, tasks)

    def _steps(self, fathers: Sequence[str]) -> dict[str, list[Mapping[str, Any]]]:
        """The old rows of the tasks of these processes, in order."""
        steps: dict[str, list[Mapping[str, Any]]] = {}
        if fathers:
            statement = sa.select(_tasks).where(_tasks.c.father.in_(fathers))
            for row in self.connection.execute(statement).mappings():
                if _is_id("task", row["uuid"]):
                    steps.setdefault(row["father"], []).append(row)
        for rows in steps.values():
            rows.sort(key=lambda row: (_number(row["order"]), row["uuid"]))
        return steps

    def _insert(self, name: str, source: sa.TableClause, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            self.connection.execute(self.tables[name].insert(), rows)
            self.carried[source.name] += len(rows)


def _pages(
    connection: sa.Connection, table: sa.TableClause, key: sa.ColumnClause[Any]
) -> Iterator[Sequence[Mapping[str, Any]]]:
    statement = sa.select(table).where(key.is_not(None)).order_by(key).limit(_PAGE_ROWS)
    page = connection.execute(statement).mappings().all()
    while page:
        yield page
        page = connection.execute(statement.where(key > page[-1][key.name])).mappings().all()


def _worker(row: Mapping[str, Any]) -> dict[str, Any]:
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
    steps.sort(key=lambda step: _number(step.get("order")))
    return orjson.dumps(
        [
            [_text(step.get("name"), _NAME_LENGTH), _text(step.get("version"), _VERSION_LENGTH)]
            for step in steps
        ]
    ).decode()


def _process(
    row: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], registered_at: datetime
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
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


def _process_status(row: Mapping[str, Any]) -> str:
    status = str(row["status"] or "").strip().upper()
    if status in ("RUNNING", *_ENDED):
        return status
    if _instant(row["finished"]) is None:
        return "RUNNING"
    return "ERROR" if row["error"] else "SUCCESS"


def _task(
    row: Mapping[str, Any], position: int, process: Mapping[str, Any], process_started_at: datetime
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


def _is_id(kind: str, value: Any) -> bool:
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


def _number(value: Any) -> float:
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


def _count(connection: sa.Connection, tables: Mapping[str, sa.Table]) -> None:
    """Fills the counters that every write keeps from then on."""
    sqlite = connection.dialect.name == "sqlite"
    workers, processes = tables["workers"].c, tables["processes"].c
    runtime = microseconds_between(processes.started_at, processes.ended_at, sqlite=sqlite)

    def of_worker(sum_: sa.ColumnElement[Any], *conditions: sa.ColumnElement[bool]) -> Any:
        statement = sa.select(sa.func.coalesce(sum_, 0))
        return statement.where(processes.worker_id == workers.id, *conditions).scalar_subquery()

    number = sa.func.count(processes.id)
    connection.execute(
        tables["workers"]
        .update()
        .values(
            running=of_worker(number, processes.status == "RUNNING"),
            succeeded=of_worker(number, processes.status == "SUCCESS"),
            failed=of_worker(number, processes.status == "ERROR"),
            runtime_microseconds=of_worker(sa.func.sum(runtime)),
        )
    )
    sums = [
        sa.func.coalesce(sa.func.sum(column), 0)
        for column in (workers.running, workers.succeeded, workers.failed)
    ]
    connection.execute(
        tables["totals"]
        .insert()
        .from_select(
            ["shard", "workers_online", "workers_offline"]
            + ["running", "succeeded", "failed", "stalled"],
            sa.select(
                sa.literal(0), sa.literal(0), sa.func.count(workers.id), *sums, sums[0].label("s")
            ),
        )
    )
    for slot_seconds in _SLOT_SECONDS:
        for worker_id in (processes.worker_id, sa.literal("")):
            _count_slots(connection, tables, slot_seconds, worker_id, sqlite=sqlite)


def _count_slots(
    connection: sa.Connection,
    tables: Mapping[str, sa.Table],
    slot_seconds: int,
    worker_id: sa.ColumnElement[Any],
    *,
    sqlite: bool,
) -> None:
    """Starts and ends of every worker, or of all together under the id ''."""
    processes = tables["processes"].c

    def slot(instant: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        seconds = unix_seconds(instant, sqlite=sqlite)
        return seconds - seconds % slot_seconds

    none = sa.literal(0)
    started = sa.select(
        worker_id.label("worker_id"),
        slot(processes.started_at).label("at"),
        sa.literal(1).label("started"),
        none.label("succeeded"),
        none.label("failed"),
        none.label("runtime"),
    )
    ended = sa.select(
        worker_id,
        slot(processes.ended_at),
        none,
        sa.case((processes.status == "SUCCESS", 1), else_=0),
        sa.case((processes.status == "ERROR", 1), else_=0),
        microseconds_between(processes.started_at, processes.ended_at, sqlite=sqlite),
    ).where(processes.ended_at.is_not(None))
    events = sa.union_all(started, ended).subquery().c
    sums = [sa.func.sum(events[name]) for name in ("started", "succeeded", "failed", "runtime")]
    connection.execute(
        tables["activity"]
        .insert()
        .from_select(
            ["worker_id", "slot_seconds", "slot_at", "shard"]
            + ["started", "succeeded", "failed", "runtime_microseconds"],
            sa.select(
                events.worker_id,
                sa.literal(slot_seconds),
                instant_of(events.at, sqlite=sqlite),
                none,
                *sums,
            ).group_by(events.worker_id, events.at),
        )
    )
