"""What the gateway answers while its database is away, frozen, taken away or without room, and how soon it is back."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from gerbang.cli import main
from gerbang.settings import load_settings
from gerbang.storage import StorageBusy, StorageUnusable, open_database
from support.gateway import Answer, RunningGateway, assert_clean
from support.nonsnap import served
from support.outage import OwnPostgres, own_postgres

pytestmark = pytest.mark.slow


PATIENCE_S = 1.0


@pytest.fixture(scope="module")
def server() -> Iterator[OwnPostgres]:
    with own_postgres() as running:
        yield running


@pytest.fixture
def running(server: OwnPostgres) -> Iterator[RunningGateway]:
    given = {"data": server.url, "database_connections": 4, "database_timeout_s": PATIENCE_S}
    gateway = RunningGateway(load_settings(env={}, given=given))
    yield gateway
    try:
        assert_clean(gateway.database)
    finally:
        gateway.stop()


def many_orders(running: RunningGateway, count: int) -> list[Answer]:
    with ThreadPoolExecutor(count) as callers:
        return list(callers.map(lambda _: running.create_order(), range(count)))


def back_within(running: RunningGateway, limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while running.create_order().status != 200:
        assert time.monotonic() < deadline, "the gateway did not find its database again"
    assert running.request("GET", "/readyz").json == {"status": "ok"}


def test_postgresql_that_is_down_is_told_at_once_and_found_again_when_it_returns(server: OwnPostgres, running: RunningGateway):
    assert running.create_order().status == 200
    server.stop()
    try:
        stopped = time.monotonic()
        while time.monotonic() - stopped < 3:
            begun = time.monotonic()
            answers = many_orders(running, 8)
            assert {answer.status for answer in answers} == {503}
            assert all("error" in answer.json for answer in answers)
            assert time.monotonic() - begun < PATIENCE_S + 1.5
        ready = running.request("GET", "/readyz")
        assert (ready.status, ready.json["status"]) == (503, "unavailable")
        assert ready.json["reason"]
        assert running.request("GET", "/healthz").status == 200
    finally:
        server.start()

    back_within(running, 2)


@pytest.mark.proof
def test_after_an_outage_of_minutes_it_is_found_again_as_soon(server: OwnPostgres, running: RunningGateway):
    """It took the longer the longer the outage was: 82 seconds after 150."""
    server.stop()
    try:
        stopped = time.monotonic()
        while time.monotonic() - stopped < 150:
            begun = time.monotonic()
            assert {answer.status for answer in many_orders(running, 8)} == {503}
            assert time.monotonic() - begun < PATIENCE_S + 2  # and two seconds of connecting, as operators are told
            time.sleep(0.5)
    finally:
        server.start()

    back_within(running, 2)


def test_a_frozen_postgresql_keeps_nobody_longer_than_the_setting_says(server: OwnPostgres, running: RunningGateway):
    assert {answer.status for answer in many_orders(running, 8)} == {200}
    server.freeze()
    try:
        begun = time.monotonic()
        # More callers than connections: who waits behind the stuck ones is answered too.
        answers = many_orders(running, 16)
        took = time.monotonic() - begun
        assert {answer.status for answer in answers} == {503}
        assert took < PATIENCE_S + 3
        assert running.request("GET", "/healthz").status == 200
        assert running.request("GET", "/readyz").status == 503
    finally:
        server.thaw()

    back_within(running, 2)


def test_a_sqlite_file_that_is_taken_away_is_noticed_before_anything_is_acknowledged(tmp_path: Path):
    with served(tmp_path) as running:
        assert running.create_order("INV-BEFORE").status == 200
        data, aside = tmp_path / "gerbang.db", tmp_path / "aside.db"
        wal, wal_aside = tmp_path / "gerbang.db-wal", tmp_path / "aside.db-wal"

        for file, elsewhere, replaced in ((data, aside, False), (data, aside, True), (wal, wal_aside, False)):
            file.rename(elsewhere)
            if replaced:
                file.write_bytes(b"")
            refused = running.create_order()
            assert (refused.status, "error" in refused.json) == (503, True)
            assert running.status("INV-BEFORE").status == 503
            for path in ("/healthz", "/readyz"):
                health = running.request("GET", path)
                assert (health.status, health.json["status"]) == (503, "unavailable")
                assert file.name in health.json["reason"]
            elsewhere.replace(file)
            assert running.create_order().status == 200
            assert running.request("GET", "/healthz").json == {"status": "ok"}

        assert running.status("INV-BEFORE").status == 200


def test_a_full_sqlite_answers_503_and_takes_payments_again_when_there_is_room(tmp_path: Path):
    with served(tmp_path) as running:
        assert running.create_order("INV-BEFORE").status == 200
        database = running.database
        pages = database.read_now(lambda tx: tx.one("pragma page_count"))["page_count"]  # type: ignore[index]
        database.transact_now(lambda tx: tx.all(f"pragma max_page_count = {pages}"))

        # Several share a commit: what becomes of one must leave the line open for all.
        answers = many_orders(running, 8)
        while {answer.status for answer in answers} == {200}:
            answers = many_orders(running, 8)
        assert {answer.status for answer in answers} <= {200, 503}
        assert all("error" in answer.json for answer in answers if answer.status == 503)
        assert running.status("INV-BEFORE").status == 200
        database.transact_now(lambda tx: tx.all("pragma max_page_count = 1000000"))

        assert {answer.status for answer in many_orders(running, 8)} == {200}


# The kernel's limit on a file's size stands for the end of a disk: writing past it fails in the middle of a commit.
FILLS_THE_DISK = """
    import asyncio, resource, sys
    from gerbang.storage import StorageUnusable, open_database

    database = open_database(sys.argv[1])
    database.transact_now(lambda tx: tx.execute("create table kept (n integer, t text)"))

    async def write(count):
        one = lambda n: database.transact(lambda tx: tx.execute("insert into kept values (:n, :t)", {"n": n, "t": "x" * 9000}))
        return await asyncio.gather(*(one(n) for n in range(count)), return_exceptions=True)

    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, resource.RLIM_INFINITY))
    done, failed = 0, []
    while not failed:
        results = asyncio.run(write(40))
        done += sum(1 for result in results if result == 1)
        failed = [result for result in results if result != 1]
    assert all(isinstance(error, StorageUnusable) for error in failed), failed
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert asyncio.run(write(3)) == [1, 1, 1]
    kept = database.read_now(lambda tx: tx.one("select count(*) as n from kept"))["n"]
    assert kept == done + 3, (kept, done)
    assert database.damage() is None
    database.close()
