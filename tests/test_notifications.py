"""What a merchant is told when a payment ends, as its own receiver sees it (DOKU: HTTP notification; decisions D-8, D-10, D-11)."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gerbang.merchants import update
from gerbang.notifications.outbox import body_bytes, resend
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import SANDBOX_SECRET_KEY
from support.gateway import RunningGateway, independent_signature
from support.listener import Answer, Listener, Received
from support.notifying import a_merchant, end_payment, eventually, moment, notifications, the_notification


@pytest.fixture
def merchant() -> Iterator[Listener]:
    with a_merchant() as receiver:
        yield receiver


def told(gateway: RunningGateway, merchant: Listener, path: str = "/notify", outcome: str = "SUCCESS", **order: Any) -> Received:
    """What the merchant receives about one payment."""
    end_payment(gateway, "INV-1", outcome, notify_url=merchant.url(path), **order)
    [received] = merchant.wait_for(1)
    return received


# -- on the wire


def test_the_header_names_arrive_in_exactly_the_documented_case(gateway: RunningGateway, merchant: Listener):
    received = told(gateway, merchant)

    names = [name for name, _ in received.headers]
    assert received.method == "POST"
    assert {"Client-Id", "Request-Id", "Request-Timestamp", "Signature", "Content-Type"} <= set(names)
    assert len({name.lower() for name in names}) == len(names), "no header is repeated"
    assert received.header("Content-Type") == "application/json"
    assert received.header("Client-Id") == DEMO_CLIENT_ID
    assert "Transfer-Encoding" not in names, "some receivers cannot read chunked bodies"


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/notify", "/notify"),
        ("/", "/"),
        ("/pay/notify.php?channel=wallet&x=1", "/pay/notify.php?channel=wallet&x=1"),
        ("/a%2Fb+c/%7Euser?q=%41%20b+c&empty=", "/a%2Fb+c/%7Euser?q=%41%20b+c&empty="),
        ("/double//slash/../up/", "/double//slash/../up/"),
        ("/notify#fragment", "/notify"),
        ("/bayar/caf\u00e9?kota=\u00fc", "/bayar/caf%C3%A9?kota=%C3%BC"),
    ],
)
def test_the_signature_is_over_the_path_actually_called(
    sqlite_gateway: RunningGateway, merchant: Listener, path: str, target: str
):
    received = told(sqlite_gateway, merchant, path)

    assert received.target == target
    assert received.signature == "valid"
    [notification] = notifications(sqlite_gateway, "INV-1")
    [attempt] = eventually(lambda: notifications(sqlite_gateway, "INV-1")[0]["attempts"])
    assert notification["url"] == merchant.url(path)
    assert f"\nRequest-Target:{target}\n" in attempt["string_to_sign"]
    assert independent_signature(attempt["string_to_sign"], SANDBOX_SECRET_KEY) == received.header("Signature")


@pytest.mark.parametrize(("suffix", "target"), [("", "/"), ("?from=gerbang", "/?from=gerbang")])
def test_a_url_without_a_path_is_called_and_signed_as_slash(
    sqlite_gateway: RunningGateway, merchant: Listener, suffix: str, target: str
):
    end_payment(sqlite_gateway, "INV-1", notify_url=f"http://127.0.0.1:{merchant.port}{suffix}")

    [received] = merchant.wait_for(1)
    assert received.target == target
    assert received.signature == "valid"


def test_a_password_in_the_url_is_sent_as_basic_authorization_and_kept_out_of_the_path(
    sqlite_gateway: RunningGateway, merchant: Listener, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("DEBUG", logger="gerbang")
    end_payment(sqlite_gateway, "INV-1", notify_url=f"http://toko:rahasia@127.0.0.1:{merchant.port}/notify")

    [received] = merchant.wait_for(1)
    assert received.target == "/notify"
    assert received.signature == "valid"
    assert received.header("Authorization") == "Basic dG9rbzpyYWhhc2lh"
    the_notification(sqlite_gateway, "INV-1", attempts=1)
    assert "DELIVERED" in caplog.text
    assert "rahasia" not in caplog.text


def test_the_body_is_the_documented_one_in_the_documented_order(gateway: RunningGateway, merchant: Listener):
    """D-8: service, acquirer, channel, order, transaction, emoney_payment, additional_info."""
    created = gateway.signed(
        "POST",
        "/dokuwallet-emoney/v1/payment",
        {
            "order": {"invoice_number": "INV-1", "amount": 60_000},
            "additional_info": {"override_notification_url": merchant.url("/override"), "own": "field"},
        },
        request_id="req-of-the-create",
    )
    assert created.status == 200, created.body
    order = gateway.control(
        "POST", "/payments/outcome", {"client_id": DEMO_CLIENT_ID, "invoice_number": "INV-1", "outcome": "SUCCESS"}
    )

    [received] = merchant.wait_for(1)
    [payment] = order["payments"]
    body = received.json()
    assert list(body) == ["service", "acquirer", "channel", "order", "transaction", "emoney_payment", "additional_info"]
    assert body == {
        "service": {"id": "EMONEY"},
        "acquirer": {"id": "DOKU"},
        "channel": {"id": "EMONEY_DOKU"},
        "order": {"invoice_number": "INV-1", "amount": 60_000},
        "transaction": {"status": "SUCCESS", "date": payment["finished_at"], "original_request_id": "req-of-the-create"},
        "emoney_payment": {"account_id": payment["payer"], "approval_code": payment["approval_code"]},
        "additional_info": {"override_notification_url": merchant.url("/override")},
    }


def test_a_failed_payment_is_told_without_an_approval_code(gateway: RunningGateway, merchant: Listener):
    body = told(gateway, merchant, outcome="FAILED").json()

    assert body["transaction"]["status"] == "FAILED"
    assert "approval_code" not in body.get("emoney_payment", {})


def test_no_plus_and_no_percent_stand_in_a_body_because_one_receiver_url_decodes_it_before_hashing():
    text = body_bytes({"name": "Kopi + Roti 100%", "place": "Kafé"}).decode("ascii")

    assert "+" not in text
    assert "%" not in text
    assert text == '{"name":"Kopi \\u002b Roti 100\\u0025","place":"Kaf\\u00e9"}'


def test_headers_carry_real_time_and_bodies_business_time(sqlite_gateway: RunningGateway, merchant: Listener):
    """D-11: a moved sandbox clock must not make our timestamps stale to an honest receiver."""
    sqlite_gateway.control("POST", "/clock", {"advance_s": 40 * 86_400})

    received = told(sqlite_gateway, merchant)

    now = datetime.now(UTC)
    assert abs(moment(received.header("Request-Timestamp") or "") - now) < timedelta(seconds=30)
    assert abs(moment(received.json()["transaction"]["date"]) - (now + timedelta(days=40))) < timedelta(seconds=30)


# -- what counts as success


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200),
        Answer(200, body="null"),
        Answer(200, body="\x00\x01 not text"),
        Answer(201, body='{"ok":true}'),
        Answer(202, body="<html>"),
        Answer(204),
        Answer(204, body="a body where none belongs"),
        Answer(299, body="x" * 100_000),
    ],
    ids=lambda answer: f"{answer.status} {answer.body[:12]!r}",
)
def test_any_2xx_is_success_whatever_the_body(sqlite_gateway: RunningGateway, merchant: Listener, answer: Answer):
    merchant.script([answer])

    told(sqlite_gateway, merchant)

    found = the_notification(sqlite_gateway, "INV-1", attempts=1)
    assert found["state"] == "DELIVERED"
    assert found["next_attempt_at"] is None
    assert found["attempts"][0]["status"] == answer.status
    assert found["attempts"][0]["error"] is None


@pytest.mark.parametrize("status", [301, 307])
def test_a_redirect_is_a_failure_and_is_not_followed(sqlite_gateway: RunningGateway, merchant: Listener, status: int):
    merchant.script([Answer(status, headers={"Location": merchant.url("/elsewhere")})])

    told(sqlite_gateway, merchant)

    found = the_notification(sqlite_gateway, "INV-1", attempts=1)
    assert found["state"] == "RETRYING"
    assert found["attempts"][0]["status"] == status
    assert found["attempts"][0]["answer_headers"]["Location"] == merchant.url("/elsewhere")
    assert [call.target for call in merchant.received()] == ["/notify"]


@pytest.mark.parametrize("status", [401, 404, 503])
def test_a_refusal_is_recorded_with_everything_needed_to_find_out_why(gateway: RunningGateway, merchant: Listener, status: int):
    merchant.script(
        [Answer(status, headers={"X-Shop": "toko", "Content-Type": "text/plain"}, body="signature?\x00" + "y" * 9_000)]
    )

    received = told(gateway, merchant)

    found = the_notification(gateway, "INV-1", attempts=1)
    [attempt] = found["attempts"]
    assert found["state"] == "RETRYING"
    assert attempt["status"] == status
    assert attempt["answer_headers"]["X-Shop"] == "toko"
    assert attempt["answer_body"].startswith("signature?\ufffdyyy")
    assert len(attempt["answer_body"]) == 4_096
    assert attempt["duration_ms"] >= 0
    assert attempt["error"] is None
    for name in ("Client-Id", "Request-Id", "Request-Timestamp", "Signature", "Content-Type"):
        assert attempt["request_headers"][name] == received.header(name)
    assert independent_signature(attempt["string_to_sign"], SANDBOX_SECRET_KEY) == received.header("Signature")


def test_a_refused_connection_is_a_failure_and_is_recorded(gateway: RunningGateway, merchant: Listener):
    merchant.stop()
    end_payment(gateway, "INV-1", notify_url=f"http://127.0.0.1:{merchant.port}/notify")

    found = the_notification(gateway, "INV-1", attempts=1)
    [attempt] = found["attempts"]
    assert found["state"] == "RETRYING"
    assert attempt["status"] is None
    assert "Cannot connect" in attempt["error"]
    assert "Request-Target:/notify" in attempt["string_to_sign"]


# -- when, and how often


def test_retries_keep_the_request_id_and_are_stamped_and_signed_anew(sqlite_gateway: RunningGateway, merchant: Listener):
    merchant.script([500])
    first = told(sqlite_gateway, merchant)
    the_notification(sqlite_gateway, "INV-1", attempts=1)
    eventually(lambda: datetime.now(UTC) >= moment(first.header("Request-Timestamp") or "") + timedelta(seconds=1))

    sqlite_gateway.control("POST", "/clock", {"advance_s": 1_800})

    first, second = merchant.wait_for(2)
    assert second.header("Request-Id") == first.header("Request-Id")
    assert second.body == first.body
    assert second.header("Request-Timestamp") != first.header("Request-Timestamp")
    assert second.header("Signature") != first.header("Signature")
    assert (first.signature, second.signature) == ("valid", "valid")


def test_two_payments_never_share_a_request_id(sqlite_gateway: RunningGateway, merchant: Listener):
    for invoice in ("INV-1", "INV-2"):
        end_payment(sqlite_gateway, invoice, notify_url=merchant.url("/notify"))

    one, other = merchant.wait_for(2)
    assert one.header("Request-Id") != other.header("Request-Id")


@pytest.mark.parametrize(
    ("answers", "advance_s", "state"), [([200], 0, "DELIVERED"), ([500], 0, "RETRYING"), ([500] * 4, 43_200, "GAVE_UP")]
)
def test_a_person_may_resend_whatever_the_state(
    gateway: RunningGateway, merchant: Listener, answers: list[int], advance_s: int, state: str
):
    merchant.script(answers)
    told(gateway, merchant)
    if advance_s:
        gateway.control("POST", "/clock", {"advance_s": advance_s})
    found = the_notification(gateway, "INV-1", attempts=len(answers))
    assert found["state"] == state

    gateway.control("POST", f"/notifications/{found['id']}/resend")

    received = merchant.wait_for(len(answers) + 1)
    after = the_notification(gateway, "INV-1", attempts=len(answers) + 1)
    assert after["state"] == "DELIVERED"
    assert after["next_attempt_at"] is None
    assert {call.header("Request-Id") for call in received} == {found["request_id"]}
    assert received[-1].signature == "valid"


@pytest.mark.parametrize(
    ("answers", "advance_s", "state"), [([200], 0, "DELIVERED"), ([500], 0, "RETRYING"), ([500] * 4, 43_200, "GAVE_UP")]
)
def test_a_resend_that_fails_leaves_state_and_plan_as_they_were(
    sqlite_gateway: RunningGateway, merchant: Listener, answers: list[int], advance_s: int, state: str
):
    merchant.script([*answers, 503])
    told(sqlite_gateway, merchant)
    if advance_s:
        sqlite_gateway.control("POST", "/clock", {"advance_s": advance_s})
    before = the_notification(sqlite_gateway, "INV-1", attempts=len(answers))

    sqlite_gateway.control("POST", f"/notifications/{before['id']}/resend")

    after = the_notification(sqlite_gateway, "INV-1", attempts=len(answers) + 1)
    assert after["attempts"][-1]["status"] == 503
    assert (after["state"], after["next_attempt_at"]) == (before["state"], before["next_attempt_at"])


def test_a_resend_asked_for_while_an_attempt_is_under_way_is_still_made(sqlite_gateway: RunningGateway, merchant: Listener):
    merchant.script([Answer(200, delay_s=2)])
    told(sqlite_gateway, merchant)
    [found] = notifications(sqlite_gateway, "INV-1")

    sqlite_gateway.database.transact_now(lambda tx: resend(tx, found["id"], now=sqlite_gateway.gateway.clock.now()))
    merchant.release()

    merchant.wait_for(2)
    assert the_notification(sqlite_gateway, "INV-1", attempts=2)["state"] == "DELIVERED"


# -- to whom


def test_an_override_is_used_whatever_its_path_and_warned_about(sqlite_gateway: RunningGateway, merchant: Listener):
    """D-10: the seeds promise another URL without limits; DOKU itself compares paths."""
    sqlite_gateway.database.transact_now(lambda tx: update(tx, DEMO_CLIENT_ID, notification_url=merchant.url("/configured")))
    sqlite_gateway.signed(
        "POST",
        "/dokuwallet-emoney/v1/payment",
        {
            "order": {"invoice_number": "INV-1", "amount": 60_000, "notify_url": merchant.url("/of-the-order")},
            "additional_info": {"override_notification_url": merchant.url("/override?x=1")},
        },
    )
    order = sqlite_gateway.control(
        "POST", "/payments/outcome", {"client_id": DEMO_CLIENT_ID, "invoice_number": "INV-1", "outcome": "SUCCESS"}
    )

    [received] = merchant.wait_for(1)
    assert received.target == "/override?x=1"
    assert received.signature == "valid"
    assert ["DOKU itself would not deliver here" in warning for warning in order["warnings"]] == [True]


def test_with_nobody_to_tell_there_is_no_notification(sqlite_gateway: RunningGateway):
    sqlite_gateway.database.transact_now(lambda tx: update(tx, DEMO_CLIENT_ID, notification_url=""))
    end_payment(sqlite_gateway, "INV-1")

    assert notifications(sqlite_gateway, "INV-1") == []


def test_a_reset_while_deliveries_are_under_way_leaves_a_fresh_sandbox(gateway: RunningGateway, merchant: Listener):
    merchant.script([Answer(hang=True)] * 5)
    for number in range(5):
        end_payment(gateway, f"INV-{number}", notify_url=merchant.url("/notify"))
    merchant.wait_for(5)

    gateway.control("POST", "/reset")
    merchant.release()

    deadline = time.monotonic() + 10
    while gateway.gateway.deliverer._leases and time.monotonic() < deadline:
        time.sleep(0.01)
    rows = gateway.database.read_now(
        lambda tx: [tx.one(f"select count(*) as n from {table}") for table in ("notification", "attempt")]
    )
    assert [row and row["n"] for row in rows] == [0, 0]
    end_payment(gateway, "INV-0", notify_url=merchant.url("/after"))
    assert merchant.wait_for(6)[-1].target == "/after"
