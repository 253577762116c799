"""The delivery loop by itself: order, lanes, leases, and endpoints that behave badly."""

import asyncio
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from socket import socket as Socket
from typing import Any

import pytest

from gerbang.clock import real_now, to_ms
from gerbang.merchants import update
from gerbang.notifications import delivery, outbox, queue
from gerbang.notifications.outbox import Attempt, Notification, NotificationState, endpoint_of, get_notification, resend
from gerbang.notifications.queue import bring_forward, claim, record, renew, waiting
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import load_settings
from gerbang.storage import Database, open_database
from support.gateway import NOON, RunningGateway
from support.listener import Answer, Listener
from support.notifying import (
    Delivering,
    RudeReceiver,
    a_merchant,
    as_stored,
    end_payment,
    eventually,
    queue_one,
    the_notification,
)

pytestmark = pytest.mark.slow


DELAYS = (1_800, 21_600, 43_200)


@pytest.fixture
def merchant() -> Iterator[Listener]:
    with a_merchant() as receiver:
        yield receiver


def first_attempt(database: Database, notification_id: str) -> tuple[Notification, Attempt]:
    """The notification after its first attempt."""

    def look() -> tuple[Notification, Attempt] | None:
        notification, attempts = as_stored(database, notification_id)
        return (notification, attempts[0]) if attempts else None

    return eventually(look)


def delivered(database: Database, *notification_ids: str) -> bool:
    return all(as_stored(database, one)[0].state is NotificationState.DELIVERED for one in notification_ids)


# -- order, and who waits for whom


def test_a_payments_notifications_arrive_in_order_even_when_the_first_must_be_retried(data_address: str, merchant: Listener):
    merchant.script([500])
    with Delivering(data_address) as process:
        first = queue_one(process.database, merchant.url("/first"), payment_id="pay_1")
        merchant.wait_for(1)
        second = queue_one(process.database, merchant.url("/second"), payment_id="pay_1")
        other = queue_one(process.database, merchant.url("/other"), payment_id="pay_2")

        eventually(lambda: delivered(process.database, other))
        assert [call.target for call in merchant.received()] == ["/first", "/other"]
        assert as_stored(process.database, second)[1] == []

        process.advance(minutes=30)
        eventually(lambda: delivered(process.database, first, second))
        assert [call.target for call in merchant.received()] == ["/first", "/other", "/first", "/second"]


def test_a_person_who_resends_a_waiting_notification_gets_it_at_once(tmp_path: Path, merchant: Listener):
    merchant.script([500])
    with Delivering(str(tmp_path / "gerbang.db")) as process:
        queue_one(process.database, merchant.url("/first"), payment_id="pay_1")
        merchant.wait_for(1)
        second = queue_one(process.database, merchant.url("/second"), payment_id="pay_1")

        process.database.transact_now(lambda tx: resend(tx, second, now=process.clock.now()))

        assert [call.target for call in merchant.wait_for(2)] == ["/first", "/second"]


def test_ids_of_one_payment_sort_as_made_within_a_millisecond_and_when_the_machines_clock_goes_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    made: list[str] = []
    now_ns = time.time_ns()
    for moment in (now_ns, now_ns + 3_600 * 10**9, *[now_ns - seconds * 10**9 for seconds in (1, 1, 0, 7_200)]):
        monkeypatch.setattr("gerbang.ids._newest_ns", 0)  # as in another process
        monkeypatch.setattr("gerbang.ids.time.time_ns", lambda moment=moment: moment)
        made.append(queue_one(database, "http://shop.example/n", payment_id="pay_1"))

    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_what_waits_for_an_earlier_one_does_not_hold_up_a_moved_clock(tmp_path: Path, merchant: Listener):
    """`settle` is over when nothing more can be delivered now."""
    merchant.script([500])
    with Delivering(str(tmp_path / "gerbang.db")) as process:
        first_attempt(process.database, queue_one(process.database, merchant.url("/first"), payment_id="pay_1"))
        queue_one(process.database, merchant.url("/second"), payment_id="pay_1")

        assert asyncio.run_coroutine_threadsafe(process.deliverer.settle(60), process._loop).result(5)


