"""Refunds and voids: never more than was paid, never more than the merchant has, and the fee goes back with the money."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
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
    RefundState,
    RefundType,
    advance,
    authorise,
    complete_refund,
    events,
    fail_refund,
    find_order,
    get_payment,
    get_refund,
    let_go,
    open_order,
    open_refund,
    open_refunds,
    payments_of,
    refunds_of,
    refuse_refund,
    take,
)
from gerbang.storage import ConstraintBroken, Database, Tx
from support.gateway import NOON

HOUR = timedelta(hours=1)
PAYABLE = account("merchant", "BRN-1", "payable")
HELD = account("merchant", "BRN-1", "authorised")
REFUNDING = account("merchant", "BRN-1", "refunding")
BANK = account("acquirer", "BCA")
FEES = account("fee", "CREDIT_CARD")

# 2,90 % of 60000.
FEE = 1_740


def reopen(tx: Tx, invoice_number: str = "INV-1", amount: int = 60_000, **other: Any) -> tuple[Order, Payment]:
    """A card order as a merchant asks for it, for the first time or again (D-9)."""
    given: dict[str, Any] = {
        "merchant_id": "BRN-1",
        "channel": "CREDIT_CARD",
        "request_id": "req-1",
        "details": {},
        "expires_at": NOON + HOUR,
        "now": NOON,
        "retriable": True,
    }
    return open_order(tx, invoice_number=invoice_number, amount=Rupiah(amount), **(given | other))


def paid(tx: Tx, amount: int = 60_000, *, fee: int = FEE, invoice_number: str = "INV-1") -> Payment:
    """A card payment whose money was taken."""
    return charge(tx, reopen(tx, invoice_number, amount)[1], amount, fee=fee)


def authorised(tx: Tx, amount: int = 60_000) -> Payment:
    until = NOON + timedelta(days=7)
    payment = reopen(tx, amount=amount)[1]
    return authorise(tx, payment, amount=Rupiah(amount), payer="4811", approval_code="1", capture_before=until, now=NOON)


def charge(tx: Tx, payment: Payment, amount: int = 60_000, *, fee: int = 0) -> Payment:
    return take(tx, payment, source=BANK, amount=Rupiah(amount), fee=Rupiah(fee), settles_at=NOON + HOUR, now=NOON)


def begin(
    tx: Tx, payment: Payment, amount: int, type: RefundType = RefundType.PARTIAL_REFUND, request_id: str = "req-r"
) -> Refund:
    return open_refund(tx, payment, amount=Rupiah(amount), type=type, request_id=request_id, now=NOON)


def complete(tx: Tx, refund: Refund) -> tuple[Refund, Payment]:
    return complete_refund(tx, refund, approval_code="654321", message="Approved", now=NOON + HOUR)


def fail(tx: Tx, refund: Refund) -> Refund:
    return fail_refund(tx, refund, message="Declined by the issuer", now=NOON + HOUR)


def give_back(tx: Tx, payment: Payment, amount: int, type: RefundType = RefundType.PARTIAL_REFUND) -> Payment:
    return complete(tx, begin(tx, payment, amount, type))[1]


def books(database: Database) -> dict[str, int]:
    """What every account has, credits less debits; accounts that are even are left out."""
    totals = database.read_now(statement)
    return {name: credit - debit for name, (debit, credit) in totals.items() if credit != debit}


def stored(database: Database, payment: Payment) -> Payment:
    return database.read_now(lambda tx: get_payment(tx, payment.id)[1])


def order_state(database: Database, payment: Payment) -> OrderState:
    return database.read_now(lambda tx: get_payment(tx, payment.id)[0].state)


def refused_for(database: Database, act: Callable[[Tx], object]) -> Reason:
    with pytest.raises(Refused) as refused:
        database.transact_now(act)
    return refused.value.reason


def at_once(number: int, act: Callable[[int], str]) -> Counter[str]:
    """What came of that many threads acting at the same moment; a refusal counts by its reason."""
    ready = threading.Barrier(number)

    def one(n: int) -> str:
        ready.wait(10)
        try:
            return act(n)
        except Refused as refused:
            return refused.reason.name

    with ThreadPoolExecutor(number) as threads:
        return Counter(threads.map(one, range(number)))


# -- the whole amount


def test_a_refund_on_its_way_is_reserved_and_no_longer_the_merchants(database: Database) -> None:
    payment = database.transact_now(paid)

    refund = database.transact_now(lambda tx: begin(tx, payment, 60_000, RefundType.FULL_REFUND))

    assert (refund.state, refund.amount, refund.finished_at) == (RefundState.PENDING, 60_000, None)
    assert database.read_now(lambda tx: get_refund(tx, refund.id)) == refund
    assert database.read_now(lambda tx: refunds_of(tx, payment.id)) == [refund]
    assert database.read_now(open_refunds) == [refund]
    assert books(database) == {BANK: -60_000, REFUNDING: 60_000}
    now = stored(database, payment)
    assert (now.state, now.refunded) == (PaymentState.SUCCESS, 60_000)


def test_a_full_refund_gives_gross_and_fee_back_and_ends_the_payment(database: Database) -> None:
    payment = database.transact_now(paid)
    refund = database.transact_now(lambda tx: begin(tx, payment, 60_000, RefundType.FULL_REFUND))

    done, after = database.transact_now(lambda tx: complete(tx, refund))

    assert (done.state, done.approval_code, done.message) == (RefundState.SUCCESS, "654321", "Approved")
    assert done.finished_at == NOON + HOUR
    assert database.read_now(lambda tx: get_refund(tx, refund.id)) == done
    assert database.read_now(open_refunds) == []
    assert after == stored(database, payment)
    assert (after.state, after.refunded, after.finished_at) == (PaymentState.REFUNDED, 60_000, NOON)
    assert order_state(database, payment) is OrderState.REFUNDED
    assert books(database) == {}
    assert [(event.event, event.state) for event in database.read_now(lambda tx: events(tx, payment.id))] == [
        ("CREATED", "PENDING"),
        ("PAID", "SUCCESS"),
        ("REFUND_OPENED", "SUCCESS"),
        ("REFUND_SUCCESS", "SUCCESS"),
        ("REFUNDED", "REFUNDED"),
    ]


def test_after_a_partial_capture_the_captured_amount_is_the_whole(database: Database) -> None:
    """What a buyer was charged is what can go back, and not what was reserved or ordered [inferred]."""
    payment = database.transact_now(lambda tx: charge(tx, authorised(tx), 40_000, fee=1_160))

    assert refused_for(database, lambda tx: begin(tx, payment, 40_001)) is Reason.REFUND_TOO_LARGE
    after = database.transact_now(lambda tx: give_back(tx, payment, 40_000, RefundType.FULL_REFUND))

    assert after.state is PaymentState.REFUNDED
    assert books(database) == {}


# -- parts


def test_a_partial_refund_leaves_the_rest_and_the_rest_of_the_fee(database: Database) -> None:
    payment = database.transact_now(paid)

    after = database.transact_now(lambda tx: give_back(tx, payment, 20_000))

    assert (after.state, after.refunded) == (PaymentState.PARTIALLY_REFUNDED, 20_000)
    assert order_state(database, payment) is OrderState.PARTIALLY_REFUNDED
    assert books(database) == {BANK: -40_000, FEES: 1_160, PAYABLE: 40_000 - 1_160}


def test_partial_refunds_repeat_until_the_whole_went_back_and_not_a_rupiah_further(database: Database) -> None:
    payment = database.transact_now(paid)

    states = [
        database.transact_now(lambda tx, amount=amount: give_back(tx, stored(database, payment), amount)).state  # type: ignore[misc]
        for amount in (1, 29_999, 29_999)
    ]
    assert states == [PaymentState.PARTIALLY_REFUNDED] * 3
    assert refused_for(database, lambda tx: begin(tx, stored(database, payment), 2)) is Reason.REFUND_TOO_LARGE
    last = database.transact_now(lambda tx: give_back(tx, stored(database, payment), 1))

    assert (last.state, last.refunded) == (PaymentState.REFUNDED, 60_000)
    assert refused_for(database, lambda tx: begin(tx, last, 1)) is Reason.REFUND_TOO_LARGE
    assert books(database) == {}
    assert [one.amount for one in database.read_now(lambda tx: refunds_of(tx, payment.id))] == [1, 29_999, 29_999, 1]


def test_two_refunds_on_their_way_end_in_any_order(database: Database) -> None:
    payment = database.transact_now(paid)
    first = database.transact_now(lambda tx: begin(tx, payment, 25_000))
    second = database.transact_now(lambda tx: begin(tx, payment, 35_000))

    assert database.read_now(open_refunds) == [first, second]
    assert database.transact_now(lambda tx: complete(tx, second))[1].state is PaymentState.PARTIALLY_REFUNDED
    assert database.transact_now(lambda tx: complete(tx, first))[1].state is PaymentState.REFUNDED
    assert books(database) == {}


@pytest.mark.parametrize("amount", [60_001, 10**15])
def test_more_than_was_charged_does_not_go_back(database: Database, amount: int) -> None:
    payment = database.transact_now(paid)
    before = books(database)

    assert refused_for(database, lambda tx: begin(tx, payment, amount)) is Reason.REFUND_TOO_LARGE

    assert database.read_now(lambda tx: refunds_of(tx, payment.id)) == []
    assert (stored(database, payment), books(database)) == (payment, before)


@pytest.mark.parametrize("amount", [0, -1])
def test_the_schema_refuses_refunds_of_nothing(database: Database, amount: int) -> None:
    payment = database.transact_now(paid)

    with pytest.raises(ConstraintBroken):
        database.transact_now(lambda tx: begin(tx, payment, amount))

    assert stored(database, payment) == payment


@pytest.mark.parametrize("move", [None, Move.DECLINED, Move.CANCELLED, Move.TIMED_OUT, Move.RELEASED])
def test_of_what_was_not_paid_nothing_goes_back(database: Database, move: Move | None) -> None:
    payment = database.transact_now(lambda tx: reopen(tx)[1])
    if move is Move.RELEASED:
        payment = database.transact_now(lambda tx: let_go(tx, authorised(tx), Move.RELEASED, now=NOON))
    elif move is not None:
        database.transact_now(lambda tx: advance(tx, payment, move, now=NOON))

    for amount in (1, 60_000, 60_001):
        assert refused_for(database, lambda tx, amount=amount: begin(tx, payment, amount)) is Reason.PAYMENT_NOT_PAID  # type: ignore[misc]


def test_a_refund_nobody_knows_is_refused(database: Database) -> None:
    assert refused_for(database, lambda tx: get_refund(tx, "rfd_unknown")) is Reason.REFUND_NOT_FOUND


def test_the_request_that_asked_for_a_refund_finds_its_order(database: Database) -> None:
    payment = database.transact_now(paid)
    database.transact_now(lambda tx: begin(tx, payment, 1, request_id="req-refund"))

    found = database.read_now(lambda tx: find_order(tx, "BRN-1", "req-refund"))

    assert found is not None
    assert found.id == payment.order_id
    assert database.read_now(lambda tx: find_order(tx, "BRN-2", "req-refund")) is None


# -- the fee


@pytest.mark.parametrize(
    ("charged", "fee", "parts"),
    [
        (60_000, 1_740, (20_000, 20_000, 20_000)),
        (10_000, 290, (3_333, 3_333, 3_333, 1)),
        (7, 3, (1, 1, 1, 1, 1, 1, 1)),
        (3, 1, (1, 1, 1)),
        (999_999_999_999, 28_999_999_999, (1, 333_333_333_333, 666_666_666_665)),
        (100, 100, (99, 1)),
    ],
)
def test_the_fee_goes_back_by_the_same_part_and_with_the_last_rupiah_wholly(
    database: Database, charged: int, fee: int, parts: tuple[int, ...]
) -> None:
    payment = database.transact_now(lambda tx: paid(tx, charged, fee=fee))

    gone = 0
    for part in parts:
        payment = database.transact_now(lambda tx, seen=payment, part=part: give_back(tx, seen, part))  # type: ignore[misc]
        gone += part

        kept = database.read_now(statement)[FEES]
        # Never more than its part: rounded down.
        assert kept[0] == fee * gone // charged
        assert kept[1] == fee
    assert payment.state is PaymentState.REFUNDED
    assert books(database) == {}


def test_the_fee_does_not_depend_on_refunds_that_failed(database: Database) -> None:
    """Half the fee of ten rupiah: each second refund brings one of it back. Where all those that brought none fail, the rest
    still brings back no more than its part."""
    payment = database.transact_now(lambda tx: paid(tx, 10, fee=5))
    refunds = [database.transact_now(lambda tx: begin(tx, payment, 1)) for _ in range(10)]
    assert books(database) == {BANK: -10, REFUNDING: 10}

    for refund in refunds[::2]:
        database.transact_now(lambda tx, refund=refund: fail(tx, refund))  # type: ignore[misc]

    assert books(database) == {BANK: -10, REFUNDING: 5, FEES: 3, PAYABLE: 2}
    for refund in refunds[1::2]:
        database.transact_now(lambda tx, refund=refund: complete(tx, refund))  # type: ignore[misc]
    assert books(database) == {BANK: -5, FEES: 3, PAYABLE: 2}
    assert database.transact_now(lambda tx: give_back(tx, stored(database, payment), 5)).state is PaymentState.REFUNDED
    assert books(database) == {}


def test_a_payment_without_a_fee_gives_no_fee_back(database: Database) -> None:
    payment = database.transact_now(lambda tx: paid(tx, fee=0))

    refund = database.transact_now(lambda tx: begin(tx, payment, 30_000))

    assert [line.entry for line in database.read_now(lambda tx: entries(tx, cause=refund.id))] == ["reserve"]
    assert books(database) == {BANK: -60_000, PAYABLE: 30_000, REFUNDING: 30_000}
    database.transact_now(lambda tx: fail(tx, refund))
    assert books(database) == {BANK: -60_000, PAYABLE: 60_000}


# -- the merchant's balance


def spend(tx: Tx, amount: int) -> None:
    """The merchant takes money out."""
    post(tx, [Transfer(PAYABLE, account("cash", "payout"), Rupiah(amount), "payout")], cause="out_1", now=NOON)


def test_a_merchant_without_the_money_gives_nothing_back_and_nothing_is_reserved(database: Database) -> None:
    payment = database.transact_now(paid)
    database.transact_now(lambda tx: spend(tx, 40_000))
    before, history = books(database), database.read_now(lambda tx: events(tx, payment.id))

    assert refused_for(database, lambda tx: begin(tx, payment, 60_000, RefundType.FULL_REFUND)) is Reason.BALANCE_TOO_SMALL

    assert (stored(database, payment), books(database)) == (payment, before)
    assert database.read_now(lambda tx: events(tx, payment.id)) == history
    assert database.read_now(lambda tx: refunds_of(tx, payment.id)) == []


def test_the_fee_that_comes_back_pays_for_the_refund_too(database: Database) -> None:
    """A merchant has gross less fee: a full refund needs the fee's share first."""
    payment = database.transact_now(paid)
    assert database.read_now(lambda tx: balance_of(tx, PAYABLE)) == 60_000 - FEE

    assert database.transact_now(lambda tx: give_back(tx, payment, 60_000)).state is PaymentState.REFUNDED


