"""The card page as a buyer without JavaScript meets it: real forms over HTTP, through the bank and back. Cards §§6, 7, 14, 17, 19."""

import hashlib
import re
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gerbang.channels.credit_card.charges import ChargeState
from support.card_buyer import CardBuyer, Shop, next_expiry
from support.gateway import RunningGateway
from support.nonsnap import served

MANDIRI, FRICTIONLESS, AMEX = "5573381011111101", "4111111111111111", "378282246310005"
DECLINED, LIMIT = "4000000000000002", "4000000000009995"
SILENT, UNAVAILABLE, REJECTED = "4555550000300009", "4555550000100003", "4555550000200001"
ATTEMPTED, ATTEMPTED_MASTER, NEVER_VERIFIED = "4411111111111118", "5444440000300005", "5200000000000015"
BCA, PERMATA = "4555551100000010", "4555551600000015"
LIVE = "4532015112830366"  # passes the check digit, and is no test card
OK, KO = "https://merchant.example/ok?order=1&sig=a%2Fb", "https://merchant.example/ko?x=y"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with served(tmp_path_factory.mktemp("page-form")) as one:
        yield one


@pytest.fixture
def shop(running: RunningGateway) -> Shop:
    return Shop.open(running)


def invoice() -> str:
    return f"INV-{uuid.uuid4().hex[:12]}"


def stories(shop: Shop, number: str) -> list[tuple[str, str | None, str]]:
    """(status, response code, 3-D Secure) of every notification about an invoice."""
    return [
        (one["transaction"]["status"], one["card_payment"].get("response_code"), one["card_payment"]["three_d_secure_status"])
        for one in shop.told(number)
    ]


def wait_until_final(shop: Shop, number: str) -> None:
    deadline = time.monotonic() + 15
    while shop.charges(number)[-1].state.is_open:
        assert time.monotonic() < deadline, "nobody came round"
        time.sleep(0.1)


# Paying


@pytest.mark.parametrize("number", ["4111111111111111", "4111 1111 1111 1111", " 4111-1111-1111-1111 "])
def test_a_card_that_its_bank_knows_pays_at_once(shop: Shop, number: str):
    """S2-45, cards §19: however the number is written."""
    code = invoice()
    buyer = shop.buyer(code).pay(number)

    assert (buyer.state, buyer.headings[0]) == ("paid", "Payment successful")
    assert stories(shop, code) == [("SUCCESS", "00", "TRUE")]
    assert shop.at_acquirer(code) == (90_000, 0)
    assert shop.status(code)["card_payment"]["card_masked"] == "411111******1111"


def test_a_card_pays_after_its_bank_asked(shop: Shop):
    """cards §19: challenge."""
    code = invoice()
    buyer = shop.buyer(code).pay(MANDIRI)
    assert buyer.is_sent_to_bank
    assert shop.status(code)["card_payment"]["transaction_status"] == "REDIRECT"
    assert shop.told(code) == []

    buyer.verify()

    assert buyer.state == "paid"
    assert stories(shop, code) == [("SUCCESS", "00", "TRUE")]


def test_the_cvv_reaches_the_acquirer_through_the_bank_visit_and_is_gone_afterwards(shop: Shop):
    """cards §20 3.3.2: CVV 000 answers N7, so it arrived; then nothing of it is left."""
    code = invoice()
    buyer = shop.buyer(code).pay(MANDIRI, cvv="000")
    [waiting] = shop.charges(code)
    assert waiting.sealed_cvv is not None
    assert waiting.sealed_cvv != b"000"

    buyer.verify()

    [ended] = shop.charges(code)
    assert (ended.response_code, ended.sealed_cvv) == ("N7", None)


def test_a_bank_visit_of_another_browser_pays_nothing(shop: Shop):
    """The CVV opens with the paying browser's key only: who stole the way back gets a decline."""
    code = invoice()
    buyer = shop.buyer(code).pay(MANDIRI)
    at_bank = buyer.to_bank().enter_code("123456")
    form = at_bank.form_with(holding=["cres"])

    form.values["threeDSSessionData"] = "another browser's"
    at_bank.back_from_bank()

    assert shop.charges(code)[-1].response_code == "DA"
    assert shop.at_acquirer(code) == (0, 0)


def test_a_forged_result_of_the_bank_is_not_believed(shop: Shop):
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


def test_amex_has_fifteen_digits_and_four_for_the_cvv(shop: Shop):
    """cards §7."""
    code = invoice()
    buyer = shop.buyer(code).pay(AMEX, cvv="123")
    assert buyer.errors == {"cvv": "The security code is incomplete"}

    assert buyer.pay(AMEX, cvv="1234").state == "paid"


