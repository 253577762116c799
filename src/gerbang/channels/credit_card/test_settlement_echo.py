"""S2-125: how a marketplace wants the money split is kept and told back. The split itself is not carried out."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.card_calls import CardMerchant, a_card_merchants_listener, body_of, by_day, cards_served
from support.gateway import RunningGateway
from support.listener import Listener

SPLIT = [
    {"bank_account_settlement_id": "SBS-0001-20260101000000001", "value": 97, "type": "PERCENTAGE"},
    {"bank_account_settlement_id": "SBS-0002-20260101000000002", "value": 3, "type": "PERCENTAGE"},
]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningGateway]:
    with cards_served(poll_interval_s=0.05) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def receiver() -> Iterator[Listener]:
    with a_card_merchants_listener() as listener:
        yield listener


@pytest.fixture
def shop(sandbox: RunningGateway, receiver: Listener) -> CardMerchant:
    by_day(sandbox)
    return CardMerchant(sandbox, receiver)


def test_a_split_is_told_back_word_for_word_at_the_top_of_every_notification(shop: CardMerchant):
    page = shop.paid(additional_info={"settlement": SPLIT})
    shop.refund(page, 90_000)

    for told in map(body_of, shop.told(2)):
        assert told["settlement"] == SPLIT
        assert "additional_info" not in told


def test_a_host_to_host_charge_tells_its_split_too(shop: CardMerchant):
    shop.charge(shop.authentication(), additional_info={"settlement": SPLIT})

    assert body_of(shop.told(1)[0])["settlement"] == SPLIT


@pytest.mark.parametrize("info", [None, {}, {"settlement": []}, {"settlement": None}], ids=str)
def test_without_a_split_none_is_told(shop: CardMerchant, info: dict[str, Any] | None):
    shop.paid(**({} if info is None else {"additional_info": info}))

    assert "settlement" not in body_of(shop.told(1)[0])


def test_a_split_moves_no_money_yet(shop: CardMerchant):
    """The whole amount is the merchant's own. Whoever carries splits out changes this test and S2-125."""
    shop.paid(additional_info={"settlement": SPLIT})

    assert shop.balance() == 90_000