def test_of_another_payments_money_a_refund_is_paid_too(database: Database) -> None:
    payment = database.transact_now(paid)
    database.transact_now(lambda tx: spend(tx, 60_000 - FEE))
    database.transact_now(lambda tx: paid(tx, 70_000, fee=0, invoice_number="INV-2"))

    database.transact_now(lambda tx: give_back(tx, payment, 60_000))

    assert database.read_now(lambda tx: balance_of(tx, PAYABLE)) == 70_000 - 60_000 + FEE


# -- ending


def test_a_refund_that_fails_frees_all_it_reserved(database: Database) -> None:
    payment = database.transact_now(paid)
    before = books(database)
    refund = database.transact_now(lambda tx: begin(tx, payment, 20_000))

    failed = database.transact_now(lambda tx: fail(tx, refund))

    assert (failed.state, failed.message, failed.finished_at) == (RefundState.FAILED, "Declined by the issuer", NOON + HOUR)
    assert database.read_now(lambda tx: get_refund(tx, refund.id)) == failed
    assert (stored(database, payment), books(database)) == (payment, before)
    assert order_state(database, payment) is OrderState.PAID
    last = database.read_now(lambda tx: events(tx, payment.id))[-1]
    assert (last.event, last.state) == ("REFUND_FAILED", "SUCCESS")
    assert last.facts == {"refund": refund.id, "amount": 20_000, "type": "PARTIAL_REFUND"}
    assert database.transact_now(lambda tx: give_back(tx, payment, 60_000)).state is PaymentState.REFUNDED


