"""ShopeePay (ewallet §4): every field, the closed answer, where the buyer goes, what the merchant is told."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.gateway import RunningGateway, lent_gateway
from support.nonsnap import DEMO_CLIENT_ID
from support.provider_orders import GONE, NOBODY, Shop, assert_refused, moved

CODE = "EMONEY_SHOPEE_PAY"
PATH = "/shopeepay-emoney/v2/order"
SAMPLE: dict[str, Any] = {
    "order": {
        "invoice_number": "INV-20210124-0001",
        "amount": 150000,
        "callback_url": "https://merchant.com/return-url",
        "expired_time": 300,
    }
}


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with lent_gateway() as running:
        yield Shop(running, CODE, PATH, SAMPLE)


@pytest.fixture
def own_shop(tmp_path: Any) -> Iterator[Shop]:
    """One whose clock and options may be changed."""
    with lent_gateway() as running:
        yield Shop(running, CODE, PATH, SAMPLE)


def test_the_documented_sample_is_accepted_as_printed(shop: Shop):
    answer = shop.post(SAMPLE)

    assert answer.status == 200
    assert answer.json["order"] == {"invoice_number": "INV-20210124-0001", "amount": 150000}


def test_the_answer_has_these_keys_and_no_others(shop: Shop):
    answer = shop.order()

    invoice = answer.json["order"]["invoice_number"]
    payment = shop.payment(invoice)
    named = answer.json["shopeepay_configuration"]
    assert answer.json == {
        "order": {"invoice_number": invoice, "amount": 150000},
        "shopeepay_configuration": {"merchant_ext_id": named["merchant_ext_id"], "store_ext_id": named["store_ext_id"]},
        "shopeepay_payment": {
            "redirect_url_http": f"{shop.running.url}/simulators/shopeepay/{payment['id']}",
            "status": "PENDING",
        },
    }
    assert named["merchant_ext_id"].isalnum()
    assert named == shop.order().json["shopeepay_configuration"]


def test_additional_info_is_echoed_when_sent(shop: Shop):
    sent = {"override_notification_url": NOBODY, "integration": {"name": "own"}}

    assert shop.order(additional_info=sent).json["additional_info"] == sent


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("invoice_number", GONE, "order.invoice_number Must Not Be Blank"),
        ("invoice_number", "", "order.invoice_number Must Not Be Blank"),
        ("invoice_number", "x" * 65, "order.invoice_number Invalid Format"),
        ("amount", GONE, "order.amount Must Not Be Blank"),
        ("amount", 0, "order.amount Invalid Format"),
        ("amount", 1_000_000_000_000, "order.amount Invalid Format"),
        ("amount", "150.000", "order.amount Invalid Format"),
        ("callback_url", "merchant.com", "order.callback_url Invalid Format"),
        ("expired_time", 0, "order.expired_time Invalid Format"),
        ("expired_time", "soon", "order.expired_time Invalid Format"),
    ],
)
def test_each_rule_is_refused_with_its_message(shop: Shop, field: str, value: object, message: str):
    assert_refused(shop.order(**{f"order__{field}": value}), message)


@pytest.mark.parametrize(
    "changes", [{"order__callback_url": GONE}, {"order__expired_time": GONE}, {"order__amount": "150000.00"}]
)
def test_what_is_optional_or_written_otherwise_is_accepted(shop: Shop, changes: dict[str, Any]):
    assert shop.order(**changes).status == 200


def test_the_same_invoice_again_is_refused_whatever_became_of_the_first(shop: Shop):
    """D-9."""
    body = shop.body()
    assert shop.post(body).status == 200
    assert_refused(shop.post(body), "Invoice Number Already Used")

    shop.play(body["order"]["invoice_number"], "FAILED")

    assert_refused(shop.post(body), "Invoice Number Already Used")


def test_the_body_of_a_paid_order_is_exactly_this(shop: Shop):
    """common §5.2, as in a merchant's document."""
    request = shop.body(additional_info={"override_notification_url": NOBODY})
    answer = shop.post(request, request_id="request-of-a-paid-order")
    invoice = request["order"]["invoice_number"]

    ended = shop.play(invoice, "SUCCESS")

    [told] = [json.loads(one["body"]) for one in ended["notifications"]]
    [identifier] = told["shopeepay_payment"]["identifier"]
    assert told == {
        "service": {"id": "EMONEY"},
        "acquirer": {"id": "SHOPEEPAY"},
        "channel": {"id": "EMONEY_SHOPEE_PAY"},
        "order": {"invoice_number": invoice, "amount": 150000},
        "transaction": {
            "status": "SUCCESS",
            "date": ended["payments"][-1]["finished_at"],
            "original_request_id": "request-of-a-paid-order",
        },
        "shopeepay_configuration": answer.json["shopeepay_configuration"],
        "shopeepay_payment": {
            "transaction_status": "00",
            "transaction_message": "Success",
            "identifier": [{"name": "SHOPEEPAY_REF_ID", "value": identifier["value"]}],
        },
        "additional_info": {"override_notification_url": NOBODY},
    }
    assert identifier["value"]
    assert shop.running.status(invoice).json == told
    assert moved(shop.payment(invoice)) == [(f"provider:{CODE}", f"merchant:{DEMO_CLIENT_ID}:payable", 150000)]


