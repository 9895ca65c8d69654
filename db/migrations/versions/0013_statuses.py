"""The status of failures as a column, for the indexes of lists that are filtered by it.

May run again after a crash at any point. The database derives it from what is in the row, so it is
right for what is there, and for what a server of the release before writes meanwhile.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_WORD = sa.String(16).with_variant(
    mysql.VARCHAR(16, charset="ascii", collation="ascii_bin"), "mysql", "mariadb"
)
_STATUS = (
    "CASE WHEN muted_until IS NOT NULL THEN 'MUTED' WHEN resolved_at IS NULL THEN 'OPEN' "
    "WHEN last_seen_at > resolved_at THEN 'REGRESSED' ELSE 'RESOLVED' END"
)
_ORDERS = ("last_seen_at", "first_seen_at", "occurrences")
_PREFIXES = (("status",), ("pipeline_id", "status"))


def upgrade() -> None:
    connection = op.get_bind()
    # SQLite knows no ADD COLUMN IF NOT EXISTS, and can add no column that it stores.
    if "status" not in {
        column["name"] for column in sa.inspect(connection).get_columns("failures")
    }:
        stored = connection.dialect.name != "sqlite"
        op.add_column("failures", sa.Column("status", _WORD, sa.Computed(_STATUS, stored)))
    for order in _ORDERS:
        for prefix in _PREFIXES:
            names = [*prefix, order, "id"]
            op.create_index(f"ix_failures_{'_'.join(names)}", "failures", names, if_not_exists=True)
