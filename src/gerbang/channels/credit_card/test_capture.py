"""Authorise and capture over HTTP (cards §5, §8, §22; S2-64 … S2-89)."""

import re
import uuid
from collections.abc import Iterator

import pytest

from support.card_calls import (
    APPROVED_MASTER,
    CAPTURE,
    CHALLENGED,
    CardMerchant,
    a_card_merchants_listener,
    answer_bank,
    body_of,
    by_day,
    cards_served,
    to_midnight,
    to_noon,
    together,
)
from support.gateway import Answer, RunningGateway, assert_clean
from support.listener import Listener
from support.nonsnap import BODY, assert_error, assert_genuine
from support.notifying import eventually

DAY_S = 86_400


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningGateway]:
    with cards_served() as gateway:
        yield gateway


@pytest.fixture(scope="module")
def impatient() -> Iterator[RunningGateway]:
    """Asks again after a moment when the acquirer is silent."""
    with cards_served(card_answer_timeout_s=0.3, poll_interval_s=0.05) as gateway:
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


def test_money_authorised_captured_in_part_and_given_back_in_two_parts_is_never_more_than_was_captured(shop: CardMerchant):
    """S2-64, S2-69, S2-73, S2-97, S2-107, D-7."""
    page, authorize_id = shop.authorised(amount=90_000)

    assert shop.state(page) == "AUTHORISED"
    assert (shop.balance("authorised"), shop.balance()) == (90_000, 0)
    assert (shop.reserved(page), shop.taken(page)) == (90_000, 0)

    captured = shop.capture(authorize_id, 50_000)

    assert captured.json["order"] == {"invoice_number": page.invoice, "amount": 50_000}
    assert captured.json["payment"]["status"] == "SUCCESS"
    assert (shop.balance("authorised"), shop.balance()) == (0, 50_000)
    assert (shop.reserved(page), shop.taken(page)) == (0, 50_000), "what was not captured is let go"

    to_midnight(shop.gateway)
    part = shop.refund(page, 20_000)
    too_much = shop.refund(page, 30_001)
    rest = shop.refund(page, 30_000)
    nothing_left = shop.refund(page, 1)

    assert part.json["refund"]["type"] == "PARTIAL_REFUND"
    assert_refused(too_much, "Refund Amount Exceeds Transaction Amount")
    assert (rest.json["refund"]["type"], rest.json["refund"]["status"]) == ("PARTIAL_REFUND", "SUCCESS")
    assert_refused(nothing_left, "Refund Amount Exceeds Transaction Amount")
    assert shop.state(page) == "REFUNDED"
    assert (shop.balance(), shop.balance("refunding"), shop.taken(page)) == (0, 0, 0)
    words = [(one["transaction"]["type"], one["transaction"]["status"]) for one in map(body_of, shop.told(4))]
    assert words == [("AUTHORIZE", "PENDING"), ("CAPTURE", "SUCCESS"), ("REFUND", "SUCCESS"), ("REFUND", "REFUNDED")]


def test_the_answer_to_a_capture_has_every_documented_field(shop: CardMerchant):
    """S2-70 … S2-88, D-2, D-16: payment.type is AUTHORIZE, not CAPTURE."""
    page, authorize_id = shop.authorised(APPROVED_MASTER)
    request_id = str(uuid.uuid4())

    answer = shop.capture(authorize_id, 50_000, request_id=request_id)

    assert answer.status == 200
    assert_genuine(answer, "POST", CAPTURE, secret_key="SK-cardTests0123456789", client_id=shop.client_id)
    assert answer.headers["request-id"] == request_id
    told = answer.json
    assert re.fullmatch(r"\d{6}", told["payment"].pop("approval_code"))
    assert re.fullmatch(r"[0-9a-f]{64}", told["three_dsecure"].pop("authentication_id"))
    identifier = told["payment"].pop("identifier")
    assert [one["name"] for one in identifier] == ["MID", "Acquirer", "TID"]
    assert identifier[1]["value"] == "BANK_MANDIRI"
    assert told == {
        "order": {"invoice_number": page.invoice, "amount": 50_000},
        "customer": {"id": "CUST-1"},
        "payment": {
            "type": "AUTHORIZE",
            "request_id": request_id,
            "authorize_id": authorize_id,
            "response_code": "00",
            "response_message": "PAYMENT APPROVED",
            "status": "SUCCESS",
            "eci": "02",
        },
        "three_dsecure": {},
        "card": {"masked": "512091******0012", "type": "CREDIT", "issuer": "DOKU SIMULATOR BANK", "brand": "MASTER"},
    }


