"""Orders and payments: states move by the table, once, together with the money."""

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from gerbang.errors import Reason, Refused
from gerbang.ledger import Transfer, account, balance_of, entries, post
from gerbang.money import Rupiah
from gerbang.payments import (
    Move,
    Order,
    OrderState,
    Payment,
    PaymentState,
    advance,
    events,
    find_order,
    find_payment,
    finish,
    get_payment,
    list_orders,
    note,
    open_order,
    payments_of,
    verify_payments,
)
from gerbang.payments.queries import overdue
from gerbang.payments.states import NEXT, ORDER_AFTER
from gerbang.storage import ConstraintBroken, Database, Tx, open_database
from support.gateway import NOON

HOUR = timedelta(hours=1)
SITI = account("wallet", "siti")
SHOP = account("merchant", "BRN-1", "payable")

# How each state is reached.
INTO = {state: move for (_, move), state in NEXT.items()}


def an_order(tx: Tx, invoice_number: str = "INV-1", amount: int = 60_000, **other: Any) -> tuple[Order, Payment]:
    given: dict[str, Any] = {
        "merchant_id": "BRN-1",
        "channel": "EMONEY_DOKU",
        "request_id": "req-1",
        "details": {},
        "expires_at": NOON + HOUR,
        "now": NOON,
    }
    return open_order(tx, invoice_number=invoice_number, amount=Rupiah(amount), **(given | other))


def a_payment(tx: Tx, state: PaymentState = PaymentState.PENDING, amount: int = 60_000) -> Payment:
    """A payment that got to this state honestly."""
    _, payment = an_order(tx, amount=amount)
    if state is PaymentState.SUCCESS:
        post(tx, [Transfer("cash:x", SITI, Rupiah(amount), "topup")], cause=f"top_{payment.id}", now=NOON)
        return finish(
            tx, payment, transfers=[Transfer(SITI, SHOP, Rupiah(amount))], payer="siti", approval_code="123456", now=NOON
        )
    return payment if state is PaymentState.PENDING else advance(tx, payment, INTO[state], now=NOON)


def state_of(database: Database, payment: Payment) -> tuple[OrderState, PaymentState]:
    order, current = database.read_now(lambda tx: get_payment(tx, payment.id))
    return order.state, current.state


# -- opening


def test_an_order_is_found_as_it_was_opened(database: Database) -> None:
    order, payment = database.transact_now(lambda tx: an_order(tx, details={"success_url": "https://toko.example/é", "n": [1]}))

    assert database.read_now(lambda tx: find_order(tx, "BRN-1", "INV-1")) == order
    assert database.read_now(lambda tx: find_payment(tx, payment.id)) == (order, payment)
    assert database.read_now(lambda tx: payments_of(tx, order.id)) == [payment]
    assert (order.state, payment.state, payment.state.is_final) == (OrderState.OPEN, PaymentState.PENDING, False)
    assert [(event.event, event.state) for event in database.read_now(lambda tx: events(tx, payment.id))] == [
        ("CREATED", "PENDING")
    ]


@pytest.mark.parametrize("state", PaymentState)
def test_an_invoice_number_is_used_up_whatever_became_of_its_order(database: Database, state: PaymentState) -> None:
    database.transact_now(lambda tx: a_payment(tx, state))

    with pytest.raises(Refused) as refused:
        database.transact_now(an_order)

    assert refused.value.reason is Reason.INVOICE_ALREADY_USED
    assert refused.value.facts["invoice_number"] == "INV-1"


def test_another_merchant_may_use_the_same_invoice_number(database: Database) -> None:
    ours, _ = database.transact_now(an_order)
    theirs, _ = database.transact_now(lambda tx: an_order(tx, merchant_id="BRN-2"))

    assert database.read_now(lambda tx: find_order(tx, "BRN-1", "INV-1")) == ours
    assert database.read_now(lambda tx: find_order(tx, "BRN-2", "INV-1")) == theirs
    assert database.read_now(lambda tx: find_order(tx, "BRN-3", "INV-1")) is None


def test_of_32_orders_with_one_invoice_number_at_once_one_is_opened(database: Database) -> None:
    def try_to_open(_: int) -> str:
        try:
            database.transact_now(an_order)
        except Refused as refused:
            return refused.reason.name
        return "opened"

    with ThreadPoolExecutor(32) as threads:
        assert Counter(threads.map(try_to_open, range(32))) == {"opened": 1, "INVOICE_ALREADY_USED": 31}


