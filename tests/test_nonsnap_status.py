"""Check status (NC6, D-7): by invoice number or Request-Id, each merchant its own, one list of words."""

import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from gerbang.payments import PaymentState
from gerbang.protocols.nonsnap.notification import STATUS_WORD
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from support.gateway import Answer, RunningGateway, lent_gateway
from support.nonsnap import HEADER, PAYMENT, assert_error, assert_genuine, import_merchant

OTHER, OTHER_KEY = "BRN-STATUS-2", "SK-status-two"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway() as one:
        import_merchant(one, OTHER, OTHER_KEY)
        yield one


@pytest.fixture
def invoice() -> str:
    return "INV-" + uuid.uuid4().hex


def create(running: RunningGateway, invoice: str, *, request_id: str | None = None, amount: int = 60_000, **more: Any) -> Answer:
    body = {"order": {"invoice_number": invoice, "amount": amount}} | more
    answer = running.signed("POST", PAYMENT, body, request_id=request_id)
    assert answer.status == 200, answer.body
    return answer


def play(running: RunningGateway, invoice: str, outcome: str) -> Any:
    return running.control(
        "POST", "/payments/outcome", {"client_id": DEMO_CLIENT_ID, "invoice_number": invoice, "outcome": outcome}
    )


def assert_not_found(answer: Answer) -> None:
    assert_error(answer, 404, "data_not_found", "Data Not Found", HEADER)


def test_a_waiting_order_is_pending(running: RunningGateway, invoice: str):
    """The answer is closed: these keys and no others, in this order."""
    create(running, invoice, request_id="status-1")

    answer = running.status(invoice)

    date = answer.json["transaction"]["date"]
    assert answer.status == 200
    assert list(answer.json.items()) == [
        ("order", {"invoice_number": invoice, "amount": 60_000}),
        ("transaction", {"status": "PENDING", "date": date, "original_request_id": "status-1"}),
        ("service", {"id": "EMONEY"}),
        ("acquirer", {"id": "DOKU"}),
        ("channel", {"id": "EMONEY_DOKU"}),
    ]
    assert_genuine(answer, "GET", f"/orders/v1/status/{invoice}")


@pytest.mark.parametrize(
    ("outcome", "word"), [("SUCCESS", "SUCCESS"), ("FAILED", "FAILED"), ("CANCELLED", "FAILED"), ("EXPIRED", "EXPIRED")]
)
def test_each_ending_has_its_word(running: RunningGateway, invoice: str, outcome: str, word: str):
    """D-7: a cancelled payment is FAILED on the wire."""
    create(running, invoice)
    ended = play(running, invoice, outcome)

    answer = running.status(invoice)

    assert answer.json["transaction"]["status"] == word
    assert answer.json["transaction"]["date"] == ended["payments"][0]["finished_at"]


def test_every_state_has_a_documented_word():
    """D-7: no other words ever leave this gateway, and no state is without one."""
    assert set(STATUS_WORD) == set(PaymentState)
    documented = {"PENDING", "SUCCESS", "FAILED", "EXPIRED", "REFUNDED", "VOIDED", "TIMEOUT", "REDIRECT"}
    assert set(STATUS_WORD.values()) <= documented


def test_a_paid_order_says_who_paid_and_the_approval_code(running: RunningGateway, invoice: str):
    """D-8: emoney_payment, only when paid."""
    create(running, invoice)
    paid = play(running, invoice, "SUCCESS")["payments"][0]

    assert running.status(invoice).json["emoney_payment"] == {
        "account_id": paid["payer"],
        "approval_code": paid["approval_code"],
    }
    failed = invoice + "-failed"
    create(running, failed)
    play(running, failed, "FAILED")
    assert "emoney_payment" not in running.status(failed).json


def test_a_page_that_was_never_paid_is_expired_after_its_hour(sqlite_gateway: RunningGateway, invoice: str):
    create(sqlite_gateway, invoice)

    sqlite_gateway.control("POST", "/clock", {"advance_s": 59 * 60})
    before = sqlite_gateway.status(invoice).json["transaction"]["status"]
    sqlite_gateway.control("POST", "/clock", {"advance_s": 61})
    after = sqlite_gateway.status(invoice).json["transaction"]["status"]

    assert (before, after) == ("PENDING", "EXPIRED")


def test_an_order_is_found_by_its_request_id_too(running: RunningGateway, invoice: str):
    request_id = uuid.uuid4().hex
    create(running, invoice, request_id=request_id)

    assert running.status(request_id).json == running.status(invoice).json