@pytest.mark.parametrize("amount", [None, "", "90000", 90_000, "90000.00"], ids=repr)
def test_the_whole_amount_is_captured_when_no_amount_is_given(shop: CardMerchant, amount: object):
    """S2-69: absent, null and empty mean everything; clients send text as well as numbers."""
    page, authorize_id = shop.authorised()

    answer = shop.call(CAPTURE, {"payment": {"authorize_id": authorize_id, "capture_amount": amount}})

    assert answer.json["order"]["amount"] == 90_000
    assert shop.taken(page) == 90_000


@pytest.mark.parametrize("amount", [0, -1, "abc", 1.5, "0", True, [1], 10**13], ids=repr)
def test_an_amount_that_is_none_is_refused_and_nothing_is_captured(shop: CardMerchant, amount: object):
    page, authorize_id = shop.authorised()

    answer = shop.capture(authorize_id, amount)

    assert_refused(answer, "payment.capture_amount Invalid Format")
    assert (shop.taken(page), shop.reserved(page)) == (0, 90_000)


def test_more_than_was_authorised_is_refused(shop: CardMerchant):
    _, authorize_id = shop.authorised()

    answer = shop.capture(authorize_id, 90_001)

    assert_refused(answer, "Capture Amount Exceeds Authorized Amount")


def test_after_a_promo_no_more_than_was_charged_can_be_captured(shop: CardMerchant):
    """Cards §6: capture has the charged amount as its limit."""
    page, authorize_id = shop.authorised(override_configuration={"promo": [{"bin": "411111", "discount_amount": 10_000}]})

    too_much, all_of_it = shop.capture(authorize_id, 80_001), shop.capture(authorize_id)

    assert_refused(too_much, "Capture Amount Exceeds Authorized Amount")
    assert all_of_it.json["order"]["amount"] == 80_000
    assert shop.taken(page) == 80_000


@pytest.mark.parametrize(
    "body", [{"payment": {}}, {"payment": {"authorize_id": ""}}, {"payment": {"authorize_id": None}}], ids=repr
)
def test_a_capture_without_an_authorize_id_is_refused(shop: CardMerchant, body: object):
    """S2-68."""
    assert_refused(shop.call(CAPTURE, body), "payment.authorize_id Must Not Be Blank")


def test_an_authorize_id_that_is_unknown_or_another_merchants_is_not_found(shop: CardMerchant):
    other = CardMerchant(shop.gateway)
    _, theirs = other.authorised()

    assert_refused(shop.capture("12312391719112"), "Authorize Id Not Found")
    assert_refused(shop.capture(theirs), "Authorize Id Not Found")


def test_an_authorisation_is_captured_once(shop: CardMerchant):
    page, authorize_id = shop.authorised()
    shop.capture(authorize_id, 10_000)

    again = shop.capture(authorize_id, 10_000)

    assert_refused(again, "Authorization Already Captured")
    assert shop.taken(page) == 10_000


def test_a_repeat_of_the_capture_answers_what_the_first_did_and_takes_nothing(shop: CardMerchant):
    """D-3."""
    page, authorize_id = shop.authorised()
    first = shop.capture(authorize_id, 40_000, request_id="capture-1")

    again = shop.capture(authorize_id, 40_000, request_id="capture-1")

    assert (again.status, again.body) == (409, first.body)
    assert shop.taken(page) == 40_000
    shop.told(2)


def test_a_voided_authorisation_cannot_be_captured(shop: CardMerchant):
    page, authorize_id = shop.authorised()
    voided = shop.refund(page, 90_000)

    answer = shop.capture(authorize_id)

    assert voided.json["refund"]["type"] == "VOID"
    assert_refused(answer, "Authorization Already Voided")
    assert (shop.reserved(page), shop.taken(page), shop.balance("authorised")) == (0, 0, 0)


def test_an_authorisation_nobody_captures_for_seven_days_is_released(shop: CardMerchant):
    """S2-64: the merchant is told, the hold is gone, and a capture comes too late."""
    page, authorize_id = shop.authorised()

    shop.gateway.control("POST", "/clock", {"advance_s": 7 * DAY_S})

    assert shop.state(page) == "RELEASED"
    assert shop.balance("authorised") == 0
    assert_refused(shop.capture(authorize_id), "Authorization Expired")
    assert_refused(shop.refund(page, 90_000), "Transaction Not Paid")
    released = body_of(shop.told(2)[1])
    assert released["transaction"]["type"] == "AUTHORIZE"
    assert released["transaction"]["status"] == "FAILED"
    assert released["card_payment"]["response_message"] == "AUTHORIZATION RELEASED"
    assert released["authorize_id"] == authorize_id
    assert shop.status(page.invoice)["transaction"]["status"] == "FAILED"


