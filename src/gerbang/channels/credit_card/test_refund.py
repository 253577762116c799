"""Void and refund over HTTP (cards §9, §12.3; S2-90 … S2-110)."""

import re
import uuid
from collections.abc import Iterator

import pytest

from gerbang.channels.credit_card.followups import give_back
from gerbang.errors import Refused
from gerbang.payments import fail_refund, refunds_of
from gerbang.storage import Tx
from support.card_calls import (
    DECLINED_05,
    KEY,
    REFUND,
    CardMerchant,
    CardPage,
    a_card_merchants_listener,
    body_of,
    by_day,
    cards_served,
    refund_body,
    to_midnight,
    to_noon,
    together,
)
from support.gateway import Answer, RunningGateway
from support.listener import Listener
from support.nonsnap import BODY, assert_error, assert_genuine
from support.notifying import eventually


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


def settled(shop: CardMerchant, amount: int = 90_000) -> CardPage:
    """A sale of yesterday."""
    page = shop.paid(amount=amount)
    to_midnight(shop.gateway)
    return page


def assert_refused(answer: Answer, message: str, status: int = 400) -> None:
    assert_error(answer, status, "INVALID_PARAMETER", message, BODY)


def assert_all_is_back(shop: CardMerchant, page: CardPage, state: str) -> None:
    assert shop.state(page) == state
    assert (shop.balance(), shop.balance("refunding"), shop.balance("authorised")) == (0, 0, 0)
    assert (shop.taken(page), shop.reserved(page)) == (0, 0)


def test_a_sale_that_is_not_settled_is_voided(shop: CardMerchant):
    """S2-98 … S2-106: the whole answer, its headers, and that everything is as if it had never been paid."""
    page = shop.paid()
    request_id = str(uuid.uuid4())

    answer = shop.refund(page, 90_000, request_id=request_id)

    assert answer.status == 200
    assert_genuine(answer, "POST", REFUND, secret_key=KEY, client_id=shop.client_id)
    assert answer.headers["request-id"] == request_id
    told = answer.json
    assert re.fullmatch(r"\d{6}", told["refund"].pop("approval_code"))
    assert told == {
        "order": {"invoice_number": page.invoice},
        "payment": {"original_request_id": page.request_id},
        "refund": {"amount": 90_000, "type": "VOID", "status": "SUCCESS", "message": "Approved"},
    }
    assert_all_is_back(shop, page, "VOIDED")


def test_an_authorisation_is_voided_and_its_hold_let_go(shop: CardMerchant):
    page, _ = shop.authorised()

    answer = shop.refund(page, 90_000)

    assert (answer.json["refund"]["type"], answer.json["refund"]["status"]) == ("VOID", "SUCCESS")
    assert_all_is_back(shop, page, "VOIDED")


@pytest.mark.parametrize("authorised", [False, True], ids=["sale", "authorisation"])
def test_a_void_of_a_part_is_an_answer_that_says_failed(shop: CardMerchant, authorised: bool):
    """S2-106: HTTP 200, FAILED, and nothing has changed; the whole amount still works."""
    page = shop.authorised()[0] if authorised else shop.paid()

    part = shop.refund(page, 89_999)

    assert part.status == 200
    assert part.json["refund"] == {
        "amount": 89_999,
        "type": "VOID",
        "status": "FAILED",
        "message": "Void amount must equal the transaction amount",
    }
    assert shop.state(page) == ("AUTHORISED" if authorised else "SUCCESS")
    shop.told(1)
    assert shop.refund(page, 90_000).json["refund"]["status"] == "SUCCESS"
    assert_all_is_back(shop, page, "VOIDED")


def test_a_settled_payment_is_refunded_whole(shop: CardMerchant):
    """S2-105, S2-108."""
    page = settled(shop)

    answer = shop.refund(page, 90_000)

    assert (answer.json["refund"]["type"], answer.json["refund"]["status"]) == ("FULL_REFUND", "SUCCESS")
    assert_all_is_back(shop, page, "REFUNDED")
    assert shop.status(page.invoice)["transaction"]["status"] == "REFUNDED"


