"""An index by which the workers of a status are listed by their names.

May run again after a crash at any point. Servers of the release before go on working meanwhile.
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_COLUMNS = ("archived", "liveness", "name_folded", "id")


def upgrade() -> None:
    name = f"ix_workers_{'_'.join(_COLUMNS)}"
    op.create_index(name, "workers", list(_COLUMNS), if_not_exists=True)
