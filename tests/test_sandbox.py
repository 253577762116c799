"""The sandbox's own doors: who may use the control API, and starting over beside others who write."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gerbang.app import Gateway
from gerbang.channel import choose_options
from gerbang.merchants import get, update
from gerbang.sandbox.seed import DEMO_CLIENT_ID, demo_pin_hash, is_seeded, seed, wipe
from gerbang.settings import SANDBOX_SECRET_KEY, load_settings
from gerbang.storage import Database, Params, Row, Tx, open_database
from gerbang.wallet import PinHasher
from support.card_calls import APPROVED, CardMerchant, CardPage, to_midnight, to_noon
from support.gateway import NOON, RunningGateway
from support.listener import Listener
from support.notifying import queue_one
from support.postgres import Postgres


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

    monkeypatch.setattr("gerbang.app.wipe", slow_wipe)
    with ThreadPoolExecutor(1) as pool:
        reset = pool.submit(sqlite_gateway.control, "POST", "/reset")
        assert entered.wait(10)
        assert sqlite_gateway.request("GET", "/healthz").status == 200
        answered.set()

        assert reset.result(20) == {"ok": True}
    assert outcome == [True]


# -- cards


def refused(running: RunningGateway, method: str, path: str, body: object) -> tuple[int, str]:
    """Status and code of a call that is turned down."""
    answer = running.request(method, "/sandbox/v1" + path, json.dumps(body).encode())
    return answer.status, answer.json["error"]["code"]


def test_what_bank_and_acquirer_say_can_be_decided_before_the_buyer_pays(gateway: RunningGateway) -> None:
    shop = CardMerchant(gateway)
    page = shop.page()
    named = {"client_id": shop.client_id, "invoice_number": page.invoice}

    gateway.control("POST", "/payments/next", {**named, "three_ds": "frictionless", "response_code": "51"})
    shop.submit(page, APPROVED)
    assert shop.status(page.invoice)["card_payment"]["response_code"] == "51"

    gateway.control("POST", "/payments/next", named)
    shop.submit(page, APPROVED)
    assert shop.state(page) == "SUCCESS"

    gateway.control("POST", "/payments/next", {**named, "follow_up_code": "05"})
    assert shop.refund(page, 90_000).json["refund"]["status"] == "FAILED"


def test_an_outcome_that_cannot_come_is_refused(sqlite_gateway: RunningGateway) -> None:
    shop = CardMerchant(sqlite_gateway)
    page = shop.page()
    named = {"client_id": shop.client_id, "invoice_number": page.invoice}
    sqlite_gateway.create_order("INV-1")

    assert refused(sqlite_gateway, "POST", "/payments/next", {**named, "three_ds": "maybe"}) == (400, "bad_request")
    assert refused(sqlite_gateway, "POST", "/payments/next", {**named, "response_code": "7"}) == (400, "bad_request")
    assert refused(sqlite_gateway, "POST", "/payments/next", {**named, "invoice_number": "no"}) == (404, "order_not_found")
    wallet = {"client_id": DEMO_CLIENT_ID, "invoice_number": "INV-1", "response_code": "51"}
    assert refused(sqlite_gateway, "POST", "/payments/next", wallet) == (400, "bad_request")
    sqlite_gateway.control("POST", "/payments/outcome", {**named, "outcome": "CANCELLED"})
    assert refused(sqlite_gateway, "POST", "/payments/next", {**named, "response_code": "51"}) == (409, "payment_moved_on")


def test_an_order_tells_its_charges_refunds_and_what_the_risk_rules_said(gateway: RunningGateway) -> None:
    to_noon(gateway)
    shop = CardMerchant(gateway, risk={"review_from": 50_000})
    page = shop.page(customer={"id": "C-1", "email": "a@example.com"}, card={"save": True})
    shop.choose(page, three_ds="frictionless", response_code="05")
    shop.submit(page)
    shop.choose(page)
    shop.submit(page, form="another")
    to_midnight(gateway)
    shop.refund(page, 30_000)

    told = gateway.control("GET", f"/payments?client_id={shop.client_id}&invoice_number={page.invoice}")

    [payment] = told["payments"]
    assert (payment["state"], payment["charged"], payment["refunded"]) == ("PARTIALLY_REFUNDED", 90_000, 30_000)
    assert [(one["state"], one["response_code"], one["response_message"]) for one in payment["charges"]] == [
        ("DECLINED", "05", "DO NOT HONOUR"),
        ("APPROVED", "00", "PAYMENT APPROVED"),
    ]
    approved = payment["charges"][1]
    assert (approved["card"], approved["risk_status"], approved["trans_status"]) == ("411111******1111", "REVIEW", "Y")
    assert approved["token"]
    [refund] = payment["refunds"]
    assert (refund["amount"], refund["type"], refund["state"]) == (30_000, "PARTIAL_REFUND", "SUCCESS")
    assert {line["entry"] for line in refund["transfers"]} == {"reserve", "gross"}
    assert APPROVED not in json.dumps(told)


def test_a_merchants_card_options_are_set_shown_and_hold_at_once(gateway: RunningGateway) -> None:
    shop = CardMerchant(gateway)
    path = f"/merchants/{shop.client_id}/channels/CREDIT_CARD"
    assert gateway.control("GET", path)["options"] == {}
    banks = {"BCA": {"tenors": [3, 6], "interest_bp": {"3": 150}}}

    put = gateway.control(
        "PUT",
        path,
        {"options": {"types": ["SALE"], "max_attempts": 5, "rates_bp": {"SALE": 290}, "installments": {"banks": banks}}},
    )

    assert put == gateway.control("GET", path)
    assert put["options"] == {"types": ["SALE"], "rates_bp": {"SALE": 290}, "installments": {"banks": banks}}
    assert put["effective"]["risk"]["countries"] == ["ID"]
    assert put["effective"]["installments"]["banks"]["BCA"]["minimum"] == 500_000
    body = {"order": {"invoice_number": "INV-1", "amount": 1_000}, "customer": {"email": "a@b.id"}, "payment": {"type": "MOTO"}}
    assert shop.call("/credit-card/v1/payment-page", body).status == 400
    shop.paid()
    assert shop.fees() == 2_610
    # What one gets can be put: it changes nothing.
    assert gateway.control("PUT", path, put) == put
    assert gateway.control("PUT", path, {"options": {}})["options"] == {}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"max_atempts": 3}, "max_atempts"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"types": []}, "types"),
        ({"risk": {"countries": ["Indonesia"]}}, "risk.countries"),
        ({"installments": {"banks": {"BCA": {"tenors": [3], "interest_bp": {"6": 1}}}}}, "interest_bp"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name_and_change_nothing(
    sqlite_gateway: RunningGateway, options: dict[str, Any], field: str
) -> None:
    path = f"/merchants/{DEMO_CLIENT_ID}/channels/CREDIT_CARD"
    sqlite_gateway.control("PUT", path, {"options": {"max_attempts": 2}})

    answer = sqlite_gateway.request("PUT", "/sandbox/v1" + path, json.dumps({"options": options}).encode())

    assert (answer.status, answer.json["error"]["code"]) == (400, "field_invalid")
    assert field in answer.json["error"]["message"]
    assert sqlite_gateway.control("GET", path)["options"] == {"max_attempts": 2}


def test_options_of_nobody_or_of_a_channel_without_any_are_refused(sqlite_gateway: RunningGateway) -> None:
    nobody, wallet = "/merchants/nope/channels/CREDIT_CARD", f"/merchants/{DEMO_CLIENT_ID}/channels/EMONEY_DOKU"

    assert refused(sqlite_gateway, "PUT", nobody, {"options": {}}) == (404, "merchant_not_found")
    assert refused(sqlite_gateway, "PUT", wallet, {"options": {}}) == (400, "bad_request")
    assert refused(sqlite_gateway, "PUT", f"/merchants/{DEMO_CLIENT_ID}/channels/CREDIT_CARD", {}) == (400, "bad_request")


def test_two_who_change_different_options_at_once_both_get_theirs(gateway: RunningGateway) -> None:
    """Each keeps what it does not name: neither may write back what it saw before the other."""
    card = gateway.gateway.channels["CREDIT_CARD"]
    sent: list[dict[str, Any]] = [{"max_attempts": 2}, {"descriptor": True}, {"expiry_min": 5}, {"online_refund": False}]
    barrier = threading.Barrier(len(sent))

    for _ in range(8):  # one race alone is lost only now and then
        client_id = CardMerchant(gateway).client_id

        def change(one: dict[str, Any], client_id: str = client_id) -> None:
            barrier.wait()
            gateway.database.transact_now(lambda tx: choose_options(tx, card, client_id, one, keep=True))

        with ThreadPoolExecutor(len(sent)) as pool:
            list(pool.map(change, sent))

        held = gateway.database.read_now(lambda tx, client_id=client_id: get(tx, client_id)).options.channels["CREDIT_CARD"]
        assert held == {name: value for one in sent for name, value in one.items()}


def waiting_refund(gateway: RunningGateway, listener: Listener | None = None) -> tuple[CardMerchant, CardPage, str]:
    """A refund that only a person can carry out; its id."""
    to_noon(gateway)
    shop = CardMerchant(gateway, service="direct", online_refund=False)
    url = listener.url("/n") if listener else ""
    gateway.database.transact_now(lambda tx: update(tx, shop.client_id, notification_url=url))
    page = shop.paid()
    to_midnight(gateway)
    assert shop.refund(page, 30_000).json["refund"]["type"] == "MANUAL_PARTIAL_REFUND"
    [waiting] = gateway.control("GET", "/refunds")["refunds"]
    assert (waiting["amount"], waiting["state"], waiting["client_id"]) == (30_000, "PENDING", shop.client_id)
    return shop, page, str(waiting["id"])


def test_a_manual_refund_is_completed_once_and_told(gateway: RunningGateway, listener: Listener) -> None:
    shop, page, refund_id = waiting_refund(gateway, listener)

    done = gateway.control("POST", f"/refunds/{refund_id}/complete", {"approval_code": "77"})

    assert (done["state"], done["approval_code"]) == ("SUCCESS", "77")
    assert gateway.control("GET", f"/refunds/{refund_id}") == done
    assert gateway.control("GET", "/refunds") == {"refunds": []}
    assert shop.state(page) == "PARTIALLY_REFUNDED"
    told = listener.wait_for(2)[1].json()
    assert told["refund"] == {"amount": 30_000, "type": "MANUAL_PARTIAL_REFUND", "status": "SUCCESS"}
    for how in ("complete", "fail"):
        assert refused(gateway, "POST", f"/refunds/{refund_id}/{how}", {}) == (409, "payment_moved_on")


def test_a_manual_refund_that_cannot_be_done_gives_the_merchant_the_money_again(gateway: RunningGateway) -> None:
    shop, page, refund_id = waiting_refund(gateway)
    assert shop.balance() == 60_000

    failed = gateway.control("POST", f"/refunds/{refund_id}/fail", {"message": "account closed"})

    assert (failed["state"], failed["message"]) == ("FAILED", "account closed")
    assert (shop.balance(), shop.state(page)) == (90_000, "SUCCESS")


def test_a_refund_that_the_acquirer_has_is_not_ended_by_hand(sqlite_gateway: RunningGateway) -> None:
    """It may have given the money back already: only its answer is lost."""
    to_noon(sqlite_gateway)
    shop = CardMerchant(sqlite_gateway)
    page = shop.paid()
    to_midnight(sqlite_gateway)
    shop.choose(page, follow_up_code="TO")
    assert shop.refund(page, 30_000).json["refund"]["message"] == "Refund Is Being Processed"
    [waiting] = sqlite_gateway.control("GET", "/refunds")["refunds"]

    for how in ("complete", "fail"):
        assert refused(sqlite_gateway, "POST", f"/refunds/{waiting['id']}/{how}", {}) == (409, "payment_busy")
    assert refused(sqlite_gateway, "POST", "/refunds/rfd_0/complete", {}) == (404, "refund_not_found")


@pytest.mark.parametrize("answer", [400, 404])
def test_the_description_of_the_control_api_names_what_a_refusal_looks_like(sqlite_gateway: RunningGateway, answer: int) -> None:
    described = sqlite_gateway.request("GET", "/openapi.json").json
    body = {} if answer == 400 else {"client_id": DEMO_CLIENT_ID, "invoice_number": "no"}

    said = sqlite_gateway.request("POST", "/sandbox/v1/payments/next", json.dumps(body).encode())

    schema = described["paths"]["/sandbox/v1/payments/next"]["post"]["responses"]["4XX"]["content"]["application/json"]["schema"]
    named = described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert said.status == answer
    assert set(named["required"]) == set(said.json) == {"error"}
