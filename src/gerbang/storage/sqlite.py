"""SQLite with one writer thread and group commit.

The writer drains its queue, runs every waiting function inside a savepoint of its own, commits once (one fsync for all)
and only then answers the callers. Readers use read-only connections and never wait for the writer (WAL).
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from gerbang.storage.database import MAX_TRIES, ConstraintBroken, Database, Params, Retry, Row, StorageBusy, Tx

T = TypeVar("T")

_MAX_BATCH = 256
_READERS = 4
_LOCK_WAIT_S = 5.0


class SqliteTx(Tx):
    """A transaction on one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.topics: set[str] = set()

    def execute(self, sql: str, params: Params | None = None) -> int:
        try:
            return self._connection.execute(sql, params or ()).rowcount
        except sqlite3.IntegrityError as error:
            raise ConstraintBroken(str(error)) from error

    def one(self, sql: str, params: Params | None = None) -> Row | None:
        row: Row | None = self._connection.execute(sql, params or ()).fetchone()
        return row

    def all(self, sql: str, params: Params | None = None) -> list[Row]:
        return self._connection.execute(sql, params or ()).fetchall()

    def has_table(self, name: str) -> bool:
        return self.one("select 1 as found from sqlite_master where type = 'table' and name = :name", {"name": name}) is not None

    def signal(self, topic: str) -> None:
        self.topics.add(topic)


@dataclass(slots=True)
class _Job:
    fn: Callable[[Tx], Any]
    reads_only: bool = False
    # One of the two waits for the result.
    future: "asyncio.Future[Any] | None" = None
    loop: asyncio.AbstractEventLoop | None = None
    waiter: "Future[Any] | None" = None
    tries: int = 0
    result: Any = None
    error: BaseException | None = None
    topics: set[str] = field(default_factory=set)


