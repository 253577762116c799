"""PostgreSQL through psycopg: a pool of connections used from worker threads, one transaction per call.

READ COMMITTED; races are decided by compare-and-set and unique constraints, exactly as on SQLite.
"""

import asyncio
import random
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from gerbang.storage.database import MAX_TRIES, Database, Params, Retry, Row, StorageBusy, Tx

T = TypeVar("T")

_LOCK_WAIT_S = 5
_NAMED = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")


@lru_cache(maxsize=2048)
def _translated(sql: str) -> str:
    return _NAMED.sub(r"%(\1)s", sql.replace("%", "%%"))


class PostgresTx(Tx):
    """A transaction on one pooled connection."""

    def __init__(self, cursor: "psycopg.Cursor[dict[str, Any]]") -> None:
        self._cursor = cursor
        self.topics: set[str] = set()

    def execute(self, sql: str, params: Params | None = None) -> int:
        return self._cursor.execute(_translated(sql), params or {}).rowcount

    def one(self, sql: str, params: Params | None = None) -> Row | None:
        return self._cursor.execute(_translated(sql), params or {}).fetchone()

    def all(self, sql: str, params: Params | None = None) -> list[Row]:
        rows: list[Row] = list(self._cursor.execute(_translated(sql), params or {}).fetchall())
        return rows

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
        self._pool.open(wait=True, timeout=10)
        self._threads = ThreadPoolExecutor(pool_size, thread_name_prefix="gerbang-pg")
        self._closed = False

    async def transact(self, fn: Callable[[Tx], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.transact_now, fn)

    def transact_now(self, fn: Callable[[Tx], T]) -> T:
        for attempt in range(MAX_TRIES):
            try:
                with self._pool.connection() as connection, connection.cursor() as cursor:
                    tx = PostgresTx(cursor)
                    with connection.transaction():
                        result = fn(tx)
            except (Retry, errors.SerializationFailure, errors.DeadlockDetected):
                # Someone else moved first. Wait a little, differently each time, so that losers do not meet again.
                time.sleep(random.uniform(0, 0.002 * (attempt + 1)))  # noqa: S311
                continue
            except (errors.LockNotAvailable, PoolTimeout) as error:
                raise StorageBusy(str(error)) from error
            self._tell(tx.topics)
            return result
        raise StorageBusy("lost too many races")

    async def read(self, fn: Callable[[Tx], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.read_now, fn)

    def read_now(self, fn: Callable[[Tx], T]) -> T:
        with self._pool.connection() as connection, connection.cursor() as cursor, connection.transaction():
            # One view for all statements of the function, as SQLite's read transaction gives.
            cursor.execute("set transaction isolation level repeatable read, read only")
            return fn(PostgresTx(cursor))

    def run_script(self, sql: str) -> None:
        with self._pool.connection() as connection, connection.transaction():
            connection.execute(sql.encode())

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._threads.shutdown(wait=True)
        self._pool.close()
