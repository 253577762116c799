"""Opening a database: choose the engine by its address, and bring its schema to the newest version."""

from importlib import resources

from gerbang.storage.database import Database
from gerbang.storage.head import HEAD


class StorageTooNew(Exception):
    """A newer version of Gerbang has migrated this database. Nothing was touched."""


def open_database(address: str, *, migrate: bool = True, connections: int = 16, patience_s: float | None = None) -> Database:
    """Open `PATH`, `:memory:` or `postgresql://…` and make sure its schema is the newest.

    A fresh database gets the generated schema snapshot at once; an older one is migrated by Alembic. Importing SQLAlchemy
    and Alembic costs more time and memory than the rest of the server, so only a migration does it (decision 0001).
    patience_s  PostgreSQL: the longest one transaction may take; a server that does not answer is given up then.
    Raises StorageTooNew for a database that a newer version of Gerbang has used.
    """
    database: Database
    if address.startswith(("postgresql://", "postgres://")):
        from gerbang.storage.postgresql import PostgresDatabase  # the `postgres` extra

        database = PostgresDatabase(address, pool_size=connections, patience_s=patience_s)
    else:
        from gerbang.storage.sqlite import SqliteDatabase

        database = SqliteDatabase(address)
    if migrate:
        try:
            bring_up_to_date(database, address)
        except BaseException:
            database.close()
            raise
    return database


def bring_up_to_date(database: Database, address: str) -> None:
    """Create or migrate the schema. Several processes may start at once: the second finds the work done.

    Raises StorageTooNew.
    """
    revision = database.revision()
    if revision == HEAD:
        return
    if revision is None:
        script = resources.files("gerbang.storage").joinpath(f"schema_{database.engine}.sql").read_text(encoding="utf-8")
        try:
            database.run_script(script)
        except Exception:
            # Another process that started at the same time was quicker?
            if database.revision() != HEAD:
                raise
        return
    from gerbang.storage.migrating import revisions, upgrade

    if revision not in revisions():
        raise StorageTooNew(
            f"the database is at revision {revision}, which this version of Gerbang does not know (its newest is {HEAD}):"
            " a newer version has used it. Install that version or a later one"
        )
    upgrade(address)
