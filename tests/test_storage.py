"""Storage keeps what it acknowledged, and nothing of what it refused, on both engines."""

import asyncio
import contextlib
import multiprocessing
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gerbang.storage import ConstraintBroken, Database, Retry, Row, StorageBusy, Tx, open_database


def put(name: str, value: str = "1") -> Callable[[Tx], None]:
    return lambda tx: void(
        tx.execute("insert into instance (name, value) values (:name, :value)", {"name": name, "value": value})
    )


def void(_: object) -> None:
    """For functions that have nothing to say."""


def names(database: Database) -> list[str]:
    return [row["name"] for row in database.read_now(lambda tx: tx.all("select name from instance order by name"))]


def add_one(tx: Tx) -> int:
    """A counter by compare-and-set, as the ledger does it."""
    row = tx.one("select value from instance where name = 'counter'")
    assert row is not None
    seen = int(row["value"])
    won = tx.execute(
        "update instance set value = :next where name = 'counter' and value = :seen", {"next": str(seen + 1), "seen": str(seen)}
    )
    if won != 1:
        raise Retry
    return seen + 1


class Held:
    """Occupies the SQLite writer, so that everything queued meanwhile shares the next group commit."""

    def __init__(self, database: Database) -> None:
        self._go = threading.Event()
        self._database = database
        self._thread = threading.Thread(target=self._hold)
        self._thread.start()

    def _hold(self) -> None:
        with contextlib.suppress(sqlite3.IntegrityError):  # the commit it shares fails in one test
            self._database.transact_now(lambda _tx: void(self._go.wait(10)))

    def let_go(self) -> None:
        self._go.set()
        self._thread.join()


@pytest.fixture
def in_memory() -> Iterator[Database]:
    with contextlib.closing(open_database(":memory:")) as database:
        yield database


# -- all or nothing


def test_what_a_function_wrote_before_it_raised_is_not_there(database: Database) -> None:
    def write_and_raise(tx: Tx) -> None:
        put("half")(tx)
        raise LookupError("changed my mind")

    with pytest.raises(LookupError, match="changed my mind"):
        database.transact_now(write_and_raise)

    assert names(database) == []


def test_a_raising_function_rolls_back_alone_and_its_neighbours_in_the_same_commit_stay(database: Database) -> None:
    def fail(tx: Tx) -> None:
        put("failed")(tx)
        raise LookupError

    async def together() -> list[object]:
        held = Held(database)
        jobs = [asyncio.ensure_future(database.transact(fn)) for fn in (put("a"), fail, put("b"), fail, put("c"))]
        await asyncio.sleep(0.05)
        held.let_go()
        return await asyncio.gather(*jobs, return_exceptions=True)

    outcomes = asyncio.run(together())

    assert [type(outcome) for outcome in outcomes] == [type(None), LookupError, type(None), LookupError, type(None)]
    assert names(database) == ["a", "b", "c"]


def test_a_row_the_schema_refuses_is_told_in_the_same_way_by_both_engines(database: Database) -> None:
    database.transact_now(put("once"))

    with pytest.raises(ConstraintBroken):
        database.transact_now(put("once"))

    assert names(database) == ["once"]


def test_when_the_commit_fails_nobody_is_told_that_it_worked(tmp_path: Path) -> None:
    # Foreign keys checked at the end make the commit itself fail, after every function has returned.
    path = str(tmp_path / "gerbang.db")

    def break_the_commit(tx: Tx) -> None:
        tx.execute("pragma defer_foreign_keys = on")
        tx.execute(
            "insert into payment (id, order_id, merchant_id, channel, amount, state, created_at, expires_at)"
            " values ('p', 'no such order', 'm', 'c', 1, 'PENDING', 0, 0)"
        )

    async def together(database: Database) -> list[object]:
        held = Held(database)
        jobs = [asyncio.ensure_future(database.transact(fn)) for fn in (put("a"), break_the_commit, put("b"))]
        await asyncio.sleep(0.05)
        held.let_go()
        return await asyncio.gather(*jobs, return_exceptions=True)

    with contextlib.closing(open_database(path)) as database:
        outcomes = asyncio.run(together(database))

        assert [type(outcome) for outcome in outcomes] == [sqlite3.IntegrityError] * 3
        assert names(database) == []
        database.transact_now(put("afterwards"))
        assert names(database) == ["afterwards"]


