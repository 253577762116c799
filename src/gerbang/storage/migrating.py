"""Migrations and schema snapshots. Imports SQLAlchemy and Alembic: only migrations, checks and tests come here."""

import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateIndex, CreateTable, SetTableComment

from gerbang.storage.head import HEAD
from gerbang.storage.tables import metadata

_HERE = Path(__file__).parent

# How long a migration waits for another process that writes or migrates, too.
_LOCK_WAIT_S = 60


def engine_for(address: str) -> Engine:
    """A SQLAlchemy engine for an address as `open_database` takes it. Its transactions hold schema changes, too."""
    if address.startswith(("postgresql://", "postgres://")):
        return _postgresql_engine(address)
    return _sqlite_engine(address)


def _postgresql_engine(address: str) -> Engine:
    import psycopg  # the `postgres` extra

    # The driver reads the address itself, so that it means here exactly what it means to the pool.
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(address), poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def one_at_a_time(connection: Connection) -> None:
        connection.exec_driver_sql("select pg_advisory_xact_lock(7305001)")

    return engine


def _sqlite_engine(address: str) -> Engine:
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(address, timeout=_LOCK_WAIT_S), poolclass=NullPool)

    # Left to itself, sqlite3 begins a transaction before data changes only, and a migration that fails leaves half a schema.
    @event.listens_for(engine, "begin")
    def one_at_a_time(connection: Connection) -> None:
        connection.exec_driver_sql("begin immediate")

    return engine


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE / "migrations").replace("%", "%%"))
    return config


def revisions() -> set[str]:
    """Every revision this version of the program knows."""
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def upgrade(address: str, revision: str = "head") -> None:
    """Bring a database to a revision with Alembic: all of it or nothing, and one process at a time."""
    config = _config()
    engine = engine_for(address)
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    finally:
        engine.dispose()


def draft(message: str) -> Path:
    """Write the migration that takes the newest revision to what tables.py says now: read it before you trust it.

    HEAD in head.py wants the new number, and the schema snapshots want to be made again; tests notice both.
    """
    config = _config()
    number = f"{len(revisions()) + 1:04d}"
    with TemporaryDirectory() as folder:
        address = str(Path(folder) / "newest.db")
        if revisions():
            upgrade(address)
        engine = engine_for(address)
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            written = command.revision(config, message, autogenerate=True, rev_id=number)
        engine.dispose()
    assert isinstance(written, Script)
    path = Path(written.path)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.strip().startswith("# ###")), encoding="utf-8")
    return path


def snapshot(engine: str) -> str:
    """The whole schema as SQL of one engine, for `schema_<engine>.sql`."""
    dialect = {"sqlite": sqlite.dialect(), "postgresql": postgresql.dialect()}[engine]  # type: ignore[no-untyped-call]
    statements: list[str] = []
    for table in metadata.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=dialect)))
        statements += [
            str(CreateIndex(index).compile(dialect=dialect)) for index in sorted(table.indexes, key=lambda index: str(index.name))
        ]
        if table.comment and engine == "postgresql":
            statements.append(str(SetTableComment(table).compile(dialect=dialect)))
    statements.append(
        "create table alembic_version (version_num varchar(32) not null, constraint alembic_version_pkc primary key (version_num))"
    )
    statements.append(f"insert into alembic_version (version_num) values ('{HEAD}')")  # noqa: S608 - our own constant
    head = "-- Generated from tables.py by `make snapshots`; do not edit.\n"
    lines = [line.rstrip().expandtabs(2) for statement in statements for line in (statement.strip() + ";").splitlines()]
    return head + "\n".join(lines) + "\n"
