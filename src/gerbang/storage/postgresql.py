"""PostgreSQL through psycopg: a pool of connections used from worker threads, one transaction per call.

READ COMMITTED; races are decided by compare-and-set and unique constraints, exactly as on SQLite.
"""

import asyncio
import random
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from gerbang.storage.database import MAX_TRIES, ConstraintBroken, Database, Params, Retry, Row, StorageBusy, Tx

T = TypeVar("T")

_LOCK_WAIT_S = 5
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

    def __init__(self, dsn: str, *, pool_size: int = 16) -> None:
        super().__init__()
        self.dsn = dsn
        self._pool: ConnectionPool[psycopg.Connection[dict[str, Any]]] = ConnectionPool(
            dsn,
            min_size=1,
            max_size=pool_size,
            timeout=30,
            open=False,
            kwargs={
                "row_factory": dict_row,
                "autocommit": True,
                "options": f"-c lock_timeout={_LOCK_WAIT_S}s -c timezone=UTC",
            },
        )
        try:
            psycopg.connect(dsn, connect_timeout=10).close()  # says what is wrong; the pool would only say that it waited
            self._pool.open(wait=True, timeout=10)
        except (psycopg.OperationalError, PoolTimeout) as error:
            self._pool.close()
            raise StorageBusy(f"PostgreSQL cannot be reached: {error}") from error
        self._threads = ThreadPoolExecutor(pool_size, thread_name_prefix="gerbang-pg")
        self._lock = threading.Lock()  # so that nothing is queued behind the end
        self._closed = False

    async def transact(self, fn: Callable[[Tx], T]) -> T:
        return await self._in_thread(self._transact, fn)

    def transact_now(self, fn: Callable[[Tx], T]) -> T:
        self._check_open()
        return self._transact(fn)

    def _transact(self, fn: Callable[[Tx], T]) -> T:
        for attempt in range(MAX_TRIES):
            try:
                result, topics = self._try(fn)
            except (Retry, _NothingDone, errors.SerializationFailure, errors.DeadlockDetected):
                # Someone else moved first. Wait a little, differently each time, so that losers do not meet again.
                time.sleep(random.uniform(0, 0.002 * (attempt + 1)))  # noqa: S311
                continue
            except (errors.LockNotAvailable, PoolTimeout, PoolClosed) as error:
                raise StorageBusy(str(error)) from error
            self._tell(topics)
            return result
        raise StorageBusy("lost too many races")

    def _try(self, fn: Callable[[Tx], T]) -> tuple[T, set[str]]:
        with self._pool.connection() as connection, connection.cursor() as cursor:
            tx = PostgresTx(cursor)
            committing = False
            try:
                with connection.transaction():
                    result = fn(tx)
                    committing = True
            except psycopg.OperationalError as error:
                # A server that restarted drops its connections. Before the commit was sent that is no more than a lost try;
                # afterwards nobody knows what became of it, and the caller has to be told.
                if connection.broken and not committing:
                    raise _NothingDone from error
                raise
            return result, tx.topics

    async def read(self, fn: Callable[[Tx], T]) -> T:
        return await self._in_thread(self._read, fn)

    def read_now(self, fn: Callable[[Tx], T]) -> T:
        self._check_open()
        return self._read(fn)

    def _read(self, fn: Callable[[Tx], T]) -> T:
        def read_only(tx: Tx) -> T:
            # One view for all statements of the function, as SQLite's read transaction gives.
            tx.execute("set transaction isolation level repeatable read, read only")
            return fn(tx)

        return self._transact(read_only)

    async def _in_thread(self, run: Callable[[Callable[[Tx], T]], T], fn: Callable[[Tx], T]) -> T:
        with self._lock:
            self._check_open()
            running = self._threads.submit(run, fn)
        return await asyncio.wrap_future(running)

    def _check_open(self) -> None:
        if self._closed:
            raise StorageBusy("the database is closed")

    def run_script(self, sql: str) -> None:
        with self._pool.connection() as connection, connection.transaction():
            # Two processes that start together: one does it, the other waits and sees it done. Migrations take the same lock.
            connection.execute("select pg_advisory_xact_lock(7305001)")
            connection.execute(sql.encode())

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._threads.shutdown(wait=True)
        self._pool.close()