@pytest.mark.parametrize("again", [complete, fail])
@pytest.mark.parametrize("first", [complete, fail])
def test_a_refund_ends_once(
    database: Database, first: Callable[[Tx, Refund], object], again: Callable[[Tx, Refund], object]
) -> None:
    payment = database.transact_now(paid)
    refund = database.transact_now(lambda tx: begin(tx, payment, 20_000))
    database.transact_now(lambda tx: first(tx, refund))
    after = stored(database, payment), books(database), database.read_now(lambda tx: events(tx, payment.id))

    for known in (refund, database.read_now(lambda tx: get_refund(tx, refund.id))):
        assert refused_for(database, lambda tx, known=known: again(tx, known)) is Reason.PAYMENT_MOVED_ON  # type: ignore[misc]

    assert (stored(database, payment), books(database), database.read_now(lambda tx: events(tx, payment.id))) == after


@pytest.mark.parametrize("state", [PaymentState.PENDING, PaymentState.SUCCESS, PaymentState.PARTIALLY_REFUNDED])
def test_a_refund_that_cannot_be_is_written_down_without_money(database: Database, state: PaymentState) -> None:
    """S2-106: a void of a part fails, and is answered as a refund that failed."""
    payment = database.transact_now(lambda tx: reopen(tx)[1] if state is PaymentState.PENDING else paid(tx))
    if state is PaymentState.PARTIALLY_REFUNDED:
        payment = database.transact_now(lambda tx: give_back(tx, payment, 1))
    before = stored(database, payment), books(database)

    refund = database.transact_now(
        lambda tx: refuse_refund(
            tx, payment, amount=Rupiah(70_000), type=RefundType.VOID, request_id="req-v", message="Not the whole", now=NOON
        )
    )

    assert (refund.state, refund.message, refund.finished_at) == (RefundState.FAILED, "Not the whole", NOON)
    assert database.read_now(lambda tx: refunds_of(tx, payment.id))[-1] == refund
    assert (stored(database, payment), books(database)) == before
    last = database.read_now(lambda tx: events(tx, payment.id))[-1]
    assert (last.event, last.state) == ("REFUND_REFUSED", state.value)
    assert database.read_now(open_refunds) == []
    assert refused_for(database, lambda tx: complete(tx, refund)) is Reason.PAYMENT_MOVED_ON


