"""A merchant's risk rules over HTTP: what they stop never reaches the acquirer (cards §12.3, §18; S2-57)."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from support.card_calls import (
    APPROVED,
    APPROVED_MASTER,
    FOREIGN,
    CardMerchant,
    CardPage,
    a_card_merchants_listener,
    answer_bank,
    body_of,
    by_day,
    cards_served,
    together,
)
from support.gateway import RunningGateway
from support.listener import Listener


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningGateway]:
    with cards_served() as gateway:
        yield gateway


@pytest.fixture(scope="module")
def receiver() -> Iterator[Listener]:
    with a_card_merchants_listener() as listener:
        yield listener


def a_shop(sandbox: RunningGateway, receiver: Listener | None = None, **risk: Any) -> CardMerchant:
    by_day(sandbox)
    return CardMerchant(sandbox, receiver, risk=risk)


def verdict(shop: CardMerchant, page: CardPage) -> tuple[str, str, str]:
    """(response code, verification status, reason) of the order's newest attempt."""
    told = shop.status(page.invoice)
    return told["card_payment"]["response_code"], told["verification"]["status"], told["verification"]["reason"]


def assert_stopped(shop: CardMerchant, page: CardPage, rule: str) -> None:
    """Declined with RJ by this rule; neither the bank nor the acquirer was asked, and the page is still open."""
    assert verdict(shop, page) == ("RJ", "REJECT", f"Decision Rule Triggered: {rule}")
    asked = shop.gateway.database.read_now(
        lambda tx: (
            tx.all("select id from card_question where payment_id = :id", {"id": page.payment_id})
            + tx.all(
                "select a.id from card_authentication a join card_charge c on c.id = a.charge_id"
                " where c.payment_id = :id and c.response_code = 'RJ'",
                {"id": page.payment_id},
            )
        )
    )
    assert asked == []
    assert (shop.state(page), shop.taken(page), shop.reserved(page)) == ("PENDING", 0, 0)


def assert_paid(shop: CardMerchant, page: CardPage) -> None:
    assert shop.state(page) == "SUCCESS"
    assert shop.taken(page) == 90_000


def tried(shop: CardMerchant, number: str = APPROVED, **body: Any) -> CardPage:
    page = shop.page(**body)
    shop.submit(page, number)
    return page


def test_a_rejected_card_is_told_as_rj_with_the_rule(sandbox: RunningGateway, receiver: Listener):
    """Cards §12.3: FAILED, RJ, verification REJECT; the buyer reads nothing about rules."""
    shop = a_shop(sandbox, receiver, block={"bins": ["411111"]})
    page = shop.page()

    shown = shop.submit(page, APPROVED)

    told = body_of(shop.told(1)[0])
    assert (told["transaction"]["type"], told["transaction"]["status"]) == ("SALE", "FAILED")
    assert told["card_payment"]["response_code"] == "RJ"
    assert told["card_payment"]["response_message"] == "DECISION BLACK LIST"
    assert "approval_code" not in told["card_payment"]
    assert told["verification"] == {"status": "REJECT", "reason": "Decision Rule Triggered: block.bins"}
    assert_stopped(shop, page, "block.bins")
    assert shown.status == 422
    alert = re.search(r'role="alert".*?</div>', shown.body.decode(), re.DOTALL)
    assert alert is not None
    assert not re.search("black|risk|rule|block|fraud", alert[0], re.IGNORECASE), alert[0]


def test_after_a_rejection_another_card_may_pay(sandbox: RunningGateway):
    shop = a_shop(sandbox, block={"bins": ["411111"]})
    page = tried(shop)

    shop.submit(page, APPROVED_MASTER)

    assert_paid(shop, page)
    assert verdict(shop, page) == ("00", "APPROVE", "Decision No Rules Triggered")


@pytest.mark.parametrize(
    ("block", "rule"),
    [
        ({"emails": ["anton@example.com"]}, "block.emails"),
        ({"emails": ["example.com"]}, "block.emails"),
        ({"ips": ["127.0.0.0/8"]}, "block.ips"),
        ({"bins": ["41111111"]}, "block.bins"),
    ],
    ids=str,
)
def test_a_block_list_stops_the_buyer(sandbox: RunningGateway, block: dict[str, Any], rule: str):
    shop = a_shop(sandbox, block=block)

    assert_stopped(shop, tried(shop), rule)


def test_a_blocked_card_is_known_by_its_fingerprint_and_no_allow_list_helps_it(sandbox: RunningGateway):
    shop = a_shop(sandbox)
    page = tried(shop)
    row = sandbox.database.read_now(
        lambda tx: tx.one("select fingerprint from card_charge where payment_id = :id", {"id": page.payment_id})
    )
    assert row is not None
    shop.choose_options(risk={"block": {"cards": [row["fingerprint"]]}, "allow": {"bins": ["411111"]}})

    assert_stopped(shop, tried(shop), "block.cards")
    assert_paid(shop, tried(shop, APPROVED_MASTER))


def test_an_allow_list_outweighs_a_block_list(sandbox: RunningGateway):
    shop = a_shop(sandbox, block={"ips": ["127.0.0.1"]}, allow={"emails": ["anton@example.com"]})

    page = tried(shop)

    assert_paid(shop, page)
    assert verdict(shop, page) == ("00", "APPROVE", "Decision Rule Triggered: allow.emails")


