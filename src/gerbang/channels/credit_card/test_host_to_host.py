"""Host-to-host over HTTP: 3-D Secure by redirect, then the charge (cards §11, §19; S2-75 … S2-89)."""

import re
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.card_calls import (
    APPROVED,
    APPROVED_MASTER,
    BCA_CARD,
    CHALLENGED,
    CHARGE,
    CHECK_3DS,
    CVV,
    DECLINED_05,
    KEY,
    NO_3DS,
    PAGE,
    REFUND,
    SILENT,
    UNVERIFIED,
    CardMerchant,
    a_card_merchants_listener,
    body_of,
    by_day,
    cards_served,
    together,
    walk_bank,
)
from support.gateway import Answer, RunningGateway
from support.listener import Listener
from support.nonsnap import BODY, assert_error, assert_genuine

GL_PATH = "/check-three-d-secure"
NO_AUTHENTICATION = "three_dsecure.authentication_id Invalid Format"


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


def assert_refused(answer: Answer, message: str, status: int = 400) -> None:
    assert_error(answer, status, "INVALID_PARAMETER", message, BODY)


def status_of(answer: Answer) -> tuple[int, str, str]:
    return answer.status, answer.json["payment"]["status"], answer.json["payment"]["response_code"]


# -- check-three-d-secure


def test_starting_3ds_says_where_to_send_the_buyer(shop: CardMerchant):
    """Cards §11.1."""
    answer = shop.authenticate(CHALLENGED, amount=90_000)

    assert_genuine(answer, "POST", CHECK_3DS, secret_key=KEY, client_id=shop.client_id)
    started = answer.json["three_dsecure"]
    assert answer.json == {
        "order": {"amount": 90_000},
        "three_dsecure": {
            "enrollment_status": True,
            "authentication_id": started["authentication_id"],
            "authentication_url": f"{shop.gateway.url}/credit-card/3ds/{started['authentication_id']}",
        },
    }
    assert re.fullmatch(r"[0-9a-f]{64}", started["authentication_id"])


@pytest.mark.parametrize("path", [CHECK_3DS, GL_PATH])
def test_the_global_key_is_answered_with_the_global_key_on_either_path(shop: CardMerchant, path: str):
    """Cards §11.1 GL, §23."""
    urls = {"callback_url_success": "https://toko.test/ok", "callback_url_failed": "https://toko.test/no"}

    answer = shop.call(
        path,
        {
            "order": {"amount": 90_000, "currency": "IDR"},
            "card": {"number": APPROVED, "expiry": shop.expiry},
            "three_d_secure": urls,
        },
    )

    assert list(answer.json) == ["order", "three_d_secure"]
    assert walk_bank(shop.gateway, answer.json["three_d_secure"]["authentication_url"]) == "https://toko.test/ok"


def test_the_seeds_key_works_on_the_global_path(shop: CardMerchant):
    assert list(shop.authenticate(path=GL_PATH).json) == ["order", "three_dsecure"]


def test_a_challenged_buyer_comes_back_to_the_success_url_with_its_query(shop: CardMerchant):
    started = shop.authenticate(CHALLENGED).json["three_dsecure"]

    assert walk_bank(shop.gateway, started["authentication_url"]) == "https://toko.test/ok?a=1"


def test_a_buyer_the_bank_refuses_comes_back_to_the_failed_url(shop: CardMerchant):
    started = shop.authenticate(UNVERIFIED).json["three_dsecure"]

    assert walk_bank(shop.gateway, started["authentication_url"]) == "https://toko.test/no?b=2"


@pytest.mark.parametrize(("number", "enrolled"), [(APPROVED, True), (NO_3DS, False)], ids=["frictionless", "no 3-D Secure"])
def test_a_buyer_nobody_asks_is_sent_straight_back(shop: CardMerchant, number: str, enrolled: bool):
    """Cards §11.1: not enrolled and frictionless still have an authentication_url."""
    started = shop.authenticate(number).json["three_dsecure"]

    answer = shop.gateway.request("GET", urlsplit(started["authentication_url"]).path)

    assert started["enrollment_status"] is enrolled
    assert (answer.status, answer.headers["location"]) == (303, "https://toko.test/ok?a=1")


