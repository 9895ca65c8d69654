"""Processes whose start report was lost, and which process the ids of an ended one mean.

May run again after a crash at any point. Servers of the release before go on working meanwhile: the
new columns have defaults.
"""

import sqlalchemy as sa
from alembic import op

from db.models import Id

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("processes")}
    for column in (
        sa.Column("recovered", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("successor_id", Id),
    ):
        # SQLite knows no ADD COLUMN IF NOT EXISTS.
        if column.name not in there:
            op.add_column("processes", column)
