"""Opening the data that a command reads or changes, beside whatever server is running on it."""

import contextlib
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
    if not create and not data_exists(settings):
        raise Failure(f"no data at {settings.data}; start with `gerbang serve`, or say where it is with --data")
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
    return address.replace(f":{password}@", ":•••@") if password else address


def _opened(settings: Settings) -> Database:
    try:
        return open_database(settings.data, connections=1)
    except ImportError as error:
        raise Failure(f"{error}; PostgreSQL needs the extra: pip install 'gerbang[postgres]'") from None
    except Exception as error:
        # Each engine has errors of its own, which only storage may know.
        why = explained(error) or Failure(
            f"cannot open the data at {shown_address(settings.data)}: {' '.join(str(error).split())}"
        )
        raise why from error
