"""SQLite with group commit.

There is one writing connection, and whoever holds it runs a batch. On an event loop the waiting functions are gathered, run one
after the other on the loop's own thread, each inside a savepoint of its own, and committed together (one fsync for all) by a
thread, while the loop reads the next requests; only then the callers are answered. Running the statements on the loop's
thread matters: sqlite3 lets go of the interpreter's lock at every statement, and a second thread that wants it back each time
costs more than the statements. Readers use read-only connections and never wait for the writer (WAL).
"""

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from gerbang.storage.database import MAX_TRIES, ConstraintBroken, Database, Params, Retry, Row, StorageBusy, StorageUnusable, Tx

T = TypeVar("T")

_MAX_BATCH = 64  # a batch keeps its loop from everything else, so it ends before anyone notices
_READERS = 4
_LOCK_WAIT_S = 5.0
_LOOK_EVERY_S = 0.25  # whether the files of the database are still there, when nothing is written
# The disk is full or broken, the file damaged, not ours to write, or none of SQLite's.
_UNUSABLE = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOTADB,
}


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
    # Who waits for the result, when that is a coroutine.
    future: "asyncio.Future[Any] | None" = None
    loop: asyncio.AbstractEventLoop | None = None
    tries: int = 0
    result: Any = None
    error: BaseException | None = None
    topics: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Batch:
    """Functions that share a commit; `begun` when they have run already and only the commit is missing."""

    jobs: list[_Job]
    begun: bool
    failed: BaseException | None = None  # what ended the transaction of all before it could be committed