# At the bank


def test_three_wrong_codes_end_the_verification(shop: Shop):
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
def test_the_page_says_how_the_visit_ended(shop: Shop, button: str, heading: str):
    """cards §19."""
    code = invoice()
    buyer = shop.buyer(code).pay(MANDIRI).end_at_bank(button)

    assert buyer.headings[1] == heading
    assert stories(shop, code) == [("FAILED", "DA", "FALSE")]


def test_a_buyer_who_stays_at_the_bank_too_long_is_declined(running: RunningGateway, shop: Shop):
    """cards §19: challenge timeout; the sweeper ends it although nobody comes back."""
    code = invoice()
    buyer = shop.buyer(code).pay(MANDIRI)

    running.control("POST", "/clock", {"advance_s": 7 * 60})

    assert stories(shop, code) == [("FAILED", "DA", "FALSE")]
    assert buyer.open().headings[1] == "Verification ran out of time"
    assert buyer.pay(FRICTIONLESS).state == "paid"


def test_a_right_code_after_the_time_was_over_pays_nothing(running: RunningGateway, shop: Shop):
    """cards §19."""
    code = invoice()
    buyer = shop.buyer(code).pay(MANDIRI).to_bank()
    running.control("POST", "/clock", {"advance_s": 7 * 60})

    buyer.enter_code("123456").back_from_bank()

    assert buyer.state == ""
    assert stories(shop, code) == [("FAILED", "DA", "FALSE")]
    assert shop.at_acquirer(code) == (0, 0)


def test_a_card_whose_verification_always_fails(shop: Shop):
    """cards §13: challenge, N."""
    code = invoice()

    assert shop.buyer(code).pay(NEVER_VERIFIED).verify().headings[1] == "Bank verification did not succeed"
    assert stories(shop, code) == [("FAILED", "DA", "FALSE")]


@pytest.mark.parametrize(("number", "eci"), [(ATTEMPTED, "06"), (ATTEMPTED_MASTER, "01"), (UNAVAILABLE, "07")])
def test_attempted_and_unavailable_verifications_go_on(shop: Shop, number: str, eci: str):
    """cards §19: A and U without a challenge; not authenticated, so FALSE."""
    code = invoice()

    assert shop.buyer(code).pay(number).state == "paid"
    assert stories(shop, code) == [("SUCCESS", "00", "FALSE")]
    assert shop.charges(code)[0].details.eci == eci


def test_a_shop_may_decline_what_could_not_be_verified(running: RunningGateway):
    """cards §19: U is the merchant's risk, A is not."""
    careful, code = Shop.open(running, three_ds_unavailable="decline"), invoice()
    buyer = careful.buyer(code).pay(UNAVAILABLE)

    assert (buyer.status, buyer.headings[1]) == (422, "Bank verification did not succeed")
    assert stories(careful, code) == [("FAILED", "DA", "FALSE")]
    assert careful.at_acquirer(code) == (0, 0)
    assert buyer.pay(ATTEMPTED).state == "paid"


def test_a_card_its_bank_rejects_is_never_sent_to_the_acquirer(shop: Shop):
    """cards §19: R."""
    code = invoice()

    assert shop.buyer(code).pay(REJECTED).status == 422
    assert stories(shop, code) == [("FAILED", "DA", "FALSE")]
    [charge] = shop.charges(code)
    asked = shop.running.database.read_now(
        lambda tx: tx.all("select id from card_question where subject = :id", {"id": charge.id})
    )
    assert asked == []


# What the buyer typed


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
def test_each_wrong_field_is_named_and_nothing_is_tried(shop: Shop, typed: dict[str, str], errors: dict[str, str]):
    """cards §§7, 21."""
    code = invoice()
    sent = {"number": FRICTIONLESS, "expiry": next_expiry(), "cvv": "123", "name": "Anton"} | typed

    buyer = shop.buyer(code).press("pay", **sent)

    assert (buyer.status, buyer.errors) == (422, errors)
    form = buyer.form_with("pay")
    assert (form.values["name"], form.values["cvv"]) == ("Anton", "")  # what was right stays; a CVV never does
    assert shop.charges(code) == []
    assert buyer.pay(FRICTIONLESS).state == "paid"


def test_a_real_card_is_refused_in_the_sandbox(shop: Shop):
    """PCI DSS 6.5: before anything is written."""
    code = invoice()
    buyer = shop.buyer(code).pay(LIVE)

    assert buyer.errors == {"number": "This is not a test card. The sandbox takes test cards only"}
    assert shop.charges(code) == []