def test_an_authorisation_can_be_captured_until_the_seventh_day_is_over(shop: CardMerchant):
    page, authorize_id = shop.authorised()
    shop.gateway.control("POST", "/clock", {"advance_s": 7 * DAY_S - 60})

    answer = shop.capture(authorize_id)

    assert answer.json["payment"]["status"] == "SUCCESS"
    assert shop.taken(page) == 90_000


def test_a_capture_that_the_acquirer_declines_is_an_answer_and_can_be_tried_again(shop: CardMerchant):
    """S2-81: HTTP 200 with FAILED; the authorisation stays as it was, and nobody is told."""
    page, authorize_id = shop.authorised()
    shop.choose(page, follow_up_code="05")

    declined = shop.capture(authorize_id)

    assert declined.status == 200
    assert declined.json["payment"]["status"] == "FAILED"
    assert declined.json["payment"]["response_code"] == "05"
    assert "approval_code" not in declined.json["payment"]
    assert (shop.state(page), shop.taken(page)) == ("AUTHORISED", 0)
    shop.told(1)

    shop.choose(page)
    again = shop.capture(authorize_id)

    assert again.json["payment"]["status"] == "SUCCESS"
    assert shop.taken(page) == 90_000
    shop.told(2)


@pytest.mark.parametrize(
    "payment",
    [{"type": "AUTHORIZE", "auto_capture": True}, {"type": "AUTHORIZE", "auto_capture": "true"}, {"type": "AUTHORIZE_CAPTURE"}],
    ids=str,
)
def test_auto_capture_takes_the_money_at_once_and_tells_it_once(shop: CardMerchant, payment: dict[str, object]):
    """S2-42, cards §12.3: AUTHORIZE, SUCCESS, with the authorize_id; no separate CAPTURE."""
    page = shop.paid(payment=payment)
    [told] = shop.told(1)

    answer = shop.capture(body_of(told)["authorize_id"])

    assert shop.taken(page) == 90_000
    assert (body_of(told)["transaction"]["type"], body_of(told)["transaction"]["status"]) == ("AUTHORIZE", "SUCCESS")
    assert_refused(answer, "Authorization Already Captured")


def test_a_challenged_authorisation_can_be_captured(shop: CardMerchant):
    page = shop.page(payment={"type": "AUTHORIZATION"})
    answer_bank(shop.gateway, shop.submit(page, CHALLENGED, form="a-browser"), session="a-browser")

    answer = shop.capture(shop.status(page.invoice)["card_payment"]["authorize_id"])

    assert answer.json["payment"]["eci"] == "02"
    assert answer.json["card"]["issuer"] == "PT BANK MANDIRI (PERSERO) Tbk"


def test_the_fee_is_taken_from_what_was_captured_and_given_back_with_it(sandbox: RunningGateway):
    """Basis points, once per payment; a refund gives back its share, rounded down, and the last one all that is left."""
    by_day(sandbox)
    shop = CardMerchant(sandbox, rates_bp={"AUTHORIZE": 290})
    before = shop.fees()
    page, authorize_id = shop.authorised(amount=90_000)
    assert shop.balance() == 0, "an authorisation costs nothing"

    shop.capture(authorize_id, 50_017)

    fee = 1_450  # 290 bp of 50017 is 1450.493
    assert shop.balance() == 50_017 - fee
    assert shop.fees() - before == fee

    to_midnight(sandbox)
    shop.refund(page, 10_000)

    assert shop.fees() - before == fee - fee * 10_000 // 50_017
    assert shop.balance() == 50_017 - fee - 10_000 + fee * 10_000 // 50_017

    shop.refund(page, 40_017)

    assert shop.fees() == before
    assert shop.balance() == 0


def test_a_capture_whose_answer_is_lost_is_pending_until_the_sweeper_has_found_out(impatient: RunningGateway, receiver: Listener):
    """S2-81: the acquirer did it, and its answer did not arrive."""
    by_day(impatient)
    shop = CardMerchant(impatient, receiver)
    page, authorize_id = shop.authorised()
    shop.choose(page, follow_up_code="TO")

    answer = shop.capture(authorize_id, 60_000, request_id="silent-capture")

    assert answer.status == 200
    assert (answer.json["payment"]["status"], answer.json["payment"]["response_code"]) == ("PENDING", "TO")
    eventually(lambda: shop.state(page) == "SUCCESS", timeout_s=5)
    assert (shop.taken(page), shop.balance()) == (60_000, 60_000)
    captured = body_of(shop.told(2)[1])
    assert (captured["transaction"]["type"], captured["order"]["amount"]) == ("CAPTURE", 60_000)


