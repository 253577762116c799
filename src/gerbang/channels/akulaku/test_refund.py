"""Akulaku's refund, and with it `providers/giving_back.py`: once, whatever is silent, repeated or done at the same time."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gerbang.endpoint import Ask, Call
from gerbang.errors import Reason, Refused
from gerbang.ledger import Transfer, account, balance_of, post
from gerbang.merchants import get
from gerbang.money import Rupiah
from gerbang.payments import Payment, Refund, RefundType, complete_refund, get_payment, open_refund, refunds_of
from gerbang.providers.giving_back import _waiting, give_back_action
from gerbang.storage import Tx
from support.gateway import Answer, RunningGateway, lent_gateway
from support.nonsnap import DEMO_CLIENT_ID
from support.provider_orders import NOBODY, Shop, assert_refused, moved, silence

CODE = "PEER_TO_PEER_AKULAKU"
ROOT = "/akulaku-peer-to-peer/v2"
SAMPLE: dict[str, Any] = {
    "order": {
        "invoice_number": "x",
        "amount": 90000,
        "line_items": [{"name": "T-Shirt Red", "price": 30000, "quantity": 3, "sku": "1002", "category": "Shirt"}],
    },
    "payment": {"merchant_unique_reference": "MUR-1"},
    "customer": {
        "id": "CUST-0001",
        "name": "Anton Budiman",
        "phone": "6285694566147",
        "address": "Menara Mulia Lantai 8",
        "postcode": "120129",
        "state": "DKI Jakarta",
        "city": "Jakarta Selatan",
    },
    "additional_info": {"override_notification_url": NOBODY},
}
PROVIDER, PAYABLE, REFUNDING, FEE = (
    f"provider:{CODE}",
    f"merchant:{DEMO_CLIENT_ID}:payable",
    f"merchant:{DEMO_CLIENT_ID}:refunding",
    f"fee:{CODE}",
)


@pytest.fixture
def shop(gateway: RunningGateway) -> Shop:
    """On both engines; a payment costs 2 %."""
    one = Shop(gateway, CODE, f"{ROOT}/generate-order", SAMPLE)
    one.options(fee_bp=200)
    return one


def paid(shop: Shop) -> dict[str, Any]:
    """The body of a refund of an order that is opened and paid."""
    opened = shop.order().json
    invoice = opened["order"]["invoice_number"]
    shop.play(invoice, "SUCCESS")
    return {
        "order": {"invoice_number": invoice},
        "payment": {"merchant_unique_reference": "MUR-1", "identifier": opened["payment"]["identifier"]},
        "refund": {"merchant_unique_reference": "RF-1"},
    }


def invoice_of(body: dict[str, Any]) -> str:
    return str(body["order"]["invoice_number"])


def refund(shop: Shop, body: dict[str, Any], *, request_id: str | None = None) -> Answer:
    return shop.post(body, path=f"{ROOT}/refund", request_id=request_id)


def given_back(shop: Shop, body: dict[str, Any]) -> int:
    """What Akulaku's own books say went back to the buyer."""
    payment_id = shop.payment(invoice_of(body))["id"]
    row = shop.room.database.read_now(
        lambda tx: tx.one("select sum(given_back) as sum from simulated_report where payment_id = :id", {"id": payment_id})
    )
    return int(row["sum"])


def stored(tx: Tx, shop: Shop, body: dict[str, Any]) -> Payment:
    row = tx.one(
        "select p.id as id from payment p join orders o on o.id = p.order_id where o.invoice_number = :number",
        {"number": invoice_of(body)},
    )
    assert row is not None
    return get_payment(tx, row["id"])[1]