@pytest.mark.parametrize("field", ["choice", "plan", "form", "lang", "token", "name", "expiry", "cvv"])
def test_a_field_nobody_offered_breaks_nothing(gateway: RunningGateway, field: str):
    """A hand-made form: refused or ignored, never an error of ours. On both engines: PostgreSQL takes no NUL."""
    buyer = Shop.open(gateway).buyer(invoice(), customer={"id": "C-1"})
    form = buyer.form_with("pay")
    form.values |= {"number": FRICTIONLESS, "expiry": next_expiry(), "cvv": "123", field: "\x00' or 1=1 --" + "x" * 3000}

    buyer.press("pay")

    assert buyer.status in (200, 422)


# Declined


def test_a_declined_buyer_pays_with_another_card(shop: Shop):
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


def test_five_declined_cards_end_the_payment(shop: Shop):
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


def test_a_form_that_was_open_when_the_attempts_ran_out_pays_nothing(running: RunningGateway):
    """cards §7."""
    shop, code = Shop.open(running, max_attempts=1), invoice()
    page = shop.create(code).json["credit_card_payment_page"]["url"]
    first, second = CardBuyer(running, page), CardBuyer(running, page)
    first.pay(DECLINED)

    assert second.pay(FRICTIONLESS).state == "failed"
    assert len(shop.charges(code)) == 1


# Leaving


@pytest.mark.parametrize(
    ("urls", "auto", "paid", "cancelled"),
    [
        ({"callback_url": OK, "failed_url": KO}, True, OK, KO),
        ({"callback_url": OK}, True, OK, OK),
        ({"callback_url": OK, "failed_url": KO}, False, None, None),
    ],
    ids=["both", "callback only", "not asked"],
)
def test_auto_redirect_sends_the_buyer_back(
    shop: Shop, urls: dict[str, str], auto: bool, paid: str | None, cancelled: str | None
):
    """S2-12 … S2-14: the address as it was sent, to the last character."""
    order = urls | {"auto_redirect": auto}

    after_paying = shop.buyer(invoice(), order=order).pay(FRICTIONLESS)
    after_bank = shop.buyer(invoice(), order=order).pay(MANDIRI).verify()
    after_leaving = shop.buyer(invoice(), order=order).press("cancel")

    assert (after_paying.left, after_bank.left, after_leaving.left) == (paid, paid, cancelled)
    if not auto:
        assert OK in after_paying.links
        assert KO in after_leaving.links


def test_without_addresses_the_result_stays(shop: Shop):
    """S2-12: absent → the result page stays."""
    buyer = shop.buyer(invoice()).pay(FRICTIONLESS)

    assert buyer.left is None
    assert not [address for address in buyer.links if address.startswith("http")]


def test_a_cancelled_payment_is_over_and_told(shop: Shop):
    """cards §7."""
    code = invoice()
    buyer = shop.buyer(code).press("cancel")

    assert (buyer.state, shop.status(code)["transaction"]["status"]) == ("cancelled", "FAILED")
    assert [one["transaction"]["status"] for one in shop.told(code)] == ["FAILED"]


def test_who_leaves_while_the_bank_asks_can_not_be_charged_later(shop: Shop):
    """cards §7: cancel in one tab, the right code in the other."""
    code = invoice()
    page = shop.create(code).json["credit_card_payment_page"]["url"]
    paying, leaving = CardBuyer(shop.running, page), CardBuyer(shop.running, page)
    paying.pay(MANDIRI).to_bank()

    assert leaving.press("cancel").state == "cancelled"

    paying.enter_code("123456").back_from_bank()
    assert paying.state == "cancelled"
    assert shop.at_acquirer(code) == (0, 0)


# Saved cards


def save_card(shop: Shop, customer_id: str, number: str = FRICTIONLESS) -> str:
    """Pay with the tick box set; the token."""
    code = invoice()
    buyer = shop.buyer(code, customer={"id": customer_id}).pay(number, save="1")
    if buyer.is_sent_to_bank:
        buyer.verify()
    assert buyer.state == "paid"
    return str(shop.told(code)[-1]["card_payment"]["token_id"])


def test_a_saved_card_pays_with_its_cvv_alone(shop: Shop):
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


def test_a_named_token_is_the_one_that_stands_ticked(shop: Shop):
    """S2-19: pre-fills the saved card."""
    older, newer = save_card(shop, "C-1", FRICTIONLESS), save_card(shop, "C-1", "5555555555554444")

    def ticked(token: str) -> str:
        code = invoice()
        shop.buyer(code, customer={"id": "C-1"}, card={"token": token}).pay(cvv="123")
        return str(shop.told(code)[-1]["card_payment"]["masked_card_number"])

    assert (ticked(older), ticked(newer)) == ("411111******1111", "555555******4444")


