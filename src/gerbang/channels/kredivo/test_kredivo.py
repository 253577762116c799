"""Kredivo (ewallet §8): every field, Indodana's answer, what the merchant is told."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from support.gateway import lent_gateway
from support.nonsnap import DEMO_CLIENT_ID
from support.provider_orders import GONE, NOBODY, Shop, assert_refused, moved

CODE = "PEER_TO_PEER_KREDIVO"
PATH = "/kredivo-peer-to-peer/v2/generate-order"
ADDRESS = {
    "first_name": "andreas",
    "last_name": "dharmawan",
    "address": "Jalan Teknologi Indonesia No. 25",
    "city": "Jakarta",
    "postal_code": "12960",
    "phone": "081513114262",
    "country_code": "IDN",
}
SAMPLE: dict[str, Any] = {
    "order": {
        "invoice_number": "Test-Devex-002-jesj123",
        "line_items": [
            {
                "name": "AyamA",
                "price": 30000,
                "quantity": 1,
                "id": "1008",
                "type": "ELECTRONIC",
                "url": "https://merchant.com/product_1008",
            },
            {
                "name": "AyamB",
                "price": 10000.50,
                "quantity": 2,
                "id": "1009",
                "type": "ELECTRONIC",
                "url": "https://merchant.com/product_1009",
            },
        ],
        "amount": 50001,
        "callback_url": "https://merchant.com/return-url",
        "callback_url_cancel": "https://merchant.com/cancel-url",
    },
    "peer_to_peer_info": {"expired_time": 60, "merchant_unique_reference": "MUR-60123"},
    "customer": {"first_name": "andreas", "last_name": "dharmawan", "phone": "081398154809", "email": "andreas@email.com"},
    "billing_address": {**ADDRESS},
    "shipping_address": {**ADDRESS},
}


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with lent_gateway() as running:
        yield Shop(running, CODE, PATH, SAMPLE)


def test_the_answer_has_these_keys_and_no_others(shop: Shop):
    answer = shop.order()

    invoice = answer.json["order"]["invoice_number"]
    payment = shop.payment(invoice)
    info = answer.json["peer_to_peer_info"]
    assert answer.json == {
        "order": {"invoice_number": invoice, "amount": 50001},
        "payment": {"status": "PENDING", "url": f"{shop.running.url}/simulators/kredivo/{payment['id']}"},
        "peer_to_peer_info": {
            "created_date": info["created_date"],
            "expired_date": info["expired_date"],
            "created_date_utc": payment["created_at"],
            "expired_date_utc": payment["expires_at"],
            "merchant_unique_reference": "MUR-60123",
            "identifier": [{"name": "KREDIVO_ORDER_ID", "value": info["identifier"][0]["value"]}],
        },
    }
    for word in ("created_date", "expired_date"):
        in_jakarta = datetime.fromisoformat(info[f"{word}_utc"]) + timedelta(hours=7)
        assert info[word] == in_jakarta.strftime("%Y%m%d%H%M%S")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("order__invoice_number", GONE, "order.invoice_number Must Not Be Blank"),
        ("order__invoice_number", "x" * 65, "order.invoice_number Invalid Format"),
        ("order__amount", GONE, "order.amount Must Not Be Blank"),
        ("order__amount", 1_000_000_000_000, "order.amount Invalid Format"),
        ("order__amount", 50000, "Invalid Total Amount And Line Items"),
        ("order__line_items", [], "order.line_items Must Not Be Blank"),
        ("order__line_items__0__name", GONE, "order.line_items[0].name Must Not Be Blank"),
        ("order__line_items__0__name", "x" * 256, "order.line_items[0].name Invalid Format"),
        ("order__line_items__0__price", GONE, "order.line_items[0].price Must Not Be Blank"),
        ("order__line_items__0__price", -1, "order.line_items[0].price Invalid Format"),
        ("order__line_items__0__price", 30000.001, "order.line_items[0].price Invalid Format"),
        ("order__line_items__0__price", 30000.25, "Invalid Total Amount And Line Items"),
        ("order__line_items__0__quantity", 1.5, "order.line_items[0].quantity Invalid Format"),
        ("order__line_items__0__quantity", GONE, "order.line_items[0].quantity Must Not Be Blank"),
        ("order__line_items__1__id", GONE, "order.line_items[1].id Must Not Be Blank"),
        ("order__line_items__1__type", GONE, "order.line_items[1].type Must Not Be Blank"),
        ("order__line_items__1__url", GONE, "order.line_items[1].url Must Not Be Blank"),
        ("order__line_items__1__url", "merchant.com", "order.line_items[1].url Invalid Format"),
        ("order__callback_url", "merchant.com", "order.callback_url Invalid Format"),
        ("order__callback_url_cancel", "merchant.com", "order.callback_url_cancel Invalid Format"),
        ("peer_to_peer_info", GONE, "peer_to_peer_info Must Not Be Blank"),
        ("peer_to_peer_info__merchant_unique_reference", GONE, "peer_to_peer_info.merchant_unique_reference Must Not Be Blank"),
        ("peer_to_peer_info__expired_time", 0, "peer_to_peer_info.expired_time Invalid Format"),
        ("customer__first_name", GONE, "customer.first_name Must Not Be Blank"),
        ("customer__email", GONE, "customer.email Must Not Be Blank"),
        ("customer__phone", GONE, "customer.phone Must Not Be Blank"),
        ("customer__phone", "0812", "customer.phone Invalid Format"),
        ("shipping_address__phone", "call me", "shipping_address.phone Invalid Format"),
        ("billing_address__phone", "call me", "billing_address.phone Invalid Format"),
        ("shipping_address", GONE, "shipping_address Must Not Be Blank"),
        ("shipping_address__city", GONE, "shipping_address.city Must Not Be Blank"),
        ("shipping_address__country_code", "INDO", "shipping_address.country_code Invalid Format"),
        ("billing_address__postal_code", GONE, "billing_address.postal_code Must Not Be Blank"),
    ],
)
def test_each_rule_is_refused_with_its_message(shop: Shop, path: str, value: object, message: str):
    assert_refused(shop.order(**{path: value}), message)


@pytest.mark.parametrize(
    "changes",
    [
        {"billing_address": GONE},
        {"order__callback_url": GONE},
        {"order__callback_url_cancel": GONE},
        {"peer_to_peer_info__expired_time": GONE},
        {"customer__last_name": GONE},
        {"customer__phone": 81398154809},
        {"shipping_address__postal_code": 12960},
        {"order__amount": "50001.00"},
        {"order__line_items__0__price": "30000.00"},
    ],
)
def test_what_is_optional_or_written_otherwise_is_accepted(shop: Shop, changes: dict[str, Any]):
    assert shop.order(**changes).status == 200


def test_what_a_client_in_use_sends_is_accepted(shop: Shop):
    """No expired_time, no billing address, no address to cancel to, and two fields that no document knows."""
    body = shop.body(
        billing_address=GONE,
        order__callback_url_cancel=GONE,
        peer_to_peer_info__expired_time=GONE,
        order__auto_redirect=True,
        order__descriptor="Test Descriptor",
    )

    assert shop.post(body).status == 200


def test_the_same_invoice_again_is_refused(shop: Shop):
    """D-9."""
    body = shop.body()
    assert shop.post(body).status == 200

    assert_refused(shop.post(body), "Invoice Number Already Used")


def test_an_order_kredivo_does_not_want_is_answered_failed_and_told_nobody(shop: Shop):
    """The magic amount of lenders."""
    item = {**SAMPLE["order"]["line_items"][0], "price": 10404, "quantity": 1}
    answer = shop.order(order__amount=10404, order__line_items=[item], additional_info={"override_notification_url": NOBODY})

    invoice = answer.json["order"]["invoice_number"]
    assert answer.json["payment"] == {"status": "FAILED", "url": ""}
    assert "identifier" not in answer.json["peer_to_peer_info"]
    assert shop.said(invoice) == "FAILED"
    assert shop.record(invoice)["notifications"] == []


def test_the_body_of_a_paid_order_is_exactly_this(shop: Shop):
    """common §5.2, paylater."""
    request = shop.body(additional_info={"override_notification_url": NOBODY})
    invoice = request["order"]["invoice_number"]
    info = shop.post(request, request_id="request-of-a-paid-order").json["peer_to_peer_info"]

    ended = shop.play(invoice, "SUCCESS")

    [told] = [json.loads(one["body"]) for one in ended["notifications"]]
    assert told == {
        "service": {"id": "PEER_TO_PEER"},
        "acquirer": {"id": "KREDIVO"},
        "channel": {"id": "PEER_TO_PEER_KREDIVO"},
        "order": {"invoice_number": invoice, "amount": 50001},
        "transaction": {
            "status": "SUCCESS",
            "date": ended["payments"][-1]["finished_at"],
            "original_request_id": "request-of-a-paid-order",
        },
        "peer_to_peer_info": {
            "virtual_account_number": "",
            "created_date": info["created_date"],
            "expired_date": info["expired_date"],
            "status": "SUCCESS",
            "merchant_unique_reference": "MUR-60123",
            "identifier": info["identifier"],
        },
        "payment": {"merchant_unique_reference": "MUR-60123"},
        "additional_info": {"override_notification_url": NOBODY},
    }
    assert shop.running.status(invoice).json == told
    assert moved(shop.payment(invoice)) == [(f"provider:{CODE}", f"merchant:{DEMO_CLIENT_ID}:payable", 50001)]


@pytest.mark.parametrize("outcome", ["FAILED", "CANCELLED", "NOT_ENOUGH"])
def test_an_unpaid_end_is_told_as_failed_and_moves_nothing(shop: Shop, outcome: str):
    invoice = shop.opened()

    ended = shop.play(invoice, outcome)

    [told] = [json.loads(one["body"]) for one in ended["notifications"]]
    assert (told["transaction"]["status"], told["peer_to_peer_info"]["status"]) == ("FAILED", "FAILED")
    assert moved(ended["payments"][-1]) == []


@pytest.mark.parametrize(("minutes", "after_s"), [(GONE, 3600), (5, 300)])
def test_an_order_can_be_paid_as_many_minutes_as_it_says_else_an_hour(tmp_path: Any, minutes: object, after_s: int):
    with lent_gateway() as running:
        own = Shop(running, CODE, PATH, SAMPLE)
        invoice = own.opened(peer_to_peer_info__expired_time=minutes)
        running.control("POST", "/clock", {"advance_s": after_s - 20})
        assert own.said(invoice) == "PENDING"

        running.control("POST", "/clock", {"advance_s": 40})

        assert own.said(invoice) == "EXPIRED"
        assert own.record(invoice)["notifications"] == []


@pytest.mark.parametrize(
    ("form", "leads"),
    [("action=pay&plan=3&consent=1", "https://merchant.com/return-url"), ("action=cancel", "https://merchant.com/cancel-url")],
)
def test_the_buyer_goes_where_the_order_says(shop: Shop, form: str, leads: str):
    url = shop.order().json["payment"]["url"].removeprefix(shop.running.url)

    answer = shop.running.request("POST", url, form.encode(), {"Content-Type": "application/x-www-form-urlencoded"})

    assert (answer.status, answer.headers["location"]) == (303, leads)


def test_the_buyers_plan_is_kept_with_the_payment(shop: Shop):
    invoice = shop.opened()
    url = f"/simulators/kredivo/{shop.payment(invoice)['id']}"

    shop.running.request("POST", url, b"action=pay&plan=12&consent=1", {"Content-Type": "application/x-www-form-urlencoded"})

    assert shop.payment(invoice)["state"] == "SUCCESS"
    assert (
        shop.room.database.read_now(
            lambda tx: tx.one("select details from payment where id = :id", {"id": shop.payment(invoice)["id"]})
        )["details"].count('"tenor":12')
        == 1
    )
