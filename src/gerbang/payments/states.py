"""What can happen to a payment, as a table. Whoever asks "what can happen after PENDING?" reads it here."""

from enum import StrEnum

from gerbang.payments.model import OrderState, PaymentState


class Move(StrEnum):
    """Something that happens to a payment."""

    PAID = "PAID"
    DECLINED = "DECLINED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"


NEXT = {
    (PaymentState.PENDING, Move.PAID): PaymentState.SUCCESS,
    (PaymentState.PENDING, Move.DECLINED): PaymentState.FAILED,
    (PaymentState.PENDING, Move.CANCELLED): PaymentState.CANCELLED,
    (PaymentState.PENDING, Move.TIMED_OUT): PaymentState.EXPIRED,
}

# What a payment's end means for its order.
ORDER_AFTER = {
    PaymentState.SUCCESS: OrderState.PAID,
    PaymentState.FAILED: OrderState.FAILED,
    PaymentState.CANCELLED: OrderState.CANCELLED,
    PaymentState.EXPIRED: OrderState.EXPIRED,
}