def test_a_buyer_with_saved_cards_may_still_type_a_new_one(shop: Shop):
    """S2-117."""
    save_card(shop, "C-1")
    code = invoice()

    assert shop.buyer(code, customer={"id": "C-1"}).pay(AMEX).state == "paid"
    assert shop.told(code)[-1]["card_payment"]["brand"] == "AMEX"
    assert "token_id" not in shop.told(code)[-1]["card_payment"]  # no tick, no token


def test_nobody_is_offered_another_customers_card(running: RunningGateway, shop: Shop):
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


def test_a_removed_card_is_gone(shop: Shop):
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


def test_saving_is_the_buyers_choice_unless_the_shop_decided(shop: Shop):
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


def test_a_tick_without_a_customer_saves_nothing(shop: Shop):
    """S2-21: a hand-made form."""
    code = invoice()
    buyer = shop.buyer(code)
    buyer.form_with("pay").values["save"] = "1"

    assert buyer.pay(FRICTIONLESS).state == "paid"
    assert "token_id" not in shop.told(code)[-1]["card_payment"]


def test_a_declined_card_is_not_saved(shop: Shop):
    """cards §10: a token is born with the first success."""
    shop.buyer(invoice(), customer={"id": "C-1"}).pay(DECLINED, save="1")

    assert shop.call("/tokenization/v2/get-token", {"customer": {"id": "C-1"}}).json["tokens"] == []


def test_the_same_card_saved_twice_is_one_token(shop: Shop):
    """cards §10."""
    assert save_card(shop, "C-1") == save_card(shop, "C-1")
    assert len(shop.call("/tokenization/v2/get-token", {"customer": {"id": "C-1"}}).json["tokens"]) == 1


def test_a_saved_card_that_has_expired_since_is_declined(tmp_path: Path):
    """S2-117, cards §14: 54; the buyer is told which one, and pays with another."""
    with served(tmp_path) as running:
        shop, code = Shop.open(running), invoice()
        save_card(shop, "C-1")
        running.control("POST", "/clock", {"advance_s": 3 * 366 * 86_400})
        buyer = shop.buyer(code, customer={"id": "C-1"}).pay(cvv="123")

        assert (buyer.status, buyer.headings[1]) == (422, "The card has expired")
        assert shop.at_acquirer(code) == (0, 0)
        later = f"12/{(running.gateway.clock.now().year + 2) % 100:02}"
        assert buyer.pay("5555555555554444", expiry=later).state == "paid"


# Payment types


def test_moto_asks_for_no_cvv_and_no_verification(shop: Shop):
    """S2-48."""
    code = invoice()
    buyer = shop.buyer(code, payment={"type": "MOTO"})
    assert not buyer.offers("cvv")

    assert buyer.pay(MANDIRI).state == "paid"  # a card that is challenged otherwise

    told = shop.told(code)[-1]
    assert (told["transaction"]["type"], told["transaction"]["status"]) == ("MOTO", "SUCCESS")
    assert told["card_payment"]["authentication_id"] == ""
    assert shop.charges(code)[0].details.eci == "00"


def test_recurring_verifies_once_and_never_again(shop: Shop):
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


def test_a_new_card_for_a_recurring_payment_is_verified_again(shop: Shop):
    """S2-49: chosen instead of the saved one, it needs its CVV after all, and 3-D Secure."""
    token = save_card(shop, "C-1")
    buyer = shop.buyer(invoice(), customer={"id": "C-1"}, payment={"type": "RECURRING"}, card={"token": token})
    assert not buyer.offers("cvv")

    assert buyer.pay(MANDIRI).errors == {"cvv": "Enter the security code"}
    assert buyer.pay(MANDIRI).verify().state == "paid"


def test_moto_charges_a_saved_card_without_a_word(shop: Shop):
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
):
    """S2-45, S2-46, S2-42: AUTHORIZE is told as PENDING, one notification also with auto_capture."""
    code = invoice()

    assert shop.buyer(code, payment=payment).pay(MANDIRI).verify().state == "paid"

    [told] = shop.told(code)
    assert (told["transaction"]["type"], told["transaction"]["status"]) == (payment["type"], status)
    assert ("authorize_id" in told) is authorize_ids
    assert shop.at_acquirer(code) == at_acquirer


# Installments


def test_plans_appear_when_the_card_is_known(shop: Shop):
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


