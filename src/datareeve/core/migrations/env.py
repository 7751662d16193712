"""Alembic's entry point for the ledger's schema: the connection is given by `ledger._migrate`."""

from alembic import context

from datareeve.core.ledger import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
