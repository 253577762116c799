"""Locks are taken in one order everywhere: whatever happens at once, PostgreSQL never has to break a circle of transactions.

A deadlock costs nothing but time, for what lost is run again; that is why only counting them shows one.
"""

import uuid
from collections.abc import Callable

import psycopg
import pytest

from gerbang.settings import load_settings
from gerbang.storage import open_database
from support.card_calls import CardMerchant, CardPage, together
from support.gateway import Answer, RunningGateway, assert_clean
from support.postgres import Postgres

APPROVED, DECLINED, CHALLENGED = "4111111111111111", "4000000000000002", "5573381011111101"
ROUNDS = 4


def deadlocks(url: str) -> int:
    """How many PostgreSQL has broken in this database; complete when everybody else has left it."""
    with psycopg.connect(url) as connection:
        row = connection.execute("select deadlocks from pg_stat_database where datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.postgres
def test_a_race_of_card_pages_is_no_circle(postgres: Postgres) -> None:
    """Buyers press Pay again and again, give up, the merchant opens the invoice anew, charges from host to host and gives back."""
    with postgres.database("schema", lambda made: open_database(made, connections=1).close()) as url:
        running = RunningGateway(load_settings(env={}, given={"data": url, "database_connections": 16}))
        try:
            shop = CardMerchant(running, risk={"max_attempts_per_card_per_hour": 1000}, max_attempts=20)
            answers = [answer for _ in range(ROUNDS) for answer in (*paying_at_once(shop), *ending_at_once(shop))]
            assert {answer.status for answer in answers if answer.status >= 500} == set()
            assert_clean(running.database)
        finally:
            running.stop()

        assert deadlocks(url) == 0


def paying_at_once(shop: CardMerchant) -> list[Answer]:
    page = shop.page()
    numbers = [APPROVED, DECLINED, CHALLENGED, CHALLENGED]
    return together(
        *[pressing(shop, page, number) for number in numbers for _ in range(3)],
        *[lambda: shop.submit(page, APPROVED, action="cancel")] * 2,
        *[opening(shop, page.invoice)] * 3,
    )


def ending_at_once(shop: CardMerchant) -> list[Answer]:
    """Void, capture and refund of the same money, and a sweep in between."""
    page, authorize_id = shop.authorised()
    paid = shop.paid()
    return together(
        *[lambda: shop.capture(authorize_id)] * 2,
        *[lambda: shop.refund(page, 90_000)] * 3,
        *[lambda: shop.refund(paid, 90_000)] * 3,
        *[opening(shop, paid.invoice)] * 2,
        *[lambda: shop.gateway.request("POST", "/sandbox/v1/clock", b'{"advance_s": 1}', {"Content-Type": "application/json"})]
        * 2,
    )


def pressing(shop: CardMerchant, page: CardPage, number: str) -> Callable[[], Answer]:
    return lambda: shop.submit(page, number)


def opening(shop: CardMerchant, invoice: str) -> Callable[[], Answer]:
    """The merchant asks for a page of this invoice once more."""
    body = {
        "order": {"invoice_number": invoice, "amount": 90_000},
        "customer": {"id": "CUST-1", "name": "Anton Budiman", "email": "anton@example.com"},
    }
    return lambda: shop.call("/credit-card/v1/payment-page", body, request_id=str(uuid.uuid4()))
