"""What a shop sets for a payment holds on the card page: payment types, installments, promos, BINs."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.card_buyer import Shop
from support.card_page import FRICTIONLESS, MANDIRI, invoice, save_card
from support.gateway import RunningGateway, lent_gateway

BCA, PERMATA = "4555551100000010", "4555551600000015"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway() as one:
        yield one


@pytest.fixture
def shop(running: RunningGateway) -> Shop:
    return Shop.open(running)


def test_moto_asks_for_no_cvv_and_no_verification(shop: Shop) -> None:
    """S2-48."""
    code = invoice()
    buyer = shop.buyer(code, payment={"type": "MOTO"})
    assert not buyer.offers("cvv")

    assert buyer.pay(MANDIRI).state == "paid"  # a card that is challenged otherwise

    told = shop.told(code)[-1]
    assert (told["transaction"]["type"], told["transaction"]["status"]) == ("MOTO", "SUCCESS")
    assert told["card_payment"]["authentication_id"] == ""
    assert shop.charges(code)[0].details.eci == "00"


def test_recurring_verifies_once_and_never_again(shop: Shop) -> None:
    """S2-49: the first payment has CVV and 3-D Secure and saves the card, later ones have neither."""
    first, later = invoice(), invoice()
    buyer = shop.buyer(first, customer={"id": "C-1"}, payment={"type": "RECURRING"})
    assert buyer.offers("cvv")
    assert not buyer.offers("save")
    assert buyer.pay(MANDIRI).verify().state == "paid"
    token = shop.told(first)[-1]["card_payment"]["token_id"]

    again = shop.buyer(later, customer={"id": "C-1"}, payment={"type": "RECURRING"}, card={"token": token})
    assert again.pay().state == "paid"

    assert [shop.told(one)[-1]["transaction"]["type"] for one in (first, later)] == ["RECURRING", "RECURRING"]
    assert [shop.charges(one)[0].details.eci for one in (first, later)] == ["02", "00"]


def test_a_new_card_for_a_recurring_payment_is_verified_again(shop: Shop) -> None:
    """S2-49: chosen instead of the saved one, it needs its CVV after all, and 3-D Secure."""
    token = save_card(shop, "C-1")
    buyer = shop.buyer(invoice(), customer={"id": "C-1"}, payment={"type": "RECURRING"}, card={"token": token})
    assert not buyer.offers("cvv")

    assert buyer.pay(MANDIRI).errors == {"cvv": "Enter the security code"}
    assert buyer.pay(MANDIRI).verify().state == "paid"


def test_moto_charges_a_saved_card_without_a_word(shop: Shop) -> None:
    """S2-48."""
    token = save_card(shop, "C-1")
    code = invoice()
    buyer = shop.buyer(code, customer={"id": "C-1"}, payment={"type": "MOTO"}, card={"token": token})
    assert not buyer.offers("cvv")

    assert buyer.pay().state == "paid"
    assert shop.told(code)[-1]["card_payment"]["authentication_id"] == ""


@pytest.mark.parametrize(
    ("payment", "status", "authorize_ids", "at_acquirer"),
    [
        ({"type": "AUTHORIZE"}, "PENDING", True, (0, 90_000)),
        ({"type": "AUTHORIZE", "auto_capture": True}, "SUCCESS", True, (90_000, 0)),
        ({"type": "SALE"}, "SUCCESS", False, (90_000, 0)),
    ],
    ids=str,
)
def test_money_is_reserved_or_taken(
    shop: Shop, payment: dict[str, Any], status: str, authorize_ids: bool, at_acquirer: tuple[int, int]
) -> None:
    """S2-45, S2-46, S2-42: AUTHORIZE is told as PENDING, one notification also with auto_capture."""
    code = invoice()

    assert shop.buyer(code, payment=payment).pay(MANDIRI).verify().state == "paid"

    [told] = shop.told(code)
    assert (told["transaction"]["type"], told["transaction"]["status"]) == (payment["type"], status)
    assert ("authorize_id" in told) is authorize_ids
    assert shop.at_acquirer(code) == at_acquirer


def test_plans_appear_when_the_card_is_known(shop: Shop) -> None:
    """S2-47, S2-111: without a script in two steps; full payment first, then the bank's tenors, months rounded up."""
    code = invoice()
    buyer = shop.buyer(code, 1_000_000).pay(BCA)
    assert buyer.errors == {"plan": "This card offers instalments. Choose how to pay, then press Pay again"}
    assert buyer.options("plan") == ["full", "BCA-3", "BCA-6", "BCA-12", "BCA-24"]
    assert "333.334" in buyer.text

    buyer.pay(BCA, plan="BCA-3").verify()

    told = shop.told(code)[-1]
    assert (told["transaction"]["type"], told["payment"]) == ("INSTALLMENT", {"acquirer": "BCA", "tenor": 3})
    assert told["order"]["amount"] == 1_000_000
    assert shop.at_acquirer(code) == (1_000_000, 0)


def test_full_payment_of_a_card_with_plans_is_a_sale(shop: Shop) -> None:
    """S2-47."""
    code = invoice()

    assert shop.buyer(code, 1_000_000).pay(BCA).pay(BCA, plan="full").verify().state == "paid"
    assert shop.told(code)[-1]["transaction"]["type"] == "SALE"
    assert "payment" not in shop.told(code)[-1]


@pytest.mark.parametrize(("number", "amount"), [(BCA, 499_999), (FRICTIONLESS, 1_000_000)], ids=["too small", "no such bank"])
def test_no_plans_are_shown_where_there_are_none(shop: Shop, number: str, amount: int) -> None:
    """S2-115."""
    buyer = shop.buyer(invoice(), amount).pay(number)

    assert buyer.errors == {}
    assert buyer.is_sent_to_bank or buyer.state == "paid"


