"""PostgreSQL: whoever works on one order takes its rows in one order, so that nobody waits in a circle."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from support.card_buyer import Shop
from support.card_page import FRICTIONLESS, invoice, wait_until_final
from support.gateway import RunningGateway, lent_gateway
from support.postgres import Postgres


def deadlocks(running: RunningGateway) -> int:
    """How many PostgreSQL has broken in this database; its statistics come a moment late."""
    with psycopg.connect(running.gateway.settings.data, autocommit=True) as connection:
        connection.execute("select pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
        row = connection.execute("select deadlocks from pg_stat_database where datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.postgres
def test_a_race_of_card_pages_breaks_no_deadlock(postgres: Postgres) -> None:
    with lent_gateway(postgres=postgres) as running:
        shop = Shop.open(running)
        before = deadlocks(running)
        with ThreadPoolExecutor(12) as pool:
            for _ in range(6):
                code = invoice()
                buyers = [shop.buyer(code) for _ in range(3)]
                racing = [pool.submit(buyer.pay, FRICTIONLESS) for buyer in buyers]
                racing += [pool.submit(shop.create, code) for _ in range(6)]
                for one in racing:
                    if not isinstance(one.exception(), AssertionError):  # a page that was replaced has no button
                        one.result()
                if shop.charges(code):
                    wait_until_final(shop, code)

        assert deadlocks(running) - before == 0