def test_a_refusal_of_a_caller_that_saw_the_payment_earlier_is_written_at_its_place_in_the_history(database: Database) -> None:
    seen = database.transact_now(paid)
    database.transact_now(lambda tx: give_back(tx, seen, 60_000))

    database.transact_now(
        lambda tx: refuse_refund(
            tx, seen, amount=Rupiah(1), type=RefundType.VOID, request_id="req-v", message="Too late", now=NOON
        )
    )

    assert database.read_now(lambda tx: events(tx, seen.id))[-1].state == "REFUNDED"


# -- voids


def test_voiding_an_authorisation_lets_the_hold_go_and_books_no_money(database: Database) -> None:
    payment = database.transact_now(authorised)
    refund = database.transact_now(lambda tx: begin(tx, payment, 60_000, RefundType.VOID))
    assert books(database) == {account("promised", "issuers"): -60_000, HELD: 60_000}

    done, after = database.transact_now(lambda tx: complete(tx, refund))

    assert (done.state, after.state, after.refunded) == (RefundState.SUCCESS, PaymentState.VOIDED, 60_000)
    assert order_state(database, payment) is OrderState.VOIDED
    assert books(database) == {}
    assert [line.entry for line in database.read_now(lambda tx: entries(tx, cause=payment.id))] == ["hold", "release"]
    assert database.read_now(lambda tx: entries(tx, cause=refund.id)) == []


