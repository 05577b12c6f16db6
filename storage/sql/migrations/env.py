"""How alembic runs our revisions: on the connection that it is given, inside the transaction of its caller. No addresses here."""

from alembic import context

from storage.sql.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
context.run_migrations()
