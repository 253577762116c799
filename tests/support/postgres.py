"""A real PostgreSQL for tests: one server per pytest run, shared by all its parallel processes, started by the first test
that asks; one fresh database per test.

The server comes from a PyPI package (see postgres_server.py) or is the one GERBANG_TEST_DSN names, a URL such as
`postgresql://me:secret@localhost/postgres` whose user may create databases.
"""

import contextlib
import fcntl
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from support import postgres_server

STOP_TIMEOUT_S = 30
# Emptying the tables that a test filled takes a tenth of the time that making a database does.
_EMPTY = """
do $$
declare filled text; name text; found boolean;
begin
  for name in select tablename from pg_tables where schemaname = 'public' and tablename <> 'alembic_version' loop
    execute format('select exists (select 1 from %I)', name) into found;
    if found then filled := concat_ws(', ', filled, quote_ident(name)); end if;
  end loop;
  if filled is not null then execute 'truncate ' || filled || ' restart identity cascade'; end if;
end $$
"""
_ALIVE = pytest.StashKey[object]()
_DIR = pytest.StashKey[Path]()


class Postgres:
    """A running server. Databases are made from it."""

    def __init__(self, admin_url: str, session_dir: Path) -> None:
        self._admin_url = admin_url
        self._dir = session_dir
        self._idle: list[str] = []

    def url(self, database: str) -> str:
        """The URL of one database on this server."""
        return urlsplit(self._admin_url)._replace(path=f"/{database}").geturl()

    def create(self, template: str | None = None, prepare: Callable[[str], None] | None = None) -> str:
        """Make a fresh database and return its URL.

        template  a name such as "gerbang-schema". The first caller of the whole run has an empty database made and handed
                  to `prepare(url)`, which fills it and closes its connections; every further database of that name is a
                  copy, so that a migration runs once.
        """
        assert (template is None) == (prepare is None), "a template needs its name and the function that fills it"
        source = "template0" if template is None or prepare is None else self._template(template, prepare)
        name = f"gerbang_test_{secrets.token_hex(6)}"
        # On our own server copying files is quicker than logging each of their blocks.
        strategy = sql.SQL("" if os.environ.get("GERBANG_TEST_DSN") else " strategy file_copy")
        self._admin(sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(source)) + strategy)
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a database made here, whoever is still connected."""
        self._admin(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(urlsplit(url).path[1:])))

    @contextmanager
    def database(self, template: str | None = None, prepare: Callable[[str], None] | None = None) -> Iterator[str]:
        """A fresh database for the length of the block; its URL. The arguments are those of `create`."""
        url = self.create(template, prepare)
        try:
            yield url
        finally:
            self.drop(url)

    @contextmanager
    def lent(self, template: str, prepare: Callable[[str], None]) -> Iterator[str]:
        """The same for whoever does not change the schema: emptied afterwards and kept for the next."""
        url = self._idle.pop() if self._idle else self.create(template, prepare)
        yield url
        # Somebody else may still be connected: a process that was killed a moment ago, or whom the test has forgotten.
        self._admin(
            sql.SQL("select pg_terminate_backend(pid) from pg_stat_activity where datname = {}").format(
                sql.Literal(urlsplit(url).path[1:])
            )
        )
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_EMPTY)
        self._idle.append(url)

    def close(self) -> None:
        """Drop what was kept."""
        while self._idle:
            self.drop(self._idle.pop())

    def _template(self, template: str, prepare: Callable[[str], None]) -> str:
        assert re.fullmatch(r"[a-z0-9_-]{1,30}", template), template
        # The run's directory has a random name, which keeps runs apart on a server they share.
        name = f"{self._dir.name}-{template}".lower()
        with _locked(self._dir / f"template-{template}") as finished:
            if not finished.read():
                self._admin(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
                self._admin(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
                prepare(self.url(name))
                finished.write(self.url(name))
        return name

    def _admin(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._admin_url, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def _locked(path: Path) -> Iterator:
    """The file at `path`, opened to read and append, locked against every other process of the run."""
    with open(path, "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        yield file
        file.flush()


def _server(session_dir: Path) -> Postgres:
    """The run's server, started if this is the first process that needs it."""
    given = os.environ.get("GERBANG_TEST_DSN")
    if given:
        return Postgres(given, session_dir)
    with _locked(session_dir / "started") as started:
        outcome = started.read()
        if not outcome:
            outcome = _start(session_dir)
            started.write(outcome)
    if outcome != "ready":  # every test that asks says so, and only the first one tried
        raise RuntimeError(f"no PostgreSQL for the tests:\n{outcome}")
    socket_dir = session_dir / "socket"
    return Postgres(f"postgresql://postgres@/postgres?host={socket_dir}&port={postgres_server.PORT}", session_dir)


