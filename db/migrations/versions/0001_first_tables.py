"""The first tables.

Types are spelled out, not taken from `db.models`: the models will move on, this step will not.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None

MARIADB = ("mysql", "mariadb")
ID = sa.String(64).with_variant(mysql.VARCHAR(64, charset="ascii", collation="ascii_bin"), *MARIADB)
WORD = sa.String(16).with_variant(
    mysql.VARCHAR(16, charset="ascii", collation="ascii_bin"), *MARIADB
)
LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), *MARIADB
)
AUTO_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *MARIADB)


def _text(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(
        mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), *MARIADB
    )


def upgrade() -> None:
    op.create_table(
        "activity",
        sa.Column("worker_id", ID, nullable=False),
        sa.Column("slot_seconds", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("slot_at", INSTANT, nullable=False),
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("started", sa.Integer(), nullable=False),
        sa.Column("succeeded", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("runtime_microseconds", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("worker_id", "slot_seconds", "slot_at", "shard"),
        mysql_default_charset="utf8mb4",
    )
    op.create_table(
        "feed_position",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.String(length=32), nullable=False),
        sa.Column("position", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        mysql_default_charset="utf8mb4",
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("key", _text(128), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("answer", LONG_TEXT, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("key"),
        mysql_default_charset="utf8mb4",
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
    op.create_table(
        "outbox",
        sa.Column("id", AUTO_ID, autoincrement=True, nullable=False),
        sa.Column("events", LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        mysql_default_charset="utf8mb4",
    )
    op.create_table(
        "totals",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("workers_online", sa.BigInteger(), nullable=False),
        sa.Column("workers_offline", sa.BigInteger(), nullable=False),
        sa.Column("running", sa.BigInteger(), nullable=False),
        sa.Column("succeeded", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("stalled", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("shard"),
        mysql_default_charset="utf8mb4",
    )
    op.create_table(
        "watch",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("watching_since", INSTANT, nullable=False),
        sa.Column("last_look_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        mysql_default_charset="utf8mb4",
    )
    op.create_table(
        "workers",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", _text(255), nullable=False),
        sa.Column("name_folded", _text(750), nullable=False),
        sa.Column("version", _text(50), nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("task_definitions", LONG_TEXT, nullable=False),
        sa.Column("registered_at", INSTANT, nullable=False),
        sa.Column("last_seen_at", INSTANT, nullable=False),
        sa.Column("running", sa.Integer(), nullable=False),
        sa.Column("succeeded", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("runtime_microseconds", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        mysql_default_charset="utf8mb4",
    )
    op.create_index("ix_workers_last_seen_at_id", "workers", ["last_seen_at", "id"])
    op.create_index("ix_workers_name_folded_id", "workers", ["name_folded", "id"])
    op.create_index("ix_workers_registered_at_id", "workers", ["registered_at", "id"])
    op.create_index(
        "ix_workers_status_last_seen_at_id", "workers", ["status", "last_seen_at", "id"]
    )
    op.create_table(
        "processes",
        sa.Column("id", ID, nullable=False),
        sa.Column("worker_id", ID, nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("stalled", sa.Boolean(), nullable=False),
        sa.Column("task_count", sa.Integer(), nullable=False),
        sa.Column("ended_task_count", sa.Integer(), nullable=False),
        sa.Column("current_task_id", ID, nullable=True),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("details", LONG_TEXT, nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["worker_id"], ["workers.id"], name="fk_processes_worker_id_workers"
        ),
        sa.PrimaryKeyConstraint("id"),
        mysql_default_charset="utf8mb4",
    )
    op.create_index("ix_processes_started_at_id", "processes", ["started_at", "id"])
    op.create_index("ix_processes_status_ended_at", "processes", ["status", "ended_at"])
    op.create_index(
        "ix_processes_status_started_at_id", "processes", ["status", "started_at", "id"]
    )
    op.create_index("ix_processes_updated_at_id", "processes", ["updated_at", "id"])
    op.create_index(
        "ix_processes_worker_id_started_at_id", "processes", ["worker_id", "started_at", "id"]
    )
    op.create_index(
        "ix_processes_worker_id_status_started_at_id",
        "processes",
        ["worker_id", "status", "started_at", "id"],
    )
    op.create_table(
        "tasks",
        sa.Column("id", ID, nullable=False),
        sa.Column("process_id", ID, nullable=False),
        sa.Column("worker_id", ID, nullable=False),
        sa.Column("name", _text(255), nullable=False),
        sa.Column("name_folded", _text(750), nullable=False),
        sa.Column("version", _text(50), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("started_at", INSTANT, nullable=True),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("details", LONG_TEXT, nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["process_id"], ["processes.id"], name="fk_tasks_process_id_processes"
        ),
        sa.PrimaryKeyConstraint("id"),
        mysql_default_charset="utf8mb4",
    )
    op.create_index("ix_tasks_created_at_id", "tasks", ["created_at", "id"])
    op.create_index("ix_tasks_process_id_position", "tasks", ["process_id", "position"])
    op.create_index("ix_tasks_status_created_at_id", "tasks", ["status", "created_at", "id"])
    op.create_index("ix_tasks_updated_at_id", "tasks", ["updated_at", "id"])
    op.create_index("ix_tasks_worker_id_created_at_id", "tasks", ["worker_id", "created_at", "id"])