def test_a_void_that_fails_leaves_the_authorisation_to_be_captured(database: Database) -> None:
    payment = database.transact_now(authorised)
    refund = database.transact_now(lambda tx: begin(tx, payment, 60_000, RefundType.VOID))

    database.transact_now(lambda tx: fail(tx, refund))

    assert stored(database, payment) == payment
    assert database.transact_now(lambda tx: charge(tx, payment, 60_000, fee=FEE)).state is PaymentState.SUCCESS
    assert database.transact_now(lambda tx: give_back(tx, stored(database, payment), 1)).refunded == 1


def test_voiding_an_unsettled_payment_takes_gross_and_fee_back(database: Database) -> None:
    payment = database.transact_now(paid)

    refund = database.transact_now(lambda tx: begin(tx, payment, 60_000, RefundType.VOID))
    after = database.transact_now(lambda tx: complete(tx, refund))[1]

    assert (after.state, after.refunded) == (PaymentState.VOIDED, 60_000)
    assert order_state(database, payment) is OrderState.VOIDED
    assert books(database) == {}
    assert {line.entry: line.amount for line in database.read_now(lambda tx: entries(tx, cause=refund.id))} == {
        "fee": FEE,
        "reserve": 60_000,
        "gross": 60_000,
    }
    assert refused_for(database, lambda tx: begin(tx, payment, 1)) is Reason.REFUND_TOO_LARGE


