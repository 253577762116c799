"""Orders and the payments that try to pay them: their records, their states, how they move, and the way back."""

from gerbang.payments.codes import is_reusable, take_code
from gerbang.payments.model import Order, OrderState, Payment, PaymentState
from gerbang.payments.moves import advance, finish, keep_details, note, postpone
from gerbang.payments.opening import open_another, open_order
from gerbang.payments.queries import Event, events, find_order, find_payment, get_payment, list_orders, order_by_id, payments_of
from gerbang.payments.refunds import (
    Refund,
    RefundState,
    RefundType,
    complete_refund,
    fail_refund,
    get_refund,
    open_refund,
    open_refunds,
    refunds_of,
    refuse_refund,
)
from gerbang.payments.states import Move
from gerbang.payments.taking import authorise, let_go, take
from gerbang.payments.verification import verify_payments

__all__ = [
    "Event",
    "Move",
    "Order",
    "OrderState",
    "Payment",
    "PaymentState",
    "Refund",
    "RefundState",
    "RefundType",
    "advance",
    "authorise",
    "complete_refund",
    "events",
    "fail_refund",
    "find_order",
    "find_payment",
    "finish",
    "get_payment",
    "get_refund",
    "is_reusable",
    "keep_details",
    "let_go",
    "list_orders",
    "note",
    "open_another",
    "open_order",
    "open_refund",
    "open_refunds",
    "order_by_id",
    "payments_of",
    "postpone",
    "refunds_of",
    "refuse_refund",
    "take",
    "take_code",
    "verify_payments",
]