"""


def test_what_was_acknowledged_before_the_disk_was_full_is_kept_and_nothing_else(tmp_path: Path):
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FILLS_THE_DISK), str(tmp_path / "gerbang.db")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr


def test_commands_say_in_one_line_that_the_data_is_of_no_use(tmp_path: Path, server: OwnPostgres):
    whole = tmp_path / "whole.db"
    with served(tmp_path) as running:
        running.create_order()
    (tmp_path / "gerbang.db").rename(whole)
    image = whole.read_bytes()
    damaged = {
        "junk.db": b"no database" * 1000,
        "cut.db": image[: len(image) // 2],
        "torn.db": image[:8192] + os.urandom(len(image) - 8192),
        **{
            f"end{tenths}.db": image[: (kept := len(image) * tenths // 40960 * 4096)] + os.urandom(len(image) - kept)
            for tenths in (6, 8, 9)
        },
        **{f"page{n}.db": image[: n * 4096] + b"\xff" * 4096 + image[(n + 1) * 4096 :] for n in (3, 7, 24)},
        "head.db": image[:100] + bytes(4096) + image[4196:],
    }
    (tmp_path / "folder.db").mkdir()
    addresses = [str(tmp_path / name) for name in (*damaged, "folder.db", "none.db")]
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
    addresses += ["postgresql://nobody@127.0.0.1:1/none", server.url.replace("/postgres?", "/absent?")]
    addresses.append(server.url.replace("//postgres@", "//nobody:wrong@"))

    for address in addresses:
        said = CliRunner().invoke(main, ["verify", "--data", address])
        assert (said.exit_code, said.output.count("\n")) == (1, 1), (address, said.output)
        assert said.output.startswith("Error: ")
        for command in (["merchant", "list"], ["payments", "list"], ["notifications", "list"], ["wallet", "list"]):
            said = CliRunner().invoke(main, [*command, "--data", address])
            assert said.exception is None or isinstance(said.exception, SystemExit), (address, command, said.exception)


def test_a_transaction_on_a_lost_file_leaves_nothing_behind(tmp_path: Path):
    database = open_database(str(tmp_path / "gerbang.db"))
    database.run_script("create table kept (n integer)")
    (tmp_path / "gerbang.db").rename(tmp_path / "aside.db")

    with pytest.raises(StorageUnusable):
        database.transact_now(lambda tx: tx.execute("insert into kept values (1)"))
    with pytest.raises(StorageBusy):
        database.read_now(lambda tx: tx.all("select * from kept"))
    (tmp_path / "aside.db").rename(tmp_path / "gerbang.db")

    assert database.read_now(lambda tx: tx.all("select * from kept")) == []
    database.close()
