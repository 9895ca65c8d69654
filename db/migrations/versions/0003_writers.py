"""A row for each server process that writes: the last of its transactions that is committed.

May run again after a crash at any point. Servers of the release before do not look at it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MARIADB = ("mysql", "mariadb")


def upgrade() -> None:
    id_ = sa.String(64).with_variant(
        mysql.VARCHAR(64, charset="ascii", collation="ascii_bin"), *MARIADB
    )
    op.create_table(
        "writers",
        sa.Column("id", id_, primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column(
            "written_at",
            sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *MARIADB),
            nullable=False,
        ),
        mariadb_default_charset="utf8mb4",
        if_not_exists=True,
    )
