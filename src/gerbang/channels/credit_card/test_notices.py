"""What a merchant is told: notifications key by key, and check status (cards §12, §16; nonsnap-common §5, §6; D-7, D-16)."""

import re
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

import pytest

from support.card_calls import (
    APPROVED,
    APPROVED_MASTER,
    BCA_CARD,
    CHALLENGED,
    DECLINED_05,
    HSBC_CARD,
    NO_3DS,
    SILENT,
    UNVERIFIED,
    CardMerchant,
    CardPage,
    a_card_merchants_listener,
    answer_bank,
    body_of,
    by_day,
    cards_served,
    to_midnight,
)
from support.gateway import RunningGateway
from support.listener import Answer, Listener


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


def last_told(shop: CardMerchant, count: int) -> dict[str, Any]:
    return body_of(shop.told(count)[-1])


def take_out(block: dict[str, Any], name: str, pattern: str) -> str:
    value = block.pop(name)
    assert re.fullmatch(pattern, value), (name, value)
    return str(value)


def take_out_identifier(block: dict[str, Any], acquirer: str) -> None:
    """MID of 15 digits, Acquirer, TID of 8, in this order."""
    identifier = block.pop("identifier")
    assert [one["name"] for one in identifier] == ["MID", "Acquirer", "TID"]
    assert re.fullmatch(r"\d{15}", identifier[0]["value"])
    assert identifier[1]["value"] == acquirer
    assert re.fullmatch(r"\d{8}", identifier[2]["value"])


ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def test_an_authorisation_is_told_in_the_shape_seen_at_doku(shop: CardMerchant):
    """Cards §12.1, key by key and in its order; S2-65: authorize_id in three places, one value."""
    override = shop.listener.url("/other?x=1") if shop.listener else ""
    page = shop.page(
        customer={"name": "Anton Budiman", "email": "anton@example.com"},
        payment={"type": "AUTHORIZE"},
        additional_info={"override_notification_url": override, "integration": {"name": "x"}},
    )
    answer_bank(shop.gateway, shop.submit(page, CHALLENGED, form="b1"), session="b1")

    [received] = shop.told(1)

    told = body_of(received)
    assert received.target == "/other?x=1"
    assert list(told) == [
        "order",
        "customer",
        "transaction",
        "service",
        "acquirer",
        "channel",
        "additional_info",
        "card_payment",
        "authorize_id",
        "payment",
        "verification",
    ]
    assert list(told["order"]) == ["invoice_number", "amount"]
    assert list(told["transaction"]) == ["type", "status", "date", "original_request_id"]
    assert list(told["card_payment"]) == [
        "masked_card_number",
        "approval_code",
        "response_code",
        "response_message",
        "issuer",
        "identifier",
        "authorize_id",
        "brand",
        "authentication_id",
        "three_d_secure_status",
    ]
    authorize_id = take_out(told, "authorize_id", r"\d{17}")
    assert told.pop("payment") == {"authorize_id": authorize_id}
    take_out_identifier(told["card_payment"], "BANK_MANDIRI")
    take_out(told["card_payment"], "approval_code", r"\d{6}")
    take_out(told["card_payment"], "authentication_id", r"[0-9a-f]{64}")
    take_out(told["transaction"], "date", ISO)
    assert told == {
        "order": {"invoice_number": page.invoice, "amount": 90_000},
        "customer": {"name": "Anton Budiman", "email": "anton@example.com"},
        "transaction": {"type": "AUTHORIZE", "status": "PENDING", "original_request_id": page.request_id},
        "service": {"id": "CREDIT_CARD"},
        "acquirer": {"id": "BANK_MANDIRI"},
        "channel": {"id": "CREDIT_CARD", "name": "Credit Card"},
        "additional_info": {"override_notification_url": override},
        "card_payment": {
            "masked_card_number": "557338******1101",
            "response_code": "00",
            "response_message": "PAYMENT APPROVED",
            "issuer": "PT BANK MANDIRI (PERSERO) Tbk",
            "authorize_id": authorize_id,
            "brand": "MASTER",
            "three_d_secure_status": "TRUE",
        },
        "verification": {"status": "APPROVE", "reason": "Decision No Rules Triggered"},
    }