def test_an_address_nobody_gave_out_leads_nowhere(shop: CardMerchant):
    for name in ("0" * 64, "x", "%00"):
        assert shop.gateway.request("GET", f"/credit-card/3ds/{name}").status == 404


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": {}}, "order.amount Must Not Be Blank"),
        ({"order": {"amount": 0}}, "order.amount Invalid Format"),
        ({"order": {"amount": 10**12}}, "order.amount Invalid Format"),
        ({"card": {}}, "card.number Must Not Be Blank"),
        ({"card": {"number": APPROVED}}, "card.expiry Must Not Be Blank"),
        ({"card": {"number": "4111111111111112", "expiry": "1299"}}, "card.number Invalid Format"),
        ({"card": {"number": "41111111", "expiry": "1299"}}, "card.number Invalid Format"),
        ({"card": {"number": "4539578763621486", "expiry": "1229"}}, "card.number Invalid Format"),
        ({"card": {"number": APPROVED, "expiry": "1399"}}, "card.expiry Invalid Format"),
        ({"card": {"number": APPROVED, "expiry": "1299"}}, "card.expiry Invalid Format"),
        ({"card": {"token": "0" * 32}}, "card.token Invalid Format"),
        ({"payment": {"type": "LATER"}}, "payment.type Invalid Format"),
        ({"three_dsecure": {}}, "three_dsecure.callback_url_success Must Not Be Blank"),
        ({"three_dsecure": {"callback_url_success": "https://a.test"}}, "three_dsecure.callback_url_failed Must Not Be Blank"),
        ({"three_dsecure": None}, "three_dsecure.callback_url_success Must Not Be Blank"),
    ],
    ids=str,
)
def test_each_mistake_of_a_3ds_start_has_its_message(shop: CardMerchant, change: dict[str, Any], message: str):
    """4539… passes the check digit and is no test card: a sandbox takes no real numbers (PCI DSS 6.5)."""
    assert_refused(shop.authenticate(**change), message)


def test_a_saved_card_can_be_authenticated(shop: CardMerchant):
    token = shop.save_card()

    started = shop.authenticate(card={"token": token}).json["three_dsecure"]

    assert walk_bank(shop.gateway, started["authentication_url"]).startswith("https://toko.test/ok")
    assert status_of(shop.charge(started["authentication_id"], card={"token": token, "cvv": CVV})) == (200, "SUCCESS", "00")


# -- charge


def test_a_charge_needs_nothing_but_the_authentication_and_the_cvv(shop: CardMerchant):
    """Cards §11.2: number and expiry are remembered. The answer has the shape of §8, S2-75 … S2-88."""
    authentication_id = shop.authentication(CHALLENGED)
    request_id = str(uuid.uuid4())

    answer = shop.charge(authentication_id, invoice="INV-H2H-1", request_id=request_id, customer={"id": "CUST-7"})

    assert_genuine(answer, "POST", CHARGE, secret_key=KEY, client_id=shop.client_id)
    told = answer.json
    assert re.fullmatch(r"\d{6}", told["payment"].pop("approval_code"))
    assert [one["name"] for one in told["payment"].pop("identifier")] == ["MID", "Acquirer", "TID"]
    assert told == {
        "order": {"invoice_number": "INV-H2H-1", "amount": 90_000},
        "customer": {"id": "CUST-7"},
        "payment": {
            "type": "SALE",
            "request_id": request_id,
            "response_code": "00",
            "response_message": "PAYMENT APPROVED",
            "status": "SUCCESS",
            "eci": "02",
        },
        "three_dsecure": {"authentication_id": authentication_id},
        "card": {"masked": "557338******1101", "type": "CREDIT", "issuer": "PT BANK MANDIRI (PERSERO) Tbk", "brand": "MASTER"},
    }
    assert shop.balance() == 90_000
    assert body_of(shop.told(1)[0])["transaction"]["original_request_id"] == request_id
    assert shop.status(request_id)["transaction"]["status"] == "SUCCESS"