# -- many at once


def test_many_threads_lose_no_update(database: Database) -> None:
    database.transact_now(put("counter", "0"))

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda _: database.transact_now(add_one), range(100)))

    assert database.read_now(lambda tx: tx.one("select value from instance"))["value"] == "100"  # type: ignore[index]


def test_many_tasks_lose_no_update(database: Database) -> None:
    database.transact_now(put("counter", "0"))

    async def add_many() -> list[int]:
        return await asyncio.gather(*[database.transact(add_one) for _ in range(100)])

    assert sorted(asyncio.run(add_many())) == list(range(1, 101))


def test_one_event_loop_may_close_while_others_go_on(database: Database) -> None:
    async def leave_early() -> None:
        task = asyncio.ensure_future(database.transact(lambda tx: (time.sleep(0.1), put("left")(tx))[1]))
        await asyncio.sleep(0.02)
        task.cancel()

    asyncio.run(leave_early())
    asyncio.run(database.transact(put("stayed")))

    deadline = time.monotonic() + 5
    while len(names(database)) < 2:  # nobody waits for the first one any more
        assert time.monotonic() < deadline
    assert names(database) == ["left", "stayed"]


# -- losing races


def test_retry_runs_the_whole_function_again_on_a_clean_slate(database: Database) -> None:
    seen: list[int] = []

    def third_time_lucky(tx: Tx) -> str:
        seen.append(len(tx.all("select name from instance")))
        put(f"try {len(seen)}")(tx)
        if len(seen) < 3:
            raise Retry
        return "done"

    assert database.transact_now(third_time_lucky) == "done"
    assert seen == [0, 0, 0]
    assert names(database) == ["try 3"]


def test_a_function_that_loses_every_race_is_busy_and_leaves_nothing(database: Database) -> None:
    def always_late(tx: Tx) -> None:
        put("late")(tx)
        raise Retry

    with pytest.raises(StorageBusy, match="races"):
        database.transact_now(always_late)

    assert names(database) == []


# -- signals


def test_a_signal_is_told_after_the_commit_and_finds_the_row(database: Database) -> None:
    found: list[list[str]] = []
    heard = threading.Event()

    def listener() -> None:
        threading.Thread(target=lambda: (found.append(names(database)), heard.set())).start()

    database.listen("outbox", listener)

    database.transact_now(lambda tx: (put("row")(tx), tx.signal("outbox"))[1])

    assert heard.wait(5)
    assert found == [["row"]]


def test_what_was_rolled_back_signals_nothing_even_beside_neighbours_that_were_committed(database: Database) -> None:
    heard: list[str] = []
    for topic in ("kept", "refused", "first try"):
        database.listen(topic, lambda topic=topic: heard.append(topic))  # type: ignore[misc]
    tries: list[int] = []

    def keep(tx: Tx) -> None:
        put("kept")(tx)
        tx.signal("kept")

    def refuse(tx: Tx) -> None:
        tx.signal("refused")
        raise LookupError

    def second_try(tx: Tx) -> None:
        tries.append(1)
        if len(tries) == 1:
            tx.signal("first try")
            raise Retry

    async def together() -> None:
        held = Held(database)
        jobs = [asyncio.ensure_future(database.transact(fn)) for fn in (keep, refuse, second_try)]
        await asyncio.sleep(0.05)
        held.let_go()
        await asyncio.gather(*jobs, return_exceptions=True)

    asyncio.run(together())

    assert heard == ["kept"]