def test_a_sale_is_told_without_an_authorize_id(shop: CardMerchant):
    """Cards §12.2."""
    page = shop.paid(APPROVED_MASTER)

    told = last_told(shop, 1)

    take_out_identifier(told["card_payment"], "BANK_MANDIRI")
    take_out(told["card_payment"], "approval_code", r"\d{6}")
    take_out(told["card_payment"], "authentication_id", r"[0-9a-f]{64}")
    take_out(told["transaction"], "date", ISO)
    assert told == {
        "order": {"invoice_number": page.invoice, "amount": 90_000},
        "customer": {"id": "CUST-1", "name": "Anton Budiman", "email": "anton@example.com"},
        "transaction": {"type": "SALE", "status": "SUCCESS", "original_request_id": page.request_id},
        "service": {"id": "CREDIT_CARD"},
        "acquirer": {"id": "BANK_MANDIRI"},
        "channel": {"id": "CREDIT_CARD", "name": "Credit Card"},
        "card_payment": {
            "masked_card_number": "512091******0012",
            "response_code": "00",
            "response_message": "PAYMENT APPROVED",
            "issuer": "DOKU SIMULATOR BANK",
            "brand": "MASTER",
            "three_d_secure_status": "TRUE",
        },
        "verification": {"status": "APPROVE", "reason": "Decision No Rules Triggered"},
    }


def test_the_request_is_signed_for_the_path_called_and_named_once_per_event(shop: CardMerchant):
    """Cards §12, nonsnap-common §5.1: headers in canonical case; a retry keeps its Request-Id, another event has another."""
    page = shop.paid()
    shop.refund(page, 90_000)

    paid, voided = shop.told(2)

    assert (paid.method, paid.signature, voided.signature) == ("POST", "valid", "valid")
    assert paid.header("Content-Type") == "application/json"
    assert paid.header("Request-Id") != voided.header("Request-Id")
    assert {"Client-Id", "Request-Id", "Request-Timestamp", "Signature"} <= dict(paid.headers).keys()
    assert (paid.header("Signature") or "").startswith("HMACSHA256=")


def test_no_body_has_a_character_that_a_decoding_receiver_would_change(shop: CardMerchant):
    """Cards §23: the Magento plugin decodes the raw body before it hashes it."""
    customer = {"id": "C+1%20", "name": "Budi + 100% Ñ “é”", "email": "a+b%2B@example.com"}
    page = shop.page(customer=customer, card={"save": True})
    shop.submit(page, APPROVED)

    [received] = shop.told(1)

    raw = received.body.decode("ascii")
    assert unquote_plus(raw) == raw
    assert received.json()["customer"] == customer


def test_a_declined_attempt_is_told_and_the_page_stays_open(shop: CardMerchant):
    """Cards §12.3: FAILED, no approval code; then the other card's SUCCESS, with the same original_request_id."""
    page = shop.page()
    shop.choose(page, three_ds="frictionless")
    shop.submit(page, DECLINED_05)
    shop.submit(page, APPROVED)

    failed, paid = map(body_of, shop.told(2))

    assert (failed["transaction"]["type"], failed["transaction"]["status"]) == ("SALE", "FAILED")
    assert failed["card_payment"]["response_code"] == "05"
    assert failed["card_payment"]["response_message"] == "DO NOT HONOUR"
    assert failed["card_payment"]["masked_card_number"] == "450919******5340"
    assert {"approval_code", "authorize_id", "token_id"}.isdisjoint(failed["card_payment"])
    assert paid["transaction"]["status"] == "SUCCESS"
    assert failed["transaction"]["original_request_id"] == paid["transaction"]["original_request_id"] == page.request_id


def test_a_declined_authorisation_has_no_authorize_id(shop: CardMerchant):
    page = shop.page(payment={"type": "AUTHORIZE"})
    shop.choose(page, response_code="51")
    shop.submit(page, APPROVED)

    told = last_told(shop, 1)

    assert (told["transaction"]["type"], told["transaction"]["status"]) == ("AUTHORIZE", "FAILED")
    assert "authorize_id" not in told
    assert "payment" not in told


def test_a_buyer_who_was_not_authenticated_is_told_as_da(shop: CardMerchant):
    """Cards §12.3: response_code DA, three_d_secure_status FALSE."""
    page = shop.page()
    answer_bank(shop.gateway, shop.submit(page, UNVERIFIED, form="b"), session="b")

    told = last_told(shop, 1)

    assert told["transaction"]["status"] == "FAILED"
    assert (told["card_payment"]["response_code"], told["card_payment"]["three_d_secure_status"]) == ("DA", "FALSE")


