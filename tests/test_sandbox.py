"""The sandbox's own doors: who may use the control API, and starting over beside others who write."""

from collections.abc import Callable
from typing import Any

import pytest

from gerbang.sandbox.seed import demo_pin_hash, is_seeded, seed, wipe
from gerbang.settings import load_settings
from gerbang.storage import Database, Params, Row, Tx, open_database
from gerbang.wallet import PinHasher
from support.gateway import NOON, RunningGateway
from support.notifying import queue_one
from support.postgres import Postgres


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-site", 200), ("same-origin", 200), ("none", 200), (None, 200)]
)
def test_a_page_of_another_site_cannot_use_the_control_api(sqlite_gateway: RunningGateway, site: str | None, status: int) -> None:
    """A browser posts to loopback for whoever asks. Programs send no Sec-Fetch-Site."""
    sqlite_gateway.create_order("INV-1")

    headers = {"Content-Type": "text/plain"} | ({"Sec-Fetch-Site": site} if site else {})
    answer = sqlite_gateway.request("POST", "/sandbox/v1/reset", b"", headers)

    assert answer.status == status
    assert sqlite_gateway.status("INV-1").status == (404 if status == 200 else 200)


def test_starting_over_takes_the_clock_back(sqlite_gateway: RunningGateway) -> None:
    sqlite_gateway.control("POST", "/clock", {"advance_s": 3_600})

    sqlite_gateway.control("POST", "/reset")

    assert sqlite_gateway.control("GET", "/clock")["offset_s"] == 0
    assert sqlite_gateway.control("GET", "/verify") == {"ok": True, "problems": []}


class Interrupted(Tx):
    """A transaction beside which something else happens, once, just before a statement."""

    def __init__(self, tx: Tx, before: str, happens: Callable[[], Any]) -> None:
        self._tx, self._before, self._happens = tx, before, happens

    def execute(self, sql: str, params: Params | None = None) -> int:
        if sql == self._before:
            self._happens()
        return self._tx.execute(sql, params)

    def one(self, sql: str, params: Params | None = None) -> Row | None:
        return self._tx.one(sql, params)

    def all(self, sql: str, params: Params | None = None) -> list[Row]:
        return self._tx.all(sql, params)

    def has_table(self, name: str) -> bool:
        return self._tx.has_table(name)

    def signal(self, topic: str) -> None:
        self._tx.signal(topic)


def test_an_attempt_recorded_while_everything_is_wiped_does_not_stop_it(postgres: Postgres) -> None:
    """Only on PostgreSQL do others write in between: SQLite has one writer."""
    settings = load_settings(env={})
    pin_hash = demo_pin_hash(PinHasher(settings.key("pin")))
    with postgres.database("schema", lambda url: open_database(url, connections=1).close()) as url:
        database: Database = open_database(url, connections=4)
        try:
            database.transact_now(lambda tx: seed(tx, pin_hash=pin_hash, notification_url=None, now=NOON))
            made = queue_one(database, "http://shop.example/n", payment_id="pay_1")
            happened = []

            def attempt() -> None:
                if not happened:
                    happened.append(made)
                    database.transact_now(
                        lambda tx: tx.execute(
                            "insert into attempt (notification_id, number, at, started_real_at, duration_ms, url, request_headers,"
                            " string_to_sign, answer_headers, answer_body) values (:id, 1, 0, 0, 0, '', '{}', '', '{}', '')",
                            {"id": made},
                        )
                    )

            database.transact_now(lambda tx: wipe(Interrupted(tx, "delete from notification", attempt)))

            assert happened == [made]
            assert not database.read_now(is_seeded)
            assert database.read_now(lambda tx: tx.all("select 1 as one from attempt")) == []
        finally:
            database.close()