def test_the_whole_card_may_be_sent_again(shop: CardMerchant):
    authentication_id = shop.authentication()

    answer = shop.charge(authentication_id, card={"number": APPROVED, "expiry": shop.expiry, "cvv": CVV})

    assert status_of(answer) == (200, "SUCCESS", "00")


@pytest.mark.parametrize(
    ("number", "eci"), [(APPROVED, "05"), (NO_3DS, "07"), (APPROVED_MASTER, "02")], ids=["Y", "none", "Y MC"]
)
def test_the_eci_says_how_the_buyer_was_authenticated(shop: CardMerchant, number: str, eci: str):
    """S2-82, cards §19."""
    assert shop.charge(shop.authentication(number)).json["payment"]["eci"] == eci


@pytest.mark.parametrize(
    ("number", "kind", "brand"),
    [
        (APPROVED, "CREDIT", "VISA"),
        ("4000056655665556", "DEBIT", "VISA"),
        (APPROVED_MASTER, "CREDIT", "MASTER"),
        ("5200828282828210", "DEBIT", "MASTER"),
        ("3530111333300000", "CREDIT", "JCB"),
        ("378282246310005", "CREDIT", "AMEX"),
    ],
)
def test_the_answer_says_credit_or_debit_and_which_brand(shop: CardMerchant, number: str, kind: str, brand: str):
    """S2-86, S2-88."""
    card = shop.charge(payment={"type": "MOTO"}, card={"number": number, "expiry": shop.expiry}).json["card"]

    assert (card["type"], card["brand"]) == (kind, brand)


def test_an_authorisation_is_captured_by_the_id_in_its_answer(shop: CardMerchant):
    """S2-68, S2-78: authorize_id from the charge response."""
    charged = shop.charge(shop.authentication(), payment={"type": "AUTHORIZE"}).json

    captured = shop.capture(charged["payment"]["authorize_id"], 40_000)

    assert charged["payment"]["status"] == "SUCCESS"
    assert captured.json["order"]["amount"] == 40_000
    assert captured.json["payment"]["type"] == "AUTHORIZE"
    assert shop.balance() == 40_000


def test_a_charge_is_voided_by_its_request_id(shop: CardMerchant):
    shop.charge(shop.authentication(), invoice="INV-VOID", request_id="charge-1")

    answer = shop.call(
        REFUND,
        {
            "order": {"invoice_number": "INV-VOID"},
            "payment": {"original_request_id": "charge-1"},
            "refund": {"amount": 90_000},
        },
    )

    assert (answer.json["refund"]["type"], answer.json["refund"]["status"]) == ("VOID", "SUCCESS")
    assert shop.balance() == 0


def test_a_decline_is_an_answer_and_ends_the_order(shop: CardMerchant):
    """Cards §11.3: HTTP 200, FAILED, no error object."""
    answer = shop.charge(shop.authentication(DECLINED_05), invoice="INV-NO", payment={"type": "AUTHORIZE"})

    assert status_of(answer) == (200, "FAILED", "05")
    assert "error" not in answer.json
    assert {"approval_code", "authorize_id"}.isdisjoint(answer.json["payment"])
    assert shop.balance() == 0
    assert body_of(shop.told(1)[0])["transaction"]["status"] == "FAILED"
    assert shop.status("INV-NO")["transaction"]["status"] == "FAILED"


def test_after_a_decline_the_same_invoice_can_be_charged_again(shop: CardMerchant):
    """FAILED is not final (cards §16); the second success is refused."""
    shop.charge(shop.authentication(DECLINED_05), invoice="INV-AGAIN")

    paid = shop.charge(shop.authentication(), invoice="INV-AGAIN")
    twice = shop.charge(shop.authentication(), invoice="INV-AGAIN")

    assert status_of(paid) == (200, "SUCCESS", "00")
    assert_refused(twice, "Invoice Number Already Paid")
    assert shop.balance() == 90_000