def test_a_request_id_finds_the_newest_order_it_made_and_an_invoice_number_comes_first(database: Database) -> None:
    database.transact_now(lambda tx: an_order(tx, "INV-1", now=NOON))
    newest, _ = database.transact_now(lambda tx: an_order(tx, "INV-2", now=NOON + HOUR))
    named, _ = database.transact_now(lambda tx: an_order(tx, "req-2", request_id="req-9"))
    database.transact_now(lambda tx: an_order(tx, "INV-4", request_id="req-2"))

    assert database.read_now(lambda tx: find_order(tx, "BRN-1", "req-1")) == newest
    assert database.read_now(lambda tx: find_order(tx, "BRN-1", "req-2")) == named


def test_orders_are_listed_newest_first_and_narrowed_by_merchant_and_state(database: Database) -> None:
    for n, merchant_id in enumerate(["BRN-1", "BRN-2", "BRN-1"]):
        _, payment = database.transact_now(lambda tx, n=n, m=merchant_id: an_order(tx, f"INV-{n}", merchant_id=m))  # type: ignore[misc]
    database.transact_now(lambda tx: advance(tx, payment, Move.CANCELLED, now=NOON))

    def listed(**narrowed: Any) -> list[str]:
        return [order.invoice_number for order in database.read_now(lambda tx: list_orders(tx, **narrowed))]

    assert listed() == ["INV-2", "INV-1", "INV-0"]
    assert listed(limit=1) == ["INV-2"]
    assert listed(merchant_id="BRN-1") == ["INV-2", "INV-0"]
    assert listed(merchant_id="BRN-1", state="CANCELLED") == ["INV-2"]
    assert listed(state="PAID") == []


def test_a_payment_nobody_knows_is_refused(database: Database) -> None:
    with pytest.raises(Refused) as refused:
        database.read_now(lambda tx: get_payment(tx, "pay_unknown"))

    assert refused.value.reason is Reason.ORDER_NOT_FOUND
    assert database.read_now(lambda tx: find_payment(tx, "pay_unknown")) is None


def test_a_payment_is_overdue_from_the_moment_it_expires(database: Database) -> None:
    payment = database.transact_now(a_payment)
    late = NOON + HOUR

    assert database.read_now(lambda tx: overdue(tx, now=late - timedelta(milliseconds=1), limit=9)) == []
    assert database.read_now(lambda tx: overdue(tx, now=late, limit=9)) == [payment]
    database.transact_now(lambda tx: advance(tx, payment, Move.TIMED_OUT, now=late))
    assert database.read_now(lambda tx: overdue(tx, now=late, limit=9)) == []


# -- moving


@pytest.mark.parametrize(("state", "move"), sorted(set(product(PaymentState, Move)) - set(NEXT)))
def test_a_move_outside_the_table_is_refused_and_changes_nothing(database: Database, state: PaymentState, move: Move) -> None:
    payment = database.transact_now(lambda tx: a_payment(tx, state))
    before = database.read_now(lambda tx: (get_payment(tx, payment.id), events(tx, payment.id)))

    with pytest.raises(Refused, match="no longer") as refused:
        database.transact_now(lambda tx: advance(tx, payment, move, now=NOON + HOUR))

    assert refused.value.reason is Reason.PAYMENT_MOVED_ON
    assert database.read_now(lambda tx: (get_payment(tx, payment.id), events(tx, payment.id))) == before


@pytest.mark.parametrize("move", [Move.DECLINED, Move.CANCELLED, Move.TIMED_OUT])
def test_a_move_along_the_table_takes_the_order_with_it_and_leaves_an_event(database: Database, move: Move) -> None:
    payment = database.transact_now(a_payment)
    later = NOON + timedelta(minutes=5)

    moved = database.transact_now(lambda tx: advance(tx, payment, move, now=later, failure="BECAUSE"))

    order, stored = database.read_now(lambda tx: get_payment(tx, payment.id))
    assert stored == moved
    assert (stored.state, stored.failure, stored.finished_at) == (NEXT[payment.state, move], "BECAUSE", later)
    assert order.state is ORDER_AFTER[stored.state]
    last = database.read_now(lambda tx: events(tx, payment.id))[-1]
    assert (last.event, last.state, last.facts, last.at) == (move.value, stored.state.value, {"failure": "BECAUSE"}, later)


