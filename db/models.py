"""The tables, one definition for MariaDB and SQLite.

Core tables, not mapped classes: the write path loads and stores many rows per statement, and the
domain objects (`monitor.entities`) are immutable, so an identity map and lazy loading would only
cost time.
"""

from datetime import UTC, datetime
from typing import Any, cast

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    false,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeDecorator, TypeEngine

from db.derived import Derived

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC instant with microseconds.

    MariaDB's plain DATETIME silently drops microseconds and both databases drop the offset, hence
    DATETIME(6), and naive values are refused rather than guessed at.
    """

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored: its instant is unknown")
        return value.astimezone(UTC).replace(tzinfo=None)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        # Not process_result_value, which SQLAlchemy wraps twice: a page has hundreds of instants.
        parse = self.load_dialect_impl(dialect).result_processor(dialect, coltype)
        if parse is None:
            # The driver makes whole instants (`db.peers`).
            return None

        def process(value: Any) -> Any:
            if value is None:
                return None
            return cast(datetime, parse(value)).replace(tzinfo=UTC)

        return process


class Json(TypeDecorator[Any]):
    """A JSON value kept as text; never queried into."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(LongText)

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        del dialect
        return None if value is None else orjson.dumps(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        del dialect
        return None if value is None else orjson.loads(value)


# Ids and enum words are ASCII and compared byte by byte; MariaDB's default collation would take
# 'A' for 'a'. What people write is utf8mb4, equally byte by byte.
Id = String(64).with_variant(
    mysql.VARCHAR(64, charset="ascii", collation="ascii_bin"), "mysql", "mariadb"
)
Word = String(16).with_variant(
    mysql.VARCHAR(16, charset="ascii", collation="ascii_bin"), "mysql", "mariadb"
)
# 16 MiB in MariaDB; `details` are limited to 1 MiB before they come here.
LongText = Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_nopad_bin"), "mysql", "mariadb"
)
AutoId = BigInteger().with_variant(Integer(), "sqlite")


def _text(length: int) -> TypeEngine[str]:
    return String(length).with_variant(
        mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_nopad_bin"), "mysql", "mariadb"
    )


def _counters() -> list[Column[int]]:
    names = "workers_alive workers_finished workers_lost running succeeded failed stalled"
    return [Column(name, BigInteger, nullable=False) for name in names.split()]


def _overtime() -> list[SchemaItem]:
    return [
        Column("overtime", Boolean, nullable=False, server_default=false()),
        # While it runs: when it is to be looked at whether it takes longer than usual.
        Column("overtime_due_at", UtcDateTime),
        Index(None, "overtime_due_at", "id"),
    ]


_EPOCH = "1970-01-01 00:00:00.000000"
NAME_LENGTH = 255
VERSION_LENGTH = 50
# Case folding can make three characters of one; the longest that an index takes beside an id.
FOLDED_LENGTH = 750
REASON_LENGTH = 400
SUMMARY_LENGTH = 600
IDEMPOTENCY_KEY_LENGTH = 128
TITLE_LENGTH = 300
# An instant as text, and a version.
LAST_END_LENGTH = 100

# All workers of one name. The rest of it is kept in `pipeline_figures`, so that replicas do not
# queue for this row: it changes when followers are told of the pipeline.
pipelines = Table(
    "pipelines",
    metadata,
    # Made of the name.
    Column("id", Id, primary_key=True),
    Column("name", _text(NAME_LENGTH), nullable=False),
    Column("name_folded", _text(FOLDED_LENGTH), nullable=False),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime, nullable=False),
    # Looked at then for the last time; followers were last told of this revision, in this state.
    Column("told_at", UtcDateTime, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("told", Json),
    Index(None, "name_folded", "id"),
    Index(None, "last_seen_at", "id"),
    mariadb_default_charset="utf8mb4",
)