def test_full_payment_of_a_card_with_plans_is_a_sale(shop: Shop):
    """S2-47."""
    code = invoice()

    assert shop.buyer(code, 1_000_000).pay(BCA).pay(BCA, plan="full").verify().state == "paid"
    assert shop.told(code)[-1]["transaction"]["type"] == "SALE"
    assert "payment" not in shop.told(code)[-1]


@pytest.mark.parametrize(("number", "amount"), [(BCA, 499_999), (FRICTIONLESS, 1_000_000)], ids=["too small", "no such bank"])
def test_no_plans_are_shown_where_there_are_none(shop: Shop, number: str, amount: int):
    """S2-115."""
    buyer = shop.buyer(invoice(), amount).pay(number)

    assert buyer.errors == {}
    assert buyer.is_sent_to_bank or buyer.state == "paid"


def test_a_plan_of_another_card_is_not_taken(shop: Shop):
    """S2-47: chosen for one card, sent with another."""
    code = invoice()
    buyer = shop.buyer(code, 1_000_000).pay(BCA)

    buyer.pay(PERMATA, plan="BCA-12")

    assert buyer.errors == {"plan": "That way to pay is not available for this card. Choose again"}
    assert "BANK_PERMATA-12" in buyer.options("plan")
    assert shop.charges(code) == []


def test_a_requested_installment_is_locked(shop: Shop):
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


def test_an_off_us_installment_says_so(shop: Shop):
    """S2-112."""
    code = invoice()
    payment = {"type": "INSTALLMENT", "acquirer": "BANK_PERMATA", "tenor": 12}

    assert shop.buyer(code, 600_000, payment=payment).pay(PERMATA).verify().state == "paid"
    assert shop.status(code)["card_payment"]["acquiring_off_us_status"] == "TRUE"


def test_only_allowed_tenors_are_offered(shop: Shop):
    """S2-36: 0 stands for full payment."""

    def offered(allow_tenor: object) -> list[str]:
        return shop.buyer(invoice(), 1_000_000, override_configuration={"allow_tenor": allow_tenor}).pay(BCA).options("plan")

    assert offered([0, 6, 7]) == ["full", "BCA-6"]
    assert offered([3, 12]) == ["BCA-3", "BCA-12"]


def test_the_only_tenor_that_is_left_is_shown_before_it_is_taken(shop: Shop):
    """S2-36: nobody pays by the month without having seen it; the script's list has it too."""
    code = invoice()
    buyer = shop.buyer(code, 1_000_000, override_configuration={"allow_tenor": 6}).pay(BCA)
    assert (buyer.errors.keys(), buyer.options("plan")) == ({"plan"}, ["BCA-6"])
    listed = shop.running.request("GET", f"{buyer.page_path}/plans?bin={BCA[:8]}").json
    assert ([one["id"] for one in listed["plans"]], listed["allow_full"]) == (["BCA-6"], False)

    buyer.pay(BCA, plan="BCA-6").verify()

    assert shop.told(code)[-1]["payment"]["tenor"] == 6


# Promo and BINs


def test_a_promo_is_charged_less_and_told_in_full(shop: Shop):
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
def test_a_promo_of_other_cards_or_of_everything_changes_nothing(shop: Shop, promo: dict[str, Any]):
    """S2-34."""
    code = invoice()

    assert shop.buyer(code, override_configuration={"promo": promo}).pay(FRICTIONLESS).state == "paid"
    assert "discount_amount" not in shop.told(code)[-1]["order"]
    assert shop.at_acquirer(code) == (90_000, 0)


def test_a_saved_card_earns_its_promo_too(shop: Shop):
    """S2-34: by its stored BIN."""
    save_card(shop, "C-1")
    code = invoice()
    promo = [{"bin": "411111", "discount_amount": 10_000}]

    assert shop.buyer(code, customer={"id": "C-1"}, override_configuration={"promo": promo}).pay(cvv="123").state == "paid"
    assert shop.at_acquirer(code) == (80_000, 0)


def test_a_card_that_is_not_on_the_list_cannot_pay(shop: Shop):
    """S2-35: neither typed nor saved."""
    save_card(shop, "C-1")
    code = invoice()
    buyer = shop.buyer(code, customer={"id": "C-1"}, override_configuration={"allow_bin": ["557338"]})

    assert buyer.pay(FRICTIONLESS).errors == {"number": "This card cannot be used for this payment"}
    saved = next(one for one in buyer.options("choice") if one != "new")
    assert buyer.pay(choice=saved, cvv="123").errors == {"choice": "This card cannot be used for this payment"}
    assert shop.charges(code) == []
    assert buyer.pay(MANDIRI).verify().state == "paid"