def test_a_buyer_who_was_not_authenticated_is_declined_without_asking_the_acquirer(shop: CardMerchant):
    """Cards §19: N never goes on; code DA."""
    started = shop.authenticate(UNVERIFIED).json["three_dsecure"]
    walk_bank(shop.gateway, started["authentication_url"])

    answer = shop.charge(started["authentication_id"])

    assert status_of(answer) == (200, "FAILED", "DA")
    asked = shop.gateway.database.read_now(
        lambda tx: tx.all("select id from card_question where merchant_id = :m", {"m": shop.client_id})
    )
    assert asked == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"amount": 90_001}, "order.amount Invalid Format"),
        ({"card": {"number": APPROVED_MASTER, "expiry": "1229", "cvv": CVV}}, "card.number Invalid Format"),
        ({"card": {"cvv": "1234"}}, "card.cvv Invalid Format"),
        ({"card": {"cvv": "12x"}}, "card.cvv Invalid Format"),
        ({"card": {"cvv": CVV, "save": True}}, "customer.id Must Not Be Blank"),
        ({"payment": {"type": "LATER"}}, "payment.type Invalid Format"),
        ({"payment": {"type": "INSTALLMENT", "tenor": 3}}, "payment.acquirer Must Not Be Blank"),
        ({"payment": {"type": "INSTALLMENT", "acquirer": "BCA"}}, "payment.tenor Must Not Be Blank"),
    ],
    ids=str,
)
def test_a_charge_that_does_not_fit_its_authentication_is_refused_and_does_not_use_it_up(
    shop: CardMerchant, change: dict[str, Any], message: str
):
    """Cards §11.2: amount and card are those of the authentication."""
    authentication_id = shop.authentication()

    refused = shop.charge(authentication_id, **change)

    assert_refused(refused, message)
    assert status_of(shop.charge(authentication_id)) == (200, "SUCCESS", "00")


def test_line_items_have_to_add_up(shop: CardMerchant):
    """D-13."""
    order = {"invoice_number": "INV-SUM", "amount": 90_000, "line_items": [{"name": "A", "price": 1, "quantity": 2}]}

    answer = shop.charge(shop.authentication(), order=order)

    assert_refused(answer, "Invalid Total Amount And Line Items")


def test_an_authentication_is_charged_once(shop: CardMerchant):
    authentication_id = shop.authentication()
    shop.charge(authentication_id)

    assert_refused(shop.charge(authentication_id), NO_AUTHENTICATION)
    assert shop.balance() == 90_000


def test_an_authentication_is_good_for_fifteen_minutes(shop: CardMerchant):
    early, late = shop.authentication(), shop.authentication()

    shop.gateway.control("POST", "/clock", {"advance_s": 14 * 60 + 30})
    in_time = shop.charge(early)
    shop.gateway.control("POST", "/clock", {"advance_s": 45})
    too_late = shop.charge(late)

    assert status_of(in_time) == (200, "SUCCESS", "00")
    assert_refused(too_late, NO_AUTHENTICATION)


def test_an_authentication_that_is_missing_unfinished_unknown_or_anothers_cannot_be_charged(shop: CardMerchant):
    unfinished = shop.authenticate(CHALLENGED).json["three_dsecure"]["authentication_id"]
    theirs = CardMerchant(shop.gateway).authentication()
    whole = {"number": APPROVED, "expiry": shop.expiry, "cvv": CVV}

    for named in (unfinished, theirs, "0" * 64):
        assert_refused(shop.charge(named), NO_AUTHENTICATION)
    assert_refused(shop.charge(card=whole), "three_dsecure.authentication_id Must Not Be Blank")
    assert_refused(shop.charge(three_dsecure={}, card=whole), "three_dsecure.authentication_id Must Not Be Blank")
    assert shop.balance() == 0


