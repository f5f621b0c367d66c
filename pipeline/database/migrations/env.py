"""Run by alembic: migrates over the connection that `pipeline.database.engine` holds with its lock."""

from alembic import context

from pipeline.database.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