# Disclaimer


def test_the_disclaimer_has_to_be_agreed_to(shop: Shop):
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
def test_a_missing_language_falls_back(shop: Shop, texts: dict[str, str], query: str, shown: str):
    """S2-39, S2-40."""
    assert shown in shop.buyer(invoice(), query=query, additional_info={"disclaimer": texts}).text


# Sent twice, two tabs


def test_a_form_sent_again_is_one_charge(shop: Shop):
    """cards §21: reload and "send again"."""
    code = invoice()
    buyer = shop.buyer(code).pay(FRICTIONLESS)

    buyer.send_again().send_again()

    assert buyer.state == "paid"
    assert len(shop.charges(code)) == 1
    assert stories(shop, code) == [("SUCCESS", "00", "TRUE")]
    assert shop.at_acquirer(code) == (90_000, 0)


def test_a_declined_form_sent_again_is_one_attempt(shop: Shop):
    """cards §21: a reload must not use the attempts up."""
    code = invoice()
    buyer = shop.buyer(code).pay(DECLINED)

    for _ in range(6):
        assert buyer.send_again().headings[1] == "Your bank declined this card"

    assert len(shop.charges(code)) == 1
    assert stories(shop, code) == [("FAILED", "05", "FALSE")]


@pytest.mark.parametrize("first", [DECLINED, MANDIRI], ids=["declined", "at the bank"])
def test_another_card_typed_into_the_old_form_is_another_attempt(shop: Shop, first: str):
    """A browser that goes back shows the form as it was, its key included: what is typed there now is what counts."""
    code = invoice()
    buyer = shop.buyer(code)
    form = buyer.form_with("pay")
    buyer.pay(first)

    form.values |= {"number": FRICTIONLESS, "expiry": next_expiry(), "cvv": "123"}
    buyer._send(form, {"action": "pay"})

    assert buyer.state == "paid"
    assert [one.details.masked[-4:] for one in shop.charges(code)] == [first[-4:], "1111"]


@pytest.mark.parametrize(("number", "charged"), [(FRICTIONLESS, 90_000), (DECLINED, 0)])
def test_sixteen_presses_at_once_are_one_charge(gateway: RunningGateway, number: str, charged: int):
    """cards §21: a double click, taken far."""
    shop, code = Shop.open(gateway), invoice()
    buyer = shop.buyer(code)
    form = buyer.form_with("pay")
    form.values |= {"number": number, "expiry": next_expiry(), "cvv": "123"}
    tabs = [CardBuyer(shop.running, buyer.page_path) for _ in range(16)]
    for tab in tabs:
        tab.form_with("pay").values.update(form.values)

    with ThreadPoolExecutor(16) as pool:
        statuses = [tab.status for tab in pool.map(lambda tab: tab.press("pay"), tabs)]

    assert set(statuses) <= {200, 422}
    assert len(shop.charges(code)) == 1
    assert len(shop.told(code)) == 1
    assert shop.at_acquirer(code) == (charged, 0)


def test_sixteen_tabs_with_cards_of_their_own_pay_once(gateway: RunningGateway):
    """cards §22: whoever is second finds it paid."""
    shop, code = Shop.open(gateway), invoice()
    page = shop.create(code).json["credit_card_payment_page"]["url"]
    tabs = [CardBuyer(shop.running, page) for _ in range(16)]

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda tab: tab.pay(FRICTIONLESS), tabs))

    assert [tab.open().state for tab in tabs] == ["paid"] * 16
    assert [one.state for one in shop.charges(code)].count(ChargeState.APPROVED) == 1
    assert [story[0] for story in stories(shop, code)].count("SUCCESS") == 1
    assert shop.at_acquirer(code) == (90_000, 0)


def test_starting_over_in_a_second_tab_leaves_the_first_at_the_bank_behind(shop: Shop):
    """cards §21: the newest form counts, the abandoned visit can never be charged and is no attempt."""
    code = invoice()
    page = shop.create(code).json["credit_card_payment_page"]["url"]
    first, second = CardBuyer(shop.running, page), CardBuyer(shop.running, page)
    first.pay(MANDIRI).to_bank()

    assert second.pay(FRICTIONLESS).state == "paid"

    first.enter_code("123456").back_from_bank()
    assert first.state == "paid"
    assert stories(shop, code) == [("SUCCESS", "00", "TRUE")]
    assert shop.at_acquirer(code) == (90_000, 0)