class SqliteDatabase(Database):
    """One file (or `:memory:`), many readers, one writer."""

    engine = "sqlite"

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self._in_memory = path == ":memory:"
        if not self._in_memory:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            # Secret keys are in here: for this user alone. SQLite gives its side files the mode of the file itself.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._writer = self._connect()
        # Opening creates the WAL files, so that read-only connections find them.
        self._writer.execute("pragma user_version")
        real = os.path.realpath(path)
        self._look_again = 0.0  # by time.monotonic()
        self._files = {} if self._in_memory else {file: _identity(file) for file in (path, f"{real}-wal")}
        # Another process may be writing: the loop's thread must not wait for it, so waiting is done in `_begin`.
        self._writer.execute("pragma busy_timeout = 0")
        self._batches: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # holds what is gathered, `_held`, `_closed` and `_idle_readers` together
        self._freed = threading.Condition(self._lock)
        self._held = False  # whether somebody has the writing connection
        self._holder: int | None = None  # the thread that is running functions on it
        self._gathered: dict[asyncio.AbstractEventLoop, deque[_Job]] = {}
        self._idle_readers: list[sqlite3.Connection] = []
        self._read_pool = ThreadPoolExecutor(_READERS, thread_name_prefix="gerbang-read")
        self._closed = False
        self._thread = threading.Thread(target=self._commit_loop, name="gerbang-commit", daemon=True)
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
        self._gather(_Job(fn, future=future, loop=loop), loop)
        return await future

    def transact_now(self, fn: Callable[[Tx], T]) -> T:
        result: T = self._run_now(_Job(fn))
        return result

    def _gather(self, job: _Job, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:  # so that nothing is gathered behind the end
            if self._closed:
                raise StorageBusy("the database is closed")
            gathered = self._gathered.get(loop)
            if gathered is None:
                gathered = self._gathered[loop] = deque()
                if not self._held:
                    # Not at once: whatever else this turn of the loop brings shares the commit.
                    loop.call_soon(self._run_gathered, loop)
            gathered.append(job)

    def _run_gathered(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            if self._held or loop not in self._gathered:
                return  # whoever holds the connection calls here again when it is free
            self._held = True
            gathered = self._gathered[loop]
            jobs = [gathered.popleft() for _ in range(min(len(gathered), _MAX_BATCH))]
            if not gathered:
                del self._gathered[loop]
        try:
            self._writer.execute("begin immediate")
        except sqlite3.Error:
            self._batches.put(_Batch(jobs, begun=False))  # another process is writing: wait for it elsewhere
            return
        failed: BaseException | None = None
        try:
            self._run_jobs(jobs)
        except BaseException as error:
            failed = error
        self._batches.put(_Batch(jobs, begun=True, failed=failed))

    def _run_now(self, job: _Job) -> Any:
        assert self._holder != threading.get_ident(), "a transaction inside a transaction would wait for itself"
        with self._freed:
            self._freed.wait_for(lambda: not self._held or self._closed)
            if self._closed:
                raise StorageBusy("the database is closed")
            self._held = True
        try:
            self._finish(_Batch([job], begun=False))
        finally:
            self._let_go()
        if job.error is not None:
            raise job.error
        return job.result

    def _commit_loop(self) -> None:
        while (batch := self._batches.get()) is not None:
            self._finish(batch)
            self._let_go()
            _answer(batch.jobs)

    def _let_go(self) -> None:
        """The writing connection is free: for who waits for it, and for what was gathered meanwhile."""
        with self._freed:
            self._held = False
            self._freed.notify_all()
            for loop in list(self._gathered):
                try:
                    loop.call_soon_threadsafe(self._run_gathered, loop)
                except RuntimeError:
                    del self._gathered[loop]  # the loop is gone, and with it everyone who waited

    def _finish(self, batch: _Batch) -> None:
        jobs = batch.jobs
        try:
            if not batch.begun:
                self._begin()
                self._run_jobs(jobs)
            elif batch.failed is not None:
                raise batch.failed
            self._check_files()
            self._writer.execute("commit")
            self._check_files()  # what went into a file that has no name any more is not there tomorrow
        except BaseException as error:
            # The commit itself failed (disk full, file locked by another process): nobody's work is there. Who was refused
            # is told the same, because it may have been refused for what a neighbour wrote.
            with contextlib.suppress(sqlite3.Error):
                self._writer.execute("rollback")
            for job in jobs:
                job.error = _named(error)
        else:
            self._tell({topic for job in jobs if job.error is None for topic in job.topics})

    def _begin(self) -> None:
        deadline = time.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                self._writer.execute("begin immediate")
                return
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() > deadline:
                    raise
            time.sleep(0.002)

    def _run_jobs(self, jobs: list[_Job]) -> None:
        self._holder = threading.get_ident()
        try:
            for job in jobs:
                self._run_job(job)
        finally:
            self._holder = None

    def _run_job(self, job: _Job) -> None:
        while True:
            tx = SqliteTx(self._writer)
            self._writer.execute("savepoint job")
            try:
                job.result = job.fn(tx)
            except BaseException as error:
                if not self._writer.in_transaction:
                    raise  # a full or broken disk makes SQLite roll everything back, the neighbours' work too
                self._writer.execute("rollback to job")
                self._writer.execute("release job")
                if isinstance(error, Retry) and job.tries < MAX_TRIES:
                    job.tries += 1
                    continue
                job.error = StorageBusy("lost too many races") if isinstance(error, Retry) else _named(error)
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
            self._gather(_Job(fn, reads_only=True, future=future, loop=loop), loop)
            return await future
        with self._lock:
            if self._closed:
                raise StorageBusy("the database is closed")
            reading = self._read_pool.submit(self._read, fn)
        return await asyncio.wrap_future(reading)

    def read_now(self, fn: Callable[[Tx], T]) -> T:
        if self._in_memory:
            result: T = self._run_now(_Job(fn, reads_only=True))
            return result
        with self._lock:
            if self._closed:
                raise StorageBusy("the database is closed")
        return self._read(fn)

    def _read(self, fn: Callable[[Tx], T]) -> T:
        try:
            # Reading loses nothing, and asking the system each time would cost as much as a small read.
            if time.monotonic() >= self._look_again:
                self._check_files()
            with self._reader() as connection:
                connection.execute("begin")
                try:
                    return fn(SqliteTx(connection))
                finally:
                    connection.execute("rollback")
        except sqlite3.Error as error:
            raise _named(error) from error

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

    def lost(self) -> str | None:
        for file, identity in self._files.items():
            try:
                found = _identity(file)
            except OSError as error:
                return f"{file}: {error.strerror}, although it is open"
            if found != identity:
                return f"{file} is another file than the one that is open"
        return None

    def _check_files(self) -> None:
        lost = self.lost()
        if lost is not None:
            self._look_again = 0.0
            raise StorageUnusable(lost)
        self._look_again = time.monotonic() + _LOOK_EVERY_S

    def damage(self) -> str | None:
        try:
            row = self.read_now(lambda tx: tx.one("pragma quick_check(1)"))
        except StorageUnusable as error:
            return str(error)
        found = "no answer" if row is None else str(row["quick_check"])
        return None if found == "ok" else found

    def run_script(self, sql: str) -> None:
        def run(tx: Tx) -> None:
            for statement in filter(str.strip, sql.split(";\n")):
                tx.execute(statement)

        self.transact_now(run)

    def close(self) -> None:
        with self._freed:
            if self._closed:
                return
            self._closed = True
            self._freed.notify_all()
            # What is under way ends first; then what was gathered, here, because its loop may be the one that is closing us.
            self._freed.wait_for(lambda: not self._held)
            self._held = True
            left = [job for gathered in self._gathered.values() for job in gathered]
            self._gathered.clear()
            idle, self._idle_readers = self._idle_readers, []
        if left:
            self._finish(_Batch(left, begun=False))
            _answer(left)
        self._batches.put(None)
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


def _named(error: BaseException) -> BaseException:
    """An error of the disk or the file by its name in storage; every other one as it is."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF if isinstance(error, sqlite3.Error) else 0
    if code == sqlite3.SQLITE_BUSY:
        return StorageBusy(str(error))
    return StorageUnusable(str(error)) if code in _UNUSABLE else error


def _identity(file: str) -> tuple[int, int]:
    found = os.stat(file)
    return found.st_dev, found.st_ino


def _answer(batch: list[_Job]) -> None:
    """Wake every caller; one call into each event loop for the whole batch."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in batch:
        if job.loop is not None:
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