def test_every_state_says_whether_it_is_final_and_nothing_leaves_a_final_one() -> None:
    assert {state for state in PaymentState if state.is_final} == set(ORDER_AFTER)
    assert not [state for state, _ in NEXT if state.is_final]


def test_finishing_moves_state_and_money_together(database: Database) -> None:
    paid = database.transact_now(lambda tx: a_payment(tx, PaymentState.SUCCESS))

    assert state_of(database, paid) == (OrderState.PAID, PaymentState.SUCCESS)
    assert (paid.payer, paid.approval_code, paid.finished_at) == ("siti", "123456", NOON)
    assert database.read_now(lambda tx: [line.amount for line in entries(tx, cause=paid.id)]) == [60_000]
    assert database.read_now(lambda tx: (balance_of(tx, SITI), balance_of(tx, SHOP))) == (0, 60_000)


def test_finishing_without_enough_money_moves_neither_state_nor_money(database: Database) -> None:
    payment = database.transact_now(a_payment)
    database.transact_now(lambda tx: post(tx, [Transfer("cash:x", SITI, Rupiah(59_999), "topup")], cause="top_1", now=NOON))

    with pytest.raises(Refused) as refused:
        database.transact_now(
            lambda tx: finish(
                tx, payment, transfers=[Transfer(SITI, SHOP, Rupiah(60_000))], payer="siti", approval_code="1", now=NOON
            )
        )

    assert refused.value.reason is Reason.BALANCE_TOO_SMALL
    assert state_of(database, payment) == (OrderState.OPEN, PaymentState.PENDING)
    assert database.read_now(lambda tx: balance_of(tx, SITI)) == 59_999
    assert len(database.read_now(lambda tx: events(tx, payment.id))) == 1


def test_a_caller_that_fails_after_finishing_takes_everything_back(database: Database) -> None:
    def pay_and_fail(tx: Tx) -> None:
        a_payment(tx, PaymentState.SUCCESS)
        raise ConnectionError("the power went")

    with pytest.raises(ConnectionError):
        database.transact_now(pay_and_fail)

    assert database.read_now(list_orders) == []
    assert database.read_now(lambda tx: balance_of(tx, SHOP)) == 0


@pytest.mark.parametrize("round_number", range(3))
def test_of_paying_cancelling_and_expiring_at_once_exactly_one_wins(database: Database, round_number: int) -> None:
    payment = database.transact_now(a_payment)
    database.transact_now(lambda tx: post(tx, [Transfer("cash:x", SITI, Rupiah(500_000), "topup")], cause="top_1", now=NOON))
    ready = threading.Barrier(24)

    def pay(tx: Tx) -> Payment:
        # Everyone decides on what they saw earlier, as a process on another machine would.
        return finish(tx, payment, transfers=[Transfer(SITI, SHOP, Rupiah(60_000))], payer="siti", approval_code="1", now=NOON)

    def try_to_move(n: int) -> str:
        ready.wait(10)
        try:
            moved = database.transact_now(
                [
                    pay,
                    lambda tx: advance(tx, payment, Move.CANCELLED, now=NOON),
                    lambda tx: advance(tx, payment, Move.TIMED_OUT, now=NOON),
                ][(n + round_number) % 3]
            )
        except Refused as refused:
            return refused.reason.name
        return moved.state.value

    with ThreadPoolExecutor(24) as threads:
        outcomes = Counter(threads.map(try_to_move, range(24)))

    assert outcomes.pop("PAYMENT_MOVED_ON") == 23
    ((winner, once),) = outcomes.items()
    order_state, payment_state = state_of(database, payment)
    assert (once, payment_state.value, order_state) == (1, winner, ORDER_AFTER[PaymentState(winner)])
    assert database.read_now(lambda tx: balance_of(tx, SHOP)) == (60_000 if winner == "SUCCESS" else 0)
    assert len(database.read_now(lambda tx: events(tx, payment.id))) == 2


def test_the_schema_refuses_orders_and_payments_of_nothing(database: Database) -> None:
    for amount in (0, -1):
        with pytest.raises((ConstraintBroken, Refused)):
            database.transact_now(lambda tx, amount=amount: an_order(tx, amount=amount))  # type: ignore[misc]


