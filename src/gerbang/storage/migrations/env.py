"""What Alembic runs around the migrations. The connection, and with it the transaction, comes from `gerbang.storage.migrating`.

There is no way down: nothing that happened to money is given up to an older schema. Restore a backup instead.
"""

from alembic import context

from gerbang.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter most things: the table is copied instead.
    render_as_batch=True,
    # Both engines take schema changes back, and migrating.py has begun the transaction: all migrations or none.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
