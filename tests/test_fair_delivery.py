"""Endpoints that accept and never answer hold up nobody else: neither other merchants, nor their own merchant's other endpoints."""

import selectors
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gerbang.merchants import MerchantOptions, create, update
from gerbang.notifications import delivery
from gerbang.notifications.outbox import enqueue
from gerbang.protocols.snap.notification import KIND as SNAP
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import SANDBOX_SECRET_KEY
from gerbang.storage import Tx
from support.gateway import NOON
from support.listener import Answer, Listener
from support.notifying import Delivering, a_merchant, as_stored, eventually, queue_one

pytestmark = pytest.mark.slow


class Dead:
    """Endpoints that accept, read, and never answer: one address of 127.0.0.0/8 each, all on one port."""

    def __init__(self, count: int) -> None:
        self._watched = selectors.DefaultSelector()
        self._listening = socket.socket()
        self._listening.bind(("0.0.0.0", 0))
        self._listening.listen(4096)
        self._listening.setblocking(False)
        self._watched.register(self._listening, selectors.EVENT_READ)
        self.port = self._listening.getsockname()[1]
        self.hosts = [f"127.{9 + n // 60_000}.{n // 250 % 240}.{1 + n % 250}" for n in range(count)]
        self._open: list[socket.socket] = []
        self._over = False
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while not self._over:
            for _ in self._watched.select(0.05):
                try:
                    self._open.append(self._listening.accept()[0])
                except OSError:
                    break

    def stop(self) -> None:
        self._over = True
        self._thread.join()
        for one in (*self._open, self._listening):
            one.close()


@pytest.fixture
def merchant() -> Iterator[Listener]:
    with a_merchant() as listening:
        yield listening


def queue_all(tx: Tx, urls: list[str], merchant_id: str, *, kind: str = "nonsnap") -> list[str]:
    return [
        enqueue(tx, merchant_id=merchant_id, order_id=f"ord_{n}", payment_id=f"pay_{merchant_id}_{n}", kind=kind, url=url, body={}, now=NOON)
        for n, url in enumerate(urls)
    ]  # fmt: skip


def two_merchants(tx: Tx) -> None:
    for client_id in (DEMO_CLIENT_ID, "BRN-DEAD"):
        create(tx, name="Toko", client_id=client_id, secret_key=SANDBOX_SECRET_KEY, now=NOON)


def told_in_time(count: int, directory: Path, merchant: Listener, *, same_merchant: bool, limit_s: float) -> None:
    dead = Dead(count)
    try:
        with Delivering(str(directory / "gerbang.db"), notification_timeout_s=30) as process:
            process.database.transact_now(two_merchants)
            urls = [f"http://{host}:{dead.port}/n" for host in dead.hosts]
            process.database.transact_now(lambda tx: queue_all(tx, urls, DEMO_CLIENT_ID if same_merchant else "BRN-DEAD"))

            for wait_s in (0.05, 1.0, 2.0):
                time.sleep(wait_s)
                began = time.monotonic()
                merchant.forget()
                honest = queue_one(process.database, merchant.url("/n"), payment_id=f"pay_h{wait_s}")
                merchant.wait_for(1, 5)
                assert time.monotonic() - began < limit_s, f"{wait_s} s after the dead ones came"
                eventually(lambda honest=honest: as_stored(process.database, honest)[0].state.value == "DELIVERED")
            assert len(process.deliverer._tasks) <= process.deliverer._room
    finally:
        dead.stop()


@pytest.mark.parametrize("same_merchant", [False, True])
def test_four_hundred_dead_endpoints_hold_up_nobody(tmp_path: Path, merchant: Listener, same_merchant: bool) -> None:
    # They held up everybody for 30 s; how soon it is on a quiet machine, the proof below says.
    told_in_time(400, tmp_path, merchant, same_merchant=same_merchant, limit_s=5.0)


@pytest.mark.proof
@pytest.mark.parametrize("same_merchant", [False, True])
def test_two_thousand_dead_endpoints_hold_up_nobody(tmp_path: Path, merchant: Listener, same_merchant: bool) -> None:
    # Of one merchant nobody knows which of two thousand new endpoints is the honest one: each has its first moment before.
    told_in_time(2000, tmp_path, merchant, same_merchant=same_merchant, limit_s=4.0 if same_merchant else 1.0)