def test_a_settled_payment_is_refunded_in_parts_until_nothing_is_left(shop: CardMerchant):
    """S2-107; the rest after a part is a PARTIAL_REFUND too: the order's amount is what counts."""
    page = settled(shop)

    parts = [shop.refund(page, amount) for amount in (1, 60_000, 29_999)]

    assert {one.json["refund"]["type"] for one in parts} == {"PARTIAL_REFUND"}
    assert len({one.json["refund"]["approval_code"] for one in parts}) == 3
    assert_refused(shop.refund(page, 1), "Refund Amount Exceeds Transaction Amount")
    assert_all_is_back(shop, page, "REFUNDED")
    words = [body_of(one)["transaction"]["status"] for one in shop.told(4)]
    assert words == ["SUCCESS", "SUCCESS", "SUCCESS", "REFUNDED"]


def test_a_payment_counts_as_settled_from_midnight_in_jakarta(shop: CardMerchant):
    """Cards §9: 23.59.58 voids, 00.00.01 refunds."""
    early, late = shop.paid(), shop.paid()
    midnight = to_midnight(shop.gateway)
    shop.gateway.control("POST", "/clock", {"advance_s": -3})

    void = shop.refund(early, 90_000)
    shop.gateway.control("POST", "/clock", {"set": midnight.isoformat()})
    refund = shop.refund(late, 90_000)

    assert (void.json["refund"]["type"], refund.json["refund"]["type"]) == ("VOID", "FULL_REFUND")


def test_after_a_promo_the_charged_amount_is_the_whole(shop: CardMerchant):
    """Cards §9: refund.amount compares with the charged amount."""
    page = shop.paid(override_configuration={"promo": [{"bin": "411111", "discount_amount": 10_000}]})

    too_much, whole = shop.refund(page, 90_000), shop.refund(page, 80_000)

    assert_refused(too_much, "Refund Amount Exceeds Transaction Amount")
    assert (whole.json["refund"]["type"], whole.json["refund"]["status"]) == ("VOID", "SUCCESS")
    assert_all_is_back(shop, page, "VOIDED")


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        ("order", {}, "order.invoice_number Must Not Be Blank"),
        ("order", {"invoice_number": ""}, "order.invoice_number Must Not Be Blank"),
        ("payment", {}, "payment.original_request_id Must Not Be Blank"),
        ("payment", {"original_request_id": ""}, "payment.original_request_id Must Not Be Blank"),
        ("refund", {}, "refund.amount Must Not Be Blank"),
        ("refund", {"amount": 0}, "refund.amount Invalid Format"),
        ("refund", {"amount": -1}, "refund.amount Invalid Format"),
        ("refund", {"amount": 1.5}, "refund.amount Invalid Format"),
        ("refund", {"amount": "x"}, "refund.amount Invalid Format"),
        ("refund", {"amount": 90_001}, "Refund Amount Exceeds Transaction Amount"),
        ("order", {"invoice_number": "INV-UNKNOWN"}, "Transaction Not Found"),
        ("payment", {"original_request_id": "unknown"}, "Transaction Not Found"),
    ],
    ids=str,
)
def test_each_mistake_has_its_message_and_moves_nothing(shop: CardMerchant, at: str, value: object, message: str):
    """S2-95, S2-96, S2-97."""
    page = shop.paid()

    answer = shop.call(REFUND, refund_body(page, 90_000) | {at: value})

    assert_refused(answer, message)
    assert (shop.state(page), shop.taken(page)) == ("SUCCESS", 90_000)


def test_an_amount_may_come_as_text(shop: CardMerchant):
    page = shop.paid()

    assert shop.refund(page, "90000").json["refund"]["amount"] == 90_000


def test_another_merchants_payment_is_not_found(shop: CardMerchant):
    theirs = CardMerchant(shop.gateway).paid()

    assert_refused(shop.refund(theirs, 90_000), "Transaction Not Found")


