"""Moving the sandbox clock: what became due happens, and it has happened when the call returns."""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gerbang.merchants import MerchantOptions, update
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.sandbox.time import move, read_offset
from gerbang.settings import load_settings
from gerbang.storage import open_database
from support.gateway import RunningGateway, assert_clean
from support.listener import Answer, Listener
from support.notifying import a_merchant, end_payment, eventually, moment, notifications, the_notification

HALF_HOUR, SIX_HOURS, TWELVE_HOURS = 1_800, 21_600, 43_200


@pytest.fixture
def merchant() -> Iterator[Listener]:
    with a_merchant() as receiver:
        yield receiver


def advance(gateway: RunningGateway, seconds: float) -> dict[str, Any]:
    reading: dict[str, Any] = gateway.control("POST", "/clock", {"advance_s": seconds})
    return reading


def after_first_failure(gateway: RunningGateway, merchant: Listener, answers: list[int | Answer]) -> dict[str, Any]:
    """A payment was made and its first attempt has failed."""
    merchant.script(answers)
    end_payment(gateway, "INV-1", notify_url=merchant.url("/notify"))
    return the_notification(gateway, "INV-1", attempts=1)


def test_the_documented_schedule_is_one_attempt_at_30_minutes_6_hours_and_12_hours_then_no_more(
    gateway: RunningGateway, merchant: Listener
):
    """3 further attempts when no 2xx: +30 min, +6 h, +12 h from the original. Then give up."""
    first = after_first_failure(gateway, merchant, [500] * 9)
    made = moment(first["created_at"])
    plan = [first["next_attempt_at"]]

    for step in (HALF_HOUR, SIX_HOURS - HALF_HOUR, TWELVE_HOURS - SIX_HOURS):
        advance(gateway, step - 60)
        assert len(notifications(gateway, "INV-1")[0]["attempts"]) == len(plan), "a minute early, nothing happens"
        advance(gateway, 60)
        [found] = notifications(gateway, "INV-1")
        plan.append(found["next_attempt_at"])
        assert len(found["attempts"]) == len(plan)

    assert [at and moment(at) - made for at in plan] == [
        timedelta(minutes=30),
        timedelta(hours=6),
        timedelta(hours=12),
        None,
    ]
    late = [moment(attempt["at"]) - made for attempt in found["attempts"]]
    for lateness, wanted in zip(late, (0, HALF_HOUR, SIX_HOURS, TWELVE_HOURS), strict=True):
        assert timedelta(0) <= lateness - timedelta(seconds=wanted) < timedelta(seconds=30)
    assert found["state"] == "GAVE_UP"
    advance(gateway, 30 * 86_400)
    assert len(merchant.received()) == 4


def test_advancing_12_hours_at_once_drives_the_whole_schedule(gateway: RunningGateway, merchant: Listener):
    after_first_failure(gateway, merchant, [500, 503, 404])

    advance(gateway, TWELVE_HOURS)

    [found] = notifications(gateway, "INV-1")
    assert [attempt["status"] for attempt in found["attempts"]] == [500, 503, 404, 200]
    assert found["state"] == "DELIVERED"
    assert len({call.header("Request-Id") for call in merchant.received()}) == 1
    assert {call.signature for call in merchant.received()} == {"valid"}


def test_retries_happen_by_themselves_when_another_process_moves_the_clock(tmp_path: Path, merchant: Listener):
    """`gerbang clock advance` writes the offset into the database; a running server takes it over."""

    data = str(tmp_path / "gerbang.db")
    running = RunningGateway(load_settings(env={}, given={"data": data}))
    try:
        after_first_failure(running, merchant, [500])

        other = open_database(data)
        other.transact_now(lambda tx: move(tx, running.gateway.settings, advance_s=HALF_HOUR))
        other.close()

        merchant.wait_for(2)
        assert the_notification(running, "INV-1", attempts=2)["state"] == "DELIVERED"
    finally:
        running.stop()