@pytest.mark.parametrize("made", [authorised, paid])
def test_a_void_is_of_the_whole(database: Database, made: Callable[[Tx], Payment]) -> None:
    """S2-106. A part is refused by whoever took the order for it (`refuse_refund`); should it come this far, nothing is written."""
    payment = database.transact_now(made)

    with pytest.raises(AssertionError):
        database.transact_now(lambda tx: begin(tx, payment, 59_999, RefundType.VOID))

    assert stored(database, payment) == payment


def test_an_authorisation_is_voided_and_not_refunded(database: Database) -> None:
    payment = database.transact_now(authorised)

    assert refused_for(database, lambda tx: begin(tx, payment, 60_000, RefundType.FULL_REFUND)) is Reason.PAYMENT_NOT_PAID

    assert stored(database, payment) == payment


@pytest.mark.parametrize("stale", [True, False])
def test_what_is_being_voided_is_neither_captured_nor_released(database: Database, stale: bool) -> None:
    seen = database.transact_now(authorised)
    refund = database.transact_now(lambda tx: begin(tx, seen, 60_000, RefundType.VOID))
    known = seen if stale else stored(database, seen)
    reason = Reason.PAYMENT_MOVED_ON if stale else Reason.PAYMENT_BUSY

    assert refused_for(database, lambda tx: charge(tx, known, 40_000)) is reason
    assert refused_for(database, lambda tx: let_go(tx, known, Move.RELEASED, now=NOON)) is reason

    assert database.transact_now(lambda tx: complete(tx, refund))[1].state is PaymentState.VOIDED


def test_a_void_begun_by_a_caller_that_saw_the_authorisation_reserves_what_was_captured_since(database: Database) -> None:
    seen = database.transact_now(authorised)
    database.transact_now(lambda tx: charge(tx, seen, 60_000, fee=FEE))

    refund = database.transact_now(lambda tx: begin(tx, seen, 60_000, RefundType.VOID))

    assert books(database) == {BANK: -60_000, REFUNDING: 60_000}
    assert database.transact_now(lambda tx: complete(tx, refund))[1].state is PaymentState.VOIDED
    assert books(database) == {}


# -- at once


def test_of_many_full_refunds_at_once_one_is_opened(database: Database) -> None:
    payment = database.transact_now(paid)

    def give_all_back(_: int) -> str:
        # Everyone decides on what they saw earlier, as a process on another machine would.
        return database.transact_now(lambda tx: begin(tx, payment, 60_000, RefundType.FULL_REFUND)).state.value

    assert at_once(16, give_all_back) == {"PENDING": 1, "REFUND_TOO_LARGE": 15}
    assert books(database) == {BANK: -60_000, REFUNDING: 60_000}


def test_of_many_partial_refunds_at_once_as_many_go_back_as_fit(database: Database) -> None:
    payment = database.transact_now(paid)

    def give_some_back(_: int) -> str:
        refund = database.transact_now(lambda tx: begin(tx, payment, 7_000))
        return database.transact_now(lambda tx: complete(tx, refund))[1].state.value

    assert at_once(16, give_some_back) == {"PARTIALLY_REFUNDED": 8, "REFUND_TOO_LARGE": 8}

    now = stored(database, payment)
    assert (now.state, now.refunded) == (PaymentState.PARTIALLY_REFUNDED, 56_000)
    kept = FEE - FEE * 56_000 // 60_000
    assert books(database) == {BANK: -4_000, FEES: kept, PAYABLE: 4_000 - kept}