def test_what_was_never_paid_cannot_be_refunded(shop: CardMerchant):
    waiting, declined = shop.page(), shop.page()
    shop.choose(declined, three_ds="frictionless")
    shop.submit(declined, DECLINED_05)

    assert_refused(shop.refund(waiting, 90_000), "Transaction Not Paid")
    assert_refused(shop.refund(declined, 90_000), "Transaction Not Paid")


def test_a_payment_that_is_void_cannot_be_voided_again(shop: CardMerchant):
    page = shop.paid()
    shop.refund(page, 90_000)

    assert_refused(shop.refund(page, 90_000), "Refund Amount Exceeds Transaction Amount")
    shop.told(2)


def test_a_repeat_answers_what_the_first_did_and_gives_nothing_back_twice(shop: CardMerchant):
    """D-3."""
    page = settled(shop)
    first = shop.refund(page, 30_000, request_id="refund-1")

    again = shop.refund(page, 30_000, request_id="refund-1")

    assert (again.status, again.body) == (409, first.body)
    assert (shop.balance(), shop.taken(page)) == (60_000, 60_000)


def test_any_page_of_the_order_names_the_payment(shop: CardMerchant):
    """D-9: the buyer paid on the second page; the merchant may know the first one's Request-Id."""
    first = shop.page()
    second = shop.page(invoice=first.invoice)
    shop.submit(second)

    answer = shop.refund(first, 90_000)

    assert answer.json["payment"]["original_request_id"] == first.request_id
    assert answer.json["refund"]["status"] == "SUCCESS"
    assert_all_is_back(shop, second, "VOIDED")


def test_a_refund_that_the_acquirer_declines_is_failed_and_the_money_stays(shop: CardMerchant):
    page = settled(shop)
    shop.choose(page, follow_up_code="05")

    answer = shop.refund(page, 30_000)

    assert answer.status == 200
    assert answer.json["refund"]["status"] == "FAILED"
    assert answer.json["refund"]["message"] == "DO NOT HONOUR"
    assert "approval_code" not in answer.json["refund"]
    assert (shop.state(page), shop.balance(), shop.taken(page)) == ("SUCCESS", 90_000, 90_000)
    shop.told(1)


@pytest.mark.parametrize(
    ("amount", "kind"), [(90_000, "MANUAL_FULL_REFUND"), (10_000, "MANUAL_PARTIAL_REFUND")], ids=["whole", "part"]
)
def test_a_direct_merchant_whose_mid_knows_no_refund_online_waits_for_people(
    sandbox: RunningGateway, receiver: Listener, amount: int, kind: str
):
    """S2-92, S2-109, S2-110: accepted, without an approval code; the money is set aside and nobody is told yet."""
    by_day(sandbox)
    shop = CardMerchant(sandbox, receiver, service="direct", online_refund=False)
    page = settled(shop)

    answer = shop.refund(page, amount)

    assert answer.json["refund"] == {
        "amount": amount,
        "type": kind,
        "status": "SUCCESS",
        "message": "Refund Is Being Processed",
    }
    assert (shop.state(page), shop.taken(page)) == ("SUCCESS", 90_000)
    assert (shop.balance(), shop.balance("refunding")) == (90_000 - amount, amount)
    shop.told(1)


def test_a_manual_refund_is_told_when_somebody_has_done_it(sandbox: RunningGateway, receiver: Listener):
    """Cards §9: completing it sends the REFUND notification, without an approval code."""
    by_day(sandbox)
    shop = CardMerchant(sandbox, receiver, service="direct", online_refund=False)
    page = settled(shop)
    shop.refund(page, 30_000)
    books = sandbox.gateway.rooms["CREDIT_CARD"].books

    def complete(tx: Tx) -> None:
        [waiting] = refunds_of(tx, page.payment_id)
        give_back(tx, books, waiting, approval_code=None, message=None, now=sandbox.gateway.clock.now())

    sandbox.database.transact_now(complete)
    with pytest.raises(Refused):
        sandbox.database.transact_now(complete)

    assert shop.state(page) == "PARTIALLY_REFUNDED"
    assert (shop.balance(), shop.balance("refunding")) == (60_000, 0)
    sandbox.control("POST", "/clock", {"advance_s": 1})
    told = body_of(shop.told(2)[1])
    assert (told["transaction"]["type"], told["transaction"]["status"]) == ("REFUND", "SUCCESS")
    assert told["refund"] == {"amount": 30_000, "type": "MANUAL_PARTIAL_REFUND", "status": "SUCCESS"}


