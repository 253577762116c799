"""PostgreSQL through psycopg: a pool of connections used from worker threads, one transaction per call.

READ COMMITTED; races are decided by compare-and-set and unique constraints, exactly as on SQLite.
"""

import asyncio
import contextlib
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from gerbang.storage.database import MAX_TRIES, ConstraintBroken, Database, Params, Retry, Row, StorageBusy, Tx

T = TypeVar("T")

_Connection = psycopg.Connection[dict[str, Any]]

_LOCK_WAIT_S = 5
_CONNECT_S = 10
_NO_LIMIT_S = 1_000_000.0
_WATCH_EVERY_S = 0.25
# Texts, quoted names, comments and casts (group 1) may hold a colon that is no parameter (group 2).
_COLONS = re.compile(r"""('(?:[^']|'')*'|"[^"]*"|--[^\n]*|::\w+)|(?<!\w):([A-Za-z_]\w*)""")


@lru_cache(maxsize=2048)
def _translated(sql: str) -> str:
    """`:name` as psycopg wants it, `%(name)s`; a percent sign doubled."""
    return _COLONS.sub(lambda found: found[1] or f"%({found[2]})s", sql.replace("%", "%%"))


class _NothingDone(Exception):
    """The connection was lost before the commit was sent."""


class PostgresTx(Tx):
    """A transaction on one pooled connection."""

    def __init__(self, cursor: "psycopg.Cursor[dict[str, Any]]") -> None:
        self._cursor = cursor
        self.topics: set[str] = set()

    def execute(self, sql: str, params: Params | None = None) -> int:
        try:
            return self._cursor.execute(_translated(sql), params or {}).rowcount
        except errors.IntegrityError as error:
            raise ConstraintBroken(str(error)) from error

    def one(self, sql: str, params: Params | None = None) -> Row | None:
        return self._cursor.execute(_translated(sql), params or {}).fetchone()

    def all(self, sql: str, params: Params | None = None) -> list[Row]:
        rows: list[Row] = list(self._cursor.execute(_translated(sql), params or {}).fetchall())
        return rows

    def has_table(self, name: str) -> bool:
        found = self.one("select to_regclass(:name) is not null as found", {"name": name})
        return bool(found and found["found"])

    def signal(self, topic: str) -> None:
        self.topics.add(topic)