def test_moto_charges_a_number_without_cvv_and_without_authentication(shop: CardMerchant):
    """Cards §11.4: eci 07 or 00, an empty authentication_id."""
    visa = shop.charge(payment={"type": "MOTO"}, card={"number": APPROVED, "expiry": shop.expiry})
    master = shop.charge(payment={"type": "MOTO"}, card={"number": APPROVED_MASTER, "expiry": shop.expiry})

    assert status_of(visa) == (200, "SUCCESS", "00")
    assert (visa.json["payment"]["type"], visa.json["payment"]["eci"]) == ("MOTO", "07")
    assert visa.json["three_dsecure"] == {"authentication_id": ""}
    assert master.json["payment"]["eci"] == "00"
    assert shop.balance() == 180_000


@pytest.mark.parametrize("kind", ["MOTO", "RECURRING"])
def test_a_saved_card_is_charged_by_its_token_alone(shop: CardMerchant, kind: str):
    token = shop.save_card()

    answer = shop.charge(payment={"type": kind}, card={"token": token})

    assert status_of(answer) == (200, "SUCCESS", "00")
    assert answer.json["customer"] == {"id": "CUST-1"}
    told = body_of(shop.told(2)[1])
    assert (told["transaction"]["type"], told["card_payment"]["three_d_secure_status"]) == (kind, "FALSE")


def test_an_unbound_or_foreign_token_is_not_charged(shop: CardMerchant):
    gone, theirs = shop.save_card(), CardMerchant(shop.gateway).save_card()
    shop.call("/tokenization/v2/delete-token", {"token_id": gone})

    for token in (gone, theirs, "0" * 32):
        answer = shop.charge(payment={"type": "RECURRING"}, card={"token": token})
        assert_refused(answer, "card.token Invalid Format")
    assert_refused(shop.charge(payment={"type": "RECURRING"}), "card.number Must Not Be Blank")


def test_a_charge_can_save_the_card(shop: CardMerchant):
    """S2-89: card.token in the answer; it charges the next payment."""
    first = shop.charge(shop.authentication(), customer={"id": "CUST-3"}, card={"cvv": CVV, "save": True})

    token = first.json["card"]["token"]
    later = shop.charge(payment={"type": "RECURRING"}, card={"token": token})

    assert re.fullmatch(r"[0-9a-f]{32}", token)
    assert status_of(later) == (200, "SUCCESS", "00")
    assert shop.call("/tokenization/v2/get-token", {"customer": {"id": "CUST-3"}}).json["tokens"][0]["id"] == token


def test_an_installment_is_paid_in_full_and_tells_bank_and_tenor(shop: CardMerchant):
    """S2-43, S2-44, cards §12.3, §17; the tenor comes as text."""
    authentication_id = shop.authentication(BCA_CARD, amount=600_000)

    answer = shop.charge(authentication_id, amount=600_000, payment={"type": "INSTALLMENT", "acquirer": "BCA", "tenor": "12"})

    assert status_of(answer) == (200, "SUCCESS", "00")
    assert answer.json["payment"]["type"] == "INSTALLMENT"
    assert shop.balance() == 600_000
    told = body_of(shop.told(1)[0])
    assert (told["transaction"]["type"], told["payment"]) == ("INSTALLMENT", {"acquirer": "BCA", "tenor": 12})


@pytest.mark.parametrize(
    ("number", "amount", "payment", "message"),
    [
        (APPROVED, 600_000, {"acquirer": "BCA", "tenor": 12}, "payment.acquirer Invalid Format"),
        (BCA_CARD, 600_000, {"acquirer": "HSBC", "tenor": 12}, "payment.acquirer Invalid Format"),
        (BCA_CARD, 600_000, {"acquirer": "BCA", "tenor": 7}, "payment.tenor Invalid Format"),
        (BCA_CARD, 499_999, {"acquirer": "BCA", "tenor": 12}, "order.amount Invalid Format"),
        (BCA_CARD, 600_000, {"acquirer": "NOBODY", "tenor": 12}, "payment.acquirer Invalid Format"),
    ],
    ids=["another bank's card", "another bank's card, off us", "tenor not offered", "below the minimum", "unknown bank"],
)
def test_an_installment_the_card_cannot_have_is_refused(
    shop: CardMerchant, number: str, amount: int, payment: dict[str, Any], message: str
):
    authentication_id = shop.authentication(number, amount=amount)

    answer = shop.charge(authentication_id, amount=amount, payment={"type": "INSTALLMENT", **payment})

    assert_refused(answer, message)