def test_the_whole_payment_goes_back_and_nobody_is_notified(shop: Shop):
    """D-7: refunds of channels other than cards are told by check status alone."""
    body = paid(shop)

    answer = refund(shop, body)

    assert (answer.status, answer.json) == (
        200,
        {
            "order": {"invoice_number": invoice_of(body), "amount": 90000},
            "payment": body["payment"],
            "refund": {"merchant_unique_reference": "RF-1", "amount": 90000, "status": "SUCCESS"},
        },
    )
    payment = shop.payment(invoice_of(body))
    assert payment["state"] == "REFUNDED"
    assert moved(payment) == [
        (PROVIDER, PAYABLE, 90000),
        (PAYABLE, FEE, 1800),
        (FEE, PAYABLE, 1800),
        (PAYABLE, REFUNDING, 90000),
        (REFUNDING, PROVIDER, 90000),
    ]
    assert given_back(shop, body) == 90000
    said = shop.running.status(invoice_of(body)).json
    assert (said["transaction"]["status"], said["peer_to_peer_info"]["status"]) == ("REFUNDED", "REFUNDED")
    told = [json.loads(one["body"])["transaction"]["status"] for one in shop.record(invoice_of(body))["notifications"]]
    assert told == ["SUCCESS"]


def test_a_repeat_gets_the_first_answer_and_a_second_refund_is_refused(shop: Shop):
    """D-3."""
    body = paid(shop)

    first, repeat = [refund(shop, body, request_id="one-refund") for _ in range(2)]

    assert (first.status, repeat.status) == (200, 409)
    assert first.body == repeat.body
    assert_refused(refund(shop, body), "Refund Amount Exceeds Transaction Amount")
    assert given_back(shop, body) == 90000


def test_what_is_not_paid_cannot_be_refunded(shop: Shop):
    opened = shop.order().json
    body = {"order": {"invoice_number": opened["order"]["invoice_number"]}, "payment": {**opened["payment"]}}

    answer = refund(shop, {**body, "refund": {"merchant_unique_reference": "RF-1"}})

    assert_refused(answer, "Transaction Not Paid")


def test_the_merchants_own_reference_is_mandatory(shop: Shop):
    body = paid(shop)

    assert_refused(refund(shop, {**body, "refund": None}), "refund Must Not Be Blank")
    assert_refused(refund(shop, {**body, "refund": {"x": 1}}), "refund.merchant_unique_reference Must Not Be Blank")


