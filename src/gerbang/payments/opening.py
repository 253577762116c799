"""Writing down what a merchant wants paid."""

from datetime import datetime
from typing import Any

import msgspec

from gerbang.clock import to_ms
from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.money import Rupiah
from gerbang.payments.model import Order, OrderState, Payment, PaymentState
from gerbang.payments.moves import record_event
from gerbang.storage import Tx


def open_order(
    tx: Tx,
    *,
    merchant_id: str,
    invoice_number: str,
    amount: Rupiah,
    channel: str,
    request_id: str,
    details: dict[str, Any],
    expires_at: datetime,
    now: datetime,
) -> tuple[Order, Payment]:
    """Write an order and the payment that waits for its buyer.

    Raises Refused(INVOICE_ALREADY_USED), whatever became of the earlier order (decision D-9).
    """
    order = Order(
        id=new_id("ord"),
        merchant_id=merchant_id,
        invoice_number=invoice_number,
        amount=amount,
        state=OrderState.OPEN,
        request_id=request_id,
        details=details,
        created_at=now,
    )
    payment = Payment(
        id=new_id("pay"),
        order_id=order.id,
        merchant_id=merchant_id,
        channel=channel,
        amount=amount,
        state=PaymentState.PENDING,
        payer=None,
        approval_code=None,
        failure=None,
        details={},
        created_at=now,
        expires_at=expires_at,
        finished_at=None,
    )
    written = tx.execute(
        "insert into orders (id, merchant_id, invoice_number, amount, state, request_id, details, created_at)"
        " values (:id, :merchant_id, :invoice_number, :amount, 'OPEN', :request_id, :details, :created_at)"
        " on conflict do nothing",
        {
            "id": order.id,
            "merchant_id": merchant_id,
            "invoice_number": invoice_number,
            "amount": amount,
            "request_id": request_id,
            "details": msgspec.json.encode(details).decode(),
            "created_at": to_ms(now),
        },
    )
    if written != 1:
        raise Refused(Reason.INVOICE_ALREADY_USED, field="order.invoice_number", invoice_number=invoice_number)
    tx.execute(
        "insert into payment (id, order_id, merchant_id, channel, amount, state, created_at, expires_at)"
        " values (:id, :order_id, :merchant_id, :channel, :amount, 'PENDING', :created_at, :expires_at)",
        {
            "id": payment.id,
            "order_id": order.id,
            "merchant_id": merchant_id,
            "channel": channel,
            "amount": amount,
            "created_at": to_ms(now),
            "expires_at": to_ms(expires_at),
        },
    )
    record_event(tx, payment.id, merchant_id, "CREATED", PaymentState.PENDING, now=now)
    return order, payment
