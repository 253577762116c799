"""The face that both engines show."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

log = logging.getLogger(__name__)

Params = Mapping[str, Any]

MAX_TRIES = 20  # a transaction that lost a race is run again; each loss means another one made progress


class Row(Protocol):
    """One row, read by column name."""

    def __getitem__(self, column: str, /) -> Any: ...


class Retry(Exception):
    """A compare-and-set lost its race: roll back and run the whole function again."""


class StorageBusy(Exception):
    """A lock was not to be had in time, or races were lost too often. Nothing was written; asking again is safe."""


class StorageUnusable(StorageBusy):
    """The data is away, damaged or cannot be written to: waiting does not help, somebody has to come. Nothing was written."""


class ConstraintBroken(Exception):
    """The schema refused a row that the code above should not have written. Let it surface: the transaction is over."""


class Tx(ABC):
    """An open transaction. SQL is the common subset of both engines with `:name` parameters."""

    @abstractmethod
    def execute(self, sql: str, params: Params | None = None) -> int:
        """Run a statement; the number of rows it touched. Raises ConstraintBroken."""

    @abstractmethod
    def one(self, sql: str, params: Params | None = None) -> Row | None:
        """The first row, or None."""

    @abstractmethod
    def all(self, sql: str, params: Params | None = None) -> list[Row]:
        """Every row."""

    @abstractmethod
    def has_table(self, name: str) -> bool:
        """Whether the schema has this table. Each engine keeps its list in a catalogue of its own."""

    @abstractmethod
    def signal(self, topic: str) -> None:
        """When, and only if, this transaction is on disk, tell who listens to the topic (`Database.listen`)."""


class Database(ABC):
    """Runs functions in transactions. A function that raises rolls back, alone, and the exception reaches its caller.

    A function may run more than once (`Retry`, serialization failures): it must touch nothing but its `Tx`.
    """

    engine: str

    def __init__(self) -> None:
        self._listeners: dict[str, Callable[[], None]] = {}

    def listen(self, topic: str, callback: Callable[[], None]) -> None:
        """Call back after each commit that signalled the topic. Runs on a storage thread: keep it thread-safe and short."""
        self._listeners[topic] = callback

    def _tell(self, topics: set[str]) -> None:
        for topic in topics:
            callback = self._listeners.get(topic)
            if callback is not None:
                try:
                    callback()
                except Exception:
                    # The work is committed: a listener's trouble is not its caller's, nor the writer's.
                    log.exception("listener of %s", topic)

    def lost(self) -> str | None:
        """Why what is open here is no longer the data that the address names; None while it is. Cheap, and asks nobody."""
        return None

    def damage(self) -> str | None:
        """What is wrong with the data as the engine keeps it, apart from what it says. Reads all of it."""
        return None

    def revision(self) -> str | None:
        """The Alembic revision of the schema; None when there is no schema yet."""
        return self.read_now(_revision)

    @abstractmethod
    async def transact(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` in a transaction; when this returns, its writes survive `kill -9` and power loss."""

    @abstractmethod
    def transact_now(self, fn: Callable[[Tx], T]) -> T:
        """The same for synchronous callers. Never call it on an event loop."""

    @abstractmethod
    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn`, which writes nothing, on a consistent view of what is committed."""

    @abstractmethod
    def read_now(self, fn: Callable[[Tx], T]) -> T:
        """The same for synchronous callers."""

    @abstractmethod
    def run_script(self, sql: str) -> None:
        """Run several statements of this engine's own SQL (schema snapshots), all or none, one process at a time."""

    @abstractmethod
    def close(self) -> None:
        """Finish what is queued and let go of files and connections."""


def _revision(tx: Tx) -> str | None:
    if not tx.has_table("alembic_version"):
        return None
    row = tx.one("select version_num from alembic_version")
    return None if row is None else str(row["version_num"])