def test_a_refund_akulaku_does_not_answer_stays_open_and_the_same_request_asks_again(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    body = paid(shop)
    with monkeypatch.context() as patched:
        shop.does(patched, "give_back", silence)
        silent = refund(shop, body, request_id="asked-twice")
    assert (silent.status, silent.json["error"]["code"]) == (503, "service_unavailable")
    [waiting] = shop.payment(invoice_of(body))["refunds"]
    assert waiting["state"] == "PENDING"
    assert shop.said(invoice_of(body)) == "SUCCESS"
    assert_refused(refund(shop, body), "Refund Amount Exceeds Transaction Amount")

    again = refund(shop, body, request_id="asked-twice")

    assert (again.status, again.json["refund"]["status"]) == (200, "SUCCESS")
    assert [one["id"] for one in shop.payment(invoice_of(body))["refunds"]] == [waiting["id"]]
    assert given_back(shop, body) == 90000


def test_an_answer_lost_on_its_way_gives_back_once(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    """Akulaku did it, and we did not hear: asked again under the same name it does nothing more."""
    body = paid(shop)
    give_back = shop.room.provider.give_back

    async def deaf(*question: Any) -> bool:
        assert await give_back(*question)
        raise ConnectionError("the answer is lost")

    with monkeypatch.context() as patched:
        patched.setattr(shop.room.provider, "give_back", deaf)
        assert refund(shop, body, request_id="deaf").status == 503

    assert refund(shop, body, request_id="deaf").json["refund"]["status"] == "SUCCESS"
    assert given_back(shop, body) == 90000


def test_what_nobody_came_back_for_is_asked_again_in_the_background(monkeypatch: pytest.MonkeyPatch):
    """And the request that comes after all gets the answer it missed."""
    asked: list[str] = []
    with lent_gateway(provider_timeout_s=0.2) as running:
        shop = Shop(running, CODE, f"{ROOT}/generate-order", SAMPLE)
        body = paid(shop)
        give_back = shop.room.provider.give_back

        async def deaf_once(question_id: str, receipt: str, amount: Rupiah) -> bool:
            asked.append(question_id)
            if len(asked) == 1:
                raise ConnectionError("nobody there")
            return bool(await give_back(question_id, receipt, amount))

        monkeypatch.setattr(shop.room.provider, "give_back", deaf_once)
        assert refund(shop, body, request_id="forgotten").status == 503

        shop.until(invoice_of(body), "REFUND_SUCCESS")

        late = refund(shop, body, request_id="forgotten")
        assert (late.status, late.json["refund"]) == (
            200,
            {"merchant_unique_reference": "RF-1", "amount": 90000, "status": "SUCCESS"},
        )
        assert len(asked) == 2
        assert len(set(asked)) == 1
        assert given_back(shop, body) == 90000


def test_a_provider_that_stays_silent_is_not_asked_over_and_over(monkeypatch: pytest.MonkeyPatch):
    """Once by the request, once by the sweep a little later, and then in a minute."""
    asked: list[str] = []

    def silent(question_id: str, *_: Any) -> Any:
        asked.append(question_id)
        raise ConnectionError("nobody there")

    with lent_gateway(provider_timeout_s=0.2, poll_interval_s=0.02) as running:
        shop = Shop(running, CODE, f"{ROOT}/generate-order", SAMPLE)
        body = paid(shop)
        shop.does(monkeypatch, "give_back", silent)
        assert refund(shop, body).status == 503
        deadline = time.monotonic() + 10
        while len(asked) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)

        time.sleep(0.6)  # thirty sweeps

        assert len(asked) == 2


def test_what_akulaku_cannot_give_back_is_the_merchants_again(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    body = paid(shop)
    with monkeypatch.context() as patched:
        shop.does(patched, "give_back", lambda *_: False)
        answer = refund(shop, body)
    assert answer.json["refund"] == {"merchant_unique_reference": "RF-1", "amount": 90000, "status": "FAILED"}
    assert shop.said(invoice_of(body)) == "SUCCESS"
    assert shop.room.database.read_now(lambda tx: balance_of(tx, REFUNDING)) == 0

    later = refund(shop, body)

    assert later.json["refund"]["status"] == "SUCCESS"
    assert [one["state"] for one in shop.payment(invoice_of(body))["refunds"]] == ["FAILED", "SUCCESS"]


def test_refunds_at_once_give_back_once(shop: Shop):
    body = paid(shop)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: refund(shop, body), range(8)))

    assert sorted(answer.status for answer in answers) == [200] + [400] * 7
    assert given_back(shop, body) == 90000
    assert shop.payment(invoice_of(body))["state"] == "REFUNDED"


def test_a_merchant_whose_money_is_gone_cannot_refund(shop: Shop):
    body = paid(shop)

    def spend(tx: Tx) -> None:
        left = balance_of(tx, PAYABLE)
        post(
            tx,
            [Transfer(PAYABLE, account("cash", "sandbox"), left, "payout")],
            cause="spent",
            now=shop.running.gateway.clock.now(),
        )

    shop.room.database.transact_now(spend)

    assert_refused(refund(shop, body), "Insufficient Balance")
    assert shop.payment(invoice_of(body))["refunds"] == []


def test_after_a_part_that_a_person_gave_back_the_rest_goes_back(shop: Shop):
    body = paid(shop)
    now = shop.running.gateway.clock.now()

    def by_hand(tx: Tx) -> None:
        part = open_refund(
            tx,
            stored(tx, shop, body),
            amount=Rupiah(20000),
            type=RefundType.MANUAL_PARTIAL_REFUND,
            request_id="by-hand",
            now=now,
        )
        # A person's to end: the room does not ask the provider about it.
        assert _waiting(tx, CODE) == []
        complete_refund(tx, part, approval_code=None, message="Approved", now=now)

    shop.room.database.transact_now(by_hand)
    assert shop.said(invoice_of(body)) == "SUCCESS"

    answer = refund(shop, body)

    assert answer.json["refund"]["amount"] == 70000
    assert given_back(shop, body) == 70000
    assert shop.said(invoice_of(body)) == "REFUNDED"


