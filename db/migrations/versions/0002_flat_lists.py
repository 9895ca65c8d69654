"""An index for every order and filter of the lists, and workers that are archived.

May run again after a crash at any point, like the first. Servers of the release before go on
working meanwhile: MariaDB builds indexes while rows are written, and the new column has a default.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ADDED: Sequence[tuple[str, tuple[str, ...]]] = (
    ("workers", ("archived", "registered_at", "id")),
    ("workers", ("archived", "last_seen_at", "id")),
    ("workers", ("archived", "name_folded", "id")),
    ("workers", ("archived", "status", "registered_at", "id")),
    ("workers", ("archived", "status", "last_seen_at", "id")),
    ("processes", ("worker_id", "status", "updated_at", "id")),
    ("processes", ("status", "updated_at", "id")),
    ("tasks", ("worker_id", "status", "created_at", "id")),
    ("tasks", ("status", "updated_at", "id")),
    ("tasks", ("worker_id", "status", "updated_at", "id")),
    ("tasks", ("status", "position", "id")),
    ("tasks", ("worker_id", "status", "position", "id")),
)
# After the others, which take their place.
_DROPPED: Sequence[tuple[str, tuple[str, ...]]] = (
    ("workers", ("registered_at", "id")),
    ("workers", ("last_seen_at", "id")),
    ("workers", ("name_folded", "id")),
    ("workers", ("status", "last_seen_at", "id")),
    ("processes", ("updated_at", "id")),
    ("tasks", ("worker_id", "created_at", "id")),
    ("tasks", ("created_at", "id")),
    ("tasks", ("updated_at", "id")),
)


def upgrade() -> None:
    archived = sa.Column("archived", sa.Boolean, nullable=False, server_default=sa.false())
    # SQLite knows no ADD COLUMN IF NOT EXISTS.
    if archived.name not in {c["name"] for c in sa.inspect(op.get_bind()).get_columns("workers")}:
        op.add_column("workers", archived)
    for table, columns in _ADDED:
        op.create_index(_name(table, columns), table, list(columns), if_not_exists=True)
    for table, columns in _DROPPED:
        op.drop_index(_name(table, columns), table, if_exists=True)


def _name(table: str, columns: tuple[str, ...]) -> str:
    return f"ix_{table}_{'_'.join(columns)}"
