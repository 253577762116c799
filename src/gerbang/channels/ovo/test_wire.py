"""OVO push on the wire: DOKU's own sample, every field of the table, and what the answer, the notification and check status say."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from gerbang.channels.ovo.actions import configuration_of
from gerbang.providers.party import BALANCE, BUYER
from support.gateway import RunningGateway, lent_gateway
from support.nonsnap import BODY, assert_error
from support.ovo import (
    GONE,
    MERCHANT,
    NOBODY,
    PAYS,
    PUSH,
    REFUSES,
    VOID,
    paid,
    play,
    post,
    push_body,
    record,
    tell_somewhere,
    void_body,
)


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway(poll_interval_s=0.05, ovo_timeout_s=0.3) as one:
        tell_somewhere(one)
        yield one


def told(running: RunningGateway, invoice: str) -> list[Any]:
    """Every notification about an order."""
    return [json.loads(one["body"]) for one in record(running, invoice)["notifications"]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"order": GONE}, "order Must Not Be Blank"),
        ({"order__invoice_number": GONE}, "order.invoice_number Must Not Be Blank"),
        ({"order__invoice_number": ""}, "order.invoice_number Must Not Be Blank"),
        ({"order__invoice_number": "x" * 65}, "order.invoice_number Invalid Format"),
        ({"order__invoice_number": "a\x00b"}, "order.invoice_number Invalid Format"),
        ({"order__amount": GONE}, "order.amount Must Not Be Blank"),
        ({"order__amount": None}, "order.amount Must Not Be Blank"),
        ({"order__amount": 0}, "order.amount Invalid Format"),
        ({"order__amount": -1}, "order.amount Invalid Format"),
        ({"order__amount": 10.5}, "order.amount Invalid Format"),
        ({"order__amount": 1_000_000_000_000}, "order.amount Invalid Format"),
        ({"order__amount": "sepuluh"}, "order.amount Invalid Format"),
        ({"ovo_info": GONE}, "ovo_info Must Not Be Blank"),
        ({"ovo_info__ovo_id": GONE}, "ovo_info.ovo_id Must Not Be Blank"),
        ({"ovo_info__ovo_id": "0812"}, "ovo_info.ovo_id Invalid Format"),
        ({"ovo_info__ovo_id": "budi"}, "ovo_info.ovo_id Invalid Format"),
        ({"ovo_info__ovo_id": "0" * 40}, "ovo_info.ovo_id Invalid Format"),
        ({"additional_info__override_notification_url": "shop"}, "additional_info.override_notification_url Invalid Format"),
        ({"order__amount": 0, "ovo_info__ovo_id": ""}, "order.amount Invalid Format"),
    ],
    ids=str,
)
def test_a_request_hears_about_the_first_field_that_is_wrong(running: RunningGateway, changes: dict[str, Any], message: str):
    """In the order of DOKU's table, and nothing is opened."""
    body = push_body(**changes)

    assert_error(post(running, body), 400, "INVALID_PARAMETER", message, BODY)
    invoice = body.get("order", {}).get("invoice_number")
    if isinstance(invoice, str) and invoice and "\x00" not in invoice:
        assert running.status(invoice).status == 404


@pytest.mark.parametrize("phone", ["+62 812-1111-0000", "6281211110000", "0812.1111.0000", 81211110000])
def test_a_phone_is_taken_in_any_written_form_and_told_back_as_sent(running: RunningGateway, phone: str | int):
    """D-6."""
    answer = post(running, push_body(ovo_info__ovo_id=phone))

    assert (answer.status, answer.json["ovo_info"]["ovo_id"]) == (200, str(phone))


def test_what_is_unknown_is_not_minded_and_what_is_extra_is_told_back(running: RunningGateway):
    extra = {"override_notification_url": NOBODY, "integration": {"name": "toko", "version": "1.0"}}

    answer = post(running, push_body(ovo_info__ovo_id=REFUSES, additional_info=extra, more={"a": 1}))

    assert answer.json["additional_info"] == extra