@pytest.mark.parametrize("outcome", ["FAILED", "CANCELLED", "NOT_ENOUGH"])
def test_an_unpaid_end_is_told_as_failed_and_moves_nothing(shop: Shop, outcome: str):
    invoice = shop.opened()

    ended = shop.play(invoice, outcome)

    [told] = [json.loads(one["body"]) for one in ended["notifications"]]
    assert told["transaction"]["status"] == "FAILED"
    assert told["shopeepay_payment"] == {"transaction_status": "01", "transaction_message": "Failed"}
    assert moved(ended["payments"][-1]) == []


def test_while_it_waits_check_status_names_the_merchant_only(shop: Shop):
    invoice = shop.opened()

    said = shop.running.status(invoice).json

    assert said["transaction"]["status"] == "PENDING"
    assert "shopeepay_configuration" in said
    assert "shopeepay_payment" not in said


@pytest.mark.parametrize(("minutes", "after_s"), [(GONE, 3600), (5, 300)])
def test_an_order_can_be_paid_as_many_minutes_as_it_says_else_an_hour(own_shop: Shop, minutes: object, after_s: int):
    invoice = own_shop.opened(order__expired_time=minutes)
    own_shop.running.control("POST", "/clock", {"advance_s": after_s - 20})
    assert own_shop.said(invoice) == "PENDING"

    own_shop.running.control("POST", "/clock", {"advance_s": 40})

    assert own_shop.payment(invoice)["state"] == "EXPIRED"
    assert own_shop.said(invoice) == "EXPIRED"
    assert own_shop.record(invoice)["notifications"] == []


def location_after(running: RunningGateway, url: str, action: str) -> str:
    answer = running.request(
        "POST", url.removeprefix(running.url), f"action={action}".encode(), {"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert answer.status == 303, answer.body
    return answer.headers["location"]


@pytest.mark.parametrize("action", ["pay", "cancel"])
def test_the_buyer_goes_back_to_the_callback_url(shop: Shop, action: str):
    url = shop.order().json["shopeepay_payment"]["redirect_url_http"]

    assert location_after(shop.running, url, action) == "https://merchant.com/return-url"


def test_without_callback_url_the_buyer_goes_to_the_return_url_of_the_back_office(own_shop: Shop):
    own_shop.options(return_url="https://merchant.com/back-office")
    named = own_shop.order().json["shopeepay_payment"]["redirect_url_http"]
    unnamed = own_shop.order(order__callback_url=GONE).json["shopeepay_payment"]["redirect_url_http"]

    assert location_after(own_shop.running, named, "pay") == "https://merchant.com/return-url"
    assert location_after(own_shop.running, unnamed, "pay") == "https://merchant.com/back-office"


def test_a_buyer_quicker_than_shopeepays_answer_to_us_is_told_too(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    """The reference came with no answer: the notification goes out without the identifier, not never."""
    begin = shop.room.provider.begin

    async def deaf(asked: Any) -> Any:
        await begin(asked)
        raise ConnectionError("the answer is lost")

    monkeypatch.setattr(shop.room.provider, "begin", deaf)
    body = shop.body(additional_info={"override_notification_url": NOBODY})
    assert shop.post(body).status == 503

    ended = shop.play(body["order"]["invoice_number"], "SUCCESS")

    [told] = [json.loads(one["body"]) for one in ended["notifications"]]
    assert told["shopeepay_payment"] == {"transaction_status": "00", "transaction_message": "Success"}


def test_the_names_at_shopeepay_are_the_providers_where_it_gives_any(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    from gerbang.providers.questions import Begun

    facts = {"merchant_ext_id": "MID12345", "store_ext_id": "STORE777"}
    shop.does(monkeypatch, "begin", lambda _asked: Begun("REF-1", "https://app.example/1", facts))

    answer = shop.order()

    assert answer.json["shopeepay_configuration"] == facts
    assert answer.json["shopeepay_payment"] == {"redirect_url_http": "https://app.example/1", "status": "PENDING"}


def test_an_order_shopeepay_does_not_want_is_answered_failed_and_told_nobody(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    from gerbang.providers.questions import TurnedDown

    shop.does(monkeypatch, "begin", lambda _asked: TurnedDown("MERCHANT_SUSPENDED"))

    answer = shop.order(additional_info={"override_notification_url": NOBODY})

    invoice = answer.json["order"]["invoice_number"]
    assert answer.json["shopeepay_payment"] == {"redirect_url_http": "", "status": "FAILED"}
    assert shop.payment(invoice)["failure"] == "MERCHANT_SUSPENDED"
    assert shop.record(invoice)["notifications"] == []
