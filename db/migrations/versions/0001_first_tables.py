"""The first tables, and what the predecessor left.

May run again after a crash at any point: on MariaDB every CREATE and RENAME commits by itself and
is left out when it is done already; the predecessor's rows are carried over in one transaction.
There is no way back but a backup: going down would delete what was reported.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from db import predecessor

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MARIADB = ("mysql", "mariadb")


def upgrade() -> None:
    connection = op.get_bind()
    predecessor.set_aside(connection)
    tables = _create_tables()
    for table, columns in _INDEXES:
        op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns), if_not_exists=True)
    predecessor.carry_over(connection, tables)


def _ascii(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(
        mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), *MARIADB
    )


def _text(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(
        mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_nopad_bin"), *MARIADB
    )


def _create(name: str, *columns: sa.Column[Any] | sa.Constraint) -> sa.Table:
    return op.create_table(name, *columns, mariadb_default_charset="utf8mb4", if_not_exists=True)


def _count(name: str, type_: type[sa.Integer] = sa.Integer) -> sa.Column[int]:
    return sa.Column(name, type_, nullable=False)


_ID = _ascii(64)
_WORD = _ascii(16)
_LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_nopad_bin"), *MARIADB
)
_INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *MARIADB)

_INDEXES = (
    ("workers", ("registered_at", "id")),
    ("workers", ("last_seen_at", "id")),
    ("workers", ("name_folded", "id")),
    ("workers", ("status", "last_seen_at", "id")),
    ("processes", ("worker_id", "started_at", "id")),
    ("processes", ("worker_id", "status", "started_at", "id")),
    ("processes", ("started_at", "id")),
    ("processes", ("updated_at", "id")),
    ("processes", ("status", "started_at", "id")),
    ("processes", ("status", "ended_at")),
    ("tasks", ("process_id", "position")),
    ("tasks", ("worker_id", "created_at", "id")),
    ("tasks", ("created_at", "id")),
    ("tasks", ("updated_at", "id")),
    ("tasks", ("status", "created_at", "id")),
    ("idempotency_keys", ("created_at",)),
)


def _create_tables() -> Mapping[str, sa.Table]:
    _create(
        "outbox",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("events", _LONG_TEXT, nullable=False),
    )
    _create(
        "idempotency_keys",
        sa.Column("key", _text(128), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("answer", _LONG_TEXT, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
    )
    _create(
        "watch",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("watching_since", _INSTANT, nullable=False),
        sa.Column("last_look_at", _INSTANT, nullable=False),
    )
    _create(
        "feed_position",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.String(32), nullable=False),
        sa.Column("position", sa.String(64), nullable=False),
    )
    return {
        "workers": _create_workers(),
        "processes": _create_processes(),
        "tasks": _create_tasks(),
        "totals": _create_totals(),
        "activity": _create_activity(),
    }


def _create_workers() -> sa.Table:
    return _create(
        "workers",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("name", _text(255), nullable=False),
        sa.Column("name_folded", _text(750), nullable=False),
        sa.Column("version", _text(50), nullable=False),
        sa.Column("status", _WORD, nullable=False),
        sa.Column("task_definitions", _LONG_TEXT, nullable=False),
        sa.Column("registered_at", _INSTANT, nullable=False),
        sa.Column("last_seen_at", _INSTANT, nullable=False),
        _count("running"),
        _count("succeeded"),
        _count("failed"),
        _count("runtime_microseconds", sa.BigInteger),
        _count("revision", sa.BigInteger),
    )


def _create_processes() -> sa.Table:
    return _create(
        "processes",
        sa.Column("id", _ID, primary_key=True),
        sa.Column(
            "worker_id",
            _ID,
            sa.ForeignKey("workers.id", name="fk_processes_worker_id_workers"),
            nullable=False,
        ),
        sa.Column("status", _WORD, nullable=False),
        sa.Column("stalled", sa.Boolean, nullable=False),
        _count("task_count"),
        _count("ended_task_count"),
        sa.Column("current_task_id", _ID),
        sa.Column("started_at", _INSTANT, nullable=False),
        sa.Column("updated_at", _INSTANT, nullable=False),
        sa.Column("ended_at", _INSTANT),
        sa.Column("details", _LONG_TEXT),
        _count("revision", sa.BigInteger),
    )


def _create_tasks() -> sa.Table:
    return _create(
        "tasks",
        sa.Column("id", _ID, primary_key=True),
        sa.Column(
            "process_id",
            _ID,
            sa.ForeignKey("processes.id", name="fk_tasks_process_id_processes"),
            nullable=False,
        ),
        sa.Column("worker_id", _ID, nullable=False),
        sa.Column("name", _text(255), nullable=False),
        sa.Column("name_folded", _text(750), nullable=False),
        sa.Column("version", _text(50), nullable=False),
        _count("position"),
        sa.Column("status", _WORD, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("started_at", _INSTANT),
        sa.Column("updated_at", _INSTANT, nullable=False),
        sa.Column("ended_at", _INSTANT),
        sa.Column("details", _LONG_TEXT),
        _count("revision", sa.BigInteger),
    )


def _create_totals() -> sa.Table:
    return _create(
        "totals",
        sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
        _count("workers_online", sa.BigInteger),
        _count("workers_offline", sa.BigInteger),
        _count("running", sa.BigInteger),
        _count("succeeded", sa.BigInteger),
        _count("failed", sa.BigInteger),
        _count("stalled", sa.BigInteger),
    )


def _create_activity() -> sa.Table:
    return _create(
        "activity",
        sa.Column("worker_id", _ID, primary_key=True),
        sa.Column("slot_seconds", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("slot_at", _INSTANT, primary_key=True),
        sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
        _count("started"),
        _count("succeeded"),
        _count("failed"),
        _count("runtime_microseconds", sa.BigInteger),
    )