def test_a_buyer_who_never_comes_back_from_the_bank_is_told_as_da(shop: CardMerchant):
    page = shop.page()
    shop.submit(page, CHALLENGED)

    shop.gateway.control("POST", "/clock", {"advance_s": 6 * 60 + 1})

    told = last_told(shop, 1)
    assert (told["transaction"]["status"], told["card_payment"]["response_code"]) == ("FAILED", "DA")


@pytest.mark.parametrize(("kind", "number"), [("SALE", NO_3DS), ("MOTO", APPROVED)])
def test_a_card_without_3d_secure_says_so(shop: CardMerchant, kind: str, number: str):
    page = shop.page(payment={"type": kind})
    shop.submit(page, number)

    told = last_told(shop, 1)

    assert (told["transaction"]["type"], told["transaction"]["status"]) == (kind, "SUCCESS")
    assert told["card_payment"]["three_d_secure_status"] == "FALSE"
    if kind == "MOTO":
        assert told["card_payment"]["authentication_id"] == ""


def test_an_installment_tells_bank_and_tenor(shop: CardMerchant):
    page = shop.page(amount=600_000, payment={"type": "INSTALLMENT", "acquirer": "BCA", "tenor": 12})
    shop.choose(page, three_ds="frictionless")
    shop.submit(page, BCA_CARD, plan="BCA-12")

    told = last_told(shop, 1)

    assert (told["transaction"]["type"], told["transaction"]["status"]) == ("INSTALLMENT", "SUCCESS")
    assert told["payment"] == {"acquirer": "BCA", "tenor": 12}
    assert told["acquirer"] == {"id": "BCA"}
    assert told["order"]["amount"] == 600_000


def test_after_a_promo_the_amount_stays_the_orders(shop: CardMerchant):
    """Cards §6: the plugins look the order up by its amount."""
    page = shop.page(override_configuration={"promo": [{"bin": "411111", "discount_amount": 10_000}]})
    shop.submit(page, APPROVED)

    told = last_told(shop, 1)

    assert told["order"] == {"invoice_number": page.invoice, "amount": 90_000, "discount_amount": 10_000}
    assert told["card_payment"]["charged_amount"] == 80_000
    assert shop.balance() == 80_000


def test_a_capture_is_told_with_the_captured_amount_and_the_same_authorize_id(shop: CardMerchant):
    page, authorize_id = shop.authorised()
    shop.capture(authorize_id, 50_000)

    told = last_told(shop, 2)

    assert (told["transaction"]["type"], told["transaction"]["status"]) == ("CAPTURE", "SUCCESS")
    assert told["order"]["amount"] == 50_000
    assert told["authorize_id"] == told["payment"]["authorize_id"] == told["card_payment"]["authorize_id"] == authorize_id
    assert told["transaction"]["original_request_id"] == page.request_id
    assert told["card_payment"]["response_message"] == "PAYMENT APPROVED"


def test_the_void_of_an_authorisation_names_it(shop: CardMerchant):
    """Cards §12.2: authorize_id for AUTHORIZE, CAPTURE and the void of an authorisation."""
    page, authorize_id = shop.authorised()
    shop.refund(page, 90_000)

    told = last_told(shop, 2)

    assert (told["transaction"]["type"], told["transaction"]["status"]) == ("REFUND", "VOIDED")
    assert told["card_payment"]["response_message"] == "Transaction Has Been Successfully Void"
    assert told["refund"] == {"amount": 90_000, "type": "VOID", "status": "SUCCESS"}
    assert told["authorize_id"] == told["payment"]["authorize_id"] == authorize_id


def test_the_void_of_a_sale_is_told(shop: CardMerchant):
    page = shop.paid()
    shop.refund(page, 90_000)

    told = last_told(shop, 2)

    assert (told["transaction"]["type"], told["transaction"]["status"]) == ("REFUND", "VOIDED")
    assert told["card_payment"]["response_message"] == "Transaction Has Been Successfully Void"
    assert told["refund"] == {"amount": 90_000, "type": "VOID", "status": "SUCCESS"}
    assert told["order"]["amount"] == 90_000
    assert "authorize_id" not in told


