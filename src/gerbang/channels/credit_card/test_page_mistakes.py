"""What was typed wrong, declined by a bank or not agreed to is told on the card page and costs nothing."""

import hashlib
import re
from collections.abc import Iterator

import pytest

from support.card_buyer import CardBuyer, Shop, next_expiry
from support.card_page import DECLINED, FRICTIONLESS, KO, LIMIT, OK, invoice, stories
from support.gateway import RunningGateway, lent_gateway

LIVE = "4532015112830366"  # passes the check digit, and is no test card


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway() as one:
        yield one


@pytest.fixture
def shop(running: RunningGateway) -> Shop:
    return Shop.open(running)


@pytest.mark.parametrize(
    ("typed", "errors"),
    [
        ({"number": ""}, {"number": "Enter the card number"}),
        ({"number": "4111 1111"}, {"number": "The card number is incomplete"}),
        ({"number": "4111111111111112"}, {"number": "The card number is not right. Check the digits"}),
        ({"number": "41111111111111ab"}, {"number": "The card number is not right. Check the digits"}),
        ({"number": "6011111111111117"}, {"number": "This type of card is not accepted"}),
        ({"expiry": ""}, {"expiry": "Enter the expiry date"}),
        ({"expiry": "13/30"}, {"expiry": "Enter month and year, like 05/28"}),
        ({"expiry": "01/20"}, {"expiry": "The card has expired"}),
        ({"expiry": "01/90"}, {"expiry": "The expiry date is not right. Check the year"}),
        ({"cvv": ""}, {"cvv": "Enter the security code"}),
        ({"cvv": "12"}, {"cvv": "The security code is incomplete"}),
        ({"cvv": "1234"}, {"cvv": "The security code is incomplete"}),
        ({"cvv": "12a"}, {"cvv": "The security code is incomplete"}),
        (
            {"number": "", "expiry": "", "cvv": ""},
            {"number": "Enter the card number", "expiry": "Enter the expiry date", "cvv": "Enter the security code"},
        ),
    ],
    ids=str,
)
def test_each_wrong_field_is_named_and_nothing_is_tried(shop: Shop, typed: dict[str, str], errors: dict[str, str]) -> None:
    """cards §§7, 21."""
    code = invoice()
    sent = {"number": FRICTIONLESS, "expiry": next_expiry(), "cvv": "123", "name": "Anton"} | typed

    buyer = shop.buyer(code).press("pay", **sent)

    assert (buyer.status, buyer.errors) == (422, errors)
    form = buyer.form_with("pay")
    assert (form.values["name"], form.values["cvv"]) == ("Anton", "")  # what was right stays; a CVV never does
    assert shop.charges(code) == []
    assert buyer.pay(FRICTIONLESS).state == "paid"


def test_a_real_card_is_refused_in_the_sandbox(shop: Shop) -> None:
    """PCI DSS 6.5: before anything is written."""
    code = invoice()
    buyer = shop.buyer(code).pay(LIVE)

    assert buyer.errors == {"number": "This is not a test card. The sandbox takes test cards only"}
    assert shop.charges(code) == []


@pytest.mark.parametrize("field", ["choice", "plan", "form", "lang", "token", "name", "expiry", "cvv"])
def test_a_field_nobody_offered_breaks_nothing(gateway: RunningGateway, field: str) -> None:
    """A hand-made form: refused or ignored, never an error of ours. On both engines: PostgreSQL takes no NUL."""
    shop = Shop.open(gateway)
    for typed, answers in (("\x00", (400,)), ("' or 1=1 --" + "x" * 3000, (200, 422))):
        buyer = shop.buyer(invoice(), customer={"id": "C-1"})
        form = buyer.form_with("pay")
        form.values |= {"number": FRICTIONLESS, "expiry": next_expiry(), "cvv": "123", field: typed}

        buyer.press("pay")

        assert buyer.status in answers, typed


def test_a_declined_buyer_pays_with_another_card(shop: Shop) -> None:
    """cards §§7, 16: FAILED is not final; each attempt is told."""
    code = invoice()
    buyer = shop.buyer(code).pay(DECLINED)
    assert (buyer.status, buyer.headings[1]) == (422, "Your bank declined this card")
    assert shop.status(code)["transaction"]["status"] == "FAILED"
    assert buyer.open().headings[1] == "Your bank declined this card"  # a reload says the same, and sends nothing

    assert buyer.pay(FRICTIONLESS).state == "paid"

    assert stories(shop, code) == [("FAILED", "05", "FALSE"), ("SUCCESS", "00", "TRUE")]
    assert shop.status(code)["transaction"]["status"] == "SUCCESS"
    assert shop.at_acquirer(code) == (90_000, 0)


def test_five_declined_cards_end_the_payment(shop: Shop) -> None:
    """cards §7: attempts used up; the page counts the last ones down, and a sixth is not taken."""
    code = invoice()
    buyer = shop.buyer(code, order={"callback_url": OK, "failed_url": KO})
    for left in (None, None, "2 attempts left", "1 attempt left"):
        assert buyer.pay(LIMIT).status == 422
        assert left is None or left in buyer.text, left
    spare = shop.running.request("GET", buyer.page_path)

    buyer.pay(LIMIT)

    assert (buyer.state, shop.record(code)["payments"][-1]["state"]) == ("failed", "FAILED")
    assert KO.replace("&", "&amp;") in buyer.text
    assert stories(shop, code) == [("FAILED", "51", "FALSE")] * 5
    assert spare.status == 200
    assert shop.at_acquirer(code) == (0, 0)


def test_a_form_that_was_open_when_the_attempts_ran_out_pays_nothing(running: RunningGateway) -> None:
    """cards §7."""
    shop, code = Shop.open(running, max_attempts=1), invoice()
    page = shop.create(code).json["credit_card_payment_page"]["url"]
    first, second = CardBuyer(running, page), CardBuyer(running, page)
    first.pay(DECLINED)

    assert second.pay(FRICTIONLESS).state == "failed"
    assert len(shop.charges(code)) == 1


def test_the_disclaimer_has_to_be_agreed_to(shop: Shop) -> None:
    """S2-38: unticked at first, blocks Pay; time and text of the consent are kept."""
    code = invoice()
    texts = {"id": "Saya setuju & paham", "en": "I agree & understand"}
    buyer = shop.buyer(code, additional_info={"disclaimer": texts})
    assert "consent" not in buyer.form_with("pay").values
    assert "I agree &amp; understand" in buyer.text

    assert buyer.pay(FRICTIONLESS).errors == {"consent": "Agree to the payment terms to continue"}
    assert shop.charges(code) == []
    assert buyer.pay(FRICTIONLESS, consent="1").state == "paid"

    consent = shop.charges(code)[0].details.consent
    assert consent is not None
    assert (consent["lang"], consent["sha256"]) == ("en", hashlib.sha256(texts["en"].encode()).hexdigest())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", consent["at"])


@pytest.mark.parametrize(
    ("texts", "query", "shown"),
    [
        ({"id": "Saya setuju", "en": "I agree"}, "", "I agree"),
        ({"id": "Saya setuju", "en": "I agree"}, "?lang=id", "Saya setuju"),
        ({"id": "Saya setuju"}, "", "Saya setuju"),
        ({"en": "I agree"}, "?lang=id", "I agree"),
    ],
    ids=str,
)
def test_a_missing_language_falls_back(shop: Shop, texts: dict[str, str], query: str, shown: str) -> None:
    """S2-39, S2-40."""
    assert shown in shop.buyer(invoice(), query=query, additional_info={"disclaimer": texts}).text
