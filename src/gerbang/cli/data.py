"""Opening the data that a command reads or changes, beside whatever server is running on it."""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from gerbang.cli.options import settings_from_options
from gerbang.cli.trouble import Failure, Misuse, explained
from gerbang.clock import Clock
from gerbang.sandbox.time import read_offset
from gerbang.settings import Settings
from gerbang.storage import Database, Tx, open_database

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Data:
    """Open data, with business time as its server has it."""

    settings: Settings
    database: Database
    clock: Clock

    def read(self, fn: Callable[[Tx], T]) -> T:
        return self.database.read_now(fn)

    def write(self, fn: Callable[[Tx], T]) -> T:
        return self.database.transact_now(fn)

    def now(self) -> datetime:
        return self.clock.now()

    def refresh_clock(self) -> None:
        """Production has no offset; a sandbox's may have been moved by another process."""
        if self.settings.is_sandbox:
            self.clock.offset = self.read(read_offset)


@contextlib.contextmanager
def open_data(*, create: bool = False) -> Iterator[Data]:
    """The data that options and settings name.

    create  make it when there is none: for commands that may come before the first start
    """
    settings = settings_from_options()
    refuse_memory(settings)
    if not create:
        refuse_absent(settings)
    database = _opened(settings)
    try:
        data = Data(settings, database, Clock())
        data.refresh_clock()
        yield data
    finally:
        database.close()


def refuse_memory(settings: Settings) -> None:
    """`:memory:` lives and dies inside one process: no other has any use for it."""
    if settings.data == ":memory:":
        raise Misuse("data in :memory: exists inside its own server only; give --data FILE to both")


def refuse_absent(settings: Settings) -> None:
    """For commands that have no use for new, empty data: a mistyped address is said, not made."""
    if not data_exists(settings):
        raise Failure(f"no data at {settings.data}; start with `gerbang serve`, or say where it is with --data")


def data_exists(settings: Settings) -> bool:
    """Whether there is a file to open; for a PostgreSQL address only opening it can tell."""
    return is_postgresql(settings.data) or Path(settings.data).is_file()


def is_postgresql(address: str) -> bool:
    """Whether the address is one of a PostgreSQL database."""
    return address.startswith(("postgresql://", "postgres://"))


def shown_address(address: str) -> str:
    """The address for people: without its password."""
    if not is_postgresql(address):
        return address
    password = urlsplit(address).password
    if password:
        address = address.replace(f":{password}@", ":•••@")
    return re.sub(r"(?<=[?&]password=)[^&]*", "•••", address)


def _opened(settings: Settings) -> Database:
    with explains_opening(settings):
        return open_database(settings.data, connections=1)


# Each engine has errors of its own, which only storage may know; they are told by where they come from.
_ENGINES = ("sqlite3", "psycopg")


@contextlib.contextmanager
def explains_opening(settings: Settings) -> Iterator[None]:
    """Turn what an engine says to an address that cannot be opened into one line."""
    try:
        yield
    except ImportError as error:
        if not (error.name or "").startswith("psycopg"):
            raise
        raise Failure(
            "PostgreSQL needs one more package; in Gerbang's directory: .venv/bin/pip install -e '.[postgres]'"
        ) from None
    except Exception as error:
        why = explained(error)
        if why is None and (isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _ENGINES):
            why = Failure(f"cannot open the data at {shown_address(settings.data)}: {' '.join(str(error).split())}")
        if why is None:
            raise
        raise why from error
