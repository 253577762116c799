"""Codes that buyers read out at somebody else's counter, and the payments they stand for."""

from datetime import datetime

from gerbang.payments.model import Order, Payment, PaymentState
from gerbang.payments.queries import find_payment
from gerbang.storage import Tx


def is_reusable(order: Order) -> bool:
    """Whether its code can be paid again and again until its time is over; each time is a payment of its own."""
    return order.details.get("reusable") is True


def take_code(tx: Tx, payment: Payment, code: str, *, now: datetime) -> bool:
    """Let a code of the payment's channel stand for it. False while the code can still be paid for another one, and for ever when
    that was another merchant's: whoever kept the code and pays late must not pay a stranger."""
    named = {"channel": payment.channel, "code": code, "payment_id": payment.id}
    written = tx.execute(
        "insert into payment_code (channel, code, payment_id) values (:channel, :code, :payment_id) on conflict do nothing", named
    )
    if written == 1:
        return True
    # Held before it is looked at, so that of two who want a code that is free again one gets it.
    held = tx.one("update payment_code set code = code where channel = :channel and code = :code returning payment_id", named)
    found = find_payment(tx, held["payment_id"]) if held is not None else None
    if found is not None and (found[1].merchant_id != payment.merchant_id or _can_be_paid(*found, now=now)):
        return False
    tx.execute("update payment_code set payment_id = :payment_id where channel = :channel and code = :code", named)
    return True


def _can_be_paid(order: Order, payment: Payment, *, now: datetime) -> bool:
    waits = payment.state is PaymentState.PENDING or (is_reusable(order) and payment.state.is_paid)
    return waits and now < payment.expires_at