def test_an_endpoint_that_hangs_delays_nobody_else(data_address: str, merchant: Listener):
    """300 notifications to an endpoint that never answers were first in the queue: more than there are slots."""
    assert delivery._SLOTS < 300
    with a_merchant() as hanging, open_for_filling(data_address) as filled, Delivering(data_address) as process:
        hanging.script([Answer(hang=True)] * 300)
        stuck = [queue_one(filled, hanging.url("/n"), payment_id=f"pay_stuck_{n}") for n in range(300)]
        hanging.wait_for(1)
        others = [queue_one(filled, merchant.url("/n"), payment_id=f"pay_{n}") for n in range(20)]

        merchant.wait_for(20)
        eventually(lambda: delivered(process.database, *others))
        assert not any(as_stored(process.database, one)[1] for one in stuck)
        assert len(hanging.received()) <= delivery._LANES
        hanging.release()


def test_many_silent_endpoints_cannot_fill_all_there_is(tmp_path: Path, merchant: Listener, monkeypatch: pytest.MonkeyPatch):
    """Whoever did not answer last time gets two lanes, until it answers again."""
    monkeypatch.setattr(delivery, "_MAX_IN_FLIGHT", 8)
    monkeypatch.setattr(delivery, "_LANES", 4)
    with (
        Delivering(str(tmp_path / "gerbang.db"), notification_timeout_s=0.3) as process,
        a_merchant() as one,
        a_merchant() as two,
    ):
        for silent in (one, two):
            silent.script([Answer(hang=True)] * 60)
            for n in range(20):
                queue_one(process.database, silent.url("/n"), payment_id=f"pay_{silent.port}_{n}")
        one.wait_for(5)
        two.wait_for(5)  # both have been found silent

        seen: list[int] = []
        for n in range(10):
            made = queue_one(process.database, merchant.url("/n"), payment_id=f"pay_{n}")
            first_attempt(process.database, made)
            seen.append(max(process.deliverer._under_way[endpoint_of(silent.url())] for silent in (one, two)))
        assert max(seen) <= 2
        one.release()
        two.release()


def open_for_filling(address: str) -> Any:
    """A database as another process has it open."""
    import contextlib

    return contextlib.closing(open_database(address, connections=2))


# -- several processes


def test_two_processes_deliver_each_notification_exactly_once(data_address: str, merchant: Listener):
    merchant.script([Answer(200, delay_s=0.01)] * 150)
    with Delivering(data_address, poll_interval_s=0.01) as one, Delivering(data_address, poll_interval_s=0.01) as other:
        made = [queue_one((one, other)[n % 2].database, merchant.url("/n"), payment_id=f"pay_{n}") for n in range(150)]
        eventually(lambda: delivered(one.database, *made))

        assert sorted(call.header("Request-Id") or "" for call in merchant.received()) == sorted(
            one.removeprefix("ntf_") for one in made
        )
        assert all(len(as_stored(one.database, made_one)[1]) == 1 for made_one in made)


def test_a_slow_delivery_keeps_its_lease_and_is_not_repeated_by_another_process(
    data_address: str, merchant: Listener, monkeypatch: pytest.MonkeyPatch
):
    for module in (queue, delivery):
        monkeypatch.setattr(module, "LEASE_S", 0.6)
    merchant.script([Answer(200, delay_s=2.4)])
    with Delivering(data_address, poll_interval_s=0.02) as one, Delivering(data_address, poll_interval_s=0.02) as other:
        made = queue_one(one.database, merchant.url("/n"), payment_id="pay_1")

        eventually(lambda: delivered(other.database, made))

        assert len(merchant.received()) == 1


def test_the_lease_of_a_dead_process_is_taken_over(data_address: str, merchant: Listener):
    with open_for_filling(data_address) as dead:
        made = queue_one(dead, merchant.url("/n"), payment_id="pay_1")
        ends = real_now() + timedelta(seconds=0.7)
        claimed = dead.transact_now(lambda tx: claim(tx, [made], now=real_now(), real=real_now(), until=to_ms(ends)))
        assert [notification.id for notification, _ in claimed] == [made]

    with Delivering(data_address, poll_interval_s=0.02) as successor:
        _, attempt = first_attempt(successor.database, made)

    assert attempt.status == 200
    assert attempt.started_real_at >= ends