def test_coming_back_from_the_bank_twice_is_one_charge(gateway: RunningGateway):
    """cards §19: the bank's form is sent again."""
    shop, code = Shop.open(gateway), invoice()
    buyer = shop.buyer(code).pay(MANDIRI).to_bank().enter_code("123456")
    form = buyer.form_with(holding=["cres"])
    buyer.back_from_bank()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: CardBuyer(shop.running, buyer.page_path)._send(form, {}), range(8)))

    assert stories(shop, code) == [("SUCCESS", "00", "TRUE")]
    assert shop.at_acquirer(code) == (90_000, 0)


def test_a_press_of_pay_and_a_new_page_at_once_end_in_one_of_the_two(gateway: RunningGateway):
    """D-9: paid and the new page refused, or replaced and nothing taken; what came too late is given back."""
    shop = Shop.open(gateway)
    for _ in range(6):
        code = invoice()
        buyer = shop.buyer(code)

        with ThreadPoolExecutor(2) as pool:
            paying, creating = pool.submit(buyer.pay, FRICTIONLESS), pool.submit(shop.create, code)
            paying.result()
            created = creating.result()

        if shop.charges(code):
            wait_until_final(shop, code)
        states = [one["state"] for one in shop.record(code)["payments"]]
        assert (states, created.status) in ((["SUCCESS"], 400), (["SUCCESS"], 409), (["REPLACED", "PENDING"], 200)), created.body
        assert shop.at_acquirer(code) == ((90_000, 0) if states == ["SUCCESS"] else (0, 0))


# Time


def test_a_page_expires_after_its_hour(running: RunningGateway, shop: Shop):
    """cards §22: not told unless the shop asked for it."""
    code = invoice()
    buyer = shop.buyer(code)

    running.control("POST", "/clock", {"advance_s": 3_600})

    assert buyer.pay(FRICTIONLESS).state == "expired"
    assert shop.status(code)["transaction"]["status"] == "EXPIRED"
    assert (shop.told(code), shop.charges(code)) == ([], [])


def test_a_shop_sets_how_long_its_pages_are_open(running: RunningGateway):
    """cards §24 item 8."""
    shop = Shop.open(running, expiry_min=5)
    buyer = shop.buyer(invoice())

    running.control("POST", "/clock", {"advance_s": 299})
    assert buyer.open().state == ""
    running.control("POST", "/clock", {"advance_s": 2})

    assert buyer.open().state == "expired"


def test_who_is_at_the_bank_when_the_page_expires_still_pays(running: RunningGateway):
    """cards §22: the visit began in time; a page does not close under a buyer who is typing the code."""
    shop, code = Shop.open(running, expiry_min=2), invoice()
    buyer = shop.buyer(code).pay(MANDIRI).to_bank()

    running.control("POST", "/clock", {"advance_s": 150})
    buyer.enter_code("123456").back_from_bank()

    assert buyer.state == "paid"
    assert stories(shop, code) == [("SUCCESS", "00", "TRUE")]


def test_who_fails_at_the_bank_after_the_time_to_pay_is_over_finds_it_over(running: RunningGateway):
    """cards §22: the visit itself may end in peace, but pressing Pay again and again does not keep a page open for ever."""
    shop, code = Shop.open(running, expiry_min=2), invoice()
    buyer = shop.buyer(code).pay(MANDIRI).to_bank()
    running.control("POST", "/clock", {"advance_s": 150})

    buyer.press("cancel").back_from_bank()

    assert buyer.state == "expired"
    assert shop.record(code)["state"] == "EXPIRED"
    assert shop.at_acquirer(code) == (0, 0)


def test_a_silent_acquirer_is_waited_for_reversed_and_told(shop: Shop):
    """cards §§14, 22: TO → waiting page → reversed → FAILED; the acquirer keeps nothing, and another card pays."""
    code = invoice()
    buyer = shop.buyer(code).pay(SILENT).verify()
    assert (buyer.state, buyer.headings[0]) == ("waiting", "The bank has not answered")
    assert shop.told(code) == []
    assert shop.status(code)["transaction"]["status"] == "PENDING"
    with pytest.raises(AssertionError, match="no form"):
        buyer.pay(FRICTIONLESS)

    wait_until_final(shop, code)

    assert stories(shop, code) == [("FAILED", "TO", "TRUE")]
    assert shop.at_acquirer(code) == (0, 0)
    assert buyer.open().pay(FRICTIONLESS).state == "paid"
    assert shop.at_acquirer(code) == (90_000, 0)


