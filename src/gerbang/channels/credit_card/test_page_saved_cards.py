"""Cards that buyers save, pay with and remove on the card page."""

import re
from collections.abc import Iterator

import pytest

from support.card_buyer import Shop
from support.card_page import AMEX, DECLINED, FRICTIONLESS, invoice, save_card
from support.gateway import RunningGateway, lent_gateway


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway() as one:
        yield one


@pytest.fixture
def shop(running: RunningGateway) -> Shop:
    return Shop.open(running)


def test_a_saved_card_pays_with_its_cvv_alone(shop: Shop) -> None:
    """S2-117, S2-19."""
    token = save_card(shop, "C-1")
    code = invoice()
    buyer = shop.buyer(code, customer={"id": "C-1"})
    assert len(buyer.options("choice")) == 2
    assert token not in buyer.text  # the merchant's secret stays away from browsers

    assert buyer.pay().errors == {"cvv": "Enter the security code"}
    assert buyer.pay(cvv="123").state == "paid"

    last = shop.told(code)[-1]["card_payment"]
    assert (last["masked_card_number"], last["response_code"]) == ("411111******1111", "00")


def test_a_named_token_is_the_one_that_stands_ticked(shop: Shop) -> None:
    """S2-19: pre-fills the saved card."""
    older, newer = save_card(shop, "C-1", FRICTIONLESS), save_card(shop, "C-1", "5555555555554444")

    def ticked(token: str) -> str:
        code = invoice()
        shop.buyer(code, customer={"id": "C-1"}, card={"token": token}).pay(cvv="123")
        return str(shop.told(code)[-1]["card_payment"]["masked_card_number"])

    assert (ticked(older), ticked(newer)) == ("411111******1111", "555555******4444")


def test_a_buyer_with_saved_cards_may_still_type_a_new_one(shop: Shop) -> None:
    """S2-117."""
    save_card(shop, "C-1")
    code = invoice()

    assert shop.buyer(code, customer={"id": "C-1"}).pay(AMEX).state == "paid"
    assert shop.told(code)[-1]["card_payment"]["brand"] == "AMEX"
    assert "token_id" not in shop.told(code)[-1]["card_payment"]  # no tick, no token


def test_nobody_is_offered_another_customers_card(running: RunningGateway, shop: Shop) -> None:
    """S2-21: not by another customer, not at another shop, not without an id."""
    save_card(shop, "C-1")
    reference = next(one for one in shop.buyer(invoice(), customer={"id": "C-1"}).options("choice") if one != "new")

    for buyer in (
        shop.buyer(invoice(), customer={"id": "C-2"}),
        shop.buyer(invoice()),
        Shop.open(running).buyer(invoice(), customer={"id": "C-1"}),
    ):
        assert buyer.options("choice") == []
        buyer.form_with("pay").values["choice"] = reference
        assert buyer.press("pay", cvv="123").status == 422
        assert "choice" in buyer.text
        assert buyer.state == ""


def test_a_removed_card_is_gone(shop: Shop) -> None:
    """S2-117 … S2-124: asked once more, then unbound for the merchant too."""
    token = save_card(shop, "C-1")
    buyer = shop.buyer(invoice(), customer={"id": "C-1"})
    page = shop.buyer(invoice(), customer={"id": "C-1"})

    buyer.press("remove")
    assert buyer.headings == ["Remove this card?"]
    assert shop.call("/tokenization/v2/get-token", {"customer": {"id": "C-1"}}).json["tokens"]
    buyer.press("remove")

    assert buyer.options("choice") == []
    assert shop.call("/tokenization/v2/get-token", {"customer": {"id": "C-1"}}).json["tokens"] == []
    assert shop.call("/credit-card/delete-tokenization", {"token_id": token}).json == {"status": "DELETE FAILED"}
    assert page.pay(cvv="123").status == 422  # the other tab, opened before


def test_saving_is_the_buyers_choice_unless_the_shop_decided(shop: Shop) -> None:
    """S2-20: no box without a customer, a box with one, a notice instead when card.save is true."""
    assert not shop.buyer(invoice()).offers("save")
    assert shop.buyer(invoice(), customer={"id": "C-1"}).offers("save")
    code = invoice()
    forced = shop.buyer(code, customer={"id": "C-1"}, card={"save": True})
    assert not forced.offers("save")

    forced.pay(FRICTIONLESS)

    told = shop.told(code)[-1]
    assert re.fullmatch("[0-9a-f]{32}", told["card_payment"]["token_id"])
    assert told["card"] == {"token": told["card_payment"]["token_id"]}


def test_a_tick_without_a_customer_saves_nothing(shop: Shop) -> None:
    """S2-21: a hand-made form."""
    code = invoice()
    buyer = shop.buyer(code)
    buyer.form_with("pay").values["save"] = "1"

    assert buyer.pay(FRICTIONLESS).state == "paid"
    assert "token_id" not in shop.told(code)[-1]["card_payment"]


def test_a_declined_card_is_not_saved(shop: Shop) -> None:
    """cards §10: a token is born with the first success."""
    shop.buyer(invoice(), customer={"id": "C-1"}).pay(DECLINED, save="1")

    assert shop.call("/tokenization/v2/get-token", {"customer": {"id": "C-1"}}).json["tokens"] == []


def test_the_same_card_saved_twice_is_one_token(shop: Shop) -> None:
    """cards §10."""
    assert save_card(shop, "C-1") == save_card(shop, "C-1")
    assert len(shop.call("/tokenization/v2/get-token", {"customer": {"id": "C-1"}}).json["tokens"]) == 1


def test_a_saved_card_that_has_expired_since_is_declined() -> None:
    """S2-117, cards §14: 54; the buyer is told which one, and pays with another."""
    with lent_gateway() as running:
        shop, code = Shop.open(running), invoice()
        save_card(shop, "C-1")
        running.control("POST", "/clock", {"advance_s": 3 * 366 * 86_400})
        buyer = shop.buyer(code, customer={"id": "C-1"}).pay(cvv="123")

        assert (buyer.status, buyer.headings[1]) == (422, "The card has expired")
        assert shop.at_acquirer(code) == (0, 0)
        later = f"12/{(running.gateway.clock.now().year + 2) % 100:02}"
        assert buyer.pay("5555555555554444", expiry=later).state == "paid"