def test_an_answer_without_extras_has_none(running: RunningGateway):
    assert "additional_info" not in post(running, push_body(ovo_info__ovo_id=REFUSES, additional_info=GONE)).json


def test_a_paid_push_says_so_in_every_field_of_the_sample(running: RunningGateway):
    body = push_body(ovo_info__ovo_id=PAYS)

    answer = post(running, body)

    said = answer.json
    payment = said["ovo_payment"]
    assert answer.status == 200
    assert said == {
        "client": {"id": MERCHANT},
        "order": {"invoice_number": body["order"]["invoice_number"], "amount": 10_000},
        "ovo_info": {"ovo_id": PAYS, "ovo_account_name": BUYER},
        "ovo_configuration": said["ovo_configuration"],
        "ovo_payment": {
            "date": payment["date"],
            "batch_number": payment["batch_number"],
            "trace_number": payment["trace_number"],
            "reference_number": payment["reference_number"],
            "approval_code": payment["approval_code"],
            "response_code": "00",
            "cash_used": 10_000,
            "cash_balance": BALANCE - 10_000,
            "ovo_points_used": 0,
            "ovo_points_balance": 0,
            "ovo_points_earned": 0,
            "status": "SUCCESS",
        },
        "additional_info": {"override_notification_url": NOBODY},
    }
    assert all(type(payment[name]) is int for name in ("batch_number", "trace_number", "reference_number"))
    assert re.fullmatch(r"\d{6}", payment["approval_code"])
    assert re.fullmatch(r"20\d{12}", payment["date"])
    assert list(said["ovo_configuration"]) == ["merchant_id", "store_code", "mid", "tid"]


def test_a_merchants_numbers_at_ovo_never_change(running: RunningGateway):
    first, second = (paid(running)["ovo_configuration"] for _ in range(2))

    assert first == second
    assert configuration_of("BRN-1") != configuration_of("BRN-2")


def test_two_pushes_have_numbers_of_their_own(running: RunningGateway):
    payments = [paid(running)["ovo_payment"] for _ in range(3)]

    assert len({one["reference_number"] for one in payments}) == 3


def test_a_paid_push_is_notified_with_its_block(running: RunningGateway):
    """Common §5.2, keys in this order."""
    body = push_body(ovo_info__ovo_id=PAYS)
    payment = post(running, body).json["ovo_payment"]
    invoice = body["order"]["invoice_number"]

    (notification,) = told(running, invoice)

    assert list(notification) == ["service", "acquirer", "channel", "order", "transaction", "ovo_payment", "additional_info"]
    assert notification == {
        "service": {"id": "EMONEY"},
        "acquirer": {"id": "OVO"},
        "channel": {"id": "EMONEY_OVO"},
        "order": {"invoice_number": invoice, "amount": 10_000},
        "transaction": {
            "status": "SUCCESS",
            "date": notification["transaction"]["date"],
            "original_request_id": body["security"]["check_sum"],
        },
        "ovo_payment": {
            "status": "SUCCESS",
            "response_code": "00",
            "approval_code": payment["approval_code"],
            "reference_number": payment["reference_number"],
        },
        "additional_info": {"override_notification_url": NOBODY},
    }
    assert running.status(invoice).json == notification


def test_a_notification_url_that_nothing_signs_is_not_used(running: RunningGateway):
    """The check sum does not cover it: with one overheard body somebody else could hear of the merchant's payments."""
    elsewhere = "http://127.0.0.1:9/elsewhere"
    body = push_body(ovo_info__ovo_id=PAYS, additional_info__override_notification_url=elsewhere)
    signed = push_body(ovo_info__ovo_id=PAYS, additional_info__override_notification_url=elsewhere)

    post(running, body)
    assert running.signed("POST", PUSH, signed).status == 200

    records = [
        running.control("GET", f"/payments?client_id={MERCHANT}&invoice_number={one['order']['invoice_number']}")
        for one in (body, signed)
    ]
    assert [one["notifications"][0]["url"] for one in records] == [NOBODY, elsewhere]
    assert "no header signs it" in records[0]["warnings"][0]
    assert not any("no header" in one for one in records[1]["warnings"])