def test_a_listener_that_fails_harms_neither_its_caller_nor_the_next(database: Database) -> None:
    def broken() -> None:
        raise RuntimeError("listener")

    database.listen("outbox", broken)

    database.transact_now(lambda tx: (put("first")(tx), tx.signal("outbox"))[1])
    database.transact_now(put("second"))

    assert names(database) == ["first", "second"]


# -- reading


def test_a_read_sees_one_moment_although_others_write_meanwhile(database: Database) -> None:
    database.transact_now(put("a"))

    def look_twice(tx: Tx) -> tuple[int, int]:
        before = len(tx.all("select name from instance"))
        database.transact_now(put("b"))
        return before, len(tx.all("select name from instance"))

    assert database.read_now(look_twice) == (1, 1)
    assert names(database) == ["a", "b"]


def test_reads_from_many_threads_and_tasks_go_on_at_once(database: Database) -> None:
    database.transact_now(put("a"))

    async def many() -> list[list[Row]]:
        return await asyncio.gather(*[database.read(lambda tx: tx.all("select * from instance")) for _ in range(50)])

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(lambda _: names(database), range(50))) == [["a"]] * 50
    assert [len(rows) for rows in asyncio.run(many())] == [1] * 50


def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(Exception, match=r"readonly|read-only"):
        database.read_now(put("sneaked in"))

    assert names(database) == []


# -- the same SQL on both engines


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("select '100% :name' as found", "100% :name"),
        ("select ':name' as found", ":name"),
        ("select 'it''s :name' as found", "it's :name"),
        ("select 'a:b' as found -- not a :parameter\n", "a:b"),
        ("select cast(:given as text) as found", "%s :x %(y)s"),
        ("select :given || '%' as found", "%s :x %(y)s%"),
        ("select 'found' as found where 'gerbang' like 'ger%'", "found"),
        ("select 7 % 4 as found", 3),
        ("select 1 as \":found\", ':' as found", ":"),
    ],
)
def test_colons_and_percent_signs_mean_the_same_on_both_engines(database: Database, sql: str, value: object) -> None:
    parameters = {"given": "%s :x %(y)s"} if ":given" in sql else None

    row = database.read_now(lambda tx: tx.one(sql, parameters))

    assert row is not None
    assert row["found"] == value


def test_a_postgresql_cast_is_not_a_parameter(postgres_dsn: str) -> None:
    with contextlib.closing(open_database(postgres_dsn)) as database:
        row = database.read_now(lambda tx: tx.one("select :n::text || '::int' as found", {"n": 5}))

    assert row is not None
    assert row["found"] == "5::int"


def test_bytes_large_numbers_and_indonesian_text_come_back_as_they_went_in(database: Database) -> None:
    def write_and_read(tx: Tx) -> Row | None:
        tx.execute(
            "insert into balance (account, amount, floor, seq, hash) values (:name, :most, 0, 1, :hash)",
            {"name": "merchant:Rp − “é” 🏦", "most": 2**63 - 1, "hash": bytes(range(256))},
        )
        row = tx.one("select account, amount, hash from balance")
        tx.execute("delete from balance")
        return row

    row = database.transact_now(write_and_read)

    assert row is not None
    assert (row["account"], row["amount"], bytes(row["hash"])) == ("merchant:Rp − “é” 🏦", 2**63 - 1, bytes(range(256)))


# -- the end


def test_closing_finishes_what_is_queued(data_address: str) -> None:
    database = open_database(data_address, connections=2)
    finished: list[int] = []

    async def queue_then_close() -> None:
        jobs = [
            asyncio.ensure_future(
                database.transact(lambda tx, n=n: (time.sleep(0.005), put(f"{n:03d}")(tx), finished.append(n))[1])
            )  # type: ignore[misc]
            for n in range(20)
        ]
        await asyncio.sleep(0)  # all are queued
        await asyncio.to_thread(database.close)
        await asyncio.gather(*jobs)

    asyncio.run(queue_then_close())

    with contextlib.closing(open_database(data_address)) as reopened:
        assert len(names(reopened)) == 20