def test_refunds_that_complete_and_fail_at_once_each_count(database: Database) -> None:
    """The last of them to end sees all others: the payment is refunded wholly exactly if none failed."""
    payment = database.transact_now(paid)
    refunds = [database.transact_now(lambda tx: begin(tx, payment, 5_000)) for _ in range(12)]

    def end(n: int) -> str:
        database.transact_now(lambda tx: fail(tx, refunds[n]) if n % 4 == 0 else complete(tx, refunds[n]))
        return "ended"

    assert at_once(12, end) == {"ended": 12}
    now = stored(database, payment)
    assert (now.state, now.refunded) == (PaymentState.PARTIALLY_REFUNDED, 45_000)

    rest = [database.transact_now(lambda tx: begin(tx, payment, 5_000)) for _ in range(3)]
    at_once(3, lambda n: database.transact_now(lambda tx: complete(tx, rest[n]))[1].state.value)
    assert stored(database, payment).state is PaymentState.REFUNDED
    assert books(database) == {}


def test_of_completing_and_failing_one_refund_at_once_one_wins(database: Database) -> None:
    payment = database.transact_now(paid)
    refund = database.transact_now(lambda tx: begin(tx, payment, 60_000))

    def end(n: int) -> str:
        if n % 2:
            return database.transact_now(lambda tx: fail(tx, refund)).state.value
        return database.transact_now(lambda tx: complete(tx, refund))[0].state.value

    outcomes = at_once(12, end)

    assert outcomes.pop("PAYMENT_MOVED_ON") == 11
    ((winner, once),) = outcomes.items()
    assert once == 1
    assert books(database) == ({} if winner == "SUCCESS" else {BANK: -60_000, FEES: FEE, PAYABLE: 60_000 - FEE})


@pytest.mark.parametrize("round_number", range(3))
def test_of_capturing_and_voiding_at_once_money_is_moved_by_one_only(database: Database, round_number: int) -> None:
    """A void that comes after the capture is one of the captured money; a capture after the void is refused."""
    payment = database.transact_now(authorised)

    def move(n: int) -> str:
        if (n + round_number) % 2:
            return database.transact_now(lambda tx: charge(tx, payment, 60_000, fee=FEE)).state.value
        return database.transact_now(lambda tx: begin(tx, payment, 60_000, RefundType.VOID)).state.value

    outcomes = at_once(12, move)

    assert outcomes["PENDING"] == 1
    assert outcomes["SUCCESS"] + outcomes["PAYMENT_MOVED_ON"] == 6
    assert outcomes["REFUND_TOO_LARGE"] == 5
    (refund,) = database.read_now(open_refunds)
    assert database.transact_now(lambda tx: complete(tx, refund))[1].state is PaymentState.VOIDED
    assert books(database) == {}


# -- the same invoice again (D-9)

UNPAID: dict[str, Callable[[Tx], Payment]] = {
    "pending": lambda tx: reopen(tx)[1],
    "declined": lambda tx: advance(tx, reopen(tx)[1], Move.DECLINED, now=NOON, failure="05"),
    "cancelled": lambda tx: advance(tx, reopen(tx)[1], Move.CANCELLED, now=NOON),
    "expired": lambda tx: advance(tx, reopen(tx)[1], Move.TIMED_OUT, now=NOON),
}
PAID: dict[str, Callable[[Tx], Payment]] = {
    "paid": paid,
    "authorised": authorised,
    "refunded": lambda tx: give_back(tx, paid(tx), 60_000),
    "refunded in part": lambda tx: give_back(tx, paid(tx), 1),
    "voided": lambda tx: give_back(tx, paid(tx), 60_000, RefundType.VOID),
    "voided authorisation": lambda tx: give_back(tx, authorised(tx), 60_000, RefundType.VOID),
    "released": lambda tx: let_go(tx, authorised(tx), Move.RELEASED, now=NOON),
    "paid at the second attempt": lambda tx: (reopen(tx), paid(tx))[1],
}


@pytest.mark.parametrize("made", UNPAID.values(), ids=UNPAID)
def test_an_unpaid_invoice_is_taken_again_as_a_new_attempt_of_the_same_order(
    database: Database, made: Callable[[Tx], Payment]
) -> None:
    old = database.transact_now(made)
    later = NOON + timedelta(minutes=5)

    order, new = database.transact_now(
        lambda tx: reopen(tx, amount=75_000, request_id="req-2", details={"n": 2}, now=later, expires_at=later + HOUR)
    )

    assert (order.id, order.state, order.amount, order.request_id) == (old.order_id, OrderState.OPEN, 75_000, "req-2")
    assert order.details == {"n": 2, "earlier_request_ids": ["req-1"]}
    assert (new.state, new.amount, new.created_at, new.expires_at) == (PaymentState.PENDING, 75_000, later, later + HOUR)
    assert database.read_now(lambda tx: get_payment(tx, new.id)) == (order, new)
    attempts = database.read_now(lambda tx: payments_of(tx, order.id))
    expected = PaymentState.REPLACED if old.state is PaymentState.PENDING else old.state
    assert [(one.id, one.state, one.amount) for one in attempts] == [
        (old.id, expected, 60_000),
        (new.id, PaymentState.PENDING, 75_000),
    ]
    assert database.read_now(lambda tx: events(tx, old.id))[-1].state == expected.value
    assert refused_for(database, lambda tx: charge(tx, old)) is Reason.PAYMENT_MOVED_ON
    assert database.transact_now(lambda tx: charge(tx, new, 75_000)).state is PaymentState.SUCCESS
    assert order_state(database, old) is OrderState.PAID