def test_a_payment_expires_when_its_time_is_over_and_is_told_to_those_who_asked(gateway: RunningGateway, merchant: Listener):
    gateway.database.transact_now(lambda tx: update(tx, DEMO_CLIENT_ID, options=MerchantOptions(notify_expired=True)))
    for number in range(60):
        gateway.create_order(f"INV-{number}", notify_url=merchant.url("/notify"))

    advance(gateway, 60 * 60 + 1)

    told = merchant.received()
    assert sorted(call.json()["order"]["invoice_number"] for call in told) == sorted(f"INV-{number}" for number in range(60))
    assert {call.json()["transaction"]["status"] for call in told} == {"EXPIRED"}
    assert gateway.status("INV-7").json["transaction"]["status"] == "EXPIRED"


def test_one_payment_that_cannot_be_expired_does_not_keep_the_others_open(tmp_path: Path, merchant: Listener):
    running = RunningGateway(load_settings(env={}, given={"data": str(tmp_path / "gerbang.db")}))
    try:
        for number in range(3):
            running.create_order(f"INV-{number}")
        running.database.transact_now(
            lambda tx: tx.execute(
                "update payment set channel = 'NO_SUCH_ROOM', expires_at = 1 where id = (select min(id) from payment)"
            )
        )

        advance(running, 60 * 60 + 1)

        states = running.database.read_now(lambda tx: [row["state"] for row in tx.all("select state from payment order by id")])
        assert states == ["PENDING", "EXPIRED", "EXPIRED"]
        assert_clean(running.database)
    finally:
        running.stop()


def test_the_clock_never_jumps_back_while_background_work_reads_it(sqlite_gateway: RunningGateway):
    """Moving it and reading what another process moved it to go on side by side."""
    for number in range(1, 40):
        reading = advance(sqlite_gateway, 10)
        assert reading["offset_s"] == pytest.approx(10 * number)
        assert sqlite_gateway.control("GET", "/clock")["offset_s"] == reading["offset_s"]


def test_a_clock_set_back_does_not_keep_a_new_payment_from_being_told(sqlite_gateway: RunningGateway, merchant: Listener):
    advance(sqlite_gateway, 3 * 86_400)
    sqlite_gateway.control("POST", "/clock", {"reset": True})

    end_payment(sqlite_gateway, "INV-1", notify_url=merchant.url("/notify"))

    assert merchant.wait_for(1)
    eventually(lambda: notifications(sqlite_gateway, "INV-1")[0]["state"] == "DELIVERED")


@pytest.mark.parametrize("far", [1e18, -1e18, 1e300, 50 * 365 * 86_400 + 1])
def test_the_clock_moves_by_decades_at_most(sqlite_gateway: RunningGateway, far: float):
    answer = sqlite_gateway.request("POST", "/sandbox/v1/clock", json.dumps({"advance_s": far}).encode())

    assert answer.status == 400, answer.body
    assert sqlite_gateway.database.read_now(read_offset).total_seconds() == 0


def test_a_moved_clock_is_the_same_to_the_millisecond_for_everyone(sqlite_gateway: RunningGateway):

    reading = advance(sqlite_gateway, 0.1234567)

    assert reading["offset_s"] == sqlite_gateway.database.read_now(read_offset).total_seconds() == 0.123


def test_an_endpoint_that_hangs_keeps_neither_the_clock_nor_a_resend_waiting(sqlite_gateway: RunningGateway, merchant: Listener):
    with a_merchant() as hanging:
        hanging.script([500, *[Answer(hang=True)] * 9])
        end_payment(sqlite_gateway, "INV-slow", notify_url=hanging.url("/notify"))
        the_notification(sqlite_gateway, "INV-slow", attempts=1)
        merchant.script([500, 200, 200])
        end_payment(sqlite_gateway, "INV-1", notify_url=merchant.url("/notify"))
        first = the_notification(sqlite_gateway, "INV-1", attempts=1)

        began = time.monotonic()
        advance(sqlite_gateway, HALF_HOUR)
        assert time.monotonic() - began < 5
        hanging.wait_for(2)
        [retried] = notifications(sqlite_gateway, "INV-1")
        assert [attempt["status"] for attempt in retried["attempts"]] == [500, 200]

        began = time.monotonic()
        resent = sqlite_gateway.control("POST", f"/notifications/{first['id']}/resend")
        assert time.monotonic() - began < 2
        assert [attempt["status"] for attempt in resent["attempts"]] == [500, 200, 200]
        hanging.release()
