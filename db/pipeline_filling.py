"""Fills what the migration to pipelines adds, from the rows that are there.

Part of that migration, and frozen with it: it knows the tables as that migration made them.
"""

import hashlib
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from db.instants import instant_of, microseconds_between, unix_seconds

logger = logging.getLogger(__name__)

_PAGE_ROWS = 2_000
_SAID_SECONDS = 2.0
_SLOT_SECONDS = (60, 3600)
_HOUR = 3600
_LIVENESS = {"alive": "ALIVE", "finished": "FINISHED", "lost": "LOST"}


def _table(name: str, *columns: str) -> sa.TableClause:
    return sa.table(name, *map(sa.column, " ".join(columns).split()))


_workers = _table(
    "workers",
    "id name name_folded version status registered_at",
    "last_seen_at running archived pipeline_id liveness quiet_since",
)
_processes = _table(
    "processes",
    "id worker_id status stalled",
    "started_at ended_at pipeline_id version",
)
_tasks = _table(
    "tasks",
    "id process_id worker_id name",
    "status started_at ended_at pipeline_id",
)
_pipelines = _table(
    "pipelines",
    "id name name_folded first_seen_at last_seen_at told_at revision",
)


def pipeline_id(name: str) -> str:
    """As `monitor.ids` has it."""
    digest = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16])
    text = f"{digest & ~(0xF << 76 | 3 << 62) | 8 << 76 | 2 << 62:032x}"
    return f"pipeline_{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def fill_rows(connection: sa.Connection, *, with_status: bool) -> None:
    """Says of each worker, process and task which pipeline it belongs to."""
    for page in _unfilled(connection, _workers, _workers.c.name):
        connection.execute(
            _workers.update()
            .where(_workers.c.id == sa.bindparam("of"))
            .values(pipeline_id=sa.bindparam("p"), quiet_since=_workers.c.last_seen_at),
            [{"of": id_, "p": pipeline_id(name)} for id_, name in page],
        )
    if with_status:
        # Nobody knows which of them ever sent heartbeats.
        offline = sa.case((_workers.c.running > 0, "LOST"), else_="FINISHED")
        liveness = sa.case((_workers.c.status == "ONLINE", "ALIVE"), else_=offline)
        connection.execute(_workers.update().values(liveness=liveness))
        lost = sa.select(_workers.c.id).where(_workers.c.liveness == "LOST")
        stalled = _processes.c.worker_id.in_(lost) & (_processes.c.status == "RUNNING")
        connection.execute(_processes.update().where(stalled).values(stalled=sa.true()))
    for table, columns in ((_processes, ("pipeline_id", "version")), (_tasks, ("pipeline_id",))):
        values = {
            name: sa.select(_workers.c[name])
            .where(_workers.c.id == table.c.worker_id)
            .scalar_subquery()
            for name in columns
        }
        for page in _unfilled(connection, table, table.c.worker_id):
            ids = [id_ for id_, _ in page]
            connection.execute(table.update().where(table.c.id.in_(ids)).values(values))


def _unfilled(
    connection: sa.Connection, table: sa.TableClause, beside: sa.ColumnClause[Any]
) -> Iterator[Sequence[Any]]:
    """The rows without a pipeline, by pages; what was done with one is kept."""
    statement = sa.select(table.c.id, beside).where(table.c.pipeline_id == "")
    statement = statement.order_by(table.c.id).limit(_PAGE_ROWS)
    done, said, last = 0, time.monotonic(), ""
    while page := connection.execute(statement.where(table.c.id > last)).all():
        yield page
        done, last = done + len(page), page[-1].id
        if connection.dialect.name != "sqlite":
            connection.exec_driver_sql("COMMIT")
        if time.monotonic() - said > _SAID_SECONDS:
            said = time.monotonic()
            logger.info("migrating: %s rows of %s have their pipeline", f"{done:,}", table.name)


