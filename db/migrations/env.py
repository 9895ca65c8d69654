"""Run by Alembic for every command; the connection comes from `db.migrate`, which holds the lock.

There is no alembic.ini, hence nothing here that configures logging.
"""

from alembic import context

from db.models import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
