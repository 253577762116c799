"""Opening a database: choose the engine by its address, and bring its schema to the newest version."""

from importlib import resources

from gerbang.storage.database import Database, Tx

# The newest Alembic revision; a test holds it against the migrations.
HEAD = "0001"


def open_database(address: str, *, migrate: bool = True, connections: int = 16) -> Database:
    """Open `PATH`, `:memory:` or `postgresql://…` and make sure its schema is the newest.

    A fresh database gets the generated schema snapshot at once; an older one is migrated by Alembic. Importing SQLAlchemy
    and Alembic costs more time and memory than the rest of the server, so only a migration does it (decision 0001).
    """
    database: Database
    if address.startswith(("postgresql://", "postgres://")):
        from gerbang.storage.postgresql import PostgresDatabase  # the `postgres` extra

        database = PostgresDatabase(address, pool_size=connections)
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
    """Create or migrate the schema. Several processes may start at once: the second finds the work done."""
    revision = database.read_now(_revision)
    if revision == HEAD:
        return
    if revision is None:
        script = resources.files("gerbang.storage").joinpath(f"schema_{database.engine}.sql").read_text()
        if database.engine == "postgresql":
            # Two processes that start together: one creates, the other waits and sees it done.
            script = "select pg_advisory_xact_lock(7305001);\n" + script
        try:
            database.run_script(script)
        except Exception:
            if database.read_now(_revision) != HEAD:
                raise
        return
    from gerbang.storage.migrating import upgrade

    upgrade(address)


def _revision(tx: Tx) -> str | None:
    # Both engines list their tables in a catalogue of their own, so ask the table itself whether it is there.
    from_catalogue = {
        "SqliteTx": "select name from sqlite_master where name = 'alembic_version'",
        "PostgresTx": "select to_regclass('alembic_version')::text as name",
    }[type(tx).__name__]
    found = tx.one(from_catalogue)
    if found is None or found["name"] is None:
        return None
    row = tx.one("select version_num from alembic_version")
    return None if row is None else str(row["version_num"])