class SqliteDatabase(Database):
    """One file (or `:memory:`), many readers, one writer."""

    engine = "sqlite"

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self._in_memory = path == ":memory:"
        if not self._in_memory:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._writer = self._connect()
        # Opening creates the WAL files, so that read-only connections find them.
        self._writer.execute("pragma user_version")
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # holds what is queued, `_closed` and `_idle_readers` together
        self._idle_readers: list[sqlite3.Connection] = []
        self._read_pool = ThreadPoolExecutor(_READERS, thread_name_prefix="gerbang-read")
        self._closed = False
        self._thread = threading.Thread(target=self._write_loop, name="gerbang-writer", daemon=True)
        self._thread.start()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, timeout=_LOCK_WAIT_S, cached_statements=512
        )
        try:
            connection.row_factory = sqlite3.Row
            if not self._in_memory:
                _use_wal(connection)
            # Durability is not an option: what was acknowledged survives power loss.
            connection.execute("pragma synchronous = full")
            connection.execute("pragma foreign_keys = on")
            connection.execute("pragma cache_size = -16000")
        except BaseException:
            connection.close()
            raise
        return connection

    # -- writing

    async def transact(self, fn: Callable[[Tx], T]) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._submit(_Job(fn, future=future, loop=loop))
        return await future

    def transact_now(self, fn: Callable[[Tx], T]) -> T:
        result: T = self._wait_for(_Job(fn))
        return result

    def _wait_for(self, job: _Job) -> Any:
        assert threading.current_thread() is not self._thread, "a transaction inside a transaction would wait for itself"
        job.waiter = Future()
        self._submit(job)
        return job.waiter.result()

    def _submit(self, job: _Job) -> None:
        with self._lock:  # so that nothing is queued behind the end
            if self._closed:
                raise StorageBusy("the database is closed")
            self._jobs.put(job)

    def _write_loop(self) -> None:
        stop = False
        while not stop:
            job = self._jobs.get()
            if job is None:
                return
            batch = [job]
            while len(batch) < _MAX_BATCH:
                try:
                    more = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    stop = True
                    break
                batch.append(more)
            self._run_batch(batch)

    def _run_batch(self, batch: list[_Job]) -> None:
        try:
            self._writer.execute("begin immediate")
            for job in batch:
                self._run_job(job)
            self._writer.execute("commit")
        except BaseException as error:
            # The commit itself failed (disk full, file locked by another process): nobody's work is there. Who was refused
            # is told the same, because it may have been refused for what a neighbour wrote.
            with contextlib.suppress(sqlite3.Error):
                self._writer.execute("rollback")
            for job in batch:
                job.error = StorageBusy(str(error)) if _is_busy(error) else error
        else:
            self._tell({topic for job in batch if job.error is None for topic in job.topics})
        _answer(batch)

    def _run_job(self, job: _Job) -> None:
        while True:
            tx = SqliteTx(self._writer)
            self._writer.execute("savepoint job")
            try:
                job.result = job.fn(tx)
            except BaseException as error:
                self._writer.execute("rollback to job")
                self._writer.execute("release job")
                if isinstance(error, Retry) and job.tries < MAX_TRIES:
                    job.tries += 1
                    continue
                job.error = StorageBusy("lost too many races") if isinstance(error, Retry) else error
                return
            if job.reads_only:
                self._writer.execute("rollback to job")
            self._writer.execute("release job")
            job.topics = tx.topics
            return

    # -- reading

    async def read(self, fn: Callable[[Tx], T]) -> T:
        if self._in_memory:
            # There is one connection, so reading waits in the same line.
            loop = asyncio.get_running_loop()
            future: asyncio.Future[T] = loop.create_future()
            self._submit(_Job(fn, reads_only=True, future=future, loop=loop))
            return await future
        with self._lock:
            if self._closed:
                raise StorageBusy("the database is closed")
            reading = self._read_pool.submit(self._read, fn)
        return await asyncio.wrap_future(reading)

    def read_now(self, fn: Callable[[Tx], T]) -> T:
        if self._in_memory:
            result: T = self._wait_for(_Job(fn, reads_only=True))
            return result
        with self._lock:
            if self._closed:
                raise StorageBusy("the database is closed")
        return self._read(fn)

    def _read(self, fn: Callable[[Tx], T]) -> T:
        try:
            with self._reader() as connection:
                connection.execute("begin")
                try:
                    return fn(SqliteTx(connection))
                finally:
                    connection.execute("rollback")
        except sqlite3.OperationalError as error:
            if _is_busy(error):
                raise StorageBusy(str(error)) from error
            raise

    @contextlib.contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        """A read-only connection for the length of the block. There are as many as there ever were readers at once."""
        with self._lock:
            connection = self._idle_readers.pop() if self._idle_readers else None
        if connection is None:
            connection = self._connect()
            connection.execute("pragma query_only = on")
        try:
            yield connection
        finally:
            with self._lock:
                keep = not self._closed
                if keep:
                    self._idle_readers.append(connection)
            if not keep:
                connection.close()

    def run_script(self, sql: str) -> None:
        def run(tx: Tx) -> None:
            for statement in filter(str.strip, sql.split(";\n")):
                tx.execute(statement)

        self.transact_now(run)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
            idle, self._idle_readers = self._idle_readers, []
        self._thread.join()
        self._read_pool.shutdown(wait=True)
        for connection in (*idle, self._writer):
            connection.close()


def _use_wal(connection: sqlite3.Connection) -> None:
    # SQLite does not wait here when another process is opening the same new file, whatever the timeout says.
    deadline = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
        except sqlite3.OperationalError as error:
            if not _is_busy(error):
                raise
            if time.monotonic() > deadline:
                raise StorageBusy(str(error)) from error
            time.sleep(0.01)
        else:
            return


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _answer(batch: list[_Job]) -> None:
    """Wake every caller; one call into each event loop for the whole batch."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in batch:
        if job.waiter is not None:
            if job.error is not None:
                job.waiter.set_exception(job.error)
            else:
                job.waiter.set_result(job.result)
        elif job.loop is not None:
            by_loop.setdefault(job.loop, []).append(job)
    for loop, jobs in by_loop.items():
        # A loop that closed meanwhile has nobody left to answer; the work is committed all the same.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, jobs)


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        future = job.future
        if future is None or future.done():
            continue
        if job.error is not None:
            future.set_exception(job.error)
        else:
            future.set_result(job.result)