# -- verification: each is done behind the program's back

FORGERIES = {
    "a paid payment whose state was taken back": (PaymentState.SUCCESS, "update payment set state = 'PENDING'", "payment"),
    "a paid payment without its entry": (PaymentState.SUCCESS, "delete from transfer where entry = 'gross'", "payment"),
    "a paid payment whose entry says less": (
        PaymentState.SUCCESS,
        "update transfer set amount = 1 where entry = 'gross'",
        "payment",
    ),
    "a paid payment that says more": (PaymentState.SUCCESS, "update payment set amount = 60001", "payment"),
    "money booked for a cancelled payment": (
        PaymentState.SUCCESS,
        "update payment set state = 'CANCELLED'; update orders set state = 'CANCELLED';"
        " insert into event (subject, merchant_id, event, state, at) select id, merchant_id, 'CANCELLED', 'CANCELLED', 0 from payment",
        "payment",
    ),
    "a fee booked for an unpaid payment": (
        PaymentState.SUCCESS,
        "update transfer set entry = 'fee' where entry = 'gross'; update payment set state = 'FAILED'; update orders set state = 'FAILED'",
        "payment",
    ),
    "a payment moved without an event": (
        PaymentState.PENDING,
        "update payment set state = 'EXPIRED', finished_at = 0",
        "payment",
    ),
    "a payment whose history was deleted": (PaymentState.PENDING, "delete from event", "payment"),
    "a pending payment that has finished": (PaymentState.PENDING, "update payment set finished_at = 0", "payment"),
    "a final payment that never finished": (PaymentState.EXPIRED, "update payment set finished_at = null", "payment"),
    "a payment of somebody else's order": (PaymentState.PENDING, "update payment set merchant_id = 'BRN-2'", "payment"),
    "a paid order that says less": (PaymentState.SUCCESS, "update orders set amount = 1", "payment"),
    "an order paid by hand": (PaymentState.PENDING, "update orders set state = 'PAID'", "order"),
    "a paid order opened again": (PaymentState.SUCCESS, "update orders set state = 'OPEN'", "order"),
    "an order cancelled by hand": (PaymentState.PENDING, "update orders set state = 'CANCELLED'", "order"),
    "an order without payments": (PaymentState.PENDING, "delete from payment", "order"),
    "a deleted payment whose money stayed": (PaymentState.SUCCESS, "delete from payment", "transfer"),
}


@pytest.mark.parametrize(("state", "forgery", "named"), FORGERIES.values(), ids=FORGERIES)
def test_verification_finds_and_names(data_address: str, state: PaymentState, forgery: str, named: str) -> None:
    database = open_database(data_address, connections=4)
    payment = database.transact_now(lambda tx: a_payment(tx, state))
    assert database.read_now(verify_payments) == []
    transfers = database.read_now(lambda tx: [line.id for line in entries(tx, cause=payment.id)])
    ids = {"payment": payment.id, "order": payment.order_id, "transfer": transfers[0] if transfers else ""}

    def forge(tx: Tx) -> None:
        for statement in forgery.split(";"):
            assert tx.execute(statement) >= 1

    database.transact_now(forge)

    problems = database.read_now(verify_payments)
    database.close()
    assert ids[named] in {problem.subject for problem in problems}, json.dumps([problem.text for problem in problems])


def test_what_is_noted_stands_before_the_end_and_not_after_it(database: Database) -> None:
    """Somebody who pays while a wrong PIN is written down waits for it: the history still ends with the payment's end."""
    _, payment = database.transact_now(an_order)
    database.transact_now(lambda tx: note(tx, payment, "PIN_WRONG", now=NOON, facts={"phone": "0812"}))
    database.transact_now(lambda tx: advance(tx, payment, Move.CANCELLED, now=NOON))

    for known in (payment, database.read_now(lambda tx: find_payment(tx, payment.id))[1]):  # type: ignore[index]
        with pytest.raises(Refused) as refused:
            database.transact_now(lambda tx, known=known: note(tx, known, "PIN_WRONG", now=NOON, facts={}))  # type: ignore[misc]
        assert refused.value.reason is Reason.PAYMENT_MOVED_ON
    assert [event.event for event in database.read_now(lambda tx: events(tx, payment.id))] == [
        "CREATED",
        "PIN_WRONG",
        "CANCELLED",
    ]
