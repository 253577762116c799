"""Indomaret's own: it takes codes of ours only. What all chains promise is in tests/contracts."""

from collections.abc import Iterator
from typing import Any

import pytest

from gerbang.channels.indomaret.channel import CHANNEL
from support.gateway import lent_gateway
from support.provider_orders import NOBODY, Shop

PATH = "/indomaret-online-to-offline/v2/payment-code"
# As the published request collection has it, a part named after the other chain included.
SAMPLE: dict[str, Any] = {
    "order": {"invoice_number": "INV-1", "amount": 90_000},
    "online_to_offline_info": {"expired_time": 60, "reusable_status": True, "info": "Terima kasih"},
    "customer": {"name": "Anton Budiman", "email": "anton@example.com"},
    "alfa_info": {"receipt": {"footer_message": "Sampai jumpa lagi"}},
    "additional_info": {"override_notification_url": NOBODY},
}


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with lent_gateway() as running:
        yield Shop(running, CHANNEL.code, PATH, SAMPLE)


def test_a_code_that_a_merchant_brings_is_not_heard(shop: Shop) -> None:
    """The chain's document knows no such field; like every unknown one it is ignored."""
    answer = shop.order(online_to_offline_info__payment_code="123456")

    assert len(answer.json["online_to_offline_info"]["payment_code"]) == 16


@pytest.mark.parametrize(
    "path", ["/indomaret-virtual-account/v2/payment-code", "/indomaret-online-to-offline/v2/merchant-payment-code"]
)
def test_there_is_one_path(shop: Shop, path: str) -> None:
    assert shop.running.signed("POST", path, shop.body()).status == 404


def test_the_footer_named_after_the_other_chain_is_printed_here_too(shop: Shop) -> None:
    code = shop.order().json["online_to_offline_info"]["payment_code"]

    paid = shop.running.request(
        "POST", "/simulators/indomaret", f"action=pay&code={code}".encode(), {"Content-Type": "application/x-www-form-urlencoded"}
    )

    assert "Sampai jumpa lagi" in shop.running.request("GET", paid.headers["location"]).body.decode()