def test_a_silent_acquirer_is_pending_and_then_failed_with_nothing_taken(shop: CardMerchant):
    """Cards §22: TO is reversed first and only then called FAILED."""
    answer = shop.charge(shop.authentication(SILENT), invoice="INV-SILENT")

    assert status_of(answer) == (200, "PENDING", "TO")
    told = body_of(shop.told(1)[0])
    assert (told["transaction"]["status"], told["card_payment"]["response_code"]) == ("FAILED", "TO")
    assert shop.status("INV-SILENT")["transaction"]["status"] == "FAILED"
    assert shop.balance() == 0


def test_while_the_outcome_is_unknown_the_invoice_cannot_be_charged_or_opened_again(shop: CardMerchant):
    """The buyer might pay twice."""
    authentication_id = shop.authentication(SILENT)
    other = shop.authentication()
    shop.charge(authentication_id, invoice="INV-DOUBT")

    charged = shop.charge(other, invoice="INV-DOUBT")
    opened = shop.call(PAGE, {"order": {"invoice_number": "INV-DOUBT", "amount": 90_000}, "customer": {"email": "a@example.com"}})

    assert_refused(charged, "Payment Is Being Processed", status=409)
    assert_refused(opened, "Payment Is Being Processed", status=409)
    shop.told(1)


def test_a_repeated_charge_answers_what_the_first_did(shop: CardMerchant):
    """D-3."""
    authentication_id = shop.authentication()
    first = shop.charge(authentication_id, invoice="INV-REP", request_id="rep-1")

    again = shop.charge(authentication_id, invoice="INV-REP", request_id="rep-1")

    assert (again.status, again.body) == (409, first.body)
    assert shop.balance() == 90_000


def test_a_host_to_host_order_has_no_page(shop: CardMerchant):
    shop.charge(shop.authentication(DECLINED_05), invoice="INV-NOPAGE")
    shown = shop.gateway.control("GET", f"/payments?client_id={shop.client_id}&invoice_number=INV-NOPAGE")

    assert shop.gateway.request("GET", f"/credit-card/pay/{shown['payments'][0]['id']}").status == 404


def test_a_live_number_is_not_even_kept(shop: CardMerchant):
    """PCI DSS 6.5, 3.2.1: refused before it reaches the vault."""
    answer = shop.charge(payment={"type": "MOTO"}, card={"number": "4539578763621486", "expiry": shop.expiry})

    kept = shop.gateway.database.read_now(
        lambda tx: tx.all("select id from vault_card where merchant_id = :m", {"m": shop.client_id})
    )
    assert_refused(answer, "card.number Invalid Format")
    assert kept == []


def test_two_charges_at_once_on_one_authentication_are_one(gateway: RunningGateway):
    """On both engines, with different invoices and Request-Ids."""
    shop = CardMerchant(gateway)
    for _ in range(3):
        authentication_id = shop.authentication()
        before = shop.balance()

        answers = together(*[lambda: shop.charge(authentication_id)] * 3)  # noqa: B023

        assert sorted(one.status for one in answers) == [200, 400, 400]
        assert shop.balance() - before == 90_000


def test_two_charges_at_once_for_one_invoice_take_the_money_once(gateway: RunningGateway):
    shop = CardMerchant(gateway)
    for number in range(3):
        invoice = f"INV-RACE-{number}"
        first, second = shop.authentication(), shop.authentication()
        before = shop.balance()

        answers = together(
            lambda: shop.charge(first, invoice=invoice),  # noqa: B023
            lambda: shop.charge(second, invoice=invoice),  # noqa: B023
        )

        assert shop.balance() - before == 90_000, [one.body for one in answers]
        assert [one.status for one in answers].count(200) >= 1
