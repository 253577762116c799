"""The answer waits for the buyer: who ends the wait, who joins it, and what is left when it is cut short."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from gerbang.protocols.nonsnap import service
from gerbang.providers.party import BUYER
from gerbang.providers.questions import Asked, Begun, TurnedDown
from gerbang.providers.simulator import SimulatedProvider
from gerbang.settings import Settings, load_settings
from support.gateway import Answer, RunningGateway, assert_clean, lent_gateway
from support.nonsnap import BODY, assert_error, assert_genuine, served
from support.ovo import MERCHANT, PAYS, PUSH, SILENT, later, play, post, push_body, pushed, record, tell_somewhere

pytestmark = pytest.mark.slow


PATIENT = {"poll_interval_s": 0.05, "ovo_timeout_s": 25}
HASTY = {"poll_interval_s": 0.05, "ovo_timeout_s": 0.4}


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway(**PATIENT) as one:
        tell_somewhere(one)
        yield one


@pytest.fixture(scope="module")
def hasty() -> Iterator[RunningGateway]:
    with lent_gateway(**HASTY) as one:
        tell_somewhere(one)
        yield one


def invoice_of(body: Any) -> str:
    return str(body["order"]["invoice_number"])


def press(running: RunningGateway, payment_id: str, action: str) -> Answer:
    """A button on the app's page, as a browser without script sends it."""
    form = urlencode({"action": action}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return running.request("POST", f"/simulators/ovo/{payment_id}", form, headers)


def said(running: RunningGateway, invoice: str) -> str:
    return str(running.status(invoice).json["transaction"]["status"])


def state(running: RunningGateway, invoice: str) -> str:
    return str(record(running, invoice)["payments"][-1]["state"])


def assert_waits(coming: "Future[Answer]") -> None:
    time.sleep(0.3)
    assert not coming.done()


def test_the_call_is_answered_when_the_buyer_has_paid_and_not_before(running: RunningGateway):
    body = push_body()
    coming = later(running, body)
    pushed(running, invoice_of(body))
    assert_waits(coming)
    assert said(running, invoice_of(body)) == "PENDING"
    assert "ovo_payment" not in running.status(invoice_of(body)).json

    play(running, invoice_of(body), "SUCCESS")

    answer = coming.result(5)
    assert (answer.status, answer.json["ovo_payment"]["status"]) == (200, "SUCCESS")


@pytest.mark.parametrize(
    ("outcome", "status", "code", "check"),
    [
        ("FAILED", "FAILED", "26", "FAILED"),
        ("NOT_ENOUGH", "FAILED", "26", "FAILED"),
        ("CANCELLED", "FAILED", "17", "FAILED"),
        ("EXPIRED", "TIMEOUT", "68", "EXPIRED"),
        ("PAID_TWICE", "SUCCESS", "00", "SUCCESS"),
    ],
)
def test_every_end_is_answered_with_200(running: RunningGateway, outcome: str, status: str, code: str, check: str):
    """Also what ran out at OVO: nobody answered, and check status has the last word."""
    body = push_body()
    coming = later(running, body)
    pushed(running, invoice_of(body))

    play(running, invoice_of(body), outcome)

    answer = coming.result(5)
    payment = answer.json["ovo_payment"]
    assert (answer.status, payment["status"], payment["response_code"]) == (200, status, code)
    assert said(running, invoice_of(body)) == check


def test_the_buyer_decides_on_the_apps_page(running: RunningGateway):
    """The page shows who asks for how much, and knows the phone that was asked; Pay ends the merchant's wait."""
    body = push_body(order__amount=125_000)
    coming = later(running, body)
    payment_id = pushed(running, invoice_of(body))
    desk = running.request("GET", "/simulators?lang=en").body.decode()
    page = running.request("GET", f"/simulators/ovo/{payment_id}?lang=en").body.decode()

    assert f"/simulators/ovo/{payment_id}" in desk
    assert invoice_of(body) in page
    assert "125.000" in page
    assert BUYER in page
    assert "0812" in page
    assert "1111" in page
    assert press(running, payment_id, "pay").status == 303
    assert coming.result(5).json["ovo_payment"]["status"] == "SUCCESS"
    assert running.request("GET", f"/simulators/ovo/{payment_id}?lang=en").status == 200


def test_the_buyer_declines_on_the_apps_page(running: RunningGateway):
    body = push_body()
    coming = later(running, body)

    press(running, pushed(running, invoice_of(body)), "cancel")

    payment = coming.result(5).json["ovo_payment"]
    assert (payment["status"], payment["response_code"]) == ("FAILED", "17")


def test_many_wait_at_once_and_each_gets_its_own_answer(running: RunningGateway):
    bodies = [push_body(order__amount=10_000 + number) for number in range(1, 13)]
    coming = [later(running, body) for body in bodies]
    for body in bodies:
        pushed(running, invoice_of(body))

    for body in bodies[::2]:
        play(running, invoice_of(body), "SUCCESS")
    for body in bodies[1::2]:
        play(running, invoice_of(body), "CANCELLED")

    for number, (body, one) in enumerate(zip(bodies, coming, strict=True)):
        answer = one.result(5).json
        assert answer["order"] == body["order"]
        assert answer["ovo_payment"]["status"] == ("FAILED" if number % 2 else "SUCCESS")


# -- repeats


@pytest.mark.parametrize("headers", [False, True], ids=["body only", "with headers"])
def test_a_repeat_joins_the_waiting_call(running: RunningGateway, headers: bool, monkeypatch: pytest.MonkeyPatch):
    """Contract §4: longer than another channel's repeat waits (five seconds, less here); one order, one push, one 200."""
    monkeypatch.setattr(service, "_REPEAT_WAIT_S", 0.1)
    body = push_body()
    first = later(running, body, headers=headers, request_id="same" if headers else None)
    pushed(running, invoice_of(body))
    repeats = [later(running, body, headers=headers, request_id="same" if headers else None) for _ in range(3)]
    time.sleep(0.8)
    assert not any(one.done() for one in (first, *repeats))

    play(running, invoice_of(body), "SUCCESS")

    answer = first.result(5)
    assert answer.status == 200
    for one in repeats:
        repeat = one.result(5)
        assert (repeat.status, repeat.body) == (409, answer.body)
        if headers:
            assert_genuine(repeat, "POST", PUSH)
    assert len(record(running, invoice_of(body))["payments"]) == 1
    again = running.signed("POST", PUSH, body, request_id="same") if headers else post(running, body)
    assert (again.status, again.body) == (409, answer.body)


def test_a_repeat_at_another_process_joins_too(running: RunningGateway, tmp_path: Path):
    """Both look at the payment; who stores the answer first decides what the other says."""
    database = str(tmp_path / "gerbang.db")
    with served(tmp_path, **PATIENT) as here:
        there = RunningGateway(settings(database), background=False)
        try:
            body = push_body()
            first = later(here, body)
            pushed(here, invoice_of(body))
            repeat = later(there, body)
            assert_waits(repeat)

            play(here, invoice_of(body), "SUCCESS")

            answers = [first.result(5), repeat.result(5)]
            assert sorted(answer.status for answer in answers) == [200, 409]
            assert answers[0].body == answers[1].body
            assert len(record(here, invoice_of(body))["payments"]) == 1
        finally:
            there.stop()


def test_another_call_under_the_same_invoice_is_refused_and_does_not_wait(running: RunningGateway):
    body = push_body()
    coming = later(running, body)
    pushed(running, invoice_of(body))

    other = push_body(order__invoice_number=invoice_of(body), order__amount=10_001)
    assert_error(post(running, other), 400, "INVALID_PARAMETER", "Invoice Number Already Used", BODY)

    play(running, invoice_of(body), "CANCELLED")
    assert coming.result(5).status == 200


# -- nobody answers


def test_a_push_that_nobody_answers_is_a_timeout_and_not_the_end(hasty: RunningGateway):
    """Check status says TIMEOUT as well, nobody is notified, and a repeat gets the same answer."""
    body = push_body(ovo_info__ovo_id=SILENT)

    answer = post(hasty, body)

    payment = answer.json["ovo_payment"]
    assert (answer.status, payment["status"], payment["response_code"], payment["cash_used"]) == (200, "TIMEOUT", "68", 0)
    assert "approval_code" not in payment
    order = record(hasty, invoice_of(body))
    assert (order["payments"][-1]["state"], order["notifications"]) == ("PENDING", [])
    assert [event["event"] for event in order["payments"][-1]["events"]] == ["CREATED", "TIMEOUT_TOLD"]
    status = hasty.status(invoice_of(body)).json
    assert status["transaction"]["status"] == "TIMEOUT"
    assert status["ovo_payment"] == {
        "status": "TIMEOUT",
        "response_code": "68",
        "reference_number": payment["reference_number"],
    }
    repeat = post(hasty, body)
    assert (repeat.status, repeat.body) == (409, answer.body)


def test_the_wait_is_as_long_as_the_setting_says(hasty: RunningGateway):
    """70 s unless set otherwise, OVO's own."""
    assert Settings().ovo_timeout_s == 70
    began = time.monotonic()

    post(hasty, push_body())

    assert 0.4 <= time.monotonic() - began < 3


def test_what_is_paid_after_a_timeout_is_paid_and_notified(hasty: RunningGateway):
    """Until the order expires, a later report decides."""
    body = push_body()
    assert post(hasty, body).json["ovo_payment"]["status"] == "TIMEOUT"

    press(hasty, pushed(hasty, invoice_of(body)), "pay")

    order = record(hasty, invoice_of(body))
    assert said(hasty, invoice_of(body)) == "SUCCESS"
    assert [json.loads(one["body"])["transaction"]["status"] for one in order["notifications"]] == ["SUCCESS"]
    assert hasty.status(invoice_of(body)).json["ovo_payment"]["response_code"] == "00"


def test_what_is_refused_after_a_timeout_is_failed(hasty: RunningGateway):
    body = push_body()
    post(hasty, body)

    play(hasty, invoice_of(body), "CANCELLED")

    assert said(hasty, invoice_of(body)) == "FAILED"


def test_money_that_comes_after_the_order_expired_goes_back():
    """No merchant sees EXPIRED turn into SUCCESS."""
    with lent_gateway(**HASTY) as running:
        body = push_body()
        post(running, body)
        play(running, invoice_of(body), "PAID_LATE")

        running.control("POST", "/clock", {"advance_s": 3_700})

        payment = record(running, invoice_of(body))["payments"][-1]
        assert (payment["state"], said(running, invoice_of(body))) == ("EXPIRED", "EXPIRED")
        assert {"PAID_LATE", "MONEY_RETURNED"} < {event["event"] for event in payment["events"]}
        assert record(running, invoice_of(body))["notifications"] == []


def test_moving_the_clock_ends_the_wait_without_waiting():
    """A tester need not sit out OVO's 70 seconds."""
    with lent_gateway(poll_interval_s=0.05, ovo_timeout_s=70) as running:
        body = push_body(ovo_info__ovo_id=SILENT)
        coming = later(running, body)
        pushed(running, invoice_of(body))
        assert_waits(coming)

        running.control("POST", "/clock", {"advance_s": 71})

        assert coming.result(5).json["ovo_payment"]["status"] == "TIMEOUT"


def test_a_time_to_pay_shorter_than_the_wait_ends_the_wait():
    with lent_gateway(poll_interval_s=0.05, ovo_timeout_s=600) as running:
        running.control("PUT", f"/merchants/{MERCHANT}/channels/EMONEY_OVO", {"options": {"expiry_min": 1}})
        body = push_body()
        coming = later(running, body)
        pushed(running, invoice_of(body))

        running.control("POST", "/clock", {"advance_s": 61})

        assert coming.result(5).json["ovo_payment"]["status"] == "TIMEOUT"
        assert said(running, invoice_of(body)) == "EXPIRED"


# -- cut short


def test_a_merchant_that_hangs_up_loses_nothing(running: RunningGateway):
    """The payment goes on, the notification is made, and the same call again has its answer."""
    body = push_body()
    parts = urlsplit(running.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    connection.request("POST", PUSH, json.dumps(body).encode(), {"Content-Type": "application/json"})
    payment_id = pushed(running, invoice_of(body))
    connection.close()

    press(running, payment_id, "pay")

    assert len(record(running, invoice_of(body))["notifications"]) == 1
    repeat = post(running, body)
    assert repeat.status in (200, 409)
    assert repeat.json["ovo_payment"]["status"] == "SUCCESS"


@pytest.mark.parametrize("meanwhile", ["nothing", "SUCCESS", "CANCELLED"])
def test_a_gateway_that_stops_in_the_wait_goes_on_where_it_was(tmp_path: Path, meanwhile: str):
    """The same call again finds its order, announced before, and waits on; or it hears what became of it since."""
    database = str(tmp_path / "gerbang.db")
    body = push_body()
    before = RunningGateway(settings(database))
    coming = later(before, body)
    pushed(before, invoice_of(body))
    before._server.config.timeout_graceful_shutdown = 1
    before.stop()
    stopped = coming.result(20)
    assert (stopped.status, stopped.json["error"]["code"]) == (503, "service_unavailable")

    after = RunningGateway(settings(database))
    try:
        if meanwhile != "nothing":
            play(after, invoice_of(body), meanwhile)
        again = later(after, body)
        if meanwhile == "nothing":
            assert_waits(again)
            play(after, invoice_of(body), "SUCCESS")

        answer = again.result(5)

        assert answer.status == 200
        assert answer.json["ovo_payment"]["status"] == ("FAILED" if meanwhile == "CANCELLED" else "SUCCESS")
        assert len(record(after, invoice_of(body))["payments"]) == 1
        assert_clean(after.database)
    finally:
        after.stop()


def test_a_silent_ovo_is_told_and_the_same_call_again_pushes_again(monkeypatch: pytest.MonkeyPatch):
    with lent_gateway(provider_timeout_s=0.2, **HASTY) as running:
        room = running.gateway.rooms["EMONEY_OVO"]
        assert isinstance(room.provider, SimulatedProvider)
        honest = room.provider.begin
        silent = True

        async def begin(asked: Asked) -> Begun | TurnedDown:
            if silent:
                raise ConnectionError("OVO is not there")
            return await honest(asked)

        monkeypatch.setattr(room.provider, "begin", begin)
        body = push_body(ovo_info__ovo_id=PAYS)

        first = post(running, body)
        assert (first.status, first.json["error"]["code"]) == (503, "service_unavailable")
        silent = False

        again = post(running, body)
        assert (again.status, again.json["ovo_payment"]["status"]) == (200, "SUCCESS")
        assert len(record(running, invoice_of(body))["payments"]) == 1


def test_an_ovo_that_cannot_be_heard_does_not_break_the_wait(monkeypatch: pytest.MonkeyPatch):
    """What it has to say is heard when it can be: here by whoever plays the buyer."""
    with lent_gateway(**PATIENT) as running:
        room = running.gateway.rooms["EMONEY_OVO"]
        honest, deaf = room.provider.reports, True

        async def reports(payment_id: str | None = None) -> Any:
            if deaf:
                raise ConnectionError("OVO is not there")
            return await honest(payment_id)

        monkeypatch.setattr(room.provider, "reports", reports)
        body = push_body()
        coming = later(running, body)
        pushed(running, invoice_of(body))
        assert_waits(coming)
        deaf = False

        play(running, invoice_of(body), "SUCCESS")

        assert coming.result(10).json["ovo_payment"]["status"] == "SUCCESS"


def test_an_ovo_that_does_not_want_the_order_is_a_refusal(monkeypatch: pytest.MonkeyPatch):
    """As 14 of OVO's: nobody has this phone number. The answer says it, so nobody is notified."""
    with lent_gateway(**PATIENT) as running:
        room = running.gateway.rooms["EMONEY_OVO"]

        async def begin(_asked: Asked) -> TurnedDown:
            return TurnedDown("14")

        monkeypatch.setattr(room.provider, "begin", begin)
        body = push_body()

        payment = post(running, body).json["ovo_payment"]

        assert (payment["status"], payment["response_code"]) == ("FAILED", "14")
        assert record(running, invoice_of(body))["notifications"] == []


def test_nothing_is_held_while_calls_wait():
    """Sixty waiting calls, four readers, one writer: other payments are made meanwhile."""
    with lent_gateway(**PATIENT) as running:
        bodies = [push_body() for _ in range(60)]
        coming = [later(running, body) for body in bodies]
        for body in bodies:
            pushed(running, invoice_of(body))
        began = time.monotonic()

        assert running.create_order().status == 200

        assert time.monotonic() - began < 2
        ends = [threading.Thread(target=play, args=(running, invoice_of(body), "CANCELLED")) for body in bodies]
        for end in ends:
            end.start()
        for end in ends:
            end.join()
        assert {one.result(10).json["ovo_payment"]["status"] for one in coming} == {"FAILED"}


@pytest.mark.parametrize("outcome", ["SUCCESS", "CANCELLED"])
def test_it_is_the_same_on_both_engines(data_address: str, outcome: str):
    running = RunningGateway(load_settings(env={}, given={"data": data_address, "database_connections": 8, **PATIENT}))
    try:
        body = push_body()
        coming = [later(running, body) for _ in range(4)]
        pushed(running, invoice_of(body))

        play(running, invoice_of(body), outcome)

        answers = [one.result(10) for one in coming]
        assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
        assert len({answer.body for answer in answers}) == 1
        assert state(running, invoice_of(body)) == outcome
        assert_clean(running.database)
    finally:
        running.stop()


def settings(database: str) -> Settings:
    return load_settings(env={}, given={"data": database, **PATIENT})