def test_while_a_capture_is_in_doubt_nothing_else_is_done_with_the_money(sandbox: RunningGateway):
    """Here the sweeper asks only after 35 seconds."""
    by_day(sandbox)
    shop = CardMerchant(sandbox)
    page, authorize_id = shop.authorised()
    shop.choose(page, follow_up_code="TO")
    shop.capture(authorize_id, 60_000)

    another, void = shop.capture(authorize_id, 60_000), shop.refund(page, 90_000)

    assert_refused(another, "Payment Is Being Processed", status=409)
    assert_refused(void, "Payment Is Being Processed", status=409)
    assert shop.state(page) == "AUTHORISED"


def test_a_capture_in_doubt_is_not_released_when_its_seven_days_are_over(sandbox: RunningGateway):
    by_day(sandbox)
    shop = CardMerchant(sandbox)
    page, authorize_id = shop.authorised()
    shop.choose(page, follow_up_code="TO")
    shop.capture(authorize_id)

    sandbox.control("POST", "/clock", {"advance_s": 8 * DAY_S})

    assert shop.state(page) == "AUTHORISED"


# -- races, on both engines


def test_of_two_captures_at_once_one_takes_the_money(gateway: RunningGateway):
    shop = CardMerchant(gateway)
    for _ in range(8):
        page, authorize_id = shop.authorised()
        before = shop.balance()

        answers = together(*[lambda: shop.capture(authorize_id, 50_000)] * 4)  # noqa: B023

        assert [answer.status for answer in answers].count(200) == 1
        told = {answer.json["error"]["message"] for answer in answers if answer.status != 200}
        assert told <= {"Payment Is Being Processed", "Authorization Already Captured"}
        assert (shop.taken(page), shop.balance() - before) == (50_000, 50_000)
        asked = gateway.database.read_now(
            lambda tx: tx.all("select id from card_question where payment_id = :id and kind = 'CAPTURE'", {"id": page.payment_id})  # noqa: B023
        )
        assert len(asked) == 1, "the others never reached the acquirer"


def test_the_same_capture_sent_twice_at_once_is_one_capture(gateway: RunningGateway):
    shop = CardMerchant(gateway)
    page, authorize_id = shop.authorised()

    answers = together(*[lambda: shop.capture(authorize_id, 50_000, request_id="twice")] * 4)

    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    assert len({answer.body for answer in answers}) == 1
    assert (shop.taken(page), shop.balance()) == (50_000, 50_000)


def test_capture_and_void_at_once_end_in_one_of_the_two(gateway: RunningGateway):
    """A void that comes after the capture voids the captured sale only when it names what was captured."""
    shop = CardMerchant(gateway)
    to_noon(gateway)
    for _ in range(8):
        page, authorize_id = shop.authorised()
        before = shop.balance()

        capture, void = together(lambda: shop.capture(authorize_id, 50_000), lambda: shop.refund(page, 90_000))  # noqa: B023

        if shop.state(page) == "VOIDED":
            assert_refused(capture, capture.json["error"]["message"], status=capture.status)
            assert capture.json["error"]["message"] in ("Payment Is Being Processed", "Authorization Already Voided")
            assert void.json["refund"]["status"] == "SUCCESS"
            assert (shop.taken(page), shop.balance() - before) == (0, 0)
        else:
            assert shop.state(page) == "SUCCESS"
            assert capture.json["payment"]["status"] == "SUCCESS"
            assert void.status != 200 or void.json["refund"]["status"] == "FAILED"
            assert (shop.taken(page), shop.balance() - before) == (50_000, 50_000)
        assert (shop.balance("authorised"), shop.balance("refunding"), shop.reserved(page)) == (0, 0, 0)


def test_a_release_and_a_capture_at_once_end_in_one_of_the_two(gateway: RunningGateway):
    shop = CardMerchant(gateway)
    page, authorize_id = shop.authorised()
    gateway.control("POST", "/clock", {"advance_s": 7 * DAY_S - 1})

    capture, _ = together(lambda: shop.capture(authorize_id), lambda: gateway.control("POST", "/clock", {"advance_s": 2}))

    expected = "SUCCESS" if capture.status == 200 else "RELEASED"
    eventually(lambda: shop.state(page) == expected, timeout_s=5)
    assert shop.taken(page) == shop.balance() == (90_000 if capture.status == 200 else 0)
    assert_clean(gateway.database)
