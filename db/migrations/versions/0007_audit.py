"""Who did what: the audit, and what each act in it was done to.

May run again after a crash at any point. Servers of the release before do not look at it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

MARIADB = ("mysql", "mariadb")
INDEXES = (
    ("audit", ("at", "id")),
    ("audit", ("action", "at", "id")),
    ("audit_subjects", ("subject_id", "at", "audit_id")),
)


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _ascii(), primary_key=True),
        _instant(),
        *(sa.Column(name, _ascii(), nullable=False) for name in ("role", "address", "action")),
        sa.Column("summary", _summary(), nullable=False),
        mariadb_default_charset="utf8mb4",
        if_not_exists=True,
    )
    op.create_table(
        "audit_subjects",
        sa.Column("audit_id", _ascii(), primary_key=True),
        sa.Column("subject_id", _ascii(), primary_key=True),
        _instant(),
        sa.Column("action", _ascii(), nullable=False),
        mariadb_default_charset="utf8mb4",
        if_not_exists=True,
    )
    for table, columns in INDEXES:
        op.create_index(f"ix_{table}_{'_'.join(columns)}", table, columns, if_not_exists=True)


def _ascii() -> sa.types.TypeEngine[str]:
    return sa.String(64).with_variant(
        mysql.VARCHAR(64, charset="ascii", collation="ascii_bin"), *MARIADB
    )


def _summary() -> sa.types.TypeEngine[str]:
    return sa.String(600).with_variant(
        mysql.VARCHAR(600, charset="utf8mb4", collation="utf8mb4_nopad_bin"), *MARIADB
    )


def _instant() -> sa.Column[object]:
    type_ = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *MARIADB)
    return sa.Column("at", type_, nullable=False)