def fill_figures(connection: sa.Connection) -> None:
    """Counts what every write keeps from then on, from nothing; nothing where nobody registered."""
    if connection.scalar(sa.select(_workers.c.id).limit(1)) is None:
        return
    sqlite = connection.dialect.name == "sqlite"
    if sqlite:
        _teach_logarithm(connection)
    for statement in (
        "DELETE FROM pipelines",
        "DELETE FROM pipeline_figures",
        "DELETE FROM totals",
        "DELETE FROM durations",
        "DELETE FROM activity WHERE subject_id LIKE 'pipeline%'",
    ):
        connection.exec_driver_sql(statement.replace("%", "%%"))
    steps: Sequence[tuple[str, Callable[..., None]]] = (
        ("pipelines", _fill_pipelines),
        ("figures of pipelines", _fill_pipeline_figures),
        ("totals", _fill_totals),
        ("activity of pipelines", _fill_activity),
        ("durations", _fill_durations),
    )
    for what, fill in steps:
        logger.info("migrating: counting %s", what)
        fill(connection, sqlite=sqlite)


def _fill_pipelines(connection: sa.Connection, *, sqlite: bool) -> None:
    of = _workers.c
    newest = sa.select(
        of.pipeline_id,
        sa.func.min(of.name),
        sa.func.min(of.name_folded),
        sa.func.min(of.registered_at),
        sa.func.max(of.last_seen_at),
        instant_of(sa.literal(0), sqlite=sqlite),
        sa.literal(0),
    ).group_by(of.pipeline_id)
    connection.execute(_pipelines.insert().from_select(list(_pipelines.c.keys()), newest))


def _counters(table: sa.TableClause) -> list[sa.ColumnElement[Any]]:
    """Workers by liveness, processes by status and stalled: of the rows that are joined."""
    conditions: list[sa.ColumnElement[bool]]
    if table is _workers:
        shown = table.c.archived == sa.false()
        conditions = [(table.c.liveness == word) & shown for word in _LIVENESS.values()]
    else:
        running = table.c.status == "RUNNING"
        ended: list[sa.ColumnElement[bool]] = [
            table.c.status == status for status in ("SUCCESS", "ERROR")
        ]
        conditions = [running, *ended, running & (table.c.stalled == sa.true())]
    return [sa.func.coalesce(sa.func.sum(sa.case((c, 1), else_=0)), 0) for c in conditions]


_NAMES = (
    *("workers_alive", "workers_finished", "workers_lost"),
    *("running", "succeeded", "failed", "stalled"),
)
_EVER = ("ever_started", "ever_succeeded", "ever_failed", "ever_lost")


def _fill_pipeline_figures(connection: sa.Connection, *, sqlite: bool) -> None:
    runtime = microseconds_between(_processes.c.started_at, _processes.c.ended_at, sqlite=sqlite)
    names = ("pipeline_id", *_NAMES, "runtime_microseconds", "last_seen_at")
    none, never = sa.literal(0), instant_of(sa.literal(0), sqlite=sqlite)
    of_workers = (
        *(_workers.c.pipeline_id, *_counters(_workers), *[none] * 5),
        sa.func.max(_workers.c.last_seen_at),
    )
    of_processes = (
        *(_processes.c.pipeline_id, *[none] * 3, *_counters(_processes)),
        *(sa.func.coalesce(sa.func.sum(runtime), 0), never),
    )
    parts = sa.union_all(
        *(
            sa.select(*(c.label(name) for name, c in zip(names, columns, strict=True))).group_by(
                columns[0]
            )
            for columns in (of_workers, of_processes)
        )
    ).subquery("parts")
    of = dict(zip(names, parts.c, strict=True))
    sums = [sa.func.sum(of[name]) for name in names[1:-1]]
    seen = sa.func.max(of["last_seen_at"])
    columns = [of["pipeline_id"], none, *sums, *[none] * len(_EVER), seen, sa.literal(1)]
    target = sa.table(
        "pipeline_figures",
        *map(sa.column, ("pipeline_id", "shard", *names[1:-1], *_EVER, "last_seen_at", "untold")),
    )
    connection.execute(
        target.insert().from_select(
            list(target.c.keys()), sa.select(*columns).group_by(of["pipeline_id"])
        )
    )