def test_a_refused_push_is_failed_without_an_approval_code(running: RunningGateway):
    body = push_body(ovo_info__ovo_id=REFUSES)
    answer = post(running, body)
    payment, invoice = answer.json["ovo_payment"], body["order"]["invoice_number"]

    (notification,) = told(running, invoice)

    assert answer.status == 200
    assert (payment["status"], payment["response_code"], payment["cash_used"]) == ("FAILED", "26", 0)
    assert not {"approval_code", "cash_balance"} & set(payment)
    assert notification["transaction"]["status"] == "FAILED"
    assert notification["ovo_payment"] == {
        "status": "FAILED",
        "response_code": "26",
        "reference_number": payment["reference_number"],
    }
    assert running.status(invoice).json == notification


@pytest.mark.parametrize(
    ("amount", "status", "code"),
    [
        (10_402, "FAILED", "26"),
        (10_404, "FAILED", "26"),
        (10_410, "TIMEOUT", "68"),
        (10_499, "FAILED", "17"),
        (10_408, "TIMEOUT", "68"),
    ],
)
def test_magic_amounts_say_what_pay_does(running: RunningGateway, amount: int, status: str, code: str):
    """As on every channel; the phone number presses Pay."""
    payment = post(running, push_body(ovo_info__ovo_id=PAYS, order__amount=amount)).json["ovo_payment"]

    assert (payment["status"], payment["response_code"]) == (status, code)


def test_a_reason_that_is_ovos_own_code_is_told_as_it_is(running: RunningGateway):
    body = push_body()
    post(running, body)

    play(running, body["order"]["invoice_number"], "FAILED", code="64")

    assert running.status(body["order"]["invoice_number"]).json["ovo_payment"]["response_code"] == "64"


def test_an_invoice_number_is_used_once_whatever_became_of_it(running: RunningGateway):
    """D-9."""
    body = push_body(ovo_info__ovo_id=REFUSES)
    post(running, body)

    again = push_body(order__invoice_number=body["order"]["invoice_number"], ovo_info__ovo_id=PAYS)

    assert_error(post(running, again), 400, "INVALID_PARAMETER", "Invoice Number Already Used", BODY)


def test_a_merchant_without_the_channel_is_told_so(running: RunningGateway):
    def choose(**options: object) -> None:
        running.control("PUT", f"/merchants/{MERCHANT}/channels/EMONEY_OVO", {"options": options})

    choose(enabled=False)
    try:
        answer = post(running, push_body())
    finally:
        choose()

    assert_error(answer, 400, "CHANNEL_NOT_ENABLED", "Payment Channel Is Inactive", BODY)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ovo_payment": GONE}, "ovo_payment Must Not Be Blank"),
        ({"ovo_payment__batch_number": GONE}, "ovo_payment.batch_number Must Not Be Blank"),
        ({"ovo_payment__trace_number": "x"}, "ovo_payment.trace_number Invalid Format"),
        ({"ovo_payment__reference_number": -1}, "ovo_payment.reference_number Invalid Format"),
        ({"ovo_payment__approval_code": ""}, "ovo_payment.approval_code Must Not Be Blank"),
        ({"order__amount": 9_999}, "order.amount Invalid Format"),
        ({"ovo_info__ovo_id": "1"}, "ovo_info.ovo_id Invalid Format"),
    ],
    ids=str,
)
def test_a_void_hears_about_the_first_field_that_is_wrong(running: RunningGateway, changes: dict[str, Any], message: str):
    answer = paid(running)

    assert_error(post(running, void_body(answer, **changes), VOID), 400, "INVALID_PARAMETER", message, BODY)
    assert running.status(answer["order"]["invoice_number"]).json["transaction"]["status"] == "SUCCESS"


def test_a_voids_numbers_may_come_as_text(running: RunningGateway):
    answer = paid(running)
    numbers = {f"ovo_payment__{name}": str(answer["ovo_payment"][name]) for name in ("batch_number", "trace_number")}

    assert post(running, void_body(answer, **numbers), VOID).json["ovo_payment"]["status"] == "SUCCESS"