def test_every_request_that_opened_an_order_is_remembered_with_it(database: Database) -> None:
    for n in range(1, 4):
        order, _ = database.transact_now(lambda tx, n=n: reopen(tx, request_id=f"req-{n}"))  # type: ignore[misc]

    assert (order.request_id, order.details["earlier_request_ids"]) == ("req-3", ["req-1", "req-2"])


@pytest.mark.parametrize("made", PAID.values(), ids=PAID)
def test_an_invoice_that_was_paid_or_authorised_is_not_taken_again(database: Database, made: Callable[[Tx], Payment]) -> None:
    payment = database.transact_now(made)
    before = database.read_now(lambda tx: (get_payment(tx, payment.id), payments_of(tx, payment.order_id)))

    assert refused_for(database, lambda tx: reopen(tx, amount=75_000)) is Reason.INVOICE_ALREADY_PAID

    assert database.read_now(lambda tx: (get_payment(tx, payment.id), payments_of(tx, payment.order_id))) == before


def test_a_channel_that_takes_each_invoice_once_refuses_it_again(database: Database) -> None:
    payment = database.transact_now(lambda tx: reopen(tx)[1])

    assert refused_for(database, lambda tx: reopen(tx, retriable=False)) is Reason.INVOICE_ALREADY_USED

    assert stored(database, payment) == payment


def test_the_invoice_of_another_merchant_is_another_order(database: Database) -> None:
    ours, _ = database.transact_now(reopen)
    theirs, _ = database.transact_now(lambda tx: reopen(tx, merchant_id="BRN-2"))

    assert ours.id != theirs.id
    assert database.read_now(lambda tx: len(payments_of(tx, ours.id))) == 1


@pytest.mark.parametrize("first", [None, *UNPAID.values()], ids=["never opened", *UNPAID])
def test_of_many_that_open_one_invoice_at_once_each_is_an_attempt_and_one_is_open(
    database: Database, first: Callable[[Tx], Payment] | None
) -> None:
    if first is not None:
        database.transact_now(first)

    outcomes = at_once(12, lambda n: database.transact_now(lambda tx: reopen(tx, amount=60_000 + n))[0].state.value)

    assert outcomes == {"OPEN": 12}
    order = database.read_now(lambda tx: find_order(tx, "BRN-1", "INV-1"))
    assert order is not None
    attempts = database.read_now(lambda tx: payments_of(tx, order.id))
    pending = [one for one in attempts if one.state is PaymentState.PENDING]
    assert len(attempts) == (12 if first is None else 13)
    assert [one.amount for one in pending] == [order.amount]
    assert pending == attempts[-1:]


@pytest.mark.parametrize("round_number", range(3))
def test_of_paying_and_opening_again_at_once_one_wins(database: Database, round_number: int) -> None:
    payment = database.transact_now(lambda tx: reopen(tx)[1])

    def act(n: int) -> str:
        if (n + round_number) % 2:
            return database.transact_now(lambda tx: charge(tx, payment)).state.value
        return database.transact_now(reopen)[1].state.value

    outcomes = at_once(8, act)

    if outcomes["SUCCESS"]:
        assert outcomes == {"SUCCESS": 1, "PAYMENT_MOVED_ON": 3, "INVOICE_ALREADY_PAID": 4}
        assert order_state(database, payment) is OrderState.PAID
    else:
        assert outcomes == {"PENDING": 4, "PAYMENT_MOVED_ON": 4}
        assert order_state(database, payment) is OrderState.OPEN
        assert stored(database, payment).state is PaymentState.REPLACED
