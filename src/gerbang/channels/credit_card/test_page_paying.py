"""Paying on the card page with and without a visit to the bank: real forms over HTTP, as a buyer without JavaScript sends them."""

from collections.abc import Iterator

import pytest

from gerbang.channels.credit_card.charges import ChargeState
from support.card_buyer import Shop
from support.card_page import AMEX, FRICTIONLESS, MANDIRI, REJECTED, UNAVAILABLE, invoice, stories
from support.gateway import RunningGateway, lent_gateway

ATTEMPTED, ATTEMPTED_MASTER, NEVER_VERIFIED = "4411111111111118", "5444440000300005", "5200000000000015"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway() as one:
        yield one


@pytest.fixture
def shop(running: RunningGateway) -> Shop:
    return Shop.open(running)


@pytest.mark.parametrize("number", ["4111111111111111", "4111 1111 1111 1111", " 4111-1111-1111-1111 "])
def test_a_card_that_its_bank_knows_pays_at_once(shop: Shop, number: str) -> None:
    """S2-45, cards §19: however the number is written."""
    code = invoice()
    buyer = shop.buyer(code).pay(number)

    assert (buyer.state, buyer.headings[0]) == ("paid", "Payment successful")
    assert stories(shop, code) == [("SUCCESS", "00", "TRUE")]
    assert shop.at_acquirer(code) == (90_000, 0)
    assert shop.status(code)["card_payment"]["card_masked"] == "411111******1111"


def test_a_card_pays_after_its_bank_asked(shop: Shop) -> None:
    """cards §19: challenge."""
    code = invoice()
    buyer = shop.buyer(code).pay(MANDIRI)
    assert buyer.is_sent_to_bank
    assert shop.status(code)["card_payment"]["transaction_status"] == "REDIRECT"
    assert shop.told(code) == []

    buyer.verify()

    assert buyer.state == "paid"
    assert stories(shop, code) == [("SUCCESS", "00", "TRUE")]


def test_the_cvv_reaches_the_acquirer_through_the_bank_visit_and_is_gone_afterwards(shop: Shop) -> None:
    """cards §20 3.3.2: CVV 000 answers N7, so it arrived; then nothing of it is left."""
    code = invoice()
    buyer = shop.buyer(code).pay(MANDIRI, cvv="000")
    [waiting] = shop.charges(code)
    assert waiting.sealed_cvv is not None
    assert waiting.sealed_cvv != b"000"

    buyer.verify()

    [ended] = shop.charges(code)
    assert (ended.response_code, ended.sealed_cvv) == ("N7", None)


def test_a_bank_visit_of_another_browser_pays_nothing(shop: Shop) -> None:
    """The CVV opens with the paying browser's key only: who stole the way back gets a decline."""
    code = invoice()
    buyer = shop.buyer(code).pay(MANDIRI)
    at_bank = buyer.to_bank().enter_code("123456")
    form = at_bank.form_with(holding=["cres"])

    form.values["threeDSSessionData"] = "another browser's"
    at_bank.back_from_bank()

    assert shop.charges(code)[-1].response_code == "DA"
    assert shop.at_acquirer(code) == (0, 0)


