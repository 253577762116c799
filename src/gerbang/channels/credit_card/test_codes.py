"""Cards §14, S2-62: every documented response code of every brand, paid on the page and seen by everybody concerned."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from gerbang.channels.credit_card.numbers import Brand
from gerbang.channels.credit_card.sandbox_cards import SANDBOX_CARDS, code_card_number
from support.card_buyer import CardBuyer, Shop
from support.gateway import RunningGateway, lent_gateway

pytestmark = pytest.mark.slow


# As the documents print them; V: Visa only, M: Mastercard only.
DOCUMENTED = {
    "approved": "00 08V 11M 85 87M",
    "never": "04 07V 12 14 15 41 43 46V 57 R0V R1V R3V",
    "later": "03 19V 39V 51 52V 53V 59 61 62 65 70M 71M 75 78V 86 91 93V 96 DA TO N3V N4V",
    "details": "54 55 63 70V 82V RJ 1A N7V",
    "generic": (
        "01 02 05 06V 10 13 21V 25V 28V 30M 58 64V 74 76 77M 78M 79M 79V 80 81 82M 83M 84M 88 89 90M 92 94"
        " 6PV B1V B2V N0V N5V N8V P5V P6V Q1V R2V Z3V 1ZM"
    ),
}
MARKS = {"V": Brand.VISA, "M": Brand.MASTER}
SILENT = {"91", "96", "TO", "1Z"}

# What the buyer reads, for the codes the documents give words for. Lost, stolen and suspected look like every other card.
WORDS = {
    "Your bank declined this card": "05 01 02 62",
    "The card limit or balance is not enough": "51 61 65",
    "The card has expired": "54",
    "The bank does not know this card number": "14 15",
    "The security code does not match": "82V N7",
    "Bank verification did not succeed": "55 1A DA",
    "This card cannot be used": "04 07V 41 43 46V 57 R0V R1V R3V",
    "The payment could not be accepted": "RJ 59 83M",
    "The bank could not process this payment": "03 12 13 30M 58 94",
    "The bank has not answered": "91 96 TO 1ZM",
}
AMOUNT = 12_000


def of_brand(written: str, brand: Brand) -> list[str]:
    """The codes of a list that cards of this brand can answer with."""
    return [one[:2] for one in written.split() if len(one) == 2 or MARKS[one[2]] is brand]


CODES = {brand: {code: kind for kind, codes in DOCUMENTED.items() for code in of_brand(codes, brand)} for brand in Brand}


class Outcome(NamedTuple):
    """Everything that somebody saw of one payment."""

    code: str
    page: tuple[int, str, str]
    told: list[tuple[str, str, str, bool]]
    status: tuple[str, str, str]
    taken: tuple[int, int]
    payment: str


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway() as one:
        yield one


def pay(shop: Shop, number: str, code: str) -> CardBuyer:
    return shop.buyer(f"INV-{code}", AMOUNT).pay(number)


def outcome(shop: Shop, code: str, buyer: CardBuyer) -> Outcome:
    invoice = f"INV-{code}"
    told: list[tuple[str, str, str, bool]] = []
    for one in shop.told(invoice):
        card = one["card_payment"]
        told.append((one["transaction"]["status"], card["response_code"], card["response_message"], "approval_code" in card))
    answered: dict[str, Any] = shop.status(invoice)
    return Outcome(
        code=code,
        page=(buyer.status, buyer.state, next((one for one in buyer.headings if one in WORDS), "")),
        told=told,
        status=(
            answered["transaction"]["status"],
            answered["card_payment"]["response_code"],
            answered["card_payment"]["transaction_status"],
        ),
        taken=shop.at_acquirer(invoice),
        payment=shop.record(invoice)["payments"][-1]["state"],
    )


@pytest.mark.parametrize("brand", list(Brand))
def test_every_code_has_a_card_and_ends_as_documented(running: RunningGateway, brand: Brand):
    """S2-62, S2-79, S2-80: approved ones take the money, the others never do; silence is reversed before it is told."""
    shop = Shop.open(running)
    codes = CODES[brand]
    with ThreadPoolExecutor(4) as pool:
        buyers = dict(zip(codes, pool.map(lambda code: pay(shop, code_card_number(brand, code), code), codes), strict=True))
    deadline = time.monotonic() + 20
    while any(shop.charges(f"INV-{code}")[-1].state.is_open for code in SILENT & codes.keys()):
        assert time.monotonic() < deadline, "the silent ones were not reversed"
        time.sleep(0.2)

    for code, kind in codes.items():
        seen = outcome(shop, code, buyers[code])

        approved = kind == "approved"
        word = "SUCCESS" if approved else "FAILED"
        flag = [one[0] for one in seen.told]
        assert flag == [word], seen
        assert [(one[1], one[3]) for one in seen.told] == [(code, approved)], seen
        assert seen.status == (word, code, word), seen
        assert seen.taken == ((AMOUNT, 0) if approved else (0, 0)), seen
        assert seen.payment == ("SUCCESS" if approved else "PENDING"), seen
        page = (200, "paid") if approved else (200, "waiting") if code in SILENT else (422, "")
        assert seen.page[:2] == page, seen
        expected = next((text for text, listed in WORDS.items() if code in of_brand(listed, brand)), None)
        assert expected is None or seen.page[2] == expected, seen


@pytest.mark.parametrize(
    ("brand", "code", "message"),
    [
        (Brand.VISA, "70", "PIN DATA REQUIRED"),
        (Brand.MASTER, "70", "CONTACT CARD ISSUER"),
        (Brand.VISA, "82", "NEGATIVE CVV RESULT"),
        (Brand.MASTER, "82", "DECLINED BY POLICY"),
        (Brand.MASTER, "00", "PAYMENT APPROVED"),
    ],
)
def test_a_number_may_mean_something_else_per_brand(running: RunningGateway, brand: Brand, code: str, message: str):
    """cards §14: 70, 76, 78, 79, 80, 81, 82, 89; "PAYMENT APPROVED" is the captured one."""
    shop = Shop.open(running)

    buyer = pay(shop, code_card_number(brand, code), code)

    assert [one[2] for one in outcome(shop, code, buyer).told] == [message]


def test_the_documents_codes_are_all_there_and_no_other(running: RunningGateway):
    """Each brand's generated cards are exactly its documented codes."""
    generated = {(one.brand, one.response_code) for one in SANDBOX_CARDS.values() if one.group == "project_codes"}

    assert generated == {(brand, code) for brand, codes in CODES.items() for code in codes}


