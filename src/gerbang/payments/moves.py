"""Moving a payment. Nothing else assigns a state."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import msgspec

from gerbang.clock import next_midnight, to_ms
from gerbang.errors import Reason, Refused
from gerbang.ledger import Transfer, post
from gerbang.money import Rupiah
from gerbang.payments.model import Order, Payment, order_from, payment_from
from gerbang.payments.states import NEXT, ORDER_AFTER, Move
from gerbang.storage import Tx


def advance(
    tx: Tx,
    payment: Payment,
    move: Move,
    *,
    now: datetime,
    payer: str | None = None,
    approval_code: str | None = None,
    failure: str | None = None,
    charged: Rupiah | None = None,
    settles_at: datetime | None = None,
    capture_before: datetime | None = None,
) -> Payment:
    """Move a payment and its order along the table, and record the event. What is given replaces what is stored.

    Raises Refused(PAYMENT_MOVED_ON) when the table has no such move, or when another transaction got here first.
    """
    next_state = NEXT.get((payment.state, move))
    if next_state is None:
        raise Refused(Reason.PAYMENT_MOVED_ON, state=payment.state, move=move)
    moved = replace(
        payment,
        state=next_state,
        payer=payer or payment.payer,
        approval_code=approval_code or payment.approval_code,
        failure=failure or payment.failure,
        # A captured payment is paid when it is captured.
        finished_at=now if payment.finished_at is None or move is Move.CAPTURED else payment.finished_at,
        charged=payment.charged if charged is None else charged,
        settles_at=settles_at or payment.settles_at,
        capture_before=capture_before or payment.capture_before,
    )
    # The state in the WHERE clause, not the lock, decides who wins a race; what is on its way back is part of it, so that
    # nobody captures or releases what somebody else has begun to void.
    won = tx.execute(
        "update payment set state = :next, payer = :payer, approval_code = :approval_code, failure = :failure,"
        " finished_at = :finished_at, charged = :charged, settles_at = :settles_at, capture_before = :capture_before"
        " where id = :id and state = :state and refunded = :refunded",
        {
            "id": payment.id,
            "state": payment.state.value,
            "refunded": payment.refunded,
            "next": next_state.value,
            "payer": moved.payer,
            "approval_code": moved.approval_code,
            "failure": moved.failure,
            "finished_at": _stored(moved.finished_at),
            "charged": moved.charged,
            "settles_at": _stored(moved.settles_at),
            "capture_before": _stored(moved.capture_before),
        },
    )
    if won != 1:
        raise Refused(Reason.PAYMENT_MOVED_ON, state=payment.state, move=move)
    order_state = ORDER_AFTER.get(next_state)
    if order_state is not None:
        # An order stands as its newest payment does; of one whose code is paid many times an older payment may be refunded.
        tx.execute(
            "update orders set state = :state where id = :id and attempts = :attempt",
            {"id": payment.order_id, "state": order_state.value, "attempt": payment.attempt},
        )
    told = (("payer", payer), ("approval_code", approval_code), ("failure", failure), ("charged", charged))
    facts: dict[str, object] = {name: value for name, value in told if value}
    record_event(tx, payment.id, payment.merchant_id, move, next_state, now=now, facts=facts)
    return moved


def finish(
    tx: Tx,
    payment: Payment,
    *,
    transfers: Sequence[Transfer],
    payer: str | None,
    approval_code: str | None,
    now: datetime,
    move: Move = Move.PAID,
    charged: Rupiah | None = None,
    settles_at: datetime | None = None,
) -> Payment:
    """Turn a payment into a paid one: state and money move together, once. `charged` is the whole amount if not given.

    settles_at  when the merchant's money counts as paid out; as the glossary says, at the next midnight in Jakarta, if not given

    Raises Refused: PAYMENT_MOVED_ON, BALANCE_TOO_SMALL. Nothing is written then.
    """
    paid = advance(
        tx,
        payment,
        move,
        now=now,
        payer=payer,
        approval_code=approval_code,
        charged=payment.amount if charged is None else charged,
        settles_at=settles_at or next_midnight(now),
    )
    post(tx, transfers, cause=payment.id, now=now)
    return paid


def _stored(moment: datetime | None) -> int | None:
    return None if moment is None else to_ms(moment)


def hold_payment(tx: Tx, payment_id: str) -> tuple[Order, Payment]:
    """The order and its payment as they are now, and nobody else moves them until the transaction ends.

    Comes before everything else that is the payment's: its charges, questions, refunds, codes, money. Whoever changes several of
    these takes them in one order everywhere (docs/architecture.md), so that no two transactions wait for each other.
    """
    row = tx.one("update payment set state = state where id = :id returning *", {"id": payment_id})
    assert row is not None, payment_id
    payment = payment_from(row)
    row = tx.one("update orders set state = state where id = :id returning *", {"id": payment.order_id})
    assert row is not None, payment_id
    return order_from(row), payment


def postpone(tx: Tx, payment: Payment, until: datetime) -> None:
    """Whoever pressed Pay in time may finish: the payment does not expire before `until`."""
    tx.execute(
        "update payment set expires_at = :until where id = :id and state = 'PENDING' and expires_at < :until",
        {"id": payment.id, "until": to_ms(until)},
    )


def keep_details(tx: Tx, payment: Payment, details: Mapping[str, object]) -> Payment:
    """What a room keeps with a payment, whatever state that is in; names not given stay."""
    kept = {**hold_payment(tx, payment.id)[1].details, **details}
    tx.execute(
        "update payment set details = :details where id = :id", {"id": payment.id, "details": msgspec.json.encode(kept).decode()}
    )
    return replace(payment, details=kept)


def note(tx: Tx, payment: Payment, event: str, *, now: datetime, facts: dict[str, object]) -> None:
    """Record something that happened to a pending payment and did not move it. Raises Refused(PAYMENT_MOVED_ON)."""
    # Writing the row as it is makes others wait: what ends the payment comes after this in its history, and of several
    # that note the same at once, each sees those before it.
    held = tx.execute(
        "update payment set state = state where id = :id and state = :state", {"id": payment.id, "state": payment.state.value}
    )
    if held != 1 or payment.state.is_final:
        raise Refused(Reason.PAYMENT_MOVED_ON, state=payment.state, event=event)
    record_event(tx, payment.id, payment.merchant_id, event, payment.state, now=now, facts=facts)


def record_event(
    tx: Tx, subject: str, merchant_id: str, event: str, state: str, *, now: datetime, facts: dict[str, object] | None = None
) -> None:
    """Write one line of a thing's history."""
    tx.execute(
        "insert into event (subject, merchant_id, event, state, facts, at)"
        " values (:subject, :merchant_id, :event, :state, :facts, :at)",
        {
            "subject": subject,
            "merchant_id": merchant_id,
            "event": str(event),
            "state": str(state),
            "facts": msgspec.json.encode(facts).decode() if facts else "{}",
            "at": to_ms(now),
        },
    )