def test_a_manual_refund_that_could_not_be_done_frees_the_money(sandbox: RunningGateway):
    by_day(sandbox)
    shop = CardMerchant(sandbox, service="direct", online_refund=False, rates_bp={"SALE": 290})
    page = settled(shop)
    before = shop.balance(), shop.fees()
    shop.refund(page, 90_000)

    def fail(tx: Tx) -> None:
        [waiting] = refunds_of(tx, page.payment_id)
        fail_refund(tx, waiting, message="The account is closed", now=sandbox.gateway.clock.now())

    sandbox.database.transact_now(fail)

    assert shop.state(page) == "SUCCESS"
    assert (shop.balance(), shop.fees()) == before
    assert shop.refund(page, 90_000).json["refund"]["type"] == "MANUAL_FULL_REFUND"


def test_a_direct_merchant_voids_at_once_and_refunds_at_once_when_its_mid_can(sandbox: RunningGateway):
    """S2-92: it depends on the acquirer."""
    by_day(sandbox)
    without, able = CardMerchant(sandbox, service="direct", online_refund=False), CardMerchant(sandbox, service="direct")

    assert without.refund(without.paid(), 90_000).json["refund"]["type"] == "VOID"
    assert able.refund(settled(able), 90_000).json["refund"]["type"] == "FULL_REFUND"


def test_a_refund_needs_the_merchants_money(shop: CardMerchant):
    """What was paid out cannot be given back; the answer is a refusal of this API, and nothing has moved."""
    page = settled(shop)
    shop.spend(50_000)

    answer = shop.refund(page, 40_001)

    assert_refused(answer, "Insufficient Balance")
    assert (shop.balance(), shop.balance("refunding"), shop.taken(page)) == (40_000, 0, 90_000)
    assert shop.refund(page, 40_000).json["refund"]["status"] == "SUCCESS"


def test_the_fee_comes_back_pro_rata_and_whole_with_the_last_part(sandbox: RunningGateway):
    """Rupiah are rounded down on the way, so that no series of refunds brings back more than the fee."""
    by_day(sandbox)
    shop = CardMerchant(sandbox, rates_bp={"SALE": 287})
    before = shop.fees()
    page = shop.paid(amount=10_007)
    fee = shop.fees() - before
    assert (fee, shop.balance()) == (287, 10_007 - 287)  # 287.2009

    to_midnight(sandbox)
    gone = 0
    for amount in (3_333, 3_333, 3_340, 1):
        shop.refund(page, amount)
        gone += amount
        assert shop.fees() - before == fee - fee * gone // 10_007
        assert shop.balance() == (10_007 - gone) - (shop.fees() - before)

    assert shop.fees() == before
    assert_all_is_back(shop, page, "REFUNDED")


def test_a_void_brings_the_whole_fee_back(sandbox: RunningGateway):
    by_day(sandbox)
    shop = CardMerchant(sandbox, rates_bp={"SALE": 290})
    before = shop.fees()
    page = shop.paid()

    shop.refund(page, 90_000)

    assert shop.fees() == before
    assert_all_is_back(shop, page, "VOIDED")


@pytest.mark.parametrize("kind", ["VOID", "FULL_REFUND"])
def test_a_refund_whose_answer_is_lost_is_accepted_and_ends_by_itself(impatient: RunningGateway, receiver: Listener, kind: str):
    by_day(impatient)
    shop = CardMerchant(impatient, receiver)
    page = shop.paid() if kind == "VOID" else settled(shop)
    shop.choose(page, follow_up_code="TO")

    answer = shop.refund(page, 90_000)

    assert answer.json["refund"] == {
        "amount": 90_000,
        "type": kind,
        "status": "SUCCESS",
        "message": "Refund Is Being Processed",
    }
    eventually(lambda: shop.state(page) in ("VOIDED", "REFUNDED"), timeout_s=5)
    assert_all_is_back(shop, page, "VOIDED" if kind == "VOID" else "REFUNDED")
    told = body_of(shop.told(2)[1])
    assert (told["transaction"]["type"], told["refund"]["type"]) == ("REFUND", kind)


