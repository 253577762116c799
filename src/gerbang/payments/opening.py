"""Writing down what a merchant wants paid."""

from datetime import datetime
from typing import Any

import msgspec

from gerbang.clock import to_ms
from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.money import Rupiah
from gerbang.payments.model import Order, OrderState, Payment, PaymentState, order_from
from gerbang.payments.moves import advance, record_event
from gerbang.payments.queries import payments_of
from gerbang.payments.states import Move
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
    retriable: bool = False,
) -> tuple[Order, Payment]:
    """Write an order and the payment that waits for its buyer.

    retriable  the channel takes an unpaid invoice again as a new attempt of the same order (decision D-9: cards, LinkAja)

    Raises Refused: INVOICE_ALREADY_USED, whatever became of the earlier order; INVOICE_ALREADY_PAID for a retriable one
    that was paid or authorised.
    """
    order = hold_order(tx, merchant_id, invoice_number) if retriable else None
    if order is None:
        order = Order(
            id=new_id("ord"),
            merchant_id=merchant_id,
            invoice_number=invoice_number,
            amount=amount,
            state=OrderState.OPEN,
            request_id=request_id,
            details=details,
            created_at=now,
            attempts=1,
        )
        if _write(tx, order):
            return order, _open_payment(tx, order, channel=channel, expires_at=expires_at, now=now)
        # Used before, for a retriable one only a moment ago.
        order = hold_order(tx, merchant_id, invoice_number) if retriable else None
    if order is None:
        raise Refused(Reason.INVOICE_ALREADY_USED, field="order.invoice_number", invoice_number=invoice_number)
    order = _reopen(tx, order, channel=channel, amount=amount, request_id=request_id, details=details, now=now)
    return order, _open_payment(tx, order, channel=channel, expires_at=expires_at, now=now)


def _write(tx: Tx, order: Order) -> bool:
    """False when the merchant has used the invoice number."""
    written = tx.execute(
        "insert into orders (id, merchant_id, invoice_number, amount, state, request_id, details, created_at)"
        " values (:id, :merchant_id, :invoice_number, :amount, 'OPEN', :request_id, :details, :created_at)"
        " on conflict do nothing",
        {
            "id": order.id,
            "merchant_id": order.merchant_id,
            "invoice_number": order.invoice_number,
            "amount": order.amount,
            "request_id": order.request_id,
            "details": msgspec.json.encode(order.details).decode(),
            "created_at": to_ms(order.created_at),
        },
    )
    return written == 1


def hold_order(tx: Tx, merchant_id: str, invoice_number: str) -> Order | None:
    """The order, of which nobody moves any payment until the transaction ends."""
    row = tx.one(
        "select id from orders where merchant_id = :merchant_id and invoice_number = :invoice_number",
        {"merchant_id": merchant_id, "invoice_number": invoice_number},
    )
    if row is None:
        return None
    # Written as they are, so that two that reopen it at once do so one after the other. The first payment keeps those apart;
    # then what waits to be paid, then the order: whoever pays takes these two in the same order, and nobody waits in a circle.
    order_id = {"id": row["id"]}
    tx.execute("update payment set state = state where order_id = :id and attempt = 1", order_id)
    tx.execute("update payment set state = state where order_id = :id and state = 'PENDING'", order_id)
    held = tx.one("update orders set state = state where id = :id returning *", order_id)
    assert held is not None, row["id"]
    return order_from(held)


def _reopen(
    tx: Tx, order: Order, *, channel: str, amount: Rupiah, request_id: str, details: dict[str, Any], now: datetime
) -> Order:
    earlier_payments = payments_of(tx, order.id)
    if any(payment.state.is_spent for payment in earlier_payments):
        raise Refused(Reason.INVOICE_ALREADY_PAID, field="order.invoice_number", invoice_number=order.invoice_number)
    if any(payment.channel != channel for payment in earlier_payments):
        # Another channel's page is open under this number, and it reads the order in its own way.
        raise Refused(Reason.INVOICE_ALREADY_USED, field="order.invoice_number", invoice_number=order.invoice_number)
    for payment in earlier_payments:
        if not payment.state.is_final:
            advance(tx, payment, Move.REPLACED, now=now)
    # A refund may name any call that opened this order.
    earlier = [*order.details.get("earlier_request_ids", ()), order.request_id]
    kept = msgspec.json.encode(details | {"earlier_request_ids": earlier}).decode()
    again = tx.one(
        "update orders set amount = :amount, state = 'OPEN', request_id = :request_id, details = :details, attempts = attempts + 1"
        " where id = :id returning *",
        {"id": order.id, "amount": amount, "request_id": request_id, "details": kept},
    )
    assert again is not None, order.id
    return order_from(again)


def open_another(tx: Tx, order: Order, paid: Payment, *, receipt: str, now: datetime) -> Payment | None:
    """One more payment of an order whose code can be paid again and again. None when this receipt opened one before.

    Whoever opens it ends it in the same transaction and holds `paid` meanwhile: nobody ever sees a second payment waiting.
    """
    named = {"channel": paid.channel, "receipt": receipt}
    if tx.one("select payment_id from further_payment where channel = :channel and receipt = :receipt", named) is not None:
        return None
    counted = tx.one("update orders set attempts = attempts + 1 where id = :id returning *", {"id": order.id})
    assert counted is not None, order.id
    another = _open_payment(tx, order_from(counted), channel=paid.channel, expires_at=paid.expires_at, now=now)
    tx.execute(
        "insert into further_payment (channel, receipt, payment_id) values (:channel, :receipt, :payment_id)",
        {**named, "payment_id": another.id},
    )
    return another


def _open_payment(tx: Tx, order: Order, *, channel: str, expires_at: datetime, now: datetime) -> Payment:
    payment = Payment(
        id=new_id("pay"),
        order_id=order.id,
        merchant_id=order.merchant_id,
        channel=channel,
        amount=order.amount,
        state=PaymentState.PENDING,
        payer=None,
        approval_code=None,
        failure=None,
        details={},
        created_at=now,
        expires_at=expires_at,
        finished_at=None,
        attempt=order.attempts,
    )
    tx.execute(
        "insert into payment (id, order_id, merchant_id, channel, amount, state, created_at, expires_at, attempt)"
        " values (:id, :order_id, :merchant_id, :channel, :amount, 'PENDING', :created_at, :expires_at, :attempt)",
        {
            "id": payment.id,
            "order_id": order.id,
            "merchant_id": order.merchant_id,
            "channel": channel,
            "amount": order.amount,
            "created_at": to_ms(now),
            "expires_at": to_ms(expires_at),
            "attempt": payment.attempt,
        },
    )
    record_event(tx, payment.id, order.merchant_id, "CREATED", PaymentState.PENDING, now=now)
    return payment