def test_nothing_can_be_done_while_the_acquirer_is_silent(shop: Shop):
    """cards §22: no second card, no cancel, no new page: each could lead to paying twice."""
    code = invoice()
    page = shop.create(code).json["credit_card_payment_page"]["url"]
    waiting, other = CardBuyer(shop.running, page), CardBuyer(shop.running, page)
    waiting.pay(SILENT).verify()

    assert other.pay(FRICTIONLESS).state == "waiting"
    again = CardBuyer(shop.running, page)
    assert again.state == "waiting"
    opened = shop.create(code)
    assert (opened.status, opened.json["error"]["message"]) == (409, "Payment Is Being Processed")
    assert [one.state for one in shop.charges(code)] == [ChargeState.REVERSING]
    wait_until_final(shop, code)


# Language


@pytest.mark.parametrize(
    ("themes", "query", "lang"),
    [
        ({}, "", "en"),
        ({"language": "ID"}, "", "id"),
        ({"language": "id"}, "", "id"),
        ({"language": "EN"}, "", "en"),
        ({"language": "ID"}, "?lang=en", "en"),
        ({}, "?lang=id", "id"),
        ({"language": "ID"}, "?lang=fr", "id"),
        ({"language": "FR"}, "?lang=", "en"),
    ],
    ids=str,
)
def test_the_page_speaks_english_unless_somebody_chose(shop: Shop, themes: dict[str, str], query: str, lang: str):
    """S2-28: EN by default, then the merchant's theme, then the buyer's own switch; a form keeps it."""
    buyer = shop.buyer(invoice(), query=query, override_configuration={"themes": themes})
    assert buyer.lang == lang

    assert buyer.pay(DECLINED).lang == lang
    assert buyer.pay(MANDIRI).lang == lang
    assert buyer.to_bank().lang == lang
    assert buyer.enter_code("123456").back_from_bank().lang == lang


# The document that is delivered


def test_a_card_page_is_not_stored_and_leads_nowhere_else(shop: Shop):
    """S2-58, cards §20: no-store, no referrer, in a frame of anybody unless the shop says whose."""
    buyer = shop.buyer(invoice())

    headers = buyer.answer.headers
    assert "no-store" in headers["cache-control"]
    assert headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors *" in headers["content-security-policy"]
    assert "unsafe-inline" not in headers["content-security-policy"]
    assert "x-frame-options" not in headers
    assert "set-cookie" not in headers


def test_no_full_number_comes_back_once_a_card_was_sent_to_the_bank(shop: Shop):
    """cards §20 3.4.1: neither on the way to the bank nor on the result."""
    buyer = shop.buyer(invoice()).pay(MANDIRI)
    on_the_way = buyer.text
    buyer.to_bank()
    at_bank = buyer.text
    buyer.enter_code("123456").back_from_bank()

    bar = re.compile(r"<details data-bar>.*?</details>", re.S)  # the sandbox's own list of test cards
    for page in (on_the_way, at_bank, buyer.text):
        assert MANDIRI not in bar.sub("", page)


def test_a_form_of_another_kind_is_refused_or_ignored(shop: Shop):
    """Never an error of ours."""
    code = invoice()
    path = shop.buyer(code).page_path
    part = b'--x\r\nContent-Disposition: form-data; name="number"; filename="a.txt"\r\n\r\n4111\r\n--x--\r\n'

    for kind, body in (
        ("multipart/form-data; boundary=x", part),
        ("multipart/form-data; boundary=y", part),
        ("multipart/form-data", part),
        ("application/json", b'{"action": "pay"}'),
        ("application/x-www-form-urlencoded", b"action=pay&number=%ff%fe&&&=&expiry=%00"),
        ("application/x-www-form-urlencoded", b""),
    ):
        assert shop.running.request("POST", path, body, {"Content-Type": kind}).status in (200, 303, 400, 422), kind
    assert shop.charges(code) == []


def test_a_host_to_host_payment_has_no_page(shop: Shop):
    """cards §11: its address was never given out."""
    code = invoice()
    body = {
        "order": {"invoice_number": code, "amount": 90_000},
        "payment": {"type": "MOTO"},
        "card": {"number": DECLINED, "expiry": next_expiry().replace("/", "")},
    }
    assert shop.call("/credit-card/charge", body).json["payment"]["status"] == "FAILED"
    [payment] = shop.record(code)["payments"]

    assert shop.running.request("GET", f"/credit-card/pay/{payment['id']}").status == 404


@pytest.mark.parametrize(
    "path", ["/credit-card/pay/pay_01", "/credit-card/pay/%00", "/credit-card/3ds/" + "0" * 64, "/credit-card/3ds/x"]
)
def test_an_address_nobody_gave_out_is_not_found(running: RunningGateway, path: str):
    """S2-55."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    assert running.request("GET", path).status == 404
    assert running.request("POST", path, b"action=pay", form).status == 404