def test_money_that_came_twice_goes_back_once_and_the_refund_takes_the_other(shop: Shop):
    opened = shop.order().json
    invoice = opened["order"]["invoice_number"]
    shop.play(invoice, "PAID_TWICE")
    shop.until(invoice, "MONEY_RETURNED")
    body = {
        "order": {"invoice_number": invoice},
        "payment": {"merchant_unique_reference": "MUR-1", "identifier": opened["payment"]["identifier"]},
        "refund": {"merchant_unique_reference": "RF-1"},
    }

    assert refund(shop, body).json["refund"]["status"] == "SUCCESS"

    assert given_back(shop, body) == 180_000


def call_of(tx: Tx, shop: Shop) -> Call:
    gateway = shop.running.gateway
    merchant = get(tx, DEMO_CLIENT_ID)
    return Call(tx, merchant, "by-hand", gateway.clock.now(), gateway.settings, shop.running.url, room=shop.room)


@pytest.mark.parametrize(
    ("amount", "void", "opens"), [(90000, True, "VOID"), (90000, False, "FULL_REFUND"), (1, False, "PARTIAL_REFUND")]
)
def test_a_room_says_how_much_and_whether_it_is_a_void(shop: Shop, amount: int, void: bool, opens: str):
    body = paid(shop)

    def act(tx: Tx) -> Refund:
        payment = stored(tx, shop, body)
        begun = give_back_action(call_of(tx, shop), payment, amount, void=void, answer=lambda *_: {})
        assert isinstance(begun, Ask)
        [refund] = refunds_of(tx, payment.id)
        ended = begun.after(call_of(tx, shop), True)
        assert ended == {}
        return refund

    opened = shop.room.database.transact_now(act)

    assert (opened.type, opened.amount) == (opens, amount)
    assert shop.said(invoice_of(body)) == {"VOID": "VOIDED", "FULL_REFUND": "REFUNDED", "PARTIAL_REFUND": "SUCCESS"}[opens]


@pytest.mark.parametrize(("amount", "void"), [(90001, False), (0, False), (-1, False), (89999, True)])
def test_a_wrong_amount_is_refused_and_reserves_nothing(shop: Shop, amount: int, void: bool):
    body = paid(shop)

    def act(tx: Tx) -> None:
        give_back_action(call_of(tx, shop), stored(tx, shop, body), amount, void=void, answer=lambda *_: {})

    with pytest.raises(Refused) as refused:
        shop.room.database.transact_now(act)

    assert refused.value.reason is Reason.REFUND_TOO_LARGE
    assert shop.payment(invoice_of(body))["refunds"] == []


@pytest.mark.parametrize("amount", [None, 40_000], ids=["all", "a part"])
def test_the_same_refund_in_two_processes_at_once_is_one_refund(shop: Shop, monkeypatch: pytest.MonkeyPatch, amount: int | None):
    body = paid(shop)

    def dawdle(tx: Tx, payment_id: str) -> list[Refund]:
        found = refunds_of(tx, payment_id)
        time.sleep(0.2)  # so that on PostgreSQL both have looked before either writes
        return found

    monkeypatch.setattr("gerbang.providers.giving_back.refunds_of", dawdle)

    def act(tx: Tx) -> object:
        return give_back_action(call_of(tx, shop), stored(tx, shop, body), amount, answer=lambda *_: {})

    with ThreadPoolExecutor(2) as pool:
        begun = list(pool.map(lambda _: shop.room.database.transact_now(act), range(2)))

    assert all(isinstance(one, Ask) for one in begun)
    assert [one["amount"] for one in shop.payment(invoice_of(body))["refunds"]] == [amount or 90_000]
