"""Run by alembic for `db.migrate`, on the connection that it hands over."""

from alembic import context

from db.models import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
