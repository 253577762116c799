"""Orders and payments: states move by the table, once, together with the money."""

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from gerbang.errors import Reason, Refused
from gerbang.ledger import Transfer, account, balance_of, entries, post, statement
from gerbang.money import Rupiah
from gerbang.payments import (
    Move,
    Order,
    OrderState,
    Payment,
    PaymentState,
    Refund,
    RefundType,
    advance,
    authorise,
    complete_refund,
    events,
    fail_refund,
    find_order,
    find_payment,
    finish,
    get_payment,
    let_go,
    list_orders,
    note,
    open_order,
    open_refund,
    payments_of,
    refunds_of,
    take,
    verify_payments,
)
from gerbang.payments.queries import overdue
from gerbang.payments.states import NEXT, ORDER_AFTER
from gerbang.storage import ConstraintBroken, Database, Tx, open_database
from support.gateway import NOON

HOUR = timedelta(hours=1)
SITI = account("wallet", "siti")
SHOP = account("merchant", "BRN-1", "payable")
HELD = account("merchant", "BRN-1", "authorised")
BANK = account("acquirer", "BCA")


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
    """A payment that got to this state honestly, with its money."""
    _, payment = an_order(tx, amount=amount)
    match state:
        case PaymentState.PENDING:
            return payment
        case PaymentState.FAILED:
            return advance(tx, payment, Move.DECLINED, now=NOON)
        case PaymentState.CANCELLED:
            return advance(tx, payment, Move.CANCELLED, now=NOON)
        case PaymentState.EXPIRED:
            return advance(tx, payment, Move.TIMED_OUT, now=NOON)
        case PaymentState.REPLACED:
            an_order(tx, amount=amount, retriable=True)
            return get_payment(tx, payment.id)[1]
        case PaymentState.SUCCESS:
            return pay(tx, payment)
        case PaymentState.AUTHORISED:
            return reserve(tx, payment)
        case PaymentState.RELEASED:
            return let_go(tx, reserve(tx, payment), Move.RELEASED, now=NOON)
        case PaymentState.VOIDED:
            return give_back(tx, pay(tx, payment), amount, RefundType.VOID)
        case PaymentState.PARTIALLY_REFUNDED:
            return give_back(tx, pay(tx, payment), 1, RefundType.PARTIAL_REFUND)
        case PaymentState.REFUNDED:
            return give_back(tx, pay(tx, payment), amount, RefundType.FULL_REFUND)


def pay(tx: Tx, payment: Payment) -> Payment:
    """Paid from a wallet that was filled for it."""
    post(tx, [Transfer("cash:x", SITI, payment.amount, "topup")], cause=f"top_{payment.id}", now=NOON)
    transfers = [Transfer(SITI, SHOP, payment.amount)]
    return finish(tx, payment, transfers=transfers, payer="siti", approval_code="123456", now=NOON)


def reserve(tx: Tx, payment: Payment) -> Payment:
    """Authorised on a card, the whole amount, for a week."""
    until = NOON + timedelta(days=7)
    return authorise(tx, payment, amount=payment.amount, payer="4811", approval_code="123456", capture_before=until, now=NOON)


