"""Moving a payment. Nothing else assigns a state."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import msgspec

from gerbang.clock import to_ms
from gerbang.errors import Reason, Refused
from gerbang.ledger import Transfer, post
from gerbang.payments.model import Payment
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
) -> Payment:
    """Move a payment and its order along the table, and record the event.

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
        finished_at=now if next_state.is_final else payment.finished_at,
    )
    # The state in the WHERE clause, not the lock, decides who wins a race.
    won = tx.execute(
        "update payment set state = :next, payer = :payer, approval_code = :approval_code, failure = :failure,"
        " finished_at = :finished_at where id = :id and state = :state",
        {
            "id": payment.id,
            "state": payment.state.value,
            "next": next_state.value,
            "payer": moved.payer,
            "approval_code": moved.approval_code,
            "failure": moved.failure,
            "finished_at": None if moved.finished_at is None else to_ms(moved.finished_at),
        },
    )
    if won != 1:
        raise Refused(Reason.PAYMENT_MOVED_ON, state=payment.state, move=move)
    order_state = ORDER_AFTER.get(next_state)
    if order_state is not None:
        tx.execute(
            "update orders set state = :state where id = :id and state <> 'PAID'",
            {"id": payment.order_id, "state": order_state.value},
        )
    facts: dict[str, object] = {
        name: value for name, value in (("payer", payer), ("approval_code", approval_code), ("failure", failure)) if value
    }
    record_event(tx, payment.id, payment.merchant_id, move, next_state, now=now, facts=facts)
    return moved


def finish(
    tx: Tx,
    payment: Payment,
    *,
    transfers: Sequence[Transfer],
    payer: str,
    approval_code: str,
    now: datetime,
) -> Payment:
    """Turn a pending payment into a paid one: state and money move together, once.

    Raises Refused: PAYMENT_MOVED_ON, BALANCE_TOO_SMALL. Nothing is written then.
    """
    paid = advance(tx, payment, Move.PAID, now=now, payer=payer, approval_code=approval_code)
    post(tx, transfers, cause=payment.id, now=now)
    return paid


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