def test_a_closed_database_says_so_instead_of_waiting_for_ever(data_address: str) -> None:
    database = open_database(data_address)
    database.close()
    database.close()

    async def ask() -> None:
        with pytest.raises(StorageBusy, match="closed"):
            await database.transact(put("late"))
        with pytest.raises(StorageBusy, match="closed"):
            await database.read(lambda tx: tx.one("select 1"))

    with pytest.raises(StorageBusy, match="closed"):
        database.transact_now(put("late"))
    with pytest.raises(StorageBusy, match="closed"):
        database.read_now(lambda tx: tx.one("select 1"))
    asyncio.run(ask())


def test_callers_racing_with_the_end_are_all_answered(data_address: str) -> None:
    for _ in range(5):
        database = open_database(data_address, connections=4)
        answers: list[str] = []

        def hammer(database: Database = database, answers: list[str] = answers) -> None:
            for _ in range(200):
                try:
                    database.transact_now(lambda _tx: None)
                except StorageBusy:
                    answers.append("closed")
                    return

        threads = [threading.Thread(target=hammer) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(0.01)
        database.close()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()


# -- SQLite: one file, several processes, crashes

WRITER = """
import sys
from gerbang.storage import open_database
database = open_database(sys.argv[1])
for n in range(int(sys.argv[3])):
    name = f"{sys.argv[2]}-{n:06d}"
    database.transact_now(lambda tx: tx.execute("insert into instance (name, value) values (:name, '1')", {"name": name}))
    print(name, flush=True)
database.close()
"""


def writing_process(address: str, prefix: str, count: int) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", WRITER, address, prefix, str(count)], stdout=subprocess.PIPE, text=True)


def test_every_acknowledged_write_survives_kill_9(data_address: str) -> None:
    writer = writing_process(data_address, "w", 1_000_000)
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline().strip() for _ in range(100)]
    writer.send_signal(signal.SIGKILL)
    acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]
    assert writer.wait() == -signal.SIGKILL

    with contextlib.closing(open_database(data_address)) as database:
        survived = names(database)

    assert survived[: len(acknowledged)] == acknowledged
    assert len(survived) <= len(acknowledged) + 1  # at most the one that was not acknowledged any more


def test_two_processes_may_open_and_write_the_same_new_database(data_address: str) -> None:
    writers = [writing_process(data_address, prefix, 50) for prefix in ("a", "b")]
    for writer in writers:
        writer.communicate(timeout=60)

    assert [writer.returncode for writer in writers] == [0, 0]
    with contextlib.closing(open_database(data_address)) as database:
        assert len(names(database)) == 100


def _open_and_close(address: str) -> None:
    open_database(address, connections=1).close()


def test_six_processes_may_create_the_same_database_at_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(6) as processes:
        for n in range(3):
            processes.map(_open_and_close, [str(tmp_path / f"{n}.db")] * 6, chunksize=1)


def test_a_file_locked_by_another_process_makes_busy_and_then_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gerbang.storage.sqlite._LOCK_WAIT_S", 0.2)
    path = str(tmp_path / "gerbang.db")
    with contextlib.closing(open_database(path)) as database, contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("begin immediate")
        with pytest.raises(StorageBusy, match="locked"):
            database.transact_now(put("too early"))
        assert names(database) == []  # readers do not wait for writers
        other.rollback()

        database.transact_now(put("in time"))

        assert names(database) == ["in time"]


def test_a_short_lock_of_another_process_is_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "gerbang.db")
    with (
        contextlib.closing(open_database(path)) as database,
        contextlib.closing(sqlite3.connect(path, check_same_thread=False)) as other,
    ):
        other.execute("begin immediate")
        threading.Timer(0.3, other.rollback).start()

        database.transact_now(put("patient"))

        assert names(database) == ["patient"]


