"""What can happen to a payment, as a table. Whoever asks "what can happen after PENDING?" reads it here."""

from enum import StrEnum

from gerbang.payments.model import OrderState, PaymentState


class Move(StrEnum):
    """Something that happens to a payment."""

    PAID = "PAID"
    AUTHORISED = "AUTHORISED"
    DECLINED = "DECLINED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"
    REPLACED = "REPLACED"
    CAPTURED = "CAPTURED"
    RELEASED = "RELEASED"
    VOIDED = "VOIDED"
    PARTLY_REFUNDED = "PARTLY_REFUNDED"
    REFUNDED = "REFUNDED"


_S, _M = PaymentState, Move

NEXT = {
    (_S.PENDING, _M.PAID): _S.SUCCESS,
    (_S.PENDING, _M.AUTHORISED): _S.AUTHORISED,
    (_S.PENDING, _M.DECLINED): _S.FAILED,
    (_S.PENDING, _M.CANCELLED): _S.CANCELLED,
    (_S.PENDING, _M.TIMED_OUT): _S.EXPIRED,
    (_S.PENDING, _M.REPLACED): _S.REPLACED,
    (_S.AUTHORISED, _M.CAPTURED): _S.SUCCESS,
    (_S.AUTHORISED, _M.RELEASED): _S.RELEASED,
    (_S.AUTHORISED, _M.VOIDED): _S.VOIDED,
    (_S.SUCCESS, _M.VOIDED): _S.VOIDED,
    (_S.SUCCESS, _M.PARTLY_REFUNDED): _S.PARTIALLY_REFUNDED,
    (_S.SUCCESS, _M.REFUNDED): _S.REFUNDED,
    (_S.PARTIALLY_REFUNDED, _M.PARTLY_REFUNDED): _S.PARTIALLY_REFUNDED,
    (_S.PARTIALLY_REFUNDED, _M.REFUNDED): _S.REFUNDED,
}

# Where an order stands when its newest payment stands there. A replaced payment is never the newest.
ORDER_AFTER = {
    _S.PENDING: OrderState.OPEN,
    _S.AUTHORISED: OrderState.AUTHORISED,
    _S.SUCCESS: OrderState.PAID,
    _S.FAILED: OrderState.FAILED,
    _S.CANCELLED: OrderState.CANCELLED,
    _S.EXPIRED: OrderState.EXPIRED,
    _S.RELEASED: OrderState.RELEASED,
    _S.VOIDED: OrderState.VOIDED,
    _S.PARTIALLY_REFUNDED: OrderState.PARTIALLY_REFUNDED,
    _S.REFUNDED: OrderState.REFUNDED,
}
