"""What is in overtime, and when it is due to be looked at.

May run again after a crash at any point. What runs is due at once, so that it is looked at.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
_TABLES = ("processes", "tasks")
_COLUMNS = ("overtime_due_at", "id")


def upgrade() -> None:
    for table in _TABLES:
        _add_columns(table)
        # Those of a process that has ended are looked at once, and then no more.
        op.execute(
            f"UPDATE {table} SET overtime_due_at = started_at"
            " WHERE status = 'RUNNING' AND overtime_due_at IS NULL"
        )
        name = f"ix_{table}_{'_'.join(_COLUMNS)}"
        op.create_index(name, table, list(_COLUMNS), if_not_exists=True)


def _add_columns(table: str) -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
    new: Sequence[sa.Column[Any]] = (
        sa.Column("overtime", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("overtime_due_at", _INSTANT),
    )
    for column in new:
        # SQLite knows no ADD COLUMN IF NOT EXISTS.
        if column.name not in there:
            op.add_column(table, column)