def test_refunds_are_told_one_by_one(shop: CardMerchant):
    """D-7: SUCCESS with a refund block after a part, REFUNDED when everything is back."""
    page = shop.paid()
    to_midnight(shop.gateway)
    shop.refund(page, 30_000)
    shop.refund(page, 60_000)

    _, part, rest = map(body_of, shop.told(3))

    for told, amount, status in ((part, 30_000, "SUCCESS"), (rest, 60_000, "REFUNDED")):
        assert (told["transaction"]["type"], told["transaction"]["status"]) == ("REFUND", status)
        assert told["refund"] == {"amount": amount, "type": "PARTIAL_REFUND", "status": "SUCCESS"}
        assert told["card_payment"]["response_message"] == "Transaction Has Been Successfully Refund"
        assert told["order"]["amount"] == 90_000


def test_a_full_refund_is_told(shop: CardMerchant):
    page = shop.paid()
    to_midnight(shop.gateway)
    shop.refund(page, 90_000)

    told = last_told(shop, 2)

    assert told["transaction"]["status"] == "REFUNDED"
    assert told["refund"] == {"amount": 90_000, "type": "FULL_REFUND", "status": "SUCCESS"}


def test_an_authorisation_that_ran_out_is_told_as_failed(shop: CardMerchant):
    _, authorize_id = shop.authorised()
    shop.gateway.control("POST", "/clock", {"advance_s": 7 * 86_400})

    told = last_told(shop, 2)

    assert (told["transaction"]["type"], told["transaction"]["status"]) == ("AUTHORIZE", "FAILED")
    assert told["card_payment"]["response_message"] == "AUTHORIZATION RELEASED"
    assert told["card_payment"]["authorize_id"] == authorize_id


def test_a_page_that_ran_out_is_told_to_nobody_who_did_not_ask(shop: CardMerchant):
    """Nonsnap-common §5.1."""
    page = shop.page()

    shop.gateway.control("POST", "/clock", {"advance_s": 3_601})

    assert shop.state(page) == "EXPIRED"
    shop.told(0)


def test_what_a_receiver_turned_down_is_told_again_word_for_word(sandbox: RunningGateway):
    """Nonsnap-common §5.1: half an hour later, same Request-Id, same body, a new signature."""
    by_day(sandbox)
    with a_card_merchants_listener() as receiver:
        shop = CardMerchant(sandbox, receiver)
        receiver.script([Answer(404)])
        shop.paid()
        shop.told(1)

        sandbox.control("POST", "/clock", {"advance_s": 1_801})

        first, again = shop.told(2)
    assert (first.answered, again.answered) == (404, 200)
    assert (first.body, first.header("Request-Id")) == (again.body, again.header("Request-Id"))


# -- check status


def test_check_status_of_a_sale_has_every_documented_field(shop: CardMerchant):
    """Cards §16: amounts in transaction are text; `three_dsecure_status` and `card_masked` are spelled otherwise here."""
    page = shop.paid(APPROVED_MASTER, card={"save": True})

    told = shop.status(page.invoice)

    take_out_identifier(told["card_payment"], "BANK_MANDIRI")
    take_out(told["card_payment"], "approval_code", r"\d{6}")
    take_out(told["card_payment"], "authentication_id", r"[0-9a-f]{64}")
    take_out(told["card_payment"], "token_id", r"[0-9a-f]{32}")
    take_out(told["card_payment"], "date", ISO)
    take_out(told["transaction"], "date", ISO)
    assert told == {
        "order": {"invoice_number": page.invoice, "amount": 90_000, "status": "ORDER_GENERATED"},
        "transaction": {"status": "SUCCESS", "type": "SALE", "original_request_id": page.request_id, "amount": "90000"},
        "service": {"id": "CREDIT_CARD"},
        "acquirer": {"id": "BANK_MANDIRI", "name": "BANK_MANDIRI"},
        "channel": {"id": "CREDIT_CARD"},
        "card_payment": {
            "card_masked": "512091******0012",
            "response_code": "00",
            "response_message": "PAYMENT APPROVED",
            "type": "SALE",
            "acquiring_off_us_status": "FALSE",
            "request_id": page.request_id,
            "card_type": "CREDIT",
            "three_dsecure_status": "TRUE",
            "issuer": "DOKU SIMULATOR BANK",
            "transaction_status": "SUCCESS",
            "brand": "MASTER",
        },
        "verification": {"status": "APPROVE", "reason": "Decision No Rules Triggered"},
    }