workers = Table(
    "workers",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", _text(NAME_LENGTH), nullable=False),
    # The name case-folded: sorting and searching, the same on both databases and in the feed.
    Column("name_folded", _text(FOLDED_LENGTH), nullable=False),
    Column("version", _text(VERSION_LENGTH), nullable=False),
    # [[name, version], …] in order of position; never changes after registration.
    Column("task_definitions", Json, nullable=False),
    Column("registered_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime, nullable=False),
    Column("running", Integer, nullable=False),
    Column("succeeded", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    # Summed over the ended processes.
    Column("runtime_microseconds", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    # Silent for so long that no list shows it. What came later than the table has defaults.
    Column("archived", Boolean, nullable=False, server_default=false()),
    Column("pipeline_id", Id, nullable=False, server_default=""),
    Column("liveness", Word, nullable=False, server_default="ALIVE"),
    # Why its silence is judged so; null while it is not silent.
    Column("liveness_reason", _text(REASON_LENGTH)),
    Column("sends_heartbeats", Boolean, nullable=False, server_default=false()),
    # From when on its silence counts: last_seen_at, later in a step that usually takes long.
    Column("quiet_since", UtcDateTime, nullable=False, server_default=_EPOCH),
    *(
        Index(None, "archived", *prefix, order, "id")
        for order in ("registered_at", "last_seen_at")
        for prefix in ((), ("liveness",), ("pipeline_id",), ("pipeline_id", "liveness"))
    ),
    Index(None, "archived", "name_folded", "id"),
    Index(None, "pipeline_id", "registered_at", "id"),
    # Which versions a pipeline has, and since when.
    Index(None, "pipeline_id", "version", "registered_at"),
    Index(None, "liveness", "quiet_since", "id"),
    mariadb_default_charset="utf8mb4",
)

processes = Table(
    "processes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("worker_id", Id, ForeignKey(workers.c.id), nullable=False),
    Column("status", Word, nullable=False),
    Column("stalled", Boolean, nullable=False),
    Column("task_count", Integer, nullable=False),
    Column("ended_task_count", Integer, nullable=False),
    # The task last reported on; null before the first report.
    Column("current_task_id", Id),
    Column("started_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("details", LongText),
    Column("revision", BigInteger, nullable=False),
    # Its start was lost; with a default for servers of the release before.
    Column("recovered", Boolean, nullable=False, server_default=false()),
    # Of an ended process: the one that its ids mean while that runs. It may have been removed.
    Column("successor_id", Id),
    Column("pipeline_id", Id, nullable=False, server_default=""),
    # Of its worker.
    Column("version", _text(VERSION_LENGTH), nullable=False, server_default=""),
    # Of one that ended with an error; null of those that are not grouped yet, too.
    Column("failure_id", Id),
    *_overtime(),
    Index(None, "started_at", "id"),
    Index(None, "failure_id", "started_at", "id"),
    *(
        Index(None, *prefix, "status", order, "id")
        for order in ("started_at", "updated_at")
        for prefix in ((), ("worker_id",), ("pipeline_id",))
    ),
    Index(None, "worker_id", "started_at", "id"),
    Index(None, "pipeline_id", "started_at", "id"),
    Index(None, "pipeline_id", "version", "status", "started_at", "id"),
    # The latest end is the last of these: null sorts before all others.
    Index(None, "pipeline_id", "ended_at", "id"),
    Index(None, "status", "ended_at"),
    mariadb_default_charset="utf8mb4",
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("process_id", Id, ForeignKey(processes.c.id), nullable=False),
    Column("worker_id", Id, nullable=False),
    Column("name", _text(NAME_LENGTH), nullable=False),
    Column("name_folded", _text(FOLDED_LENGTH), nullable=False),
    Column("version", _text(VERSION_LENGTH), nullable=False),
    Column("position", Integer, nullable=False),
    Column("status", Word, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("details", LongText),
    Column("revision", BigInteger, nullable=False),
    Column("pipeline_id", Id, nullable=False, server_default=""),
    *_overtime(),
    Index(None, "process_id", "position"),
    # Each begins with the status: a list of all is one of each status, merged (`monitor.reading`).
    *(
        Index(None, *prefix, "status", order, "id")
        for order in ("created_at", "updated_at", "position")
        for prefix in ((), ("worker_id",), ("pipeline_id",))
    ),
    mariadb_default_charset="utf8mb4",
)

# Events on their way to the live feed: one row per commit, all its events in order.
outbox = Table(
    "outbox",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    Column("events", LongText, nullable=False),
    mariadb_default_charset="utf8mb4",
)

# Sums over everything that is kept, one row per shard; a server process writes only its own shard,
# so that replicas do not queue for one row.
totals = Table(
    "totals",
    metadata,
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("pipelines", BigInteger, nullable=False),
    *_counters(),
    mariadb_default_charset="utf8mb4",
)

# The same for each pipeline, sharded likewise.
pipeline_figures = Table(
    "pipeline_figures",
    metadata,
    Column("pipeline_id", Id, primary_key=True),
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    *_counters(),
    Column("runtime_microseconds", BigInteger, nullable=False),
    # How often processes started and ended and workers were lost: these only grow, so they tell
    # what happened between two looks, whatever was undone or removed meanwhile.
    *(
        Column(name, BigInteger, nullable=False)
        for name in ("ever_started", "ever_succeeded", "ever_failed", "ever_lost")
    ),
    Column("last_seen_at", UtcDateTime, nullable=False),
    # Whether there is something in it that followers of the pipeline were not told.
    Column("untold", Boolean, nullable=False),
    Index(None, "untold", "pipeline_id"),
    mariadb_default_charset="utf8mb4",
)

# Processes started and ended per slot of 60 and of 3600 seconds; subject_id is of a worker or of a
# pipeline, '' for all together (these two sharded like totals, 0 for a single worker).
activity = Table(
    "activity",
    metadata,
    Column("subject_id", Id, primary_key=True),
    Column("slot_seconds", Integer, primary_key=True, autoincrement=False),
    Column("slot_at", UtcDateTime, primary_key=True),
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("started", Integer, nullable=False),
    Column("succeeded", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("runtime_microseconds", BigInteger, nullable=False),
    mariadb_default_charset="utf8mb4",
)

# How long steps (of TASK) and whole processes (of PROCESS, step '') took that ended in slots of
# 3600 and of 86400 seconds: how many per bucket of `monitor.histogram`, sharded like totals.
durations = Table(
    "durations",
    metadata,
    Column("pipeline_id", Id, primary_key=True),
    Column("of", Word, primary_key=True),
    Column("step", _text(NAME_LENGTH), primary_key=True),
    Column("slot_seconds", Integer, primary_key=True, autoincrement=False),
    Column("slot_at", UtcDateTime, primary_key=True),
    # Of the worker.
    Column("version", _text(VERSION_LENGTH), primary_key=True),
    Column("bucket", SmallInteger, primary_key=True, autoincrement=False),
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("succeeded", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    mariadb_default_charset="utf8mb4",
)

# Failed processes that are alike. How often and when it was seen is kept in `failure_figures`, so
# that replicas do not queue for this row: it changes when followers are told of it, and by people.

failures = Table(
    "failures",
    metadata,
    # Made of the fingerprint.
    Column("id", Id, primary_key=True),
    Column("fingerprint", Id, nullable=False),
    Column("pipeline_id", Id, nullable=False),
    Column("step", _text(NAME_LENGTH)),
    Column("title", _text(TITLE_LENGTH), nullable=False),
    Column("title_folded", _text(FOLDED_LENGTH), nullable=False),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("first_version", _text(VERSION_LENGTH), nullable=False),
    # As of when it was told last: what lists are sorted by.
    Column("last_seen_at", UtcDateTime, nullable=False),
    Column("occurrences", BigInteger, nullable=False),
    # What people made of it; both null: nothing.
    Column("resolved_at", UtcDateTime),
    Column("muted_until", UtcDateTime),
    # As of pipelines; `moments`: the statuses that it had since then by what people did.
    Column("told_at", UtcDateTime, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("told", Json),
    Column("moments", Id, nullable=False),
    # As `reading.failures.status_of`, but as of when it was told last.
    Column(
        "status",
        Word,
        Derived(
            "CASE WHEN muted_until IS NOT NULL THEN 'MUTED' WHEN resolved_at IS NULL THEN 'OPEN' "
            "WHEN last_seen_at > resolved_at THEN 'REGRESSED' ELSE 'RESOLVED' END"
        ),
    ),
    *(
        Index(None, *prefix, order, "id")
        for order in ("last_seen_at", "first_seen_at", "occurrences")
        for prefix in ((), ("pipeline_id",), ("status",), ("pipeline_id", "status"))
    ),
    Index(None, "muted_until"),
    mariadb_default_charset="utf8mb4",
)

# How often a failure was seen: ever (slot_seconds 0) and by slots of 3600 s, sharded like totals;
# in shard -1, as negative numbers, the processes of it that were removed.
failure_figures = Table(
    "failure_figures",
    metadata,
    Column("failure_id", Id, primary_key=True),
    Column("slot_seconds", Integer, primary_key=True, autoincrement=False),
    Column("slot_at", UtcDateTime, primary_key=True),
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("occurrences", BigInteger, nullable=False),
    Column("last_seen_at", UtcDateTime, nullable=False),
    # That instant as text and the version of then: the greatest one is of the latest end.
    Column("last_end", _text(LAST_END_LENGTH), nullable=False),
    # Whether there is something in it that followers of the failure were not told.
    Column("untold", Boolean, nullable=False),
    Index(None, "untold", "failure_id"),
    mariadb_default_charset="utf8mb4",
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", _text(IDEMPOTENCY_KEY_LENGTH), primary_key=True),
    # SHA-256 of the operation and its input, in hex.
    Column("fingerprint", String(64), nullable=False),
    Column("answer", LongText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    mariadb_default_charset="utf8mb4",
)

# Who did what (`monitor.acts`), and what to.
audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("role", Id, nullable=False),
    Column("address", Id, nullable=False),
    Column("action", Id, nullable=False),
    Column("summary", _text(SUMMARY_LENGTH), nullable=False),
    Index(None, "at", "id"),
    Index(None, "action", "at", "id"),
    mariadb_default_charset="utf8mb4",
)

audit_subjects = Table(
    "audit_subjects",
    metadata,
    Column("audit_id", Id, primary_key=True),
    Column("subject_id", Id, primary_key=True),
    # As of the act, so that a page of one subject's follows an index.
    Column("at", UtcDateTime, nullable=False),
    Column("action", Id, nullable=False),
    Index(None, "subject_id", "at", "audit_id"),
    mariadb_default_charset="utf8mb4",
)

# One row per server process: the number of the last of its transactions that is committed, so that
# what became of a COMMIT without an answer can be looked up.
writers = Table(
    "writers",
    metadata,
    Column("id", Id, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("written_at", UtcDateTime, nullable=False),
    mariadb_default_charset="utf8mb4",
)

# One row (id 1): since when the monitor has been watching without a break.
watch = Table(
    "watch",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("watching_since", UtcDateTime, nullable=False),
    Column("last_look_at", UtcDateTime, nullable=False),
    mariadb_default_charset="utf8mb4",
)

# One row (id 1): how far the relay has come in the live feed, to notice a feed that lost entries.
feed_position = Table(
    "feed_position",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("epoch", String(32), nullable=False),
    Column("position", String(64), nullable=False),
    mariadb_default_charset="utf8mb4",
)

# One row (id 1), made at the first start: what tells this database's keys in Redis from others'.
installation = Table(
    "installation",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("name", String(32), nullable=False),
    mariadb_default_charset="utf8mb4",
)
