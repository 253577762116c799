"""Refunds that people carry out: the channel has no call for it, or the merchant's own MID cannot refund online.

Somebody opens one, transfers the money, and says so.
"""

from collections.abc import Mapping
from datetime import datetime

from gerbang.channel import Channel
from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.merchants import get
from gerbang.money import Rupiah
from gerbang.payments import (
    Order,
    Payment,
    Refund,
    RefundType,
    complete_refund,
    fail_refund,
    get_refund,
    open_refund,
    order_by_id,
    payments_of,
)
from gerbang.protocols.nonsnap.notification import notify
from gerbang.settings import Settings
from gerbang.storage import Tx

CANNOT_BE_DONE = "Refund Cannot Be Processed"


def open_manual_refund(tx: Tx, order: Order, *, amount: int | None, now: datetime, payment_id: str | None = None) -> Refund:
    """The operator means to give money back: what it takes is the merchant's no longer, and a person has to transfer it.

    amount      None: all that is left
    payment_id  which of the order's payments; None: the newest that was paid

    Raises Refused: PAYMENT_NOT_PAID, REFUND_TOO_LARGE (nothing is left), BALANCE_TOO_SMALL (the merchant has not that much).
    """
    payment = _paid(tx, order, payment_id)
    assert payment.charged is not None, payment.id
    left = payment.charged - payment.refunded
    wanted = Rupiah(left if amount is None else amount)
    if not 0 < wanted <= left:
        raise Refused(Reason.REFUND_TOO_LARGE, amount=wanted, charged=payment.charged, refunded=payment.refunded)
    kind = RefundType.MANUAL_FULL_REFUND if wanted == payment.charged else RefundType.MANUAL_PARTIAL_REFUND
    return open_refund(tx, payment, amount=wanted, type=kind, request_id=new_id("req"), now=now)


def complete_manual_refund(
    tx: Tx,
    channels: Mapping[str, Channel],
    refund_id: str,
    *,
    approval_code: str | None,
    settings: Settings,
    now: datetime,
) -> Refund:
    """The money was given back by hand: book it, and tell the merchant where refunds are told (decision D-7: cards).

    Raises Refused: REFUND_NOT_FOUND, PAYMENT_MOVED_ON (it ended before), PAYMENT_BUSY (it is the acquirer's to end).
    """
    refund = _manual(tx, refund_id)
    done, payment = complete_refund(tx, refund, approval_code=approval_code, message="Approved", now=now)
    channel = channels[payment.channel]
    if channel.tells_refunds:
        order, merchant = order_by_id(tx, payment.order_id), get(tx, payment.merchant_id)
        notify(tx, channel, merchant, order, payment, settings=settings, now=now)
    return done


def fail_manual_refund(tx: Tx, refund_id: str, *, message: str | None, now: datetime) -> Refund:
    """It cannot be done: the money is the merchant's again. Nobody is told, as with any refund that fails after its answer.

    Raises as `complete_manual_refund`.
    """
    return fail_refund(tx, _manual(tx, refund_id), message=message or CANNOT_BE_DONE, now=now)


def _paid(tx: Tx, order: Order, payment_id: str | None) -> Payment:
    found = [one for one in payments_of(tx, order.id) if payment_id in (None, one.id)]
    paid = [one for one in found if one.state.is_paid and one.charged is not None]
    if not paid:
        raise Refused(Reason.PAYMENT_NOT_PAID, invoice_number=order.invoice_number)
    return paid[-1]


def _manual(tx: Tx, refund_id: str) -> Refund:
    refund = get_refund(tx, refund_id)
    if not refund.type.is_manual:
        # An acquirer has been asked, and its answer may come at any moment.
        raise Refused(Reason.PAYMENT_BUSY, refund=refund.id, type=refund.type)
    return refund