def test_a_lease_from_the_future_belongs_to_nobody(database: Database):
    """The machine's clock was set back by an hour while a process that then died held it."""
    made = queue_one(database, "http://shop.example/n", payment_id="pay_1", now=NOON)
    database.transact_now(lambda tx: claim(tx, [made], now=NOON, real=NOON, until=to_ms(NOON + timedelta(hours=1))))

    found = database.read_now(lambda tx: waiting(tx, now=NOON, real=NOON, limit=10))

    assert [row["id"] for row in found] == [made]


def test_stopping_gives_back_what_was_not_delivered(data_address: str, merchant: Listener):
    """A restart need not wait for leases to run out."""
    merchant.script([Answer(hang=True)])
    with open_for_filling(data_address) as database:
        with Delivering(data_address):
            made = queue_one(database, merchant.url("/n"), payment_id="pay_1")
            merchant.wait_for(1)

        found = database.read_now(lambda tx: waiting(tx, now=real_now(), real=real_now(), limit=10))
        assert [row["id"] for row in found] == [made]
        assert as_stored(database, made)[0].state is NotificationState.QUEUED


def test_a_worker_alone_notifies_what_another_process_was_paid(data_address: str, merchant: Listener, tmp_path: Path):
    """`gerbang worker` is a gateway without HTTP; the process that takes the payment here does no background work."""
    taking_payments = RunningGateway(load_settings(env={}, given={"data": data_address}), background=False)
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "gerbang", "worker", "--data", data_address], stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        end_payment(taking_payments, "INV-1", notify_url=merchant.url("/notify"))

        [received] = merchant.wait_for(1, timeout_s=30)
        assert received.signature == "valid"
        assert the_notification(taking_payments, "INV-1", attempts=1)["state"] == "DELIVERED"
        worker.terminate()
        assert worker.wait(20) == 0, (tmp_path / "worker.log").read_text()
    finally:
        worker.kill()
        worker.wait()
        taking_payments.stop()


def answered(status: int | None) -> Attempt:
    return Attempt(
        number=0,
        at=NOON,
        started_real_at=NOON,
        duration_ms=1,
        url="http://shop.example/n",
        request_headers={},
        string_to_sign="",
        status=status,
        answer_headers={},
        answer_body="",
        error=None,
    )


def lease(database: Database, notification_id: str, *, seconds: float) -> tuple[Notification, int]:
    """Claim it `seconds` after noon; the lease."""
    real = NOON + timedelta(seconds=seconds)
    until = to_ms(real) + 6_000
    [(notification, _)] = database.transact_now(lambda tx: claim(tx, [notification_id], now=real, real=real, until=until))
    return notification, until


def put_down(database: Database, notification: Notification, attempt: Attempt, until: int, **given: Any) -> NotificationState:
    return database.transact_now(lambda tx: record(tx, notification, attempt, lease=until, retry_delays_s=DELAYS, **given))


def test_a_process_that_slept_through_its_lease_cannot_undo_what_its_successor_did(database: Database):
    made = queue_one(database, "http://shop.example/n", payment_id="pay_1", now=NOON)
    asleep, old_lease = lease(database, made, seconds=0)
    awake, new_lease = lease(database, made, seconds=10)

    assert database.transact_now(lambda tx: renew(tx, {made: old_lease}, until=new_lease + 60_000)) == []
    assert put_down(database, asleep, answered(None), old_lease) is NotificationState.QUEUED
    assert database.read_now(lambda tx: waiting(tx, now=NOON, real=NOON + timedelta(seconds=11), limit=1)) == []
    assert put_down(database, awake, answered(200), new_lease) is NotificationState.DELIVERED

    assert [attempt.status for attempt in as_stored(database, made)[1]] == [None, 200]


def test_a_late_failure_does_not_bring_back_what_was_delivered(database: Database):
    made = queue_one(database, "http://shop.example/n", payment_id="pay_1", now=NOON)
    asleep, old_lease = lease(database, made, seconds=0)
    awake, new_lease = lease(database, made, seconds=10)
    put_down(database, awake, answered(200), new_lease)

    put_down(database, asleep, answered(500), old_lease)

    notification, _ = as_stored(database, made)
    assert (notification.state, notification.due_at) == (NotificationState.DELIVERED, None)