def _fill_totals(connection: sa.Connection, *, sqlite: bool) -> None:
    del sqlite
    figures = sa.table("pipeline_figures", *map(sa.column, _NAMES))
    target = sa.table("totals", *map(sa.column, ("shard", "pipelines", *_NAMES)))
    number = sa.select(sa.func.count()).select_from(_pipelines).scalar_subquery()
    sums = [sa.func.coalesce(sa.func.sum(figures.c[name]), 0) for name in _NAMES]
    connection.execute(
        target.insert().from_select(
            list(target.c.keys()), sa.select(sa.literal(0), number, *sums).select_from(figures)
        )
    )


def _fill_activity(connection: sa.Connection, *, sqlite: bool) -> None:
    """From that of the workers, and where minutes were forgotten, only from what is left of it."""
    names = ["slot_seconds", "slot_at", "started", "succeeded", "failed", "runtime_microseconds"]
    activity = sa.table("activity", *map(sa.column, ("subject_id", "shard", *names)))
    of = activity.c
    of_pipelines = (
        sa.select(
            *(_workers.c.pipeline_id, of.shard, of.slot_seconds, of.slot_at),
            *(sa.func.sum(of[name]) for name in names[2:]),
        )
        .join(_workers, _workers.c.id == of.subject_id)
        .group_by(_workers.c.pipeline_id, of.shard, of.slot_seconds, of.slot_at)
    )
    del sqlite
    connection.execute(activity.insert().from_select(list(of.keys()), of_pipelines))


def _fill_durations(connection: sa.Connection, *, sqlite: bool) -> None:
    durations = _table(
        "durations",
        "pipeline_id of step version slot_at bucket",
        "slot_seconds shard succeeded failed",
    )
    of_tasks = sa.select(
        *(_tasks.c.pipeline_id, sa.literal("TASK"), _tasks.c.name, _processes.c.version),
        *_ended(_tasks, sqlite=sqlite),
    ).join(_processes, _processes.c.id == _tasks.c.process_id)
    of_processes = sa.select(
        *(_processes.c.pipeline_id, sa.literal("PROCESS"), sa.literal("")),
        *(_processes.c.version, *_ended(_processes, sqlite=sqlite)),
    )
    for statement, table in ((of_tasks, _tasks), (of_processes, _processes)):
        ended = statement.where(table.c.status.in_(("SUCCESS", "ERROR"))).subquery("ended")
        id_, of, step, version, hour, bucket, succeeded = ended.c
        key = (id_, of, step, version, hour, bucket)
        connection.execute(
            durations.insert().from_select(
                list(durations.c.keys()),
                sa.select(
                    *(id_, of, step, version, instant_of(hour, sqlite=sqlite), bucket),
                    *(sa.literal(_HOUR), sa.literal(0)),
                    *(sa.func.sum(succeeded), sa.func.sum(1 - succeeded)),
                ).group_by(*key),
            )
        )


def _ended(table: sa.TableClause, *, sqlite: bool) -> list[sa.ColumnElement[Any]]:
    """The hour in which it ended, the bucket of its duration, and 1 for a success."""
    seconds = unix_seconds(table.c.ended_at, sqlite=sqlite)
    runtime = microseconds_between(table.c.started_at, table.c.ended_at, sqlite=sqlite)
    bucket = sa.func.floor(8 * sa.func.log2(runtime) + 1e-9)
    return [
        (seconds - seconds % _HOUR).label("hour"),
        sa.case((table.c.started_at.is_(None), -1), (runtime < 1, 0), else_=bucket).label("bucket"),
        sa.case((table.c.status == "SUCCESS", 1), else_=0).label("succeeded"),
    ]


def _teach_logarithm(connection: sa.Connection) -> None:
    """SQLite has mathematical functions only where it was built with them."""
    raw: Any = connection.connection.dbapi_connection
    raw.create_function("log2", 1, lambda value: math.log2(value) if value else None)
    raw.create_function("floor", 1, math.floor)