def test_check_status_of_a_page_nobody_used_is_pending_without_a_card(shop: CardMerchant):
    page = shop.page()

    told = shop.status(page.invoice)

    assert (told["transaction"]["status"], told["transaction"]["type"]) == ("PENDING", "SALE")
    assert "card_payment" not in told
    assert "amount" not in told["transaction"]


def test_while_the_buyer_is_at_the_bank_the_card_is_in_redirect(shop: CardMerchant):
    """Cards §16: `card_type` then holds the brand, as DOKU has it."""
    page = shop.page()
    opener = shop.submit(page, CHALLENGED, form="b")

    at_the_bank = shop.status(page.invoice)
    answer_bank(shop.gateway, opener, session="b")
    back = shop.status(page.invoice)

    assert at_the_bank["transaction"]["status"] == "PENDING"
    assert at_the_bank["card_payment"]["transaction_status"] == "REDIRECT"
    assert at_the_bank["card_payment"]["card_type"] == "MASTER"
    assert (back["card_payment"]["transaction_status"], back["card_payment"]["card_type"]) == ("SUCCESS", "CREDIT")
    shop.told(1)


def status_words(shop: CardMerchant, page: CardPage) -> tuple[str, str]:
    told = shop.status(page.invoice)
    assert told["card_payment"]["transaction_status"] == told["transaction"]["status"]
    return told["transaction"]["type"], told["transaction"]["status"]


def test_check_status_follows_the_payment_through_its_life(shop: CardMerchant):
    """D-7: PENDING while authorised, SUCCESS captured and partly refunded, REFUNDED at the end."""
    page, authorize_id = shop.authorised()
    authorised = status_words(shop, page)
    shop.capture(authorize_id)
    captured = status_words(shop, page)
    to_midnight(shop.gateway)
    shop.refund(page, 10_000)
    part = status_words(shop, page), shop.status(page.invoice)["refund"]
    shop.refund(page, 80_000)
    rest = status_words(shop, page), shop.status(page.invoice)["refund"]

    assert authorised == ("AUTHORIZE", "PENDING")
    assert captured == ("CAPTURE", "SUCCESS")
    assert part == (("REFUND", "SUCCESS"), {"amount": "10000"})
    assert rest == (("REFUND", "REFUNDED"), {"amount": "80000"})


def test_check_status_of_voided_failed_and_silent_payments(shop: CardMerchant):
    voided, failed, silent = shop.paid(), shop.page(), shop.page()
    shop.refund(voided, 90_000)
    shop.choose(failed, response_code="51")
    shop.submit(failed, APPROVED)
    shop.choose(silent, three_ds="frictionless")
    shop.submit(silent, SILENT)

    assert status_words(shop, voided) == ("REFUND", "VOIDED")
    assert status_words(shop, failed) == ("SALE", "FAILED")
    assert status_words(shop, silent) == ("SALE", "PENDING")
    shop.told(4)
    assert status_words(shop, silent) == ("SALE", "FAILED")
    assert (shop.taken(silent), shop.reserved(silent)) == (0, 0)


def test_an_order_is_found_by_its_invoice_its_request_id_and_its_refunds_request_id(shop: CardMerchant):
    """Cards §16."""
    page = shop.paid()
    refund_id = str(uuid.uuid4())
    shop.refund(page, 90_000, request_id=refund_id)

    found = [shop.status(one) for one in (page.invoice, page.request_id, refund_id)]

    assert found[0] == found[1] == found[2]
    assert found[0]["refund"] == {"amount": "90000"}


def test_check_status_of_an_off_us_installment_says_so(shop: CardMerchant):
    """Cards §17."""
    page = shop.page(amount=600_000, payment={"type": "INSTALLMENT", "acquirer": "HSBC", "tenor": 6})
    shop.choose(page, three_ds="frictionless")
    shop.submit(page, HSBC_CARD, plan="HSBC-6")

    card_payment = shop.status(page.invoice)["card_payment"]

    assert (card_payment["acquiring_off_us_status"], card_payment["type"]) == ("TRUE", "INSTALLMENT")
