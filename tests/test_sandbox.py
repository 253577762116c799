"""The sandbox's own doors: who may use the control API, and starting over beside others who write."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gerbang.app import Gateway
from gerbang.merchants import get, update
from gerbang.sandbox.seed import DEMO_CLIENT_ID, demo_pin_hash, is_seeded, seed, wipe
from gerbang.settings import SANDBOX_SECRET_KEY, load_settings
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


def test_the_bare_address_and_the_shop_without_its_slash_lead_somewhere(sqlite_gateway: RunningGateway) -> None:
    assert sqlite_gateway.request("GET", "/").headers["location"] == "/demo/"
    assert sqlite_gateway.request("GET", "/demo").headers["location"].endswith("/demo/")
    assert sqlite_gateway.request("GET", "/favicon.ico").headers["location"].startswith("/assets/favicon.")


@pytest.mark.parametrize(("method", "path"), [("GET", "/sandbox/v1/merchants"), ("POST", "/sandbox/v1/verify")])
def test_a_wrong_method_is_named_as_such(sqlite_gateway: RunningGateway, method: str, path: str) -> None:
    answer = sqlite_gateway.request(method, path)

    assert answer.status == 405
    assert answer.json == {"message": f"Request method '{method}' is not supported"}


def test_an_unknown_path_answers_as_doku_does(sqlite_gateway: RunningGateway) -> None:
    answer = sqlite_gateway.request("POST", "/no/such/path")

    assert (answer.status, answer.json) == (404, {"message": "No static resource no/such/path"})


def test_playing_an_outcome_answers_with_the_order_as_it_is_afterwards(sqlite_gateway: RunningGateway) -> None:
    sqlite_gateway.create_order("INV-1")

    played = sqlite_gateway.control(
        "POST", "/payments/outcome", {"client_id": DEMO_CLIENT_ID, "invoice_number": "INV-1", "outcome": "SUCCESS"}
    )

    assert (played["state"], played["payments"][0]["state"]) == ("PAID", "SUCCESS")
    assert played == sqlite_gateway.control("GET", f"/payments?client_id={DEMO_CLIENT_ID}&invoice_number=INV-1") | {
        "notifications": played["notifications"]  # these go on by themselves
    }


def test_notifications_of_a_merchant_that_does_not_exist_are_not_an_empty_list(sqlite_gateway: RunningGateway) -> None:
    answer = sqlite_gateway.request("GET", "/sandbox/v1/notifications?client_id=nope")

    assert (answer.status, answer.json["error"]["code"]) == (404, "merchant_not_found")


def test_the_demo_merchant_is_notified_at_the_shop_of_this_run(tmp_path: Path) -> None:
    data = str(tmp_path / "gerbang.db")

    def notified_at(demo_base_url: str | None) -> str | None:
        gateway = Gateway(load_settings(env={}, given={"data": data}), demo_base_url=demo_base_url, background=False)
        url = gateway.database.read_now(lambda tx: get(tx, DEMO_CLIENT_ID)).notification_url
        gateway.close()
        return url

    assert notified_at(None) is None
    assert notified_at("http://127.0.0.1:8091") == "http://127.0.0.1:8091/demo/notifications"
    assert notified_at("http://127.0.0.1:8092") == "http://127.0.0.1:8092/demo/notifications"

    gateway = Gateway(load_settings(env={}, given={"data": data}), background=False)
    gateway.database.transact_now(lambda tx: update(tx, DEMO_CLIENT_ID, notification_url="http://127.0.0.1:9000/mine"))
    gateway.close()
    assert notified_at("http://127.0.0.1:8093") == "http://127.0.0.1:9000/mine"


def test_a_wrong_signature_leaves_the_text_to_sign_in_the_log(
    sqlite_gateway: RunningGateway, caplog: pytest.LogCaptureFixture
) -> None:
    answer = sqlite_gateway.signed("POST", "/dokuwallet-emoney/v1/payment", b"{}", request_id="R-1", secret_key="SK-wrong")

    assert answer.json["error"]["code"] == "invalid_signature"
    assert "Request-Id:R-1" in caplog.text
    assert "Digest:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=" in caplog.text
    assert SANDBOX_SECRET_KEY not in caplog.text


def test_the_server_goes_on_answering_while_a_sandbox_is_emptied(
    sqlite_gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, answered = threading.Event(), threading.Event()
    outcome: list[bool] = []

    def slow_wipe(tx: Tx) -> None:
        entered.set()
        outcome.append(answered.wait(10))
        wipe(tx)

    monkeypatch.setattr("gerbang.sandbox.api.wipe", slow_wipe)
    with ThreadPoolExecutor(1) as pool:
        reset = pool.submit(sqlite_gateway.control, "POST", "/reset")
        assert entered.wait(10)
        assert sqlite_gateway.request("GET", "/healthz").status == 200
        answered.set()

        assert reset.result(20) == {"ok": True}
    assert outcome == [True]
