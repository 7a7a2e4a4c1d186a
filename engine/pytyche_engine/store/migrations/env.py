"""What Alembic runs: the migrations, over the connection that `database` hands in."""

from alembic import context

from pytyche_engine.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