def test_writes_reach_the_disk_before_they_are_acknowledged(tmp_path: Path) -> None:
    with contextlib.closing(open_database(str(tmp_path / "gerbang.db"))) as database:

        def asked(tx: Tx) -> tuple[object, ...]:
            return tuple(
                next(iter(tuple(tx.one(f"pragma {name}") or ()))) for name in ("synchronous", "journal_mode", "foreign_keys")
            )  # type: ignore[call-overload]

        assert database.transact_now(asked) == (2, "wal", 1)  # 2 is FULL


# -- SQLite in memory


def test_a_database_in_memory_writes_reads_and_rolls_back(in_memory: Database) -> None:
    def fail(tx: Tx) -> None:
        put("failed")(tx)
        raise LookupError

    async def use() -> list[str]:
        await in_memory.transact(put("a"))
        with pytest.raises(LookupError):
            await in_memory.transact(fail)
        return [row["name"] for row in await in_memory.read(lambda tx: tx.all("select name from instance"))]

    assert asyncio.run(use()) == ["a"]
    assert names(in_memory) == ["a"]


def test_a_read_in_memory_leaves_nothing_behind(in_memory: Database) -> None:
    in_memory.read_now(put("sneaked in"))

    assert names(in_memory) == []


# -- PostgreSQL


def test_connections_that_the_server_dropped_are_replaced_unnoticed(postgres_dsn: str) -> None:
    with (
        contextlib.closing(open_database(postgres_dsn, connections=4)) as database,
        contextlib.closing(open_database(postgres_dsn, connections=1)) as admin,
    ):
        database.transact_now(put("before"))
        admin.transact_now(
            lambda tx: tx.all(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            )
        )

        assert names(database) == ["before"]
        database.transact_now(put("after"))

        assert names(database) == ["after", "before"]


def test_a_lock_held_too_long_makes_busy(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gerbang.storage.postgresql._LOCK_WAIT_S", 1)
    with contextlib.closing(open_database(postgres_dsn)) as database:
        database.transact_now(put("row"))

        def hold_and_let_another_try(tx: Tx) -> None:
            tx.execute("update instance set value = '2'")
            with pytest.raises(StorageBusy, match="lock"):
                database.transact_now(lambda other: other.execute("update instance set value = '3'"))

        database.transact_now(hold_and_let_another_try)

        assert database.read_now(lambda tx: tx.one("select value from instance"))["value"] == "2"  # type: ignore[index]


def test_a_deadlock_is_run_again(postgres_dsn: str) -> None:
    with contextlib.closing(open_database(postgres_dsn)) as database:
        database.transact_now(put("a", "0"))
        database.transact_now(put("b", "0"))
        both_hold_one = threading.Barrier(2)

        def cross(first: str, second: str) -> None:
            met: list[int] = []

            def touch(tx: Tx) -> None:
                add = "update instance set value = cast(cast(value as integer) + 1 as text) where name = :name"
                tx.execute(add, {"name": first})
                if not met:
                    met.append(1)
                    both_hold_one.wait(5)
                tx.execute(add, {"name": second})

            database.transact_now(touch)

        threads = [threading.Thread(target=cross, args=pair) for pair in (("a", "b"), ("b", "a"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)

        values = database.read_now(lambda tx: [row["value"] for row in tx.all("select value from instance")])
        assert values == ["2", "2"]


def test_a_server_that_is_not_there_is_named_as_the_trouble() -> None:
    with pytest.raises(StorageBusy, match="PostgreSQL cannot be reached"):
        open_database("postgresql://nobody@127.0.0.1:1/nothing")


def test_the_database_is_for_its_owner_alone(tmp_path: Path) -> None:
    opened = open_database(str(tmp_path / "deep" / "gerbang.db"))
    opened.transact_now(lambda tx: tx.execute("insert into instance (name, value) values ('a', 'b')"))
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (tmp_path / "deep").iterdir()}
    opened.close()

    assert set(modes.values()) == {"0o600"}, modes