def test_a_resend_is_not_lost_when_it_comes_just_before_the_outcome_is_written(database: Database):
    made = queue_one(database, "http://shop.example/n", payment_id="pay_1", now=NOON)
    taken, until = lease(database, made, seconds=0)
    database.transact_now(lambda tx: resend(tx, made, now=NOON + timedelta(seconds=1)))

    put_down(database, taken, answered(200), until)

    notification = database.read_now(lambda tx: get_notification(tx, made))
    assert (notification.state, notification.resend) == (NotificationState.DELIVERED, True)
    assert notification.due_at == NOON + timedelta(seconds=1)


# -- the plan


def test_retries_are_planned_from_when_the_notification_was_made(database: Database):
    made = queue_one(database, "http://shop.example/n", payment_id="pay_1", now=NOON)
    due: list[timedelta | None] = []
    for number in range(4):
        taken, until = lease(database, made, seconds=43_200 + 10 * number)
        put_down(database, taken, answered(500), until)
        at = as_stored(database, made)[0].due_at
        due.append(None if at is None else at - NOON)

    assert due == [timedelta(minutes=30), timedelta(hours=6), timedelta(hours=12), None]
    assert as_stored(database, made)[0].state is NotificationState.GAVE_UP


def test_in_production_a_gateway_that_was_down_does_not_spend_all_attempts_at_once(database: Database):
    made = queue_one(database, "http://shop.example/n", payment_id="pay_1", now=NOON - timedelta(hours=13))
    taken, until = lease(database, made, seconds=0)

    put_down(database, taken, answered(500), until, least_gap_s=300)

    assert as_stored(database, made)[0].due_at == NOON + timedelta(seconds=300)


def test_a_clock_set_back_leaves_due_what_was_due(database: Database):
    made = queue_one(database, "http://shop.example/n", payment_id="pay_1", now=NOON + timedelta(days=3))

    database.transact_now(lambda tx: bring_forward(tx, now=NOON))

    assert [row["id"] for row in database.read_now(lambda tx: waiting(tx, now=NOON, real=NOON, limit=10))] == [made]


def test_a_notification_of_a_removed_merchant_is_given_up(database: Database):
    made = queue_one(database, "http://shop.example/n", payment_id="pay_1", now=NOON)
    database.transact_now(lambda tx: tx.execute("delete from merchant"))

    assert database.transact_now(lambda tx: claim(tx, [made], now=NOON, real=NOON, until=to_ms(NOON) + 6_000)) == []

    assert as_stored(database, made)[0].state is NotificationState.GAVE_UP


# -- the same transaction


def test_a_payment_that_is_rolled_back_leaves_no_notification(data_address: str, merchant: Listener):
    """D-8: the outbox row is written in the transaction that moves the money, so one cannot be there without the other."""
    with Delivering(data_address) as process:
        queue_one(process.database, merchant.url("/n"), payment_id="pay_0")
        merchant.wait_for(1)

        def put_and_fail(tx: Any) -> None:
            outbox.enqueue(
                tx,
                merchant_id=DEMO_CLIENT_ID,
                order_id="ord_1",
                payment_id="pay_1",
                kind="nonsnap",
                url=merchant.url("/rolled-back"),
                body={},
                now=real_now(),
            )
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            process.database.transact_now(put_and_fail)

        after = queue_one(process.database, merchant.url("/after"), payment_id="pay_2")
        eventually(lambda: delivered(process.database, after))
        assert [call.target for call in merchant.received()] == ["/n", "/after"]
        assert process.database.read_now(lambda tx: tx.one("select 1 as x from notification where payment_id = 'pay_1'")) is None


# -- endpoints that behave badly


def say(*parts: bytes, then: Any = None) -> Any:
    def behave(connection: Socket) -> None:
        for part in parts:
            connection.sendall(part)
        if then is not None:
            then(connection)

    return behave