def test_a_plan_of_another_card_is_not_taken(shop: Shop) -> None:
    """S2-47: chosen for one card, sent with another."""
    code = invoice()
    buyer = shop.buyer(code, 1_000_000).pay(BCA)

    buyer.pay(PERMATA, plan="BCA-12")

    assert buyer.errors == {"plan": "That way to pay is not available for this card. Choose again"}
    assert "BANK_PERMATA-12" in buyer.options("plan")
    assert shop.charges(code) == []


def test_a_requested_installment_is_locked(shop: Shop) -> None:
    """S2-43, S2-44: only a card of that bank, only that tenor."""
    code = invoice()
    payment = {"type": "INSTALLMENT", "acquirer": "BCA", "tenor": 6}
    buyer = shop.buyer(code, 1_200_000, payment=payment)
    assert buyer.form_with("pay").values["plan"] == "BCA-6"
    assert buyer.options("plan") == []
    assert "200.000" in buyer.text

    assert buyer.pay(FRICTIONLESS).errors == {"number": "This card cannot be used for this payment"}
    assert buyer.pay(BCA).verify().state == "paid"
    assert shop.told(code)[-1]["payment"] == {"acquirer": "BCA", "tenor": 6}


def test_an_off_us_installment_says_so(shop: Shop) -> None:
    """S2-112."""
    code = invoice()
    payment = {"type": "INSTALLMENT", "acquirer": "BANK_PERMATA", "tenor": 12}

    assert shop.buyer(code, 600_000, payment=payment).pay(PERMATA).verify().state == "paid"
    assert shop.status(code)["card_payment"]["acquiring_off_us_status"] == "TRUE"


def test_only_allowed_tenors_are_offered(shop: Shop) -> None:
    """S2-36: 0 stands for full payment."""

    def offered(allow_tenor: object) -> list[str]:
        return shop.buyer(invoice(), 1_000_000, override_configuration={"allow_tenor": allow_tenor}).pay(BCA).options("plan")

    assert offered([0, 6, 7]) == ["full", "BCA-6"]
    assert offered([3, 12]) == ["BCA-3", "BCA-12"]


def test_the_only_tenor_that_is_left_is_shown_before_it_is_taken(shop: Shop) -> None:
    """S2-36: nobody pays by the month without having seen it; the script's list has it too."""
    code = invoice()
    buyer = shop.buyer(code, 1_000_000, override_configuration={"allow_tenor": 6}).pay(BCA)
    assert (set(buyer.errors), buyer.options("plan")) == ({"plan"}, ["BCA-6"])
    listed = shop.running.request("GET", f"{buyer.page_path}/plans?bin={BCA[:8]}").json
    assert ([one["id"] for one in listed["plans"]], listed["allow_full"]) == (["BCA-6"], False)

    buyer.pay(BCA, plan="BCA-6").verify()

    assert shop.told(code)[-1]["payment"]["tenor"] == 6


def test_a_promo_is_charged_less_and_told_in_full(shop: Shop) -> None:
    """S2-33, S2-34: order.amount stays what the merchant asked, its plugins look the order up by it."""
    code = invoice()
    promo = [{"bin": "4111", "discount_amount": 5_000}, {"bin": "411111", "discount_amount": 10_000}]
    buyer = shop.buyer(code, override_configuration={"promo": promo}).pay(FRICTIONLESS)

    assert "80.000" in buyer.text
    told = shop.told(code)[-1]
    assert (told["order"]["amount"], told["order"]["discount_amount"]) == (90_000, 10_000)
    assert told["card_payment"]["charged_amount"] == 80_000
    assert shop.at_acquirer(code) == (80_000, 0)


@pytest.mark.parametrize(
    "promo", [{"bin": "557338", "discount_amount": 10_000}, {"bin": "411111", "discount_amount": 90_000}], ids=str
)
def test_a_promo_of_other_cards_or_of_everything_changes_nothing(shop: Shop, promo: dict[str, Any]) -> None:
    """S2-34."""
    code = invoice()

    assert shop.buyer(code, override_configuration={"promo": promo}).pay(FRICTIONLESS).state == "paid"
    assert "discount_amount" not in shop.told(code)[-1]["order"]
    assert shop.at_acquirer(code) == (90_000, 0)


def test_a_saved_card_earns_its_promo_too(shop: Shop) -> None:
    """S2-34: by its stored BIN."""
    save_card(shop, "C-1")
    code = invoice()
    promo = [{"bin": "411111", "discount_amount": 10_000}]

    assert shop.buyer(code, customer={"id": "C-1"}, override_configuration={"promo": promo}).pay(cvv="123").state == "paid"
    assert shop.at_acquirer(code) == (80_000, 0)


def test_a_card_that_is_not_on_the_list_cannot_pay(shop: Shop) -> None:
    """S2-35: neither typed nor saved."""
    save_card(shop, "C-1")
    code = invoice()
    buyer = shop.buyer(code, customer={"id": "C-1"}, override_configuration={"allow_bin": ["557338"]})

    assert buyer.pay(FRICTIONLESS).errors == {"number": "This card cannot be used for this payment"}
    saved = next(one for one in buyer.options("choice") if one != "new")
    assert buyer.pay(choice=saved, cvv="123").errors == {"choice": "This card cannot be used for this payment"}
    assert shop.charges(code) == []
    assert buyer.pay(MANDIRI).verify().state == "paid"
