"""A history of years: ten million processes, a hundred thousand workers, five thousand pipelines.

The thousand processes of an hour (`filling.fill`) are copied into each hour before, whose workers
are its own, as those of scripts are. Every other hour is of the pipeline that all copies come from;
each of the others is of a pipeline that ran in it only. What is counted is copied as well, so a
recount finds no difference.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from sqlalchemy import Index, Table

from bench.filling import FEW, NAME, fill
from bench.report import say
from db import models
from db.searched import failure_texts, process_texts
from db.session import Database
from monitor.ids import pipeline_id
from monitor.slots import oldest_hours
from monitor.upkeep.rollup import roll_up
from tests.servers import MariaDb

HOURS = 10_000
WORKERS = 10
# A transaction writes the copies of so many hours.
PORTION = 250
# An ALTER TABLE makes so many indexes: what it sorts is in files until it ends.
INDEXES = 3
# While it is filled.
OPTIONS = (
    *("--innodb-buffer-pool-size=2G", "--innodb-sort-buffer-size=64M"),
    *("--innodb-log-file-size=1G", "--innodb-flush-log-at-trx-commit=2"),
)
# Indexes of these are made when all rows are there, as a restored backup's are.
SORTED = (models.processes, models.tasks, process_texts)
COPIED = (
    *(models.pipelines, models.workers, models.processes, models.tasks, models.activity),
    *(models.durations, models.pipeline_figures, models.failures, models.failure_figures),
    *(process_texts, failure_texts),
)
# The hours that are of the pipeline that was there, and the others.
_SAME, _OWN = "hours.own = ''", "hours.own <> ''"


async def fill_years(
    server: MariaDb, url: str, now: datetime, *, hours: int = HOURS, processes: int = FEW
) -> list[str]:
    """So many processes in each of the hours before `now`; the ids of the latest workers."""
    workers = await fill(url, now, processes=processes, workers=WORKERS)
    database = url.rsplit("/", 1)[1]
    for statement, progress in _statements(hours):
        if progress:
            say(progress)
        server.execute(
            f"USE {database}; SET unique_checks = 0, foreign_key_checks = 0; {statement}"
        )
    say("adding up old durations")
    filled = Database(url)
    assert await roll_up(filled, oldest_hours(now))
    await filled.close()
    return workers


def _statements(hours: int) -> Iterator[tuple[str, str]]:
    """Each with what is said before it."""
    for statement in _hours(hours):
        yield statement, ""
    for table in COPIED:
        yield f"CREATE TABLE base_{table.name} AS SELECT * FROM {table.name};", ""
    for table in SORTED:
        drops = ", ".join(f"DROP INDEX {index.name}" for index in table.indexes)
        yield f"ALTER TABLE {table.name} {drops};", ""
    for table in COPIED:
        yield from _copies(table, hours)
    yield _sums(hours), ""
    for table in SORTED:
        yield from _indexes(table)
    names = ", ".join(table.name for table in COPIED)
    yield f"ANALYZE TABLE {names};", "looking what is in the tables (ANALYZE)"
    for table in COPIED:
        yield f"DROP TABLE base_{table.name};", ""
    yield "DROP TABLE hours;", ""


def _hours(hours: int) -> Iterator[str]:
    """The hours to copy into: how long ago, and the pipeline of its own that it has."""
    yield (
        "CREATE TABLE hours (seq INT PRIMARY KEY, own VARCHAR(255), pipeline_id VARCHAR(64)) "
        "CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;"
    )
    for first in range(1, hours, PORTION):
        names = {n: f"{NAME} {n}" if n % 2 else "" for n in range(first, first + PORTION)}
        rows = (f"({n}, '{own}', '{pipeline_id(own or NAME)}')" for n, own in names.items())
        yield f"INSERT INTO hours VALUES {', '.join(rows)};"


def _copies(table: Table, hours: int) -> Iterator[tuple[str, str]]:
    """The rows of the table, copied into all hours, from the oldest on."""
    given = [c.name for c in table.c if c.computed is None and c.autoincrement is not True]
    columns = {name: name for name in given} | _changed(table, given)
    which = {models.pipelines: _OWN, models.pipeline_figures: _OWN, models.failures: _OWN}
    where = which.get(table, {failure_texts: _OWN}.get(table, "TRUE"))
    if table is models.failure_figures:
        where = f"({_OWN} OR slot_seconds > 0)"
    for until in range(hours, 1, -PORTION):
        since = max(until - PORTION, 1)
        done = f"{table.name}, hours {hours - until:,} of {hours:,}"
        yield (
            f"INSERT INTO {table.name} ({', '.join(columns)}) "
            f"SELECT {', '.join(columns.values())} FROM base_{table.name} JOIN hours "
            f"WHERE seq >= {since} AND seq < {until} AND {where} ORDER BY seq DESC;",
            done if (hours - until) % (PORTION * 10) == 0 else "",
        )


def _changed(table: Table, names: list[str]) -> dict[str, str]:
    """What is other in a copy than in what it is of."""
    earlier = {
        name: f"base_{table.name}.{name} - INTERVAL seq HOUR"
        for name in names
        if name == "at" or name.endswith("_at")
    }
    changed = {
        "pipeline_id": "hours.pipeline_id",
        "worker_id": _earlier_id("worker_id", "worker"),
        "process_id": _earlier_id("process_id", "process"),
        "current_task_id": _earlier_id("current_task_id", "task"),
        "failure_id": f"IF({_OWN}, {_other_id('failure_id')}, failure_id)",
        "untold": "0",
    }
    return earlier | {k: v for k, v in changed.items() if k in names} | _OF_TABLE.get(table, {})


def _earlier_id(column: str, kind: str) -> str:
    """Ids begin with their time, in milliseconds."""
    start = len(kind) + 2
    now = f"CONCAT(MID({column}, {start}, 8), MID({column}, {start + 9}, 4))"
    then = f"LOWER(LPAD(HEX(CAST(CONV({now}, 16, 10) AS INT) - seq * 3600000), 12, '0'))"
    rest = f"MID({column}, {start + 13})"
    return f"CONCAT('{kind}_', LEFT({then}, 8), '-', RIGHT({then}, 4), {rest})"


def _other_id(column: str) -> str:
    return f"CONCAT(LEFT({column}, 32), LPAD(LOWER(HEX(seq)), 12, '0'))"


_WORD = "CONCAT('x', LOWER(HEX(CONCAT('copy', seq))), ' ')"
_SAID = {"said": "CONCAT(said, ' copy', seq)", "words": f"CONCAT(words, {_WORD})"}
_SUBJECT = (
    "CASE LEFT(subject_id, 1) WHEN '' THEN '' WHEN 'p' THEN hours.pipeline_id "
    f"ELSE {_earlier_id('subject_id', 'worker')} END"
)
_NAMED = {"name": "hours.own", "name_folded": "hours.own"}
_NAMED_OF_ALL = dict.fromkeys(_NAMED, f"IF({_OWN}, hours.own, '{NAME}')")
_LATEST = "last_seen_at - INTERVAL seq HOUR"
_OF_TABLE: Mapping[Table, dict[str, str]] = {
    models.pipelines: {"id": "hours.pipeline_id", **_NAMED},
    models.workers: {
        "id": _earlier_id("id", "worker"),
        **_NAMED_OF_ALL,
        "liveness": "'FINISHED'",
        "liveness_reason": "'nothing of it runs'",
        "quiet_since": _LATEST,
    },
    models.processes: {"id": _earlier_id("id", "process")},
    models.tasks: {"id": _earlier_id("id", "task")},
    models.activity: {"subject_id": _SUBJECT},
    models.pipeline_figures: {"workers_alive": "0", "workers_finished": f"{WORKERS}"},
    models.failures: {"id": _other_id("id")},
    models.failure_figures: {
        "slot_at": "IF(slot_seconds = 0, slot_at, slot_at - INTERVAL seq HOUR)",
    },
    process_texts: {"subject_id": _earlier_id("subject_id", "process"), **_SAID},
    failure_texts: {"subject_id": _other_id("subject_id"), **_SAID},
}


def _sums(hours: int) -> str:
    """What is counted of all, and of the pipeline that every other hour is of."""
    own = hours // 2
    same = hours - own
    counters = ("succeeded", "failed")
    ever = ("runtime_microseconds", "ever_started", "ever_succeeded", "ever_failed")

    def times(names: tuple[str, ...], count: int) -> str:
        return ", ".join(f"{name} = {name} * {count}" for name in names)

    of_same = f"pipeline_id = '{pipeline_id(NAME)}'"
    figures = "SELECT {}(f.{}) FROM failure_figures f WHERE f.failure_id = failures.id"
    often = figures.format("MAX", "occurrences") + " AND f.slot_seconds = 0"
    return (
        f"UPDATE totals SET pipelines = {own + 1}, workers_finished = {WORKERS * (hours - 1)}, "
        f"{times(counters, hours)}; "
        f"UPDATE pipeline_figures SET workers_finished = {WORKERS * (same - 1)}, "
        f"{times((*counters, *ever), same)} WHERE {of_same}; "
        f"UPDATE failure_figures f JOIN failures ON f.failure_id = failures.id "
        f"SET f.occurrences = f.occurrences * {same} WHERE f.slot_seconds = 0 AND {of_same}; "
        f"UPDATE failures SET occurrences = ({often}), "
        f"last_seen_at = ({figures.format('MAX', 'last_seen_at')});"
    )


def _indexes(table: Table) -> Iterator[tuple[str, str]]:
    indexes = sorted(table.indexes, key=lambda index: index.name or "")
    for first in range(0, len(indexes), INDEXES):
        added = ", ".join(map(_added, indexes[first : first + INDEXES]))
        said = f"indexes of {table.name}, {first} of {len(indexes)}"
        yield f"ALTER TABLE {table.name} {added};", said


def _added(index: Index) -> str:
    prefix = index.dialect_options["mariadb"]["prefix"] or ""
    columns = ", ".join(f"`{column.name}`" for column in index.columns)
    return f"ADD {prefix} INDEX {index.name} ({columns})"