def test_a_forged_result_of_the_bank_is_not_believed(shop: Shop) -> None:
    """cards §19: the schemes are asked; a CRes that says Y before the buyer did anything changes nothing."""
    code = invoice()
    shop.buyer(code).pay(MANDIRI)
    [charge] = shop.charges(code)

    answer = shop.running.request(
        "POST",
        f"/credit-card/3ds/{charge.authentication_id}",
        b"cres=eyJ0cmFuc1N0YXR1cyI6IlkifQ&threeDSSessionData=x",
        {"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert answer.status == 200
    assert shop.charges(code)[-1].state is ChargeState.AUTHENTICATING
    assert shop.at_acquirer(code) == (0, 0)


def test_amex_has_fifteen_digits_and_four_for_the_cvv(shop: Shop) -> None:
    """cards §7."""
    code = invoice()
    buyer = shop.buyer(code).pay(AMEX, cvv="123")
    assert buyer.errors == {"cvv": "The security code is incomplete"}

    assert buyer.pay(AMEX, cvv="1234").state == "paid"


def test_three_wrong_codes_end_the_verification(shop: Shop) -> None:
    """cards §19: DA, and the page asks for another card."""
    code = invoice()
    buyer = shop.buyer(code).pay(MANDIRI).to_bank()
    buyer.enter_code("111111").enter_code("222222").enter_code("333333").back_from_bank()

    assert (buyer.status, buyer.headings[1]) == (200, "Bank verification did not succeed")
    assert stories(shop, code) == [("FAILED", "DA", "FALSE")]
    assert shop.at_acquirer(code) == (0, 0)
    assert buyer.pay(FRICTIONLESS).state == "paid"


@pytest.mark.parametrize(
    ("button", "heading"),
    [
        ("cancel", "Bank verification was cancelled"),
        ("fail", "Bank verification did not succeed"),
        ("expire", "Verification ran out of time"),
    ],
)
def test_the_page_says_how_the_visit_ended(shop: Shop, button: str, heading: str) -> None:
    """cards §19."""
    code = invoice()
    buyer = shop.buyer(code).pay(MANDIRI).end_at_bank(button)

    assert buyer.headings[1] == heading
    assert stories(shop, code) == [("FAILED", "DA", "FALSE")]


def test_a_buyer_who_stays_at_the_bank_too_long_is_declined(running: RunningGateway, shop: Shop) -> None:
    """cards §19: challenge timeout; the sweeper ends it although nobody comes back."""
    code = invoice()
    buyer = shop.buyer(code).pay(MANDIRI)

    running.control("POST", "/clock", {"advance_s": 7 * 60})

    assert stories(shop, code) == [("FAILED", "DA", "FALSE")]
    assert buyer.open().headings[1] == "Verification ran out of time"
    assert buyer.pay(FRICTIONLESS).state == "paid"


def test_a_right_code_after_the_time_was_over_pays_nothing(running: RunningGateway, shop: Shop) -> None:
    """cards §19."""
    code = invoice()
    buyer = shop.buyer(code).pay(MANDIRI).to_bank()
    running.control("POST", "/clock", {"advance_s": 7 * 60})

    buyer.enter_code("123456").back_from_bank()

    assert buyer.state == ""
    assert stories(shop, code) == [("FAILED", "DA", "FALSE")]
    assert shop.at_acquirer(code) == (0, 0)


def test_a_card_whose_verification_always_fails(shop: Shop) -> None:
    """cards §13: challenge, N."""
    code = invoice()

    assert shop.buyer(code).pay(NEVER_VERIFIED).verify().headings[1] == "Bank verification did not succeed"
    assert stories(shop, code) == [("FAILED", "DA", "FALSE")]


@pytest.mark.parametrize(("number", "eci"), [(ATTEMPTED, "06"), (ATTEMPTED_MASTER, "01"), (UNAVAILABLE, "07")])
def test_attempted_and_unavailable_verifications_go_on(shop: Shop, number: str, eci: str) -> None:
    """cards §19: A and U without a challenge; not authenticated, so FALSE."""
    code = invoice()

    assert shop.buyer(code).pay(number).state == "paid"
    assert stories(shop, code) == [("SUCCESS", "00", "FALSE")]
    assert shop.charges(code)[0].details.eci == eci


def test_a_shop_may_decline_what_could_not_be_verified(running: RunningGateway) -> None:
    """cards §19: U is the merchant's risk, A is not."""
    careful, code = Shop.open(running, three_ds_unavailable="decline"), invoice()
    buyer = careful.buyer(code).pay(UNAVAILABLE)

    assert (buyer.status, buyer.headings[1]) == (422, "Bank verification did not succeed")
    assert stories(careful, code) == [("FAILED", "DA", "FALSE")]
    assert careful.at_acquirer(code) == (0, 0)
    assert buyer.pay(ATTEMPTED).state == "paid"


def test_a_card_its_bank_rejects_is_never_sent_to_the_acquirer(shop: Shop) -> None:
    """cards §19: R."""
    code = invoice()

    assert shop.buyer(code).pay(REJECTED).status == 422
    assert stories(shop, code) == [("FAILED", "DA", "FALSE")]
    [charge] = shop.charges(code)
    asked = shop.running.database.read_now(
        lambda tx: tx.all("select id from card_question where subject = :id", {"id": charge.id})
    )
    assert asked == []