def one_delivery(tmp_path: Path, url: str, **given: Any) -> tuple[Notification, Attempt]:
    with Delivering(str(tmp_path / "gerbang.db"), **given) as process:
        return first_attempt(process.database, queue_one(process.database, url, payment_id="pay_1"))


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\nOK, said PHP", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK and more than was said", "OK"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\nless than was said", "less than was said"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZZ no chunk at all\r\n", ""),
        (b"HTTP/1.0 200 OK\r\n\r\nold", "old"),
        (b"HTTP/1.1 200\r\n\r\n", ""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!", "not gzip!"),
        (b"HTTP/1.1 200 OK\r\nX-Latin: caf\xe9\r\nContent-Length: 0\r\n\r\n", ""),
    ],
    ids=[
        "204 with body",
        "too long",
        "too short",
        "chunked garbage",
        "HTTP/1.0",
        "no reason",
        "100 first",
        "bad gzip",
        "latin-1",
    ],
)
def test_a_2xx_counts_whatever_follows_it(tmp_path: Path, answer: bytes, kept: str):
    with RudeReceiver(say(answer)) as rude:
        notification, attempt = one_delivery(tmp_path, rude.url("/n"))

    assert notification.state is NotificationState.DELIVERED
    assert attempt.error is None
    assert attempt.answer_body == kept
    assert all(text.isprintable() for text in attempt.answer_headers.values())


@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"<html>hello</html>", b"\x00" * 5_000, b"HTTP/1.1 banana\r\n\r\n", b"HTTP/1.1 20"],
    ids=["closes", "ssh", "http/0.9", "zeros", "no status", "half a status"],
)
def test_what_is_no_answer_is_a_failure_and_says_why(tmp_path: Path, answer: bytes):
    with RudeReceiver(say(answer)) as rude:
        notification, attempt = one_delivery(tmp_path, rude.url("/n"))

    assert notification.state is NotificationState.RETRYING
    assert attempt.status is None
    assert attempt.error


def test_an_answer_of_a_gigabyte_is_not_taken_in(tmp_path: Path):
    taken = 0

    def flood(connection: Socket) -> None:
        nonlocal taken
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        for _ in range(1_024):
            connection.sendall(b"x" * 1_048_576)
            taken += 1

    with RudeReceiver(flood) as rude:
        notification, attempt = one_delivery(tmp_path, rude.url("/n"))

    assert notification.state is NotificationState.DELIVERED
    assert attempt.answer_body == "x" * 4_096
    assert taken < 32, "megabytes that left the merchant, socket buffers included"