def charge(tx: Tx, payment: Payment, amount: int = 60_000) -> Payment:
    """Taken from a card, for a fee of 2,90 %; what was reserved is captured."""
    fee = Rupiah(amount * 29 // 1_000)
    return take(tx, payment, source=BANK, amount=Rupiah(amount), fee=fee, settles_at=NOON + HOUR, now=NOON)


def begin_refund(tx: Tx, payment: Payment, amount: int, type: RefundType = RefundType.PARTIAL_REFUND) -> Refund:
    return open_refund(tx, payment, amount=Rupiah(amount), type=type, request_id="req-r", now=NOON)


def give_back(tx: Tx, payment: Payment, amount: int, type: RefundType = RefundType.PARTIAL_REFUND) -> Payment:
    """Money that went back; the payment as it is then."""
    refund = begin_refund(tx, payment, amount, type)
    return complete_refund(tx, refund, approval_code="654321", message=None, now=NOON)[1]


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


def test_the_newest_order_or_refund_of_a_request_id_is_the_one_written_last_whatever_the_clocks_said(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour back, on another server: it has made no id yet, and its business time is earlier, too."""
    now_ns = time.time_ns()
    found = []
    for hours in (1, 0):
        monkeypatch.setattr("gerbang.ids._newest_ns", 0)
        monkeypatch.setattr("gerbang.ids.time.time_ns", lambda hours=hours: now_ns + hours * 3_600 * 10**9)
        found.append(database.transact_now(lambda tx, hours=hours: an_order(tx, f"INV-{hours}", now=NOON + hours * HOUR)))  # type: ignore[misc]
        paid = database.transact_now(lambda tx, payment=found[-1][1]: pay(tx, payment))  # type: ignore[misc]
        database.transact_now(lambda tx, paid=paid: begin_refund(tx, paid, 1))  # type: ignore[misc]

    assert found[1][0].id < found[0][0].id
    for request_id in ("req-1", "req-r"):
        newest = database.read_now(lambda tx, one=request_id: find_order(tx, "BRN-1", one))  # type: ignore[misc]
        assert newest is not None
        assert newest.id == found[1][0].id, request_id


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


def test_a_buyer_has_a_part_in_a_pending_payment_only() -> None:
    assert {state for state in PaymentState if not state.is_final} == {PaymentState.PENDING}
    buyers = {Move.PAID, Move.AUTHORISED, Move.DECLINED, Move.CANCELLED, Move.TIMED_OUT, Move.REPLACED}
    assert {move for state, move in NEXT if not state.is_final} == buyers
    assert not buyers & {move for state, move in NEXT if state.is_final}


def test_nothing_leaves_a_payment_that_is_over() -> None:
    over = set(PaymentState) - {state for state, _ in NEXT}

    assert {state.value for state in over} == {
        "FAILED",
        "CANCELLED",
        "EXPIRED",
        "REPLACED",
        "RELEASED",
        "VOIDED",
        "REFUNDED",
    }


def test_every_state_is_reached_by_some_move_and_has_a_word_for_its_order_except_the_replaced() -> None:
    assert {PaymentState.PENDING, *NEXT.values()} == set(PaymentState)
    assert set(ORDER_AFTER) == set(PaymentState) - {PaymentState.REPLACED}
    assert len(set(ORDER_AFTER.values())) == len(ORDER_AFTER)
    assert set(ORDER_AFTER.values()) == set(OrderState)


@pytest.mark.parametrize("state", [state for state in PaymentState if state is not PaymentState.REPLACED])
def test_an_order_stands_where_its_newest_payment_does(database: Database, state: PaymentState) -> None:
    payment = database.transact_now(lambda tx: a_payment(tx, state))

    assert payment.state is state
    assert state_of(database, payment) == (ORDER_AFTER[state], state)


@pytest.mark.parametrize("state", [PaymentState.SUCCESS, PaymentState.AUTHORISED, PaymentState.CANCELLED])
def test_an_order_opened_again_follows_the_new_payment_and_no_longer_the_old(database: Database, state: PaymentState) -> None:
    old = database.transact_now(lambda tx: a_payment(tx, PaymentState.REPLACED))
    order, _ = database.read_now(lambda tx: get_payment(tx, old.id))
    assert order.state is OrderState.OPEN
    newest = database.read_now(lambda tx: payments_of(tx, order.id))[-1]
    into = {
        PaymentState.SUCCESS: pay,
        PaymentState.AUTHORISED: reserve,
        PaymentState.CANCELLED: lambda tx, payment: advance(tx, payment, Move.CANCELLED, now=NOON),
    }[state]

    database.transact_now(lambda tx: into(tx, newest))

    assert state_of(database, newest) == (ORDER_AFTER[state], state)
    assert state_of(database, old) == (ORDER_AFTER[state], PaymentState.REPLACED)


@pytest.mark.parametrize("state", sorted(PaymentState))
def test_an_invoice_is_not_sold_again_once_any_payment_of_it_holds_money_or_had_some(
    database: Database, state: PaymentState
) -> None:
    database.transact_now(lambda tx: a_payment(tx, state))
    spent = state in ("AUTHORISED", "RELEASED", "SUCCESS", "VOIDED", "PARTIALLY_REFUNDED", "REFUNDED")
    # What the order's own row says is not what decides.
    database.transact_now(lambda tx: tx.execute("update orders set state = 'EXPIRED'"))

    try:
        with pytest.raises(Refused) if spent else contextlib.nullcontext() as refused:
            order, payment = database.transact_now(lambda tx: an_order(tx, retriable=True))
    finally:
        stood = ORDER_AFTER[state] if spent else OrderState.OPEN
        database.transact_now(lambda tx: tx.execute("update orders set state = :state", {"state": stood.value}))

    if spent:
        assert refused.value.reason is Reason.INVOICE_ALREADY_PAID
    else:
        assert (payment.attempt, order.attempts) == (len(database.read_now(lambda tx: payments_of(tx, order.id))),) * 2


def test_the_newest_payment_is_the_one_opened_last_whatever_the_clocks_said(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = time.time_ns()
    monkeypatch.setattr("gerbang.ids._newest_ns", 0)
    monkeypatch.setattr("gerbang.ids.time.time_ns", lambda: now_ns + 3_600 * 10**9)
    _, first = database.transact_now(an_order)
    # Another server's: it has made no id yet.
    monkeypatch.setattr("gerbang.ids._newest_ns", 0)
    monkeypatch.setattr("gerbang.ids.time.time_ns", lambda: now_ns)

    order, second = database.transact_now(lambda tx: an_order(tx, retriable=True))
    database.transact_now(lambda tx: pay(tx, second))

    assert second.id < first.id
    assert [one.id for one in database.read_now(lambda tx: payments_of(tx, order.id))] == [first.id, second.id]
    assert state_of(database, second) == (OrderState.PAID, PaymentState.SUCCESS)


@pytest.mark.parametrize(
    ("state", "paid"),
    {state: state in ("SUCCESS", "VOIDED", "PARTIALLY_REFUNDED", "REFUNDED") for state in PaymentState}.items(),
)
def test_a_state_says_whether_the_merchant_has_or_had_its_money(database: Database, state: PaymentState, paid: bool) -> None:
    payment = database.transact_now(lambda tx: a_payment(tx, state))
    booked = database.read_now(lambda tx: [line for line in entries(tx, cause=payment.id) if line.credit == SHOP])

    assert state.is_paid is paid
    assert bool(booked) is paid


def test_money_is_settled_from_the_moment_it_settles_at(database: Database) -> None:
    payment = database.transact_now(lambda tx: charge(tx, a_payment(tx)))

    assert not payment.is_settled(NOON + HOUR - timedelta(milliseconds=1))
    assert payment.is_settled(NOON + HOUR)
    assert not database.transact_now(lambda tx: an_order(tx, "INV-2"))[1].is_settled(NOON + HOUR)


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


def test_an_authorisation_is_reserved_and_not_yet_the_merchants(database: Database) -> None:
    held = database.transact_now(lambda tx: a_payment(tx, PaymentState.AUTHORISED))

    _, stored = database.read_now(lambda tx: get_payment(tx, held.id))
    assert stored == held
    assert (held.charged, held.capture_before, held.finished_at) == (60_000, NOON + timedelta(days=7), NOON)
    assert (held.payer, held.approval_code) == ("4811", "123456")
    assert database.read_now(lambda tx: (balance_of(tx, HELD), balance_of(tx, SHOP))) == (60_000, 0)


@pytest.mark.parametrize(("captured", "fee"), [(60_000, 1_740), (59_999, 1_739), (1, 0)])
def test_a_capture_takes_its_amount_less_the_fee_and_lets_the_rest_go(database: Database, captured: int, fee: int) -> None:
    held = database.transact_now(lambda tx: a_payment(tx, PaymentState.AUTHORISED))

    paid = database.transact_now(lambda tx: charge(tx, held, captured))

    assert state_of(database, held) == (OrderState.PAID, PaymentState.SUCCESS)
    assert (paid.charged, paid.settles_at, paid.payer) == (captured, NOON + HOUR, "4811")
    assert database.read_now(lambda tx: (balance_of(tx, HELD), balance_of(tx, SHOP))) == (0, captured - fee)
    booked = database.read_now(lambda tx: {line.entry: line.amount for line in entries(tx, cause=held.id)})
    assert booked == {"hold": 60_000, "release": 60_000, "gross": captured} | ({"fee": fee} if fee else {})
    assert [event.event for event in database.read_now(lambda tx: events(tx, held.id))] == ["CREATED", "AUTHORISED", "CAPTURED"]


def test_more_than_was_reserved_is_not_captured(database: Database) -> None:
    held = database.transact_now(lambda tx: a_payment(tx, PaymentState.AUTHORISED))

    with pytest.raises(Refused) as refused:
        database.transact_now(lambda tx: charge(tx, held, 60_001))

    assert refused.value.reason is Reason.CAPTURE_TOO_LARGE
    assert state_of(database, held) == (OrderState.AUTHORISED, PaymentState.AUTHORISED)
    assert database.read_now(lambda tx: (balance_of(tx, HELD), balance_of(tx, SHOP))) == (60_000, 0)


def test_money_taken_without_an_authorisation_is_the_merchants_less_the_fee(database: Database) -> None:
    paid = database.transact_now(lambda tx: charge(tx, a_payment(tx), 50_000))

    assert (paid.state, paid.charged, paid.amount) == (PaymentState.SUCCESS, 50_000, 60_000)
    assert database.read_now(lambda tx: (balance_of(tx, HELD), balance_of(tx, SHOP))) == (0, 50_000 - 1_450)
    assert database.read_now(statement)[BANK] == (50_000, 0)


def test_a_released_authorisation_leaves_nothing_to_anybody(database: Database) -> None:
    gone = database.transact_now(lambda tx: a_payment(tx, PaymentState.RELEASED))

    assert state_of(database, gone) == (OrderState.RELEASED, PaymentState.RELEASED)
    assert database.read_now(lambda tx: (balance_of(tx, HELD), balance_of(tx, SHOP))) == (0, 0)
    with pytest.raises(Refused) as refused:
        database.transact_now(lambda tx: charge(tx, gone))
    assert refused.value.reason is Reason.PAYMENT_MOVED_ON


@pytest.mark.parametrize("round_number", range(3))
def test_of_capturing_and_releasing_at_once_exactly_one_wins(database: Database, round_number: int) -> None:
    held = database.transact_now(lambda tx: a_payment(tx, PaymentState.AUTHORISED))
    ready = threading.Barrier(12)

    def try_to_move(n: int) -> str:
        ready.wait(10)
        try:
            if (n + round_number) % 2:
                return database.transact_now(lambda tx: charge(tx, held, 40_000)).state.value
            return database.transact_now(lambda tx: let_go(tx, held, Move.RELEASED, now=NOON)).state.value
        except Refused as refused:
            return refused.reason.name

    with ThreadPoolExecutor(12) as threads:
        outcomes = Counter(threads.map(try_to_move, range(12)))

    assert outcomes.pop("PAYMENT_MOVED_ON") == 11
    ((winner, once),) = outcomes.items()
    assert (once, state_of(database, held)[1].value) == (1, winner)
    assert database.read_now(lambda tx: balance_of(tx, HELD)) == 0
    assert database.read_now(lambda tx: balance_of(tx, SHOP)) == (40_000 - 1_160 if winner == "SUCCESS" else 0)


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


def a_capture(tx: Tx) -> Payment:
    return charge(tx, a_payment(tx, PaymentState.AUTHORISED), 50_000)


def a_void_of_an_authorisation(tx: Tx) -> Payment:
    return give_back(tx, a_payment(tx, PaymentState.AUTHORISED), 60_000, RefundType.VOID)


def an_open_refund(tx: Tx) -> Payment:
    payment = charge(tx, a_payment(tx))
    begin_refund(tx, payment, 20_000)
    return payment


def an_open_refund_without_fee(tx: Tx) -> Payment:
    payment = a_payment(tx, PaymentState.SUCCESS)
    begin_refund(tx, payment, 20_000)
    return payment


def a_part_given_back(tx: Tx) -> Payment:
    return give_back(tx, charge(tx, a_payment(tx)), 20_000)


def a_failed_refund(tx: Tx) -> Payment:
    payment = charge(tx, a_payment(tx))
    fail_refund(tx, begin_refund(tx, payment, 20_000), message="DECLINED", now=NOON)
    return payment


def told(state: PaymentState) -> str:
    """A lie told everywhere: by the payment, its order and its history."""
    everywhere = f"update payment set state = '{state}'; update event set state = '{state}'"
    return f"{everywhere}; update orders set state = '{ORDER_AFTER[state]}'"


FORGERIES: dict[str, tuple[PaymentState | Callable[[Tx], Payment], str, str]] = {
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
    "a pending payment that says more than its order": (PaymentState.PENDING, "update payment set amount = 60001", "payment"),
    "a pending payment that was charged": (PaymentState.PENDING, "update payment set charged = 60000", "payment"),
    "a paid payment charged nothing": (PaymentState.SUCCESS, "update payment set charged = null", "payment"),
    "a payment charged more than it asked for": (
        a_capture,
        "update payment set charged = 60001; update transfer set amount = 60001 where entry = 'gross'",
        "payment",
    ),
    "a payment that never settles": (PaymentState.SUCCESS, "update payment set settles_at = null", "payment"),
    "an order that follows its replaced payment": (
        PaymentState.REPLACED,
        "update orders set state = 'FAILED'",
        "order",
    ),
    # Holds.
    "an authorisation without a hold": (PaymentState.AUTHORISED, "delete from transfer where entry = 'hold'", "payment"),
    "an authorisation that reserved less": (
        PaymentState.AUTHORISED,
        "update transfer set amount = 1 where entry = 'hold'",
        "payment",
    ),
    "an authorisation that says less": (PaymentState.AUTHORISED, "update payment set charged = 1", "payment"),
    "an authorisation without end": (PaymentState.AUTHORISED, "update payment set capture_before = null", "payment"),
    "an authorisation whose hold was let go": (PaymentState.RELEASED, told(PaymentState.AUTHORISED), "payment"),
    "a payment authorised by hand": (PaymentState.SUCCESS, told(PaymentState.AUTHORISED), "payment"),
    "a released payment whose hold stayed": (PaymentState.AUTHORISED, told(PaymentState.RELEASED), "payment"),
    "a released payment that says less": (PaymentState.RELEASED, "update payment set charged = 1", "payment"),
    "a captured payment told to be released": (
        a_capture,
        told(PaymentState.RELEASED) + "; update payment set charged = 60000",
        "payment",
    ),
    "a capture whose hold stayed": (a_capture, "delete from transfer where entry = 'release'", "payment"),
    "a capture that let go of less": (a_capture, "update transfer set amount = 1 where entry = 'release'", "payment"),
    "an authorisation voided without a hold": (a_void_of_an_authorisation, "delete from transfer", "payment"),
    "an authorisation voided over less": (
        a_void_of_an_authorisation,
        "update transfer set amount = 1",
        "payment",
    ),
    "an account that holds more than is reserved": (
        PaymentState.AUTHORISED,
        "update balance set amount = 60001 where account like '%:authorised'",
        "authorised",
    ),
    # Refunds.
    "a payment that says more went back than did": (PaymentState.SUCCESS, "update payment set refunded = 1", "payment"),
    "an unpaid payment of which something went back": (PaymentState.FAILED, "update payment set refunded = 1", "payment"),
    "a payment that forgot what is on its way back": (an_open_refund, "update payment set refunded = 0", "payment"),
    "more on its way back than was charged": (
        an_open_refund_without_fee,
        "update payment set charged = 19999; update transfer set amount = 19999 where cause like 'pay_%' and entry = 'gross'",
        "payment",
    ),
    "a refund that was deleted": (a_part_given_back, "delete from refund", "payment"),
    "a failed refund that was deleted": (a_failed_refund, "delete from refund", "refund transfer"),
    "a refund that says less": (a_part_given_back, "update refund set amount = 1", "refund"),
    "a refund of another merchant": (a_part_given_back, "update refund set merchant_id = 'BRN-2'", "refund"),
    "a refund that is over and never finished": (a_part_given_back, "update refund set finished_at = null", "refund"),
    "an open refund that has finished": (an_open_refund, "update refund set finished_at = 0", "refund"),
    "an open refund that reserved nothing": (an_open_refund, "delete from transfer where entry = 'reserve'", "refund"),
    "an open refund that reserved less": (an_open_refund, "update transfer set amount = 1 where entry = 'reserve'", "refund"),
    "a refund done by hand": (an_open_refund, "update refund set state = 'SUCCESS', finished_at = 0", "refund"),
    "a refund whose money stayed here": (
        a_part_given_back,
        "delete from transfer where entry = 'gross' and cause like 'rfd_%'",
        "refund",
    ),
    "a refund that gave back less": (
        a_part_given_back,
        "update transfer set amount = 1 where entry = 'gross' and cause like 'rfd_%'",
        "refund",
    ),
    "a refund that is done and told to have failed": (a_part_given_back, "update refund set state = 'FAILED'", "refund"),
    "a refund that failed and is told to be open": (
        a_failed_refund,
        "update refund set state = 'PENDING', finished_at = null",
        "refund",
    ),
    "a refund that went back and is told to be open": (
        a_part_given_back,
        "update refund set state = 'PENDING', finished_at = null",
        "refund",
    ),
    "a failed refund that reserved and freed less": (
        a_failed_refund,
        "update transfer set amount = 1 where entry in ('reserve', 'unreserve')",
        "refund",
    ),
    "a failed refund whose reserve stayed": (a_failed_refund, "delete from transfer where entry = 'unreserve'", "refund"),
    "a failed refund that freed less": (a_failed_refund, "update transfer set amount = 1 where entry = 'unreserve'", "refund"),
    "a void that reserved money nobody had": (
        a_void_of_an_authorisation,
        "update transfer set entry = 'reserve', cause = (select id from refund) where entry = 'release'",
        "refund",
    ),
    "a payment refunded by hand": (PaymentState.SUCCESS, told(PaymentState.REFUNDED), "payment"),
    "a payment voided by hand": (PaymentState.SUCCESS, told(PaymentState.VOIDED), "payment"),
    "a refunded payment told to be whole": (PaymentState.REFUNDED, told(PaymentState.SUCCESS), "payment"),
    "a refunded payment told to be refunded in part": (
        PaymentState.REFUNDED,
        told(PaymentState.PARTIALLY_REFUNDED),
        "payment",
    ),
    "a payment refunded in part by hand": (PaymentState.SUCCESS, told(PaymentState.PARTIALLY_REFUNDED), "payment"),
    "a voided payment that took less": (
        PaymentState.VOIDED,
        "update transfer set amount = 1 where entry = 'gross' and cause like 'pay_%'",
        "payment",
    ),
    "a fee kept although its part went back": (
        a_part_given_back,
        "delete from transfer where entry = 'fee' and cause like 'rfd_%'",
        "payment",
    ),
    "a fee given back although nothing went back": (a_failed_refund, "delete from transfer where entry = 'unfee'", "payment"),
    "a fee given back by less than its part": (
        a_part_given_back,
        "update transfer set amount = amount - 1 where entry = 'fee' and cause like 'rfd_%'",
        "payment",
    ),
    "an account with more on its way back than there is": (
        an_open_refund,
        "update balance set amount = 20001 where account like '%:refunding'",
        "refunding",
    ),
}


@pytest.mark.parametrize(("made", "forgery", "named"), FORGERIES.values(), ids=FORGERIES)
def test_verification_finds_and_names(
    data_address: str, made: PaymentState | Callable[[Tx], Payment], forgery: str, named: str
) -> None:
    database = open_database(data_address, connections=4)
    payment = database.transact_now(lambda tx: made(tx) if callable(made) else a_payment(tx, made))
    assert database.read_now(verify_payments) == []
    refund = next((one.id for one in database.read_now(lambda tx: refunds_of(tx, payment.id))), "")
    transfers, refund_transfers = [
        [line.id for line in database.read_now(lambda tx, cause=cause: entries(tx, cause=cause))]  # type: ignore[misc]
        for cause in (payment.id, refund)
    ]
    ids = {
        "payment": payment.id,
        "order": payment.order_id,
        "transfer": next(iter(transfers), ""),
        "refund": refund,
        "refund transfer": next(iter(refund_transfers), ""),
        "authorised": HELD,
        "refunding": account("merchant", "BRN-1", "refunding"),
    }

    def forge(tx: Tx) -> None:
        for lie in forgery.split(";"):
            assert tx.execute(lie) >= 1

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