def test_while_a_refund_is_in_doubt_its_money_is_set_aside(sandbox: RunningGateway):
    by_day(sandbox)
    shop = CardMerchant(sandbox)
    page = settled(shop)
    shop.choose(page, follow_up_code="TO")

    first, second = shop.refund(page, 60_000), shop.refund(page, 30_000)
    too_much = shop.refund(page, 1)

    assert first.json["refund"]["message"] == "Refund Is Being Processed"
    assert second.json["refund"]["message"] == "Refund Is Being Processed", "a refund does not wait for another"
    assert_refused(too_much, "Refund Amount Exceeds Transaction Amount")
    assert (shop.balance(), shop.balance("refunding")) == (0, 90_000)


# -- races, on both engines


def test_of_two_full_refunds_at_once_one_gives_the_money_back(gateway: RunningGateway):
    to_noon(gateway)
    shop = CardMerchant(gateway, rates_bp={"SALE": 290})
    for _ in range(3):
        page = settled(shop)

        answers = together(*[lambda: shop.refund(page, 90_000)] * 3)  # noqa: B023

        assert [answer.status for answer in answers].count(200) == 1
        told = {answer.json["error"]["message"] for answer in answers if answer.status != 200}
        assert told <= {"Payment Is Being Processed", "Refund Amount Exceeds Transaction Amount"}
        assert_all_is_back(shop, page, "REFUNDED")


def test_the_same_refund_sent_many_times_at_once_is_one_refund(gateway: RunningGateway):
    to_noon(gateway)
    shop = CardMerchant(gateway)
    page = settled(shop)

    answers = together(*[lambda: shop.refund(page, 30_000, request_id="many")] * 6)

    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409, 409, 409]
    assert len({answer.body for answer in answers}) == 1
    assert (shop.balance(), shop.taken(page)) == (60_000, 60_000)


def test_eight_partial_refunds_at_once_give_back_what_they_answered_and_never_more_than_was_paid(gateway: RunningGateway):
    """Each is 20000 of 90000: four fit. Those that met another one under way may be sent again."""
    to_noon(gateway)
    shop = CardMerchant(gateway, rates_bp={"SALE": 290})
    page = settled(shop)
    before = shop.fees()
    accepted = 0

    for _ in range(6):
        answers = together(*[lambda: shop.refund(page, 20_000)] * 8)
        accepted += [answer.status for answer in answers].count(200)
        told = {answer.json["error"]["message"] for answer in answers if answer.status != 200}
        assert told <= {"Payment Is Being Processed", "Refund Amount Exceeds Transaction Amount"}
        assert shop.taken(page) == 90_000 - 20_000 * accepted

    assert accepted == 4
    assert shop.taken(page) == 10_000
    assert shop.fees() == before - 2_610 * 80_000 // 90_000
    assert (shop.balance(), shop.balance("refunding")) == (10_000 - 2_610 + 2_610 * 80_000 // 90_000, 0)


def test_a_refund_while_the_payment_is_being_captured_is_told_to_wait_or_comes_after_it(gateway: RunningGateway):
    to_noon(gateway)
    shop = CardMerchant(gateway)
    for _ in range(4):
        page, authorize_id = shop.authorised()
        before = shop.balance()

        capture, void = together(lambda: shop.capture(authorize_id), lambda: shop.refund(page, 90_000))  # noqa: B023

        left = 90_000 if shop.state(page) == "SUCCESS" else 0
        assert shop.state(page) in ("SUCCESS", "VOIDED")
        assert 200 in (capture.status, void.status)
        assert (void.status == 200) == (left == 0)
        assert (shop.taken(page), shop.balance() - before) == (left, left)
        assert (shop.balance("authorised"), shop.balance("refunding"), shop.reserved(page)) == (0, 0, 0)