def test_when_the_room_is_full_those_of_the_merchant_with_most_of_them_are_let_go(
    tmp_path: Path, merchant: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_MAX_IN_FLIGHT", 40)
    dead = Dead(200)
    try:
        with Delivering(str(tmp_path / "gerbang.db"), notification_timeout_s=30) as process, a_merchant() as slow:
            process.database.transact_now(two_merchants)
            urls = [f"http://{host}:{dead.port}/n" for host in dead.hosts]
            stuck = process.database.transact_now(lambda tx: queue_all(tx, urls, "BRN-DEAD"))
            # Another merchant's endpoint that takes its time is none of those.
            slow.script([Answer(delay_s=2.5)])
            [late] = process.database.transact_now(lambda tx: queue_all(tx, [slow.url("/n")], DEMO_CLIENT_ID))

            eventually(lambda: as_stored(process.database, late)[0].state.value == "DELIVERED")
            attempts = [attempt for one in stuck for attempt in as_stored(process.database, one)[1]]
            assert attempts
            assert all("others needed the place" in (attempt.error or "") for attempt in attempts)
            assert len(process.deliverer._tasks) <= 40
    finally:
        dead.stop()


def test_those_that_wait_for_a_token_are_let_go_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They wait for one call that somebody else of them makes."""
    monkeypatch.setattr(delivery, "_MAX_IN_FLIGHT", 40)
    dead = Dead(100)
    try:
        with Delivering(str(tmp_path / "gerbang.db"), notification_timeout_s=30) as process:
            process.database.transact_now(two_merchants)
            options = MerchantOptions(snap_token_url=f"http://{dead.hosts[0]}:{dead.port}/token")
            process.database.transact_now(lambda tx: update(tx, "BRN-DEAD", options=options))
            urls = [f"http://{host}:{dead.port}/n" for host in dead.hosts]
            stuck = process.database.transact_now(lambda tx: queue_all(tx, urls, "BRN-DEAD", kind=SNAP))

            def let_go() -> list[str]:
                errors = [attempt.error or "" for one in stuck for attempt in as_stored(process.database, one)[1]]
                return [error for error in errors if "others needed the place" in error]

            eventually(lambda: len(let_go()) >= 60)
            assert len(process.deliverer._tasks) <= 40
    finally:
        dead.stop()


def test_several_merchants_together_do_not_fill_the_room_either(
    tmp_path: Path, merchant: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_MAX_IN_FLIGHT", 40)
    dead, clients = Dead(60), [f"BRN-DEAD-{n}" for n in range(3)]

    def make(tx: Tx) -> None:
        for client_id in (DEMO_CLIENT_ID, *clients):
            create(tx, name="Toko", client_id=client_id, secret_key=SANDBOX_SECRET_KEY, now=NOON)
        for client_id in clients:
            queue_all(tx, [f"http://{host}:{dead.port}/n" for host in dead.hosts], client_id)

    try:
        with Delivering(str(tmp_path / "gerbang.db"), notification_timeout_s=30) as process:
            process.database.transact_now(make)
            eventually(lambda: len(process.deliverer._tasks) >= 30)
            queue_one(process.database, merchant.url("/n"), payment_id="pay_honest")

            assert merchant.wait_for(1, 10)
    finally:
        dead.stop()


def test_names_that_are_not_found_hold_up_nobody(tmp_path: Path, merchant: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    over, look_up = threading.Event(), socket.getaddrinfo

    def dead_name_server(host: str, *args: object, **kwargs: object) -> object:
        if host.startswith("dead-"):
            over.wait(20)
        return look_up("localhost" if host.startswith("dead-") else host, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", dead_name_server)
    try:
        with Delivering(str(tmp_path / "gerbang.db"), notification_timeout_s=30) as process:
            process.database.transact_now(two_merchants)
            process.database.transact_now(
                lambda tx: queue_all(tx, [f"http://dead-{n}.example/n" for n in range(200)], "BRN-DEAD")
            )
            eventually(lambda: len(process.deliverer._tasks) >= 90)
            queue_one(process.database, f"http://localhost:{merchant.port}/n", payment_id="pay_honest")

            assert merchant.wait_for(1, 5)
            over.set()
    finally:
        over.set()
