"""An index by which the versions of a pipeline are found, however many workers it has.

May run again after a crash at any point. Servers of the release before go on working meanwhile.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_COLUMNS = ("pipeline_id", "version", "registered_at")


def upgrade() -> None:
    name = f"ix_workers_{'_'.join(_COLUMNS)}"
    op.create_index(name, "workers", list(_COLUMNS), if_not_exists=True)