def test_a_repeated_request_id_means_the_newest_order(running: RunningGateway, invoice: str):
    """D-3: ids repeat honestly."""
    request_id = str(uuid.uuid4().int % 100_000)
    for number in range(3):
        create(running, f"{invoice}-{number}", request_id=request_id)

    assert running.status(request_id).json["order"]["invoice_number"] == f"{invoice}-2"


def test_an_invoice_number_wins_over_a_request_id(running: RunningGateway, invoice: str):
    create(running, invoice, request_id="another-" + invoice)
    create(running, "later-" + invoice, request_id=invoice)

    assert running.status(invoice).json["order"]["invoice_number"] == invoice


def test_another_merchants_order_does_not_exist(running: RunningGateway, invoice: str):
    request_id = uuid.uuid4().hex
    create(running, invoice, request_id=request_id)

    for key in (invoice, request_id):
        path = f"/orders/v1/status/{key}"
        answer = running.signed("GET", path, client_id=OTHER, secret_key=OTHER_KEY)
        assert_not_found(answer)
        assert_genuine(answer, "GET", path, client_id=OTHER, secret_key=OTHER_KEY)


def test_each_merchant_sees_its_own_order_of_the_same_number(running: RunningGateway, invoice: str):
    create(running, invoice)
    body = {"order": {"invoice_number": invoice, "amount": 7}}
    running.signed("POST", PAYMENT, body, client_id=OTHER, secret_key=OTHER_KEY)

    theirs = running.signed("GET", f"/orders/v1/status/{invoice}", client_id=OTHER, secret_key=OTHER_KEY)

    assert (running.status(invoice).json["order"]["amount"], theirs.json["order"]["amount"]) == (60_000, 7)


@pytest.mark.parametrize("key", ["nobody", "a\x00b", "\x00", "%", "../healthz", "x" * 3000, "'; drop table orders; --", "\ufffd"])
def test_what_is_unknown_is_not_found(gateway: RunningGateway, key: str):
    """On both engines: PostgreSQL cannot even be asked for a NUL."""
    answer = gateway.status(key)

    assert_not_found(answer)
    assert_genuine(answer, "GET", "/orders/v1/status/" + quote(key, safe=""))


@pytest.mark.parametrize(
    "path", ["/orders/v1/status/%ff", "/orders/v1/status/%", "/orders/v1/status/%zz", "/orders/v1/status/a//b"]
)
def test_a_path_that_does_not_decode_is_not_found(running: RunningGateway, path: str):
    assert_not_found(running.signed("GET", path))


def test_no_name_at_all_is_no_path_of_ours(running: RunningGateway):
    assert running.signed("GET", "/orders/v1/status/").json == {"message": "No static resource orders/v1/status/"}


@pytest.mark.parametrize("number", ["INV 1/2", "INV+1", "Zoë-É", "100%", "a?b#c&d", "'\"<>", "   x", "\u00a0nbsp", "票"])
def test_any_invoice_number_that_was_taken_is_found_again(running: RunningGateway, invoice: str, number: str):
    """S0-07: letters, digits, special characters."""
    number = f"{number}-{invoice[4:20]}"
    create(running, number)

    assert running.status(number).json["order"]["invoice_number"] == number


def test_a_slash_in_an_invoice_number_may_stay_unescaped(running: RunningGateway, invoice: str):
    create(running, f"{invoice}/2")

    assert running.signed("GET", f"/orders/v1/status/{invoice}/2").status == 200


def test_what_is_told_back_of_additional_info(running: RunningGateway, invoice: str):
    """D-8: four keys; of the rest, and of blanks, nothing."""
    told = {
        "override_notification_url": "https://shop.example/n",
        "line_items": [{"quantity": 1, "weight": 1.5}],
        "account": {"id": "SAC-1"},
        "origin": {"product": "CHECKOUT"},
    }
    create(running, invoice, additional_info=told | {"integration": {"name": "woo"}, "secret": "x"})
    blank = invoice + "-blank"
    create(running, blank, additional_info={"override_notification_url": None, "account": "", "integration": {}})

    assert running.status(invoice).json["additional_info"] == told
    assert "additional_info" not in running.status(blank).json


def test_asking_again_and_again_is_no_repeat(running: RunningGateway, invoice: str):
    """Contract §4: GET is not subject to idempotency."""
    create(running, invoice)
    path = f"/orders/v1/status/{invoice}"

    before = running.signed("GET", path, request_id="same")
    play(running, invoice, "SUCCESS")
    after = running.signed("GET", path, request_id="same")

    assert (before.status, after.status) == (200, 200)
    assert (before.json["transaction"]["status"], after.json["transaction"]["status"]) == ("PENDING", "SUCCESS")
