"""Pipelines: all workers of one name, with their figures, activity and durations; liveness.

May run again after a crash at any point; what it filled of long tables until then stays filled on
MariaDB. Servers of the release before must have ended: they would not keep the new figures.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from db import pipeline_filling

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_MARIADB = ("mysql", "mariadb")
_EPOCH = "1970-01-01 00:00:00.000000"
_INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *_MARIADB)
_LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_nopad_bin"), *_MARIADB
)
_COUNTERS = (
    *("workers_alive", "workers_finished", "workers_lost"),
    *("running", "succeeded", "failed", "stalled"),
)
_EVER = ("ever_started", "ever_succeeded", "ever_failed", "ever_lost")
_ORDERS = {
    "workers": ("registered_at", "last_seen_at"),
    "processes": ("started_at", "updated_at"),
    "tasks": ("created_at", "updated_at", "position"),
}
_ADDED: Sequence[tuple[str, tuple[str, ...]]] = (
    *(
        ("workers", ("archived", *prefix, order, "id"))
        for order in _ORDERS["workers"]
        for prefix in (("liveness",), ("pipeline_id",), ("pipeline_id", "liveness"))
    ),
    ("workers", ("pipeline_id", "registered_at", "id")),
    ("workers", ("liveness", "quiet_since", "id")),
    *(
        (table, ("pipeline_id", "status", order, "id"))
        for table in ("processes", "tasks")
        for order in _ORDERS[table]
    ),
    ("processes", ("pipeline_id", "started_at", "id")),
    ("processes", ("pipeline_id", "ended_at", "id")),
    ("pipelines", ("name_folded", "id")),
    ("pipelines", ("last_seen_at", "id")),
    ("pipeline_figures", ("untold", "pipeline_id")),
)
_DROPPED: Sequence[tuple[str, tuple[str, ...]]] = tuple(
    ("workers", ("archived", "status", order, "id")) for order in _ORDERS["workers"]
)


def _ascii(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(
        mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), *_MARIADB
    )


def _text(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(
        mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_nopad_bin"), *_MARIADB
    )


def upgrade() -> None:
    connection = op.get_bind()
    _add_columns()
    if "subject_id" not in _columns("activity"):
        op.execute("ALTER TABLE activity RENAME COLUMN worker_id TO subject_id")
    if "pipelines" not in _columns("totals"):
        op.drop_table("totals")
    _create_tables()
    pipeline_filling.fill_rows(connection, with_status="status" in _columns("workers"))
    for table, columns in _ADDED:
        op.create_index(_name(table, columns), table, list(columns), if_not_exists=True)
    pipeline_filling.fill_figures(connection)
    for table, columns in _DROPPED:
        op.drop_index(_name(table, columns), table, if_exists=True)
    if "status" in _columns("workers"):
        op.drop_column("workers", "status")


def _add_columns() -> None:
    def pipeline_id() -> sa.Column[Any]:
        return sa.Column("pipeline_id", _ascii(64), nullable=False, server_default="")

    new: Sequence[tuple[str, sa.Column[Any]]] = (
        ("workers", pipeline_id()),
        ("workers", sa.Column("liveness", _ascii(16), nullable=False, server_default="ALIVE")),
        ("workers", sa.Column("liveness_reason", _text(400))),
        (
            "workers",
            sa.Column("sends_heartbeats", sa.Boolean, nullable=False, server_default=sa.false()),
        ),
        ("workers", sa.Column("quiet_since", _INSTANT, nullable=False, server_default=_EPOCH)),
        ("processes", pipeline_id()),
        ("processes", sa.Column("version", _text(50), nullable=False, server_default="")),
        ("tasks", pipeline_id()),
    )
    for table, column in new:
        # SQLite knows no ADD COLUMN IF NOT EXISTS.
        if column.name not in _columns(table):
            op.add_column(table, column)


def _create_tables() -> None:
    def count(name: str, type_: type[sa.Integer] = sa.BigInteger) -> sa.Column[int]:
        return sa.Column(name, type_, nullable=False)

    def key(name: str, type_: Any) -> sa.Column[Any]:
        return sa.Column(name, type_, primary_key=True, autoincrement=False)

    _create(
        "pipelines",
        sa.Column("id", _ascii(64), primary_key=True),
        sa.Column("name", _text(255), nullable=False),
        sa.Column("name_folded", _text(750), nullable=False),
        *(sa.Column(n, _INSTANT, nullable=False) for n in ("first_seen_at", "last_seen_at")),
        sa.Column("told_at", _INSTANT, nullable=False),
        count("revision"),
        sa.Column("told", _LONG_TEXT),
    )
    _create(
        "pipeline_figures",
        sa.Column("pipeline_id", _ascii(64), primary_key=True),
        key("shard", sa.SmallInteger),
        *map(count, (*_COUNTERS, "runtime_microseconds", *_EVER)),
        sa.Column("last_seen_at", _INSTANT, nullable=False),
        sa.Column("untold", sa.Boolean, nullable=False),
    )
    _create("totals", key("shard", sa.SmallInteger), *map(count, ("pipelines", *_COUNTERS)))
    _create(
        "durations",
        sa.Column("pipeline_id", _ascii(64), primary_key=True),
        sa.Column("of", _ascii(16), primary_key=True),
        sa.Column("step", _text(255), primary_key=True),
        key("slot_seconds", sa.Integer),
        sa.Column("slot_at", _INSTANT, primary_key=True),
        sa.Column("version", _text(50), primary_key=True),
        key("bucket", sa.SmallInteger),
        key("shard", sa.SmallInteger),
        count("succeeded", sa.Integer),
        count("failed", sa.Integer),
    )


def _create(name: str, *columns: sa.Column[Any]) -> None:
    op.create_table(name, *columns, mariadb_default_charset="utf8mb4", if_not_exists=True)


def _columns(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}


def _name(table: str, columns: tuple[str, ...]) -> str:
    return f"ix_{table}_{'_'.join(columns)}"
