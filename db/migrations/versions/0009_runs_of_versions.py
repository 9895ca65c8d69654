"""An index by which the processes of a pipeline's version are listed.

May run again after a crash at any point. Servers of the release before go on working meanwhile.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_COLUMNS = ("pipeline_id", "version", "status", "started_at", "id")


def upgrade() -> None:
    name = f"ix_processes_{'_'.join(_COLUMNS)}"
    op.create_index(name, "processes", list(_COLUMNS), if_not_exists=True)
