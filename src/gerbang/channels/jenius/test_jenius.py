"""Jenius Pay (ewallet §6): text amounts, the push, the bank's name in every body."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from gerbang.merchants import MerchantOptions, update
from gerbang.settings import SANDBOX_SECRET_KEY
from support.gateway import Answer, lent_gateway
from support.nonsnap import DEMO_CLIENT_ID, import_merchant
from support.provider_orders import GONE, NOBODY, Shop, assert_refused, moved

CODE = "JENIUS_PAY"
PATH = "/jenius-digital-banking/v2/ServiceRequestPayment"
SAMPLE: dict[str, Any] = {
    "order": {
        "invoice_number": "DOKU202212345828",
        "amount": "50000",
        "line_items": [{"name": "Kopi", "price": 20000, "quantity": 2}, {"name": "Roti", "price": 10000, "quantity": 1}],
    },
    "customer": {"name": "Anton Budiman", "email": "anton@example.com", "phone": "6285694566147"},
    "redirect_url": "https://merchant.com/return-url",
    "jenius_info": {"cash_tag": "$admin"},
}


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with lent_gateway() as running:
        yield Shop(running, CODE, PATH, SAMPLE)


def test_the_answer_has_these_keys_and_its_amount_is_text(shop: Shop):
    """SUCCESS says that the push was sent; the payment is still open."""
    answer = shop.post(SAMPLE, request_id="DOKU202212345828")

    assert answer.status == 200
    assert answer.json == {
        "order": {"invoice_number": "DOKU202212345828", "amount": "50000"},
        "internet_banking_payment": {"status": "SUCCESS"},
    }
    assert shop.said("DOKU202212345828") == "PENDING"


@pytest.mark.parametrize("amount", ["50000", "50000.00", 50000])
def test_an_amount_comes_as_text_or_number_and_goes_back_as_text(shop: Shop, amount: object):
    answer = shop.order(order__amount=amount)

    assert answer.json["order"]["amount"] == "50000"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("order__invoice_number", GONE, "order.invoice_number Must Not Be Blank"),
        ("order__invoice_number", "x" * 65, "order.invoice_number Invalid Format"),
        ("order__amount", GONE, "order.amount Must Not Be Blank"),
        ("order__amount", "0", "order.amount Invalid Format"),
        ("order__amount", "1000000000000", "order.amount Invalid Format"),
        ("order__amount", "50.000", "order.amount Invalid Format"),
        ("order__amount", "50000.50", "order.amount Invalid Format"),
        ("order__amount", "٥", "order.amount Invalid Format"),
        ("order__line_items", GONE, "order.line_items Must Not Be Blank"),
        ("order__line_items", [], "order.line_items Must Not Be Blank"),
        ("order__line_items__1__name", GONE, "order.line_items[1].name Must Not Be Blank"),
        ("order__line_items__1__name", "x" * 256, "order.line_items[1].name Invalid Format"),
        ("order__line_items__0__price", GONE, "order.line_items[0].price Must Not Be Blank"),
        ("order__line_items__0__quantity", GONE, "order.line_items[0].quantity Must Not Be Blank"),
        ("order__line_items__0__quantity", 1, "Invalid Total Amount And Line Items"),
        ("order__amount", "49999", "Invalid Total Amount And Line Items"),
        ("jenius_info", GONE, "jenius_info Must Not Be Blank"),
        ("jenius_info__cash_tag", GONE, "jenius_info.cash_tag Must Not Be Blank"),
        ("jenius_info__cash_tag", "$" + "x" * 64, "jenius_info.cash_tag Invalid Format"),
        ("redirect_url", "merchant.com", "redirect_url Invalid Format"),
    ],
)
def test_each_rule_is_refused_with_its_message(shop: Shop, path: str, value: object, message: str):
    assert_refused(shop.order(**{path: value}), message)


@pytest.mark.parametrize("changes", [{"customer": GONE}, {"redirect_url": GONE}, {"customer__phone": 85694566147}])
def test_what_only_the_sample_shows_is_optional(shop: Shop, changes: dict[str, Any]):
    assert shop.order(**changes).status == 200


def test_the_invoice_number_need_not_be_the_request_id(shop: Shop):
    assert shop.post(shop.body(), request_id="another-id").status == 200


def test_for_a_merchant_strict_about_request_ids_it_has_to_be(shop: Shop):
    """ewallet §6: "must equal the Request-Id header"."""
    import_merchant(shop.running, "MCH-STRICT", SANDBOX_SECRET_KEY)
    shop.running.database.transact_now(lambda tx: update(tx, "MCH-STRICT", options=MerchantOptions(strict_request_id=True)))
    body = shop.body()

    def post(request_id: str) -> Answer:
        return shop.running.signed("POST", PATH, body, client_id="MCH-STRICT", request_id=request_id)

    assert_refused(post("another-id"), "order.invoice_number Invalid Format")
    assert post(body["order"]["invoice_number"]).status == 200


def test_the_same_invoice_again_is_refused(shop: Shop):
    """D-9."""
    body = shop.body()
    assert shop.post(body).status == 200

    assert_refused(shop.post(body), "Invoice Number Already Used")


def test_a_cash_tag_that_nobody_has_is_answered_failed_and_told_nobody(shop: Shop):
    answer = shop.order(jenius_info__cash_tag="$nobody", additional_info={"override_notification_url": NOBODY})

    invoice = answer.json["order"]["invoice_number"]
    assert answer.json["internet_banking_payment"] == {"status": "FAILED"}
    assert shop.said(invoice) == "FAILED"
    assert shop.payment(invoice)["failure"] == "CASH_TAG_UNKNOWN"
    assert shop.record(invoice)["notifications"] == []


def test_the_body_of_a_paid_order_is_exactly_this(shop: Shop):
    """common §5.2: DIGITAL_BANKING, BTPN with its name, JENIUS_PAY; and a number for the amount, as in every notification."""
    request = shop.body(additional_info={"override_notification_url": NOBODY})
    invoice = request["order"]["invoice_number"]
    shop.post(request, request_id="request-of-a-paid-order")

    ended = shop.play(invoice, "SUCCESS")

    [told] = [json.loads(one["body"]) for one in ended["notifications"]]
    assert told == {
        "service": {"id": "DIGITAL_BANKING"},
        "acquirer": {"id": "BTPN", "name": "Bank Tabungan Pensiunan Nasional"},
        "channel": {"id": "JENIUS_PAY"},
        "order": {"invoice_number": invoice, "amount": 50000},
        "transaction": {
            "status": "SUCCESS",
            "date": ended["payments"][-1]["finished_at"],
            "original_request_id": "request-of-a-paid-order",
        },
        "additional_info": {"override_notification_url": NOBODY},
    }
    assert shop.running.status(invoice).json == told
    assert moved(shop.payment(invoice)) == [(f"provider:{CODE}", f"merchant:{DEMO_CLIENT_ID}:payable", 50000)]


@pytest.mark.parametrize("outcome", ["FAILED", "CANCELLED", "NOT_ENOUGH"])
def test_an_unpaid_end_is_told_as_failed_and_moves_nothing(shop: Shop, outcome: str):
    invoice = shop.opened()

    ended = shop.play(invoice, outcome)

    assert [json.loads(one["body"])["transaction"]["status"] for one in ended["notifications"]] == ["FAILED"]
    assert moved(ended["payments"][-1]) == []


def test_a_push_nobody_answers_expires_in_an_hour_and_is_told_nobody(tmp_path: Any):
    with lent_gateway() as running:
        own = Shop(running, CODE, PATH, SAMPLE)
        invoice = own.opened()

        running.control("POST", "/clock", {"advance_s": 3601})

        assert own.said(invoice) == "EXPIRED"
        assert own.record(invoice)["notifications"] == []


def test_the_push_waits_on_the_testers_desk(shop: Shop):
    """No address is given to the shop: the buyer finds the request in the app, a tester at /simulators."""
    invoice = shop.opened()

    desk = shop.running.request("GET", "/simulators")
    page = shop.running.request("GET", f"/simulators/jenius/{shop.payment(invoice)['id']}")

    assert shop.payment(invoice)["id"] in desk.body.decode()
    assert invoice in page.body.decode()