def test_headers_without_end_are_a_failure(tmp_path: Path):
    def flood(connection: Socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for number in range(1_000_000):
            connection.sendall(b"X-%d: %s\r\n" % (number, b"y" * 4_000))

    with RudeReceiver(flood) as rude:
        began = time.monotonic()
        notification, attempt = one_delivery(tmp_path, rude.url("/n"), notification_timeout_s=10)

    assert notification.state is NotificationState.RETRYING
    assert attempt.error
    assert time.monotonic() - began < 8, "given up because of their size, not because of the time"


def dribble(connection: Socket) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK" * 100:
        connection.sendall(bytes([byte]))
        threading.Event().wait(0.05)


def test_an_endpoint_that_dribbles_its_answer_meets_the_time_out(tmp_path: Path):
    with RudeReceiver(dribble) as rude:
        notification, attempt = one_delivery(tmp_path, rude.url("/n"), notification_timeout_s=0.5)

    assert notification.state is NotificationState.RETRYING
    assert attempt.error == "no answer within 0.5 s"
    assert attempt.duration_ms >= 500


def test_a_body_that_never_ends_does_not_undo_the_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(delivery, "_ANSWER_WAIT_S", 0.2)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\nbegun"
    gone = threading.Event()
    with RudeReceiver(say(head, then=lambda _: gone.wait(20))) as rude:
        notification, attempt = one_delivery(tmp_path, rude.url("/n"))
        gone.set()

    assert notification.state is NotificationState.DELIVERED
    assert (attempt.status, attempt.error, attempt.answer_body) == (200, None, "begun")


def test_silence_meets_the_time_out_and_is_recorded(data_address: str, merchant: Listener):
    merchant.script([Answer(hang=True)])
    with Delivering(data_address, notification_timeout_s=0.4) as process:
        notification, attempt = first_attempt(
            process.database, queue_one(process.database, merchant.url("/n"), payment_id="pay_1")
        )
    merchant.release()

    assert notification.state is NotificationState.RETRYING
    assert attempt.error == "no answer within 0.4 s"
    assert attempt.duration_ms >= 400


def test_an_unknown_name_is_a_failure_and_says_so(tmp_path: Path):
    notification, attempt = one_delivery(tmp_path, "http://no-such-host.invalid/n")

    assert notification.state is NotificationState.RETRYING
    assert "no-such-host.invalid" in (attempt.error or "")


def test_tls_to_a_server_that_speaks_none_is_a_failure(tmp_path: Path):
    def plain(connection: Socket) -> Socket:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        return connection

    with RudeReceiver(say(), wrap=plain) as rude:
        notification, attempt = one_delivery(tmp_path, f"https://127.0.0.1:{rude.port}/n")

    assert notification.state is NotificationState.RETRYING
    assert attempt.status is None
    assert "SSL" in (attempt.error or "")


def test_a_certificate_nobody_vouches_for_is_a_failure_and_nothing_is_sent(tmp_path: Path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    with RudeReceiver(say(b"HTTP/1.1 200 OK\r\n\r\n"), wrap=lambda raw: context.wrap_socket(raw, server_side=True)) as rude:
        notification, attempt = one_delivery(tmp_path, f"https://127.0.0.1:{rude.port}/n")

    assert notification.state is NotificationState.RETRYING
    assert "certificate" in (attempt.error or "").lower()
    assert rude.requests == []


def self_signed(tmp_path: Path) -> Path:
    """A key and a certificate for 127.0.0.1, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(real_now() - timedelta(days=1))
        .not_valid_after(real_now() + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_an_ipv6_endpoint_is_notified(tmp_path: Path):
    with RudeReceiver(say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), host="::1") as receiver:
        notification, _ = one_delivery(tmp_path, f"http://[::1]:{receiver.port}/n")

    assert notification.state is NotificationState.DELIVERED
    assert f"Host: [::1]:{receiver.port}\r\n".encode() in receiver.requests[0]


def test_the_request_line_is_http_1_1(tmp_path: Path):
    with RudeReceiver(say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as receiver:
        one_delivery(tmp_path, f"http://127.0.0.1:{receiver.port}?from=gerbang")

    assert receiver.requests[0].startswith(b"POST /?from=gerbang HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("http://Shop.Example/n?x=1", "http://shop.example"),
        ("http://shop.example:80/n", "http://shop.example"),
        ("HTTPS://shop.example:443", "https://shop.example"),
        ("https://user:secret@shop.example:8443/n#x", "https://shop.example:8443"),
        ("http://[::1]:81/n", "http://[::1]:81"),
    ],
)
def test_an_endpoint_is_scheme_host_and_port_and_holds_no_password(url: str, endpoint: str):
    assert endpoint_of(url) == endpoint


# -- trouble of our own


def test_trouble_with_the_database_does_not_end_deliveries(tmp_path: Path, merchant: Listener, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(delivery, "_AFTER_TROUBLE_S", 0.02)
    troubles = iter([OSError("disk"), ValueError("what")])
    real_waiting = delivery.waiting

    def troubled(*args: Any, **given: Any) -> Any:
        for trouble in troubles:
            raise trouble
        return real_waiting(*args, **given)

    monkeypatch.setattr(delivery, "waiting", troubled)
    with Delivering(str(tmp_path / "gerbang.db")) as process:
        queue_one(process.database, merchant.url("/n"), payment_id="pay_1")

        assert merchant.wait_for(1)


def test_a_notification_that_trips_us_is_an_attempt_that_failed_not_one_made_for_ever(tmp_path: Path, merchant: Listener):
    with Delivering(str(tmp_path / "gerbang.db")) as process:
        process.deliverer._prepare = {"nonsnap": lambda *_: {}["no such key"]}
        notification, attempt = first_attempt(
            process.database, queue_one(process.database, merchant.url("/n"), payment_id="pay_1")
        )

    assert notification.state is NotificationState.RETRYING
    assert attempt.error == "KeyError: 'no such key'"


def test_a_new_secret_key_signs_what_is_delivered_from_then_on(tmp_path: Path, merchant: Listener):
    merchant.script([401])
    with Delivering(str(tmp_path / "gerbang.db")) as process:
        made = queue_one(process.database, merchant.url("/n"), payment_id="pay_1")
        first_attempt(process.database, made)
        process.database.transact_now(lambda tx: update(tx, DEMO_CLIENT_ID, secret_key="SK-another"))

        process.advance(minutes=30)

        assert [call.signature for call in merchant.wait_for(2)] == ["valid", "wrong"]
