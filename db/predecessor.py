"""Carries a database of the predecessor over, whose tables are kept under another name.

Its tables: `workers`, `processes` and `history_tasks`; recognised by `workers.nombre`. Its instants
are naive, in UTC, in whole seconds. Nothing in them is taken for granted: what is missing is
derived from what is there, and rows that nothing could address (an odd id, a process whose worker
is not there) stay in the old tables only.

Part of the first migration, and frozen with it: it knows the tables as that migration made them.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from db.instants import instant_of, microseconds_between, unix_seconds
from db.predecessor_rows import is_id, number, process_values, worker_values

logger = logging.getLogger(__name__)

# Each with a column that tells it from a table of ours under the same name.
_TABLES = {"workers": "nombre", "processes": "father", "history_tasks": "father"}
_ASIDE = "predecessor_"
_PAGE_ROWS = 200
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


def set_aside(connection: sa.Connection) -> None:
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


def carry_over(connection: sa.Connection, tables: Mapping[str, sa.Table]) -> None:
    """Copies the rows that were set aside into `tables`, unless these have rows already."""
    names = sa.inspect(connection).get_table_names()
    present = [table for table in (_workers, _processes, _tasks) if table.name in names]
    if _workers not in present:
        return
    if _tasks in present:
        _index_tasks(connection)
    # Nothing but a complete carry-over is ever committed.
    if connection.scalar(sa.select(sa.exists().select_from(tables["workers"]))):
        return
    logger.info("carrying the predecessor's rows over")
    carrier = _Carrier(connection, tables)
    carrier.carry_workers()
    if _processes in present:
        carrier.carry_processes(with_tasks=_tasks in present)
    _count(connection, tables)
    for table in present:
        carried = carrier.carried[table.name]
        rows = connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
        logger.info("%s: %d rows carried over, %d left", table.name, carried, rows - carried)


def _index_tasks(connection: sa.Connection) -> None:
    """For SQLite, which makes no index for a foreign key; each page would read the whole table."""
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
            workers = [worker_values(row) for row in page if is_id("worker", row["id"])]
            self.registered.update((w["id"], w["registered_at"]) for w in workers)
            self._insert("workers", _workers, workers)

    def carry_processes(self, *, with_tasks: bool) -> None:
        for page in _pages(self.connection, _processes, _processes.c.father):
            rows = [
                row
                for row in page
                if is_id("process", row["father"]) and row["process"] in self.registered
            ]
            steps = self._steps([row["father"] for row in rows] if with_tasks else [])
            processes, tasks = [], []
            for row in rows:
                known = self.registered[row["process"]]
                process, its_tasks = process_values(row, steps.get(row["father"], []), known)
                processes.append(process)
                tasks.extend(its_tasks)
            self._insert("processes", _processes, processes)
            self._insert("tasks", _tasks, tasks)

    def _steps(self, fathers: Sequence[str]) -> dict[str, list[sa.RowMapping]]:
        """The old rows of the tasks of these processes, in order."""
        steps: dict[str, list[sa.RowMapping]] = {}
        if fathers:
            statement = sa.select(_tasks).where(_tasks.c.father.in_(fathers))
            for row in self.connection.execute(statement).mappings():
                if is_id("task", row["uuid"]):
                    steps.setdefault(row["father"], []).append(row)
        for rows in steps.values():
            rows.sort(key=lambda row: (number(row["order"]), row["uuid"]))
        return steps

    def _insert(self, name: str, source: sa.TableClause, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            self.connection.execute(self.tables[name].insert(), rows)
            self.carried[source.name] += len(rows)


def _pages(
    connection: sa.Connection, table: sa.TableClause, key: sa.ColumnClause[Any]
) -> Iterator[Sequence[sa.RowMapping]]:
    statement = sa.select(table).where(key.is_not(None)).order_by(key).limit(_PAGE_ROWS)
    page = connection.execute(statement).mappings().all()
    while page:
        yield page
        page = connection.execute(statement.where(key > page[-1][key.name])).mappings().all()


def _count(connection: sa.Connection, tables: Mapping[str, sa.Table]) -> None:
    """Fills the counters that every write keeps from then on."""
    sqlite = connection.dialect.name == "sqlite"
    workers, processes = tables["workers"].c, tables["processes"].c
    runtime = microseconds_between(processes.started_at, processes.ended_at, sqlite=sqlite)

    def of_worker(sum_: sa.ColumnElement[Any], *conditions: sa.ColumnElement[bool]) -> Any:
        statement = sa.select(sa.func.coalesce(sum_, 0))
        return statement.where(processes.worker_id == workers.id, *conditions).scalar_subquery()

    processes_of = sa.func.count(processes.id)
    connection.execute(
        tables["workers"]
        .update()
        .values(
            running=of_worker(processes_of, processes.status == "RUNNING"),
            succeeded=of_worker(processes_of, processes.status == "SUCCESS"),
            failed=of_worker(processes_of, processes.status == "ERROR"),
            runtime_microseconds=of_worker(sa.func.sum(runtime)),
        )
    )
    _count_totals(connection, tables)
    for slot_seconds in _SLOT_SECONDS:
        for worker_id in (processes.worker_id, sa.literal("")):
            _count_slots(connection, tables, slot_seconds, worker_id, sqlite=sqlite)


def _count_totals(connection: sa.Connection, tables: Mapping[str, sa.Table]) -> None:
    """All workers are OFFLINE, so all that runs is stalled."""
    workers = tables["workers"].c
    sums = [
        sa.func.coalesce(sa.func.sum(column), 0)
        for column in (workers.running, workers.succeeded, workers.failed)
    ]
    connection.execute(
        tables["totals"]
        .insert()
        .from_select(
            _columns("shard workers_online workers_offline running succeeded failed stalled"),
            sa.select(
                sa.literal(0), sa.literal(0), sa.func.count(workers.id), *sums, sums[0].label("s")
            ),
        )
    )


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
            _columns(
                "worker_id slot_seconds slot_at shard started succeeded failed runtime_microseconds"
            ),
            sa.select(
                events.worker_id,
                sa.literal(slot_seconds),
                instant_of(events.at, sqlite=sqlite),
                none,
                *sums,
            ).group_by(events.worker_id, events.at),
        )
    )


def _columns(names: str) -> list[str]:
    return names.split()