def test_a_card_is_tried_no_more_often_than_the_rule_says(sandbox: RunningGateway):
    """Over all orders of the merchant, within an hour; afterwards it is free again."""
    shop = a_shop(sandbox, max_attempts_per_card_per_hour=2)
    first, second, third = tried(shop), tried(shop), tried(shop)

    assert_paid(shop, first)
    assert_paid(shop, second)
    assert_stopped(shop, third, "max_attempts_per_card_per_hour")
    assert_paid(shop, tried(shop, APPROVED_MASTER))

    sandbox.control("POST", "/clock", {"advance_s": 3_601})

    assert_paid(shop, tried(shop))


def test_a_card_that_failed_too_often_is_stopped_even_though_it_would_be_approved_now(sandbox: RunningGateway):
    shop = a_shop(sandbox, max_failures_per_card_per_hour=2)
    for _ in range(2):
        page = shop.page()
        shop.choose(page, response_code="05")
        shop.submit(page, APPROVED)

    assert_stopped(shop, tried(shop), "max_failures_per_card_per_hour")


def test_velocity_is_counted_for_each_merchant(sandbox: RunningGateway):
    shop, other = a_shop(sandbox, max_attempts_per_card_per_hour=1), a_shop(sandbox, max_attempts_per_card_per_hour=1)

    assert_paid(shop, tried(shop))
    assert_paid(other, tried(other))


def test_a_customer_pays_no_more_often_in_a_day_than_the_rule_says(sandbox: RunningGateway):
    shop = a_shop(sandbox, max_payments_per_customer_per_day=1)

    assert_paid(shop, tried(shop))
    assert_stopped(shop, tried(shop, APPROVED_MASTER), "max_payments_per_customer_per_day")
    assert_paid(shop, tried(shop, customer={"id": "CUST-2", "email": "b@example.com"}))


def test_attempts_at_the_same_moment_are_all_counted(gateway: RunningGateway):
    """Card testing does not come one after the other. On both engines: with a limit of two, no more than two of six are paid."""
    shop = CardMerchant(gateway, risk={"max_attempts_per_card_per_hour": 2})
    pages = [shop.page() for _ in range(6)]

    together(*[lambda page=page: shop.submit(page, APPROVED) for page in pages])  # type: ignore[misc]

    assert sum(shop.state(page) == "SUCCESS" for page in pages) == 2


@pytest.mark.parametrize(
    ("risk", "rule"), [({"minimum": 90_001}, "minimum"), ({"maximum": 89_999}, "maximum")], ids=["minimum", "maximum"]
)
def test_amounts_outside_the_limits_are_stopped(sandbox: RunningGateway, risk: dict[str, Any], rule: str):
    shop = a_shop(sandbox, **risk)

    assert_stopped(shop, tried(shop), rule)


def test_an_amount_in_the_review_band_is_paid_and_marked(sandbox: RunningGateway, receiver: Listener):
    shop = a_shop(sandbox, receiver, review_from=90_000)

    page = tried(shop)

    assert_paid(shop, page)
    assert body_of(shop.told(1)[0])["verification"] == {"status": "REVIEW", "reason": "Decision Rule Triggered: review"}


def test_a_foreign_card_is_challenged_by_default(sandbox: RunningGateway):
    """The bank would have let it pass without a question."""
    shop = a_shop(sandbox)
    page = shop.page()

    opener = shop.submit(page, FOREIGN, form="b")
    waiting = shop.state(page)
    answer_bank(sandbox, opener, session="b")

    assert waiting == "PENDING"
    assert_paid(shop, page)
    assert verdict(shop, page) == ("00", "APPROVE", "Decision Rule Triggered: countries")


def test_foreign_cards_can_be_rejected_or_taken_like_any_card(sandbox: RunningGateway):
    strict, easy = a_shop(sandbox, other_countries="reject"), a_shop(sandbox, other_countries="accept")
    known = a_shop(sandbox, countries=["ID", "SG"])

    assert_stopped(strict, tried(strict, FOREIGN), "countries")
    assert_paid(easy, tried(easy, FOREIGN))
    assert_paid(known, tried(known, FOREIGN))
    assert_paid(strict, tried(strict, APPROVED))


def test_a_host_to_host_charge_is_judged_too(sandbox: RunningGateway, receiver: Listener):
    shop = a_shop(sandbox, receiver, block={"bins": ["411111"]})
    authentication_id = shop.authentication()

    answer = shop.charge(authentication_id, invoice="INV-RISK")

    assert (answer.status, answer.json["payment"]["status"], answer.json["payment"]["response_code"]) == (200, "FAILED", "RJ")
    assert body_of(shop.told(1)[0])["verification"]["status"] == "REJECT"
    asked = sandbox.database.read_now(
        lambda tx: tx.all("select id from card_question where merchant_id = :m", {"m": shop.client_id})
    )
    assert asked == []
    assert shop.balance() == 0


def test_a_saved_card_is_judged_too(sandbox: RunningGateway):
    shop = a_shop(sandbox)
    token = shop.save_card()
    shop.choose_options(risk={"maximum": 1_000})

    answer = shop.charge(payment={"type": "RECURRING"}, card={"token": token})

    assert (answer.json["payment"]["status"], answer.json["payment"]["response_code"]) == ("FAILED", "RJ")


def test_rejected_attempts_use_the_page_up_like_declined_ones(sandbox: RunningGateway, receiver: Listener):
    shop = a_shop(sandbox, receiver, maximum=1)
    page = shop.page()

    for _ in range(5):
        shop.submit(page, APPROVED)

    assert shop.state(page) == "FAILED"
    shop.told(5)