@pytest.mark.parametrize("code", ["08", "ZZ", "99"])
def test_a_code_nobody_explained_for_this_card_takes_no_money(running: RunningGateway, code: str):
    """08 approves Visa cards; said of a Mastercard (the card that is played with), or unknown, it is a decline."""
    shop = Shop.open(running)
    shop.create("INV-odd", AMOUNT)

    running.control(
        "POST",
        "/payments/outcome",
        {"client_id": shop.client_id, "invoice_number": "INV-odd", "outcome": "FAILED", "code": code},
    )

    [told] = shop.told("INV-odd")
    assert (told["transaction"]["status"], told["card_payment"]["response_code"]) == ("FAILED", code)
    assert told["card_payment"]["response_message"] == "DECLINED"
    assert "approval_code" not in told["card_payment"]
    assert shop.at_acquirer("INV-odd") == (0, 0)


def test_lost_stolen_and_closed_cards_look_alike_to_the_buyer(running: RunningGateway):
    """cards §14: the text must not disclose it, the merchant is told."""
    shop = Shop.open(running)

    pages = {code: pay(shop, code_card_number(Brand.VISA, code), code) for code in ("04", "41", "43", "46", "R1")}

    assert {buyer.headings[1] for buyer in pages.values()} == {"This card cannot be used"}
    for code, buyer in pages.items():
        alert = buyer.text[buyer.text.index('role="alert"') :][:600].lower()
        assert not [word for word in ("lost", "stolen", "closed", "fraud", code.lower()) if f" {word} " in alert], code
