"""Failures: failed processes that are alike, with their figures.

May run again after a crash at any point. Servers of the release before must have ended: they would
not keep the figures.
What failed before is grouped by the server processes, step by step (`monitor.upkeep.grouping`).
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_MARIADB = ("mysql", "mariadb")
_INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *_MARIADB)
_LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_nopad_bin"), *_MARIADB
)
_ORDERS = ("last_seen_at", "first_seen_at", "occurrences")
_INDEXES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("processes", ("failure_id", "started_at", "id")),
    *(
        ("failures", (*prefix, order, "id"))
        for order in _ORDERS
        for prefix in ((), ("pipeline_id",))
    ),
    ("failures", ("muted_until",)),
    ("failure_figures", ("untold", "failure_id")),
)


def _id(name: str, **options: Any) -> sa.Column[Any]:
    type_ = sa.String(64).with_variant(
        mysql.VARCHAR(64, charset="ascii", collation="ascii_bin"), *_MARIADB
    )
    return sa.Column(name, type_, **options)


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column[Any]:
    type_ = sa.String(length).with_variant(
        mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_nopad_bin"), *_MARIADB
    )
    return sa.Column(name, type_, nullable=nullable)


def upgrade() -> None:
    columns = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("processes")}
    # SQLite knows no ADD COLUMN IF NOT EXISTS.
    if "failure_id" not in columns:
        op.add_column("processes", _id("failure_id"))
    _create(
        "failures",
        _id("id", primary_key=True),
        *(_id(name, nullable=False) for name in ("fingerprint", "pipeline_id")),
        _text("step", 255, nullable=True),
        *(_text("title", 300), _text("title_folded", 750)),
        *(_instant("first_seen_at"), _text("first_version", 50)),
        *(_instant("last_seen_at"), sa.Column("occurrences", sa.BigInteger, nullable=False)),
        *(sa.Column(name, _INSTANT) for name in ("resolved_at", "muted_until")),
        *(_instant("told_at"), sa.Column("revision", sa.BigInteger, nullable=False)),
        *(sa.Column("told", _LONG_TEXT), _id("moments", nullable=False)),
    )
    _create(
        "failure_figures",
        _id("failure_id", primary_key=True),
        sa.Column("slot_seconds", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("slot_at", _INSTANT, primary_key=True),
        sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("occurrences", sa.BigInteger, nullable=False),
        *(_instant("last_seen_at"), _text("last_end", 100)),
        sa.Column("untold", sa.Boolean, nullable=False),
    )
    for table, names in _INDEXES:
        op.create_index(f"ix_{table}_{'_'.join(names)}", table, list(names), if_not_exists=True)


def _instant(name: str) -> sa.Column[Any]:
    return sa.Column(name, _INSTANT, nullable=False)


def _create(name: str, *columns: sa.Column[Any]) -> None:
    op.create_table(name, *columns, mariadb_default_charset="utf8mb4", if_not_exists=True)
