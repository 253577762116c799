"""Orders and the payments that try to pay them: their records, their states and how they move."""

from gerbang.payments.model import Order, OrderState, Payment, PaymentState
from gerbang.payments.moves import advance, finish, note
from gerbang.payments.opening import open_order
from gerbang.payments.queries import Event, events, find_order, find_payment, get_payment, list_orders, order_by_id, payments_of
from gerbang.payments.states import Move
from gerbang.payments.verification import verify_payments

__all__ = [
    "Event",
    "Move",
    "Order",
    "OrderState",
    "Payment",
    "PaymentState",
    "advance",
    "events",
    "find_order",
    "find_payment",
    "finish",
    "get_payment",
    "list_orders",
    "note",
    "open_order",
    "order_by_id",
    "payments_of",
    "verify_payments",
]
