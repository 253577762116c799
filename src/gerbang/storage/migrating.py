"""Migrations and schema snapshots. Imports SQLAlchemy and Alembic: only migrations, checks and tests come here."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from gerbang.storage.opening import HEAD
from gerbang.storage.tables import metadata

_HERE = Path(__file__).parent


def engine_for(address: str) -> Engine:
    """A SQLAlchemy engine for an address as `open_database` takes it."""
    if address.startswith(("postgresql://", "postgres://")):
        return create_engine("postgresql+psycopg://" + address.split("://", 1)[1])
    return create_engine(f"sqlite:///{address}")


def upgrade(address: str, revision: str = "head") -> None:
    """Bring a database to a revision with Alembic."""
    config = Config()
    config.set_main_option("script_location", str(_HERE / "migrations"))
    engine = engine_for(address)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def snapshot(engine: str) -> str:
    """The whole schema as SQL of one engine, for `schema_<engine>.sql`."""
    dialect = {"sqlite": sqlite.dialect(), "postgresql": postgresql.dialect()}[engine]  # type: ignore[no-untyped-call]
    statements: list[str] = []
    for table in metadata.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=dialect)))
        statements += [
            str(CreateIndex(index).compile(dialect=dialect)) for index in sorted(table.indexes, key=lambda index: str(index.name))
        ]
    statements.append("create table alembic_version (version_num varchar(32) not null primary key)")
    statements.append(f"insert into alembic_version (version_num) values ('{HEAD}')")
    head = "-- Generated from tables.py by `make snapshots`; do not edit.\n"
    lines = [line.rstrip().expandtabs(2) for statement in statements for line in (statement.strip() + ";").splitlines()]
    return head + "\n".join(lines) + "\n"