class PostgresDatabase(Database):
    """A PostgreSQL database, shared by any number of processes and machines."""

    engine = "postgresql"

    def __init__(self, dsn: str, *, pool_size: int = 16, patience_s: float | None = None) -> None:
        """patience_s  how long one transaction may take, waiting and repeats included; None sets no limit"""
        super().__init__()
        self.dsn = dsn
        self._patience_s = patience_s or _NO_LIMIT_S
        self._options = _options(dsn, patience_s)
        self._slots = threading.BoundedSemaphore(pool_size)
        self._idle: list[_Connection] = []
        self._under_way: dict[_Connection, float] = {}  # until when each may take
        self._cutting = threading.Lock()  # a connection that is cut off is still that transaction's
        self._busy = threading.Event()
        try:
            self._idle.append(self._connect(_CONNECT_S))
        except psycopg.OperationalError as error:
            raise StorageBusy(f"PostgreSQL cannot be reached: {error}") from error
        self._threads = ThreadPoolExecutor(pool_size, thread_name_prefix="gerbang-pg")
        self._lock = threading.Lock()  # so that nothing is queued behind the end
        self._closed = False
        if patience_s is not None:
            threading.Thread(target=self._watch, name="gerbang-pg-watch", daemon=True).start()

    # -- connections
    #
    # Ours, and no pool's: a pool connects by itself, waits longer after each failure and keeps its callers waiting meanwhile.
    # Here whoever needs a connection makes it, so that the first transaction after an outage finds the server again.

    def _connect(self, timeout_s: float) -> _Connection:
        options = {**self._options, "connect_timeout": max(2, int(timeout_s))}
        return psycopg.connect(self.dsn, autocommit=True, row_factory=dict_row, **options)

    @contextlib.contextmanager
    def _connection(self, until: float) -> Iterator[_Connection]:
        """A connection for the length of the block. One that breaks takes along those that lie idle: they broke with it."""
        # Who waited its time away behind others is turned down now: connecting would take two seconds more from the next.
        if time.monotonic() > until or not self._slots.acquire(timeout=max(0.0, until - time.monotonic())):
            raise StorageBusy("no connection to PostgreSQL became free in time")
        try:
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._connect(min(_CONNECT_S, until - time.monotonic()))
            self._under_way[connection] = until
            self._busy.set()
            try:
                yield connection
            finally:
                with self._cutting:
                    del self._under_way[connection]
                if connection.info.transaction_status is TransactionStatus.IDLE and not self._closed:
                    self._idle.append(connection)
                else:
                    connection.close()
                    self._forget_idle()
        finally:
            self._slots.release()

    def _forget_idle(self) -> None:
        while self._idle:
            with contextlib.suppress(IndexError):
                self._idle.pop().close()

    def _watch(self) -> None:
        """Cut off whoever waits longer than it may: a server that is frozen, or behind a dead network, never says so itself."""
        while not self._closed:
            self._busy.wait()
            time.sleep(_WATCH_EVERY_S)
            now = time.monotonic()
            for connection, until in list(self._under_way.items()):
                with self._cutting:
                    if now > until and connection in self._under_way:
                        _cut_off(connection)
            if not self._under_way and not self._closed:
                self._busy.clear()
                if self._under_way:  # begun in this very moment
                    self._busy.set()

    # -- transactions

    async def transact(self, fn: Callable[[Tx], T]) -> T:
        return await self._in_thread(self._transact, fn)

    def transact_now(self, fn: Callable[[Tx], T]) -> T:
        self._check_open()
        return self._transact(fn, self._until())

    def _until(self) -> float:
        return time.monotonic() + self._patience_s

    def _transact(self, fn: Callable[[Tx], T], until: float) -> T:
        for attempt in range(MAX_TRIES):
            try:
                result, topics = self._try(fn, until)
            except (Retry, _NothingDone, errors.SerializationFailure, errors.DeadlockDetected) as error:
                if time.monotonic() > until:
                    raise StorageBusy("PostgreSQL did not answer in time") from error
                # Someone else moved first. Wait a little, differently each time, so that losers do not meet again.
                time.sleep(random.uniform(0, 0.002 * (attempt + 1)))  # noqa: S311
                continue
            except (psycopg.OperationalError, errors.ReadOnlySqlTransaction) as error:
                # Not a fault of the statement: locked, too slow, no room on its disk, starting, not there at all.
                raise StorageBusy(str(error)) from error
            self._tell(topics)
            return result
        raise StorageBusy("lost too many races")

    def _try(self, fn: Callable[[Tx], T], until: float) -> tuple[T, set[str]]:
        with self._connection(until) as connection, connection.cursor() as cursor:
            tx = PostgresTx(cursor)
            committing = False
            try:
                with connection.transaction():
                    result = fn(tx)
                    committing = True
            except psycopg.Error as error:
                # A server that restarted drops its connections. Before the commit was sent that is no more than a lost try;
                # afterwards nobody knows what became of it, and the caller has to be told.
                if not connection.closed:
                    raise
                if not committing:
                    raise _NothingDone from error
                raise StorageBusy(f"the connection was lost in the commit, which may have happened: {error}") from error
            return result, tx.topics

    async def read(self, fn: Callable[[Tx], T]) -> T:
        return await self._in_thread(self._read, fn)

    def read_now(self, fn: Callable[[Tx], T]) -> T:
        self._check_open()
        return self._read(fn, self._until())

    def _read(self, fn: Callable[[Tx], T], until: float) -> T:
        def read_only(tx: Tx) -> T:
            # One view for all statements of the function, as SQLite's read transaction gives.
            tx.execute("set transaction isolation level repeatable read, read only")
            return fn(tx)

        return self._transact(read_only, until)

    async def _in_thread(self, run: Callable[[Callable[[Tx], T], float], T], fn: Callable[[Tx], T]) -> T:
        with self._lock:
            self._check_open()
            running = self._threads.submit(run, fn, self._until())
        return await asyncio.wrap_future(running)

    def _check_open(self) -> None:
        if self._closed:
            raise StorageBusy("the database is closed")

    def run_script(self, sql: str) -> None:
        with self._connection(time.monotonic() + _NO_LIMIT_S) as connection, connection.transaction():
            # Two processes that start together: one does it, the other waits and sees it done. Migrations take the same lock.
            connection.execute("select pg_advisory_xact_lock(7305001)")
            connection.execute(sql.encode())

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._threads.shutdown(wait=True)
        self._busy.set()
        self._forget_idle()


def _options(dsn: str, patience_s: float | None) -> dict[str, Any]:
    """How connections behave, as far as the address does not say it: nothing waits for ever for a network that is gone."""
    named = conninfo_to_dict(dsn)
    options = f"{named.get('options') or ''} -c lock_timeout={_LOCK_WAIT_S}s -c timezone=UTC"
    defaults: dict[str, Any] = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
    if patience_s is not None:
        # The server lets go by itself, too, of what was cut off here.
        limit_ms = max(1, int(patience_s * 1000))
        options += f" -c statement_timeout={limit_ms} -c idle_in_transaction_session_timeout={limit_ms * 2}"
        defaults["tcp_user_timeout"] = limit_ms
    return {**{name: value for name, value in defaults.items() if name not in named}, "options": options.strip()}


def _cut_off(connection: _Connection) -> None:
    """End the conversation under the thread that waits in it: its call returns with the news that the connection is lost."""
    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=connection.fileno()) as wire:
        try:
            wire.shutdown(socket.SHUT_RDWR)
        finally:
            wire.detach()  # the descriptor stays the driver's
