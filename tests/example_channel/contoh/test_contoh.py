"""Contoh Pay: what is its own. What every channel promises is tested in tests/contracts."""

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from support.gateway import RunningGateway, lent_gateway
from support.provider_orders import Shop, assert_refused

SAMPLE = {
    "order": {"invoice_number": "INV-1", "amount": 45_000, "callback_url": "https://merchant.example/done"},
    "customer": {"phone": "081234567890"},
}


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with lent_gateway() as running:
        yield Shop(running, "EMONEY_CONTOH", "/contoh-emoney/v1/payment", SAMPLE)


def pay(running: RunningGateway, payment_id: str) -> None:
    """The buyer presses Pay in the pretend app."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    running.request("POST", f"/simulators/contoh/{payment_id}", urlencode({"action": "pay"}).encode(), form)


def test_a_paid_order_names_its_approval_code(shop: Shop) -> None:
    invoice = shop.opened()

    pay(shop.running, shop.payment(invoice)["id"])

    paid = shop.running.status(invoice).json
    assert paid["transaction"]["status"] == "SUCCESS"
    assert paid["emoney_payment"] == {"approval_code": shop.payment(invoice)["approval_code"]}


def test_a_phone_that_ends_in_0000_has_not_enough(shop: Shop) -> None:
    invoice = shop.opened(customer__phone="081234560000")

    pay(shop.running, shop.payment(invoice)["id"])

    assert (shop.said(invoice), shop.payment(invoice)["failure"]) == ("FAILED", "NOT_ENOUGH")


def test_what_is_no_phone_number_is_refused(shop: Shop) -> None:
    assert_refused(shop.order(customer__phone="tidak ada"), "customer.phone Invalid Format")
