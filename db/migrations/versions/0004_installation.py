"""The name of the installation, by which several may use one Redis.

May run again after a crash at any point, like the first.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "installation",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(32), nullable=False),
        mariadb_default_charset="utf8mb4",
        if_not_exists=True,
    )