def _start(session_dir: Path) -> str:
    """Start the server's process; "ready", or what it said when it failed."""
    with open(session_dir / "supervisor.log", "w") as log:
        child = subprocess.Popen(
            [sys.executable, postgres_server.__file__, str(session_dir)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # a Ctrl-C in the terminal must not reach it before pytest is done
        )
    assert child.stdout is not None
    with child.stdout:
        said = child.stdout.readline()
    if said.strip() != b"ready":
        child.wait(STOP_TIMEOUT_S)
        return (session_dir / "supervisor.log").read_text(errors="replace") or f"it ended with status {child.returncode}"
    child.returncode = 0  # it outlives this process on purpose; spare us the ResourceWarning
    return "ready"


# The run's directory: made by the controlling process, told to the parallel ones.


def pytest_configure(config: pytest.Config) -> None:
    told = getattr(config, "workerinput", {}).get("gerbang_postgres_dir")
    if told is not None:
        config.stash[_DIR] = Path(told)
        return
    # The path of a Unix socket has room for about 100 characters, and some machines have a long TMPDIR.
    short = tempfile.gettempdir() if len(tempfile.gettempdir()) <= 60 else "/tmp"
    session_dir = Path(tempfile.mkdtemp(prefix="gerbang-pg-", dir=short)).resolve()
    config.stash[_DIR] = session_dir
    alive = open(session_dir / "alive", "w")  # noqa: SIM115 -- held until pytest_unconfigure
    fcntl.flock(alive, fcntl.LOCK_EX)
    config.stash[_ALIVE] = alive


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    node.workerinput["gerbang_postgres_dir"] = str(node.config.stash[_DIR])


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Let go of the lock and wait until the server has ended, so that nothing outlives pytest."""
    alive = config.stash.get(_ALIVE, None)
    if alive is None:
        return
    session_dir = config.stash[_DIR]
    _drop_templates(session_dir)
    supervisor = None
    with contextlib.suppress(FileNotFoundError):
        supervisor = open(session_dir / "supervisor")  # noqa: SIM115 -- closed below, after the directory is gone
    alive.close()
    if supervisor is not None:
        with supervisor:
            _wait_for_lock(supervisor)
    postgres_server.remove(session_dir)


def _drop_templates(session_dir: Path) -> None:
    given = os.environ.get("GERBANG_TEST_DSN")
    if not given:
        return  # they go with the server
    server = Postgres(given, session_dir)
    for finished in session_dir.glob("template-*"):
        with contextlib.suppress(psycopg.Error):
            server.drop(finished.read_text() or server.url(f"{session_dir.name}-{finished.name.removeprefix('template-')}"))


def _wait_for_lock(file) -> None:
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> Postgres:
    """The run's PostgreSQL server."""
    return _server(pytestconfig.stash[_DIR])


@pytest.fixture
def postgres_dsn(postgres: Postgres) -> Iterator[str]:
    """The URL of a fresh, empty database, dropped after the test."""
    with postgres.database() as url:
        yield url
